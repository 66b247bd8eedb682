//! How much git's fetches bring, as far as the disk tells: git itself does not say.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use crate::files;

/// Watches git's object store.
pub(crate) struct Growth {
    objects: PathBuf,
    /// Its size when nothing of ours is at work in it, unless it must be looked at again.
    size: Option<u64>,
}

impl Growth {
    /// Watches the object store of a repository.
    pub(crate) fn of(git_dir: &Path) -> Self {
        Self {
            objects: git_dir.join("objects"),
            size: None,
        }
    }

    /// The size before a fetch; a figure only, so a store that cannot be read is none.
    pub(crate) async fn before(&mut self) -> u64 {
        match self.size.take() {
            Some(size) => size,
            None => self.measure().await,
        }
    }

    /// Notes that a fetch has brought nothing.
    pub(crate) fn is_still(&mut self, size: u64) {
        self.size = Some(size);
    }

    /// By how much a fetch has made it grow.
    pub(crate) async fn since(&mut self, before: u64) -> u64 {
        let size = self.measure().await;
        self.size = Some(size);
        size.saturating_sub(before)
    }

    /// Forgets the size, since git packs anew.
    pub(crate) fn forget(&mut self) {
        self.size = None;
    }

    async fn measure(&self) -> u64 {
        let objects = self.objects.clone();
        let size = files::blocking(move || size_of(&objects)).await;
        size.unwrap_or_default()
    }
}

/// The length of all files below a directory.
fn size_of(dir: &Path) -> io::Result<u64> {
    let mut size = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        // A file may go between the listing and now.
        let Some(found) = files::absent_is_none(entry.metadata())? else {
            continue;
        };
        size += if found.is_dir() {
            size_of(&entry.path())?
        } else {
            found.len()
        };
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn growth_is_what_came_since() {
        let dir = tempfile::tempdir().unwrap();
        let mut growth = Growth::of(dir.path());
        assert_eq!(growth.before().await, 0, "there is nothing yet");
        let objects = dir.path().join("objects/ab");
        fs::create_dir_all(&objects).unwrap();
        fs::write(objects.join("one"), "12345").unwrap();
        assert_eq!(growth.since(0).await, 5);
        let before = growth.before().await;
        fs::write(objects.join("two"), "123").unwrap();
        assert_eq!(growth.since(before).await, 3);
        fs::remove_file(objects.join("one")).unwrap();
        growth.forget();
        assert_eq!(growth.before().await, 3);
    }
}
