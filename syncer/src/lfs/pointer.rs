//! Pointers of Git LFS (git-lfs, docs/spec.md): a hash and a size in place of a file's content.

use std::fmt;
use std::fs::File;
use std::io;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ring::digest;

/// The prefix of a pointer, and its maximum length in bytes.
pub(crate) const PREFIX: &[u8] = b"version https://git-lfs.github.com/spec/";
pub(crate) const MAX_POINTER: u64 = 1024;

/// The version of the pointers that exist.
const VERSION: &str = "version https://git-lfs.github.com/spec/v1";

/// The buffer of a file that is hashed.
const BUFFER: usize = 64 << 10;

/// The SHA-256 hash of a content, in lower-case hexadecimal.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Oid(String);

/// A pointer to a content.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Pointer {
    pub(super) oid: Oid,
    pub(super) size: u64,
}

impl Oid {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == 64 && text.bytes().all(is_hex)).then(|| Self(text.to_owned()))
    }

    /// The hash of a finished digest.
    pub(super) fn of(digest: &digest::Digest) -> Self {
        let bytes = digest.as_ref().iter();
        Self(bytes.map(|byte| format!("{byte:02x}")).collect())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Pointer {
    /// Parses a pointer. One with extensions is `None`: its content needs another program.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(text).ok()?.lines();
        let is_version = lines.next()? == VERSION;
        let oid = Oid::parse(lines.next()?.strip_prefix("oid sha256:")?)?;
        let size = lines.next()?.strip_prefix("size ")?.parse().ok()?;
        (is_version && lines.next().is_none()).then_some(Self { oid, size })
    }

    /// Reads a file; `None` if it is not a pointer.
    pub(super) fn of_file(path: &Path) -> io::Result<Option<Self>> {
        let file = File::open(path)?;
        if file.metadata()?.len() > MAX_POINTER {
            return Ok(None);
        }
        let mut text = Vec::new();
        file.take(MAX_POINTER).read_to_end(&mut text)?;
        Ok(Self::parse(&text))
    }

    /// Whether a file has the content, by size and hash.
    pub(super) fn is_of(&self, path: &Path) -> io::Result<bool> {
        let mut file = File::open(path)?;
        if file.metadata()?.len() != self.size {
            return Ok(false);
        }
        let mut context = digest::Context::new(&digest::SHA256);
        hash_into(&mut context, &mut file)?;
        Ok(Oid::of(&context.finish()) == self.oid)
    }
}

/// Hashes the rest of a file and returns its length.
pub(super) fn hash_into(context: &mut digest::Context, file: &mut File) -> io::Result<u64> {
    let mut buffer = vec![0; BUFFER];
    let mut length = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(length),
            read => {
                context.update(&buffer[..read]);
                length += read as u64;
            }
        }
    }
}

/// Whether a file is the content of a pointer that git wrote to another file, with the same
/// permission to execute.
pub(crate) fn is_content(file: &Path, pointer: &Path) -> io::Result<bool> {
    let mode = |path: &Path| Ok::<_, io::Error>(path.symlink_metadata()?.permissions().mode());
    const REGULAR_AND_EXECUTABLE: u32 = 0o170_100;
    let are_alike = (mode(file)? ^ mode(pointer)?) & REGULAR_AND_EXECUTABLE == 0;
    if !are_alike || !pointer.symlink_metadata()?.is_file() {
        return Ok(false);
    }
    match Pointer::of_file(pointer)? {
        Some(pointer) => pointer.is_of(file),
        None => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    #[test]
    fn only_plain_pointers_of_version_1_are_parsed() {
        let text = format!("{VERSION}\noid sha256:{HELLO}\nsize 5\n");
        let pointer = Pointer::parse(text.as_bytes()).unwrap();
        assert_eq!((pointer.oid.as_str(), pointer.size), (HELLO, 5));
        assert!(text.as_bytes().starts_with(PREFIX));
        for wrong in [
            text.replace("/v1", "/v2"),
            text.replace("sha256", "sha512"),
            text.replace(HELLO, "../../../etc/passwd"),
            text.replace(HELLO, &HELLO.to_uppercase()),
            text.replace("size 5", "size -5"),
            text.replace("size 5", "size 99999999999999999999"),
            text.replace("oid", "ext-0-foo sha256:00\noid"),
            format!("{text}more\n"),
            String::new(),
        ] {
            assert_eq!(Pointer::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn a_file_is_compared_with_its_pointer_by_size_hash_and_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let text = format!("{VERSION}\noid sha256:{HELLO}\nsize 5\n");
        fs::write(path("pointer"), &text).unwrap();
        fs::write(path("same"), "hello").unwrap();
        fs::write(path("other"), "hellO").unwrap();
        fs::write(path("longer"), "hello!").unwrap();
        fs::write(path("program"), "hello").unwrap();
        fs::set_permissions(path("program"), fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink("same", path("link")).unwrap();
        let is_content = |name: &str| is_content(&path(name), &path("pointer")).unwrap();
        assert!(is_content("same"));
        for name in ["other", "longer", "program", "link", "pointer"] {
            assert!(!is_content(name), "{name}");
        }
    }
}
