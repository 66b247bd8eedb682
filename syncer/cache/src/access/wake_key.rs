//! The key of wake-ups, in a mounted file.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use ring::hmac;
use ring::rand::SystemRandom;

use crate::mounted::MountedValue;

/// The shortest key in bytes.
const SHORTEST: usize = 16;

/// A file without a usable key.
#[derive(Debug, thiserror::Error)]
#[error("--wake-key-file: {path}: expected a file with a key of at least 16 characters")]
pub struct WakeKeyError {
    /// The file.
    path: PathBuf,
    /// The error of the system, if there is one.
    source: Option<io::Error>,
}

/// The key of wake-ups; a changed file is used without a restart.
pub(crate) struct WakeKey(MountedValue<Arc<ComparableKey>, WakeKeyError>);

/// A key in a form that is compared in constant time.
struct ComparableKey {
    random: hmac::Key,
    tag: hmac::Tag,
}

impl WakeKey {
    /// Reads the key in a file.
    pub(crate) fn read(path: &Path) -> Result<Self, WakeKeyError> {
        let (file, path) = (path.to_owned(), path.to_owned());
        let error = move |source| WakeKeyError {
            path: path.clone(),
            source,
        };
        let failed = error.clone();
        let read = move || Ok(vec![fs::read(&file).map_err(|it| failed(Some(it)))?]);
        let parse = move |contents: &[Vec<u8>]| {
            let key = contents.concat();
            ComparableKey::new(key.trim_ascii()).map_err(&error)
        };
        MountedValue::new(read, parse).map(Self)
    }

    /// Uses a changed file from now on; returns whether it has changed.
    pub(crate) fn reload(&self) -> Result<bool, WakeKeyError> {
        self.0.reload()
    }

    /// Compares a key in constant time.
    pub(crate) fn is(&self, presented: &[u8]) -> bool {
        let key = self.0.get();
        hmac::verify(&key.random, presented, key.tag.as_ref()).is_ok()
    }
}

impl ComparableKey {
    fn new(key: &[u8]) -> Result<Arc<Self>, Option<io::Error>> {
        if key.len() < SHORTEST {
            return Err(None);
        }
        let random = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        let random =
            random.map_err(|_| Some(io::Error::other("the system provides no random numbers")))?;
        let tag = hmac::sign(&random, key);
        Ok(Arc::new(Self { random, tag }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_in_the_file_is_accepted() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, "the-key-of-wake-ups\n").unwrap();
        let key = WakeKey::read(file.path()).unwrap();
        assert!(key.is(b"the-key-of-wake-ups"));
        for wrong in [
            "",
            "the-key",
            "the-key-of-wake-ups\n",
            "The-key-of-wake-ups",
        ] {
            assert!(!key.is(wrong.as_bytes()), "{wrong}");
        }
        // Too short: the last key stays in use.
        fs::write(&file, "the-next-key").unwrap();
        assert!(key.reload().is_err() && key.is(b"the-key-of-wake-ups"));
        fs::write(&file, "the-next-key-of-wake-ups").unwrap();
        assert!(key.reload().unwrap());
        assert!(key.is(b"the-next-key-of-wake-ups") && !key.is(b"the-key-of-wake-ups"));
    }
}
