//! The number and the size of a repository's object files, which decide when a repack pays.

use std::fs;
use std::io;
use std::path::Path;

use crate::git::session::Repository;
use crate::system::files;

/// The maximum number of packs: git searches each of them for each object.
const MAX_PACKS: u64 = 8;

/// The maximum number of loose objects.
const MAX_LOOSE: u64 = 1000;

/// The maximum size of everything beside the largest pack, in bytes, unless half of that pack is
/// more.
const MAX_REST: u64 = 10 << 20;

/// The object files of a repository (gitrepository-layout, `objects`).
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    packs: u64,
    loose: u64,
    /// The total size in bytes.
    size: u64,
    /// The size of the largest pack in bytes.
    largest: u64,
}

impl Repository<'_> {
    /// Counts the files of the repository's objects.
    pub(crate) async fn inventory(&self) -> io::Result<Inventory> {
        let objects = self.git_dir.join("objects");
        files::blocking(move || Inventory::of(&objects)).await
    }
}

impl Inventory {
    /// Counts the files in a directory of objects.
    fn of(objects: &Path) -> io::Result<Self> {
        let mut found = Self::default();
        for name in files::names_in(objects)? {
            let is_fan_out = name.len() == 2;
            if !is_fan_out && name != "pack" {
                continue;
            }
            for entry in fs::read_dir(objects.join(&name))? {
                let entry = entry?;
                let Some(metadata) = files::absent_is_none(entry.metadata())? else {
                    continue;
                };
                found.size += metadata.len();
                if is_fan_out {
                    found.loose += 1;
                } else if entry
                    .path()
                    .extension()
                    .is_some_and(|suffix| suffix == "pack")
                {
                    found.packs += 1;
                    found.largest = found.largest.max(metadata.len());
                }
            }
        }
        Ok(found)
    }

    /// Whether a repack pays. What earlier commits leave behind is in small packs and loose
    /// objects beside the pack of the first fetch or of the last repack.
    pub(crate) fn is_large(&self) -> bool {
        let rest = self.size - self.largest;
        self.packs > MAX_PACKS || self.loose > MAX_LOOSE || rest > MAX_REST.max(self.largest / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repack_pays_for_many_packs_many_loose_objects_or_much_garbage() {
        let dir = tempfile::tempdir().unwrap();
        let objects = dir.path();
        for name in ["pack", "info", "ab"] {
            fs::create_dir(objects.join(name)).unwrap();
        }
        let file = |name: &str, size: u64| {
            let file = fs::File::create(objects.join(name)).unwrap();
            file.set_len(size).unwrap();
        };
        let is_large = || Inventory::of(objects).unwrap().is_large();
        file("pack/pack-1.pack", 100 << 20);
        file("pack/pack-1.idx", 1 << 20);
        file("pack/pack-2.pack", 40 << 20);
        assert!(!is_large(), "garbage is less than half");
        file("ab/cdef", 20 << 20);
        assert!(is_large(), "garbage is more than half");
        file("ab/cdef", 10);
        assert!(!is_large());
        for n in 3..10 {
            file(&format!("pack/pack-{n}.pack"), 10);
        }
        assert!(is_large(), "nine packs");
        fs::remove_file(objects.join("pack/pack-9.pack")).unwrap();
        assert!(!is_large());
        for n in 0..1000 {
            file(&format!("ab/{n}"), 1);
        }
        assert!(is_large(), "loose objects");
    }
}
