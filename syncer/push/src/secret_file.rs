//! A secret in a mounted file, read again when it changes.

use std::fs::File;
use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;
use std::time::Instant;

use crate::delivery::secret::ParsePushSecretError;
use crate::delivery::secret::PushSecret;
use crate::lock::lock;

/// The time between two reads, whatever the number of deliveries.
const KEPT: Duration = Duration::from_secs(1);

/// The largest file in bytes.
const LARGEST: u64 = 4096;

/// A file with a [`PushSecret`]. A file that cannot be used has no secret; the log has the reason,
/// once for each reason.
#[derive(Debug)]
pub struct SecretFile {
    path: PathBuf,
    last: Mutex<Option<LastRead>>,
}

#[derive(Debug)]
struct LastRead {
    at: Instant,
    /// The secret, or the reason why there is none.
    found: Result<PushSecret, String>,
}

/// The reason why a file has no secret.
#[derive(Debug, thiserror::Error)]
enum SecretFileError {
    #[error("cannot read the push secret {}: {source}", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: {source}", .path.display())]
    Parse {
        path: PathBuf,
        source: ParsePushSecretError,
    },
}

impl SecretFile {
    /// A file that is not read yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            last: Mutex::default(),
        }
    }

    /// The secret in the file, as it was at most a second ago; `None` if there is none. It reads a
    /// small file, so it may be called on the event loop.
    pub fn secret(&self) -> Option<PushSecret> {
        let mut last = lock(&self.last);
        let now = Instant::now();
        let is_fresh = |last: &LastRead| now.saturating_duration_since(last.at) < KEPT;
        if !last.as_ref().is_some_and(is_fresh) {
            let found = read(&self.path).map_err(|error| error.to_string());
            let previous = last.as_ref().and_then(|last| last.found.as_ref().err());
            if let Err(error) = &found
                && previous != Some(error)
            {
                tracing::error!(error, "deliveries with this secret are refused");
            }
            *last = Some(LastRead { at: now, found });
        }
        let found = last.as_ref().and_then(|last| last.found.as_ref().ok());
        found.cloned()
    }
}

fn read(path: &Path) -> Result<PushSecret, SecretFileError> {
    let failed = |source| SecretFileError::Read {
        path: path.to_owned(),
        source,
    };
    let mut content = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(LARGEST)
        .read_to_end(&mut content)
        .map_err(failed)?;
    PushSecret::parse(&content).map_err(|source| SecretFileError::Parse {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_is_read_again_and_a_missing_or_malformed_one_has_no_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("acme");
        let file = SecretFile::new(&path);
        // As if the second had passed.
        let read_again = || {
            *lock(&file.last) = None;
            file.secret()
        };
        assert!(read_again().is_none());
        fs::write(&path, "old").unwrap();
        assert!(read_again().unwrap().is_value(b"old"));
        fs::write(&path, "new\nold").unwrap();
        assert!(!file.secret().unwrap().is_value(b"new"));
        let secret = read_again().unwrap();
        assert!(secret.is_value(b"new") && secret.is_value(b"old"));
        fs::write(&path, "a\nb\nc").unwrap();
        assert!(read_again().is_none());
        let error = super::read(&path).unwrap_err().to_string();
        let expected =
            "acme: expected a push secret: one line of text, or two lines during a rotation";
        assert!(error.ends_with(expected), "{error}");
    }
}
