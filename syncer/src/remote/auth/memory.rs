//! Files in memory. A secret that differs from its source is never written to a disk, where a
//! killed process would leave it.

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

use crate::remote::auth::error::AuthError;
use crate::remote::auth::error::write;
use crate::remote::private::Private;
use crate::system::files;

/// Files by name; each lives until its content changes or this value is dropped.
#[derive(Default)]
pub(super) struct MemoryFiles(BTreeMap<String, (Vec<u8>, File)>);

impl MemoryFiles {
    /// Stores a content and returns a path that programs of the same user can read; the path is
    /// stable while the content does not change.
    pub(super) fn put(&mut self, name: &str, content: &[u8]) -> io::Result<PathBuf> {
        if let Some((present, file)) = self.0.get(name)
            && present == content
        {
            return Ok(path(file));
        }
        let mut file = File::from(memfd_create(name, MFdFlags::MFD_CLOEXEC)?);
        // ssh refuses a key that other users can read.
        file.set_permissions(Permissions::from_mode(files::SECRET_MODE))?;
        file.write_all(content)?;
        let path = path(&file);
        // Without /proc's descriptors no program could read it.
        File::open(&path)?;
        self.0.insert(name.to_owned(), (content.to_vec(), file));
        Ok(path)
    }

    /// The same; a kernel or a sandbox without files in memory gets a private file.
    pub(super) fn put_or_write(
        &mut self,
        name: &str,
        content: &[u8],
        private: &Private,
    ) -> Result<PathBuf, AuthError> {
        if let Ok(path) = self.put(name, content) {
            return Ok(path);
        }
        let path = private.path(name);
        write(&path, content, files::SECRET_MODE)?;
        Ok(path)
    }
}

/// Not through `self`, since git's ssh opens the file.
fn path(file: &File) -> PathBuf {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_in_memory_is_readable_by_its_path_for_its_own_user_only() {
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
