//! Files that are in memory alone: what is secret and not as its owner wrote it is never on a disk,
//! where a killed process would leave it.

use std::collections::BTreeMap;
use std::fs::File;
use std::fs::Permissions;
use std::io;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use nix::sys::memfd::MFdFlags;
use nix::sys::memfd::memfd_create;

use crate::files;

/// Files by name, each until it has another content or this value ends.
#[derive(Default)]
pub(super) struct MemoryFiles(BTreeMap<String, (Vec<u8>, File)>);

impl MemoryFiles {
    /// Gives a path under which programs of our user read this content; the same path while it stays
    /// the same.
    pub(super) fn put(&mut self, name: &str, content: &[u8]) -> io::Result<PathBuf> {
        if let Some((present, file)) = self.0.get(name)
            && present == content
        {
            return Ok(path(file));
        }
        let mut file = File::from(memfd_create(name, MFdFlags::MFD_CLOEXEC)?);
        // ssh refuses a key that others may read.
        file.set_permissions(Permissions::from_mode(files::SECRET_MODE))?;
        file.write_all(content)?;
        let path = path(&file);
        // Where /proc shows no descriptors nobody could read it.
        File::open(&path)?;
        self.0.insert(name.to_owned(), (content.to_vec(), file));
        Ok(path)
    }
}

/// Not by `self`: git's ssh opens it.
fn path(file: &File) -> PathBuf {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_in_memory_is_read_by_its_path_and_is_our_users_alone() {
        let mut files = MemoryFiles::default();
        let first = files.put("key", b"one").unwrap();
        assert_eq!(fs::read(&first).unwrap(), b"one");
        assert_eq!(fs::read(&first).unwrap(), b"one");
        assert_eq!(
            fs::metadata(&first).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(files.put("key", b"one").unwrap(), first);
        assert_eq!(
            files.put("other", b"two").unwrap(),
            files.put("other", b"two").unwrap()
        );
        let changed = files.put("key", b"three").unwrap();
        assert_eq!(fs::read(&changed).unwrap(), b"three");
    }
}
