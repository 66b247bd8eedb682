//! The manifest of a tree: the metadata of its files at the moment when the syncer had written or
//! shared them.
//!
//! The next tree shares the files that still have this metadata. A manifest is
//! valid only for the process that wrote it: user, umask, git program and configuration, which
//! decide the content and the mode of a file, are then the same.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::OnceLock;

use rustix::fs::AtFlags;
use rustix::fs::CWD;
use rustix::fs::Mode;
use rustix::fs::Stat;
use rustix::fs::statat;

use crate::git::Hash;
use crate::system::files;
use crate::tree::varint::Reader;
use crate::tree::varint::Writer;

/// A new value at each read (random(4)).
const RANDOM_ID: &str = "/proc/sys/kernel/random/uuid";

// Of `st_mode` (inode(7)).
const TYPE: u64 = 0o170_000;
const DIRECTORY: u64 = 0o040_000;
const SYMLINK: u64 = 0o120_000;

/// The files of a tree with their metadata.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Manifest {
    /// What the files' content depends on besides the commit and the selection.
    pub(crate) settings: u64,
    /// Sorted by path: the entries of a directory are neighbours.
    entries: Vec<Entry>,
}

/// A file, a symlink, or an empty directory, which is the place of a submodule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Entry {
    /// The path from the top of the tree.
    pub(crate) path: PathBuf,
    pub(crate) stamp: FileStamp,
}

/// The metadata of a file by which a change is noticed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct FileStamp {
    device: u64,
    inode: u64,
    size: u64,
    mode: u64,
    uid: u64,
    gid: u64,
    /// The modification time in nanoseconds.
    modified: i128,
    /// The time of the last change of content or metadata in nanoseconds. Each link to the file that
    /// is made or removed sets it.
    changed: i128,
}

impl FileStamp {
    /// Takes the metadata from the result of a `stat` call.
    pub(crate) fn of(stat: &Stat) -> Self {
        let nanoseconds =
            |seconds: i64, rest: u64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            mode: u64::from(stat.st_mode),
            uid: u64::from(stat.st_uid),
            gid: u64::from(stat.st_gid),
            modified: nanoseconds(stat.st_mtime, stat.st_mtime_nsec),
            changed: nanoseconds(stat.st_ctime, stat.st_ctime_nsec),
        }
    }

    /// Reads the metadata of a path; `None` if it does not exist.
    pub(crate) fn read(path: &Path) -> io::Result<Option<Self>> {
        let found = statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW);
        let found = files::absent_is_none(found.map_err(io::Error::from))?;
        Ok(found.as_ref().map(Self::of))
    }

    /// Whether both are the metadata of the same unchanged file, whose links may have changed, or of
    /// directories.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let changed = other.changed;
        (Self { changed, ..*self }) == *other || (self.is_dir() && other.is_dir())
    }

    /// Whether both are the metadata of the same file, and nothing has happened to it in between.
    pub(crate) fn is_untouched(&self, other: &Self) -> bool {
        self == other
    }

    /// The permissions.
    pub(crate) fn permissions(&self) -> Mode {
        const PERMISSIONS: u64 = 0o7777;
        let bits = u32::try_from(self.mode & PERMISSIONS).unwrap_or_default();
        Mode::from_raw_mode(bits)
    }

    /// Whether it is a symlink.
    pub(crate) fn is_symlink(&self) -> bool {
        self.mode & TYPE == SYMLINK
    }

    /// Whether both have the same kind and permissions.
    pub(crate) fn has_mode_of(&self, other: &Self) -> bool {
        self.mode == other.mode
    }

    /// Whether it is a directory.
    pub(crate) fn is_dir(&self) -> bool {
        self.mode & TYPE == DIRECTORY
    }
}

impl Manifest {
    /// Puts the entries in order.
    pub(crate) fn new(settings: u64, mut entries: Vec<Entry>) -> Self {
        entries.sort_unstable_by(|a, b| bytes_of(&a.path).cmp(bytes_of(&b.path)));
        Self { settings, entries }
    }

    /// Reads the metadata of every file of a tree, except those of a `.git` at its top.
    pub(crate) fn of_tree(settings: u64, dir: &Path) -> io::Result<Self> {
        let mut entries = Vec::new();
        let mut dirs = vec![PathBuf::new()];
        while let Some(parent) = dirs.pop() {
            let mut is_empty = true;
            for found in fs::read_dir(dir.join(&parent))? {
                let found = found?;
                is_empty = false;
                let path = parent.join(found.file_name());
                if path == Path::new(".git") {
                    continue;
                }
                if found.file_type()?.is_dir() {
                    dirs.push(path);
                } else if let Some(stamp) = FileStamp::read(&found.path())? {
                    entries.push(Entry { path, stamp });
                }
            }
            if is_empty
                && parent != Path::new("")
                && let Some(stamp) = FileStamp::read(&dir.join(&parent))?
            {
                entries.push(Entry {
                    path: parent,
                    stamp,
                });
            }
        }
        Ok(Self::new(settings, entries))
    }

    /// The entries in the order of their paths.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The metadata of a file, or of an empty directory.
    pub(crate) fn stamp_of(&self, path: &Path) -> Option<&FileStamp> {
        let order = |entry: &Entry| bytes_of(&entry.path).cmp(bytes_of(path));
        let index = self.entries.binary_search_by(order);
        index.ok().map(|index| &self.entries[index].stamp)
    }

    /// Whether every file of a tree still has this metadata. Other files are not looked for.
    pub(crate) fn matches(&self, dir: &Path) -> io::Result<bool> {
        for Entry { path, stamp } in &self.entries {
            let found = FileStamp::read(&dir.join(path))?;
            if !found.is_some_and(|found| found.is_same(stamp)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes the manifest of a commit's tree.
    pub(crate) fn write(&self, path: &Path, commit: &Hash) -> io::Result<()> {
        let mut writer = Writer::default();
        writer.bytes(process_id()?.as_bytes());
        writer.bytes(commit.as_str().as_bytes());
        writer.unsigned(self.settings);
        let mut last = Entry {
            path: PathBuf::new(),
            stamp: FileStamp::default(),
        };
        for entry in &self.entries {
            // Neighbours have a long common prefix, and most other values in common.
            let (before, name) = (bytes_of(&last.path), bytes_of(&entry.path));
            let shared = before.iter().zip(name).take_while(|(a, b)| a == b).count();
            writer.unsigned(shared as u64);
            writer.bytes(&name[shared..]);
            for (value, before) in entry.stamp.values().into_iter().zip(last.stamp.values()) {
                writer.signed(value - before);
            }
            last = entry.clone();
        }
        files::write_atomic(path, &writer.finish(), files::PLAIN_MODE)
    }

    /// Reads the manifest of a commit's tree; `None` unless this process wrote it for this commit.
    pub(crate) fn read(path: &Path, commit: &Hash) -> Option<Self> {
        let text = fs::read(path).ok()?;
        let mut reader = Reader::new(&text);
        let is_own = reader.bytes()? == process_id().ok()?.as_bytes();
        let is_of_commit = reader.bytes()? == commit.as_str().as_bytes();
        if !is_own || !is_of_commit {
            return None;
        }
        Self::rest(reader)
    }

    /// Reads the manifest of any commit's tree, for its paths; another process may have written it.
    pub(crate) fn read_any(path: &Path) -> Option<Self> {
        let text = fs::read(path).ok()?;
        let mut reader = Reader::new(&text);
        reader.bytes()?;
        reader.bytes()?;
        Self::rest(reader)
    }

    fn rest(mut reader: Reader<'_>) -> Option<Self> {
        let settings = reader.unsigned()?;
        let mut entries = Vec::new();
        let mut path = Vec::new();
        let mut values = [0; 8];
        while !reader.is_at_end() {
            path.truncate(usize::try_from(reader.unsigned()?).ok()?);
            path.extend_from_slice(reader.bytes()?);
            for value in &mut values {
                *value += reader.signed()?;
            }
            entries.push(Entry {
                path: OsStr::from_bytes(&path).into(),
                stamp: FileStamp::from_values(values)?,
            });
        }
        Some(Self { settings, entries })
    }
}

impl FileStamp {
    fn values(&self) -> [i128; 8] {
        let plain = [
            self.device,
            self.inode,
            self.size,
            self.mode,
            self.uid,
            self.gid,
        ];
        let [device, inode, size, mode, uid, gid] = plain.map(i128::from);
        [
            device,
            inode,
            size,
            mode,
            uid,
            gid,
            self.modified,
            self.changed,
        ]
    }

    fn from_values(values: [i128; 8]) -> Option<Self> {
        let plain = |n: usize| u64::try_from(values[n]).ok();
        Some(Self {
            device: plain(0)?,
            inode: plain(1)?,
            size: plain(2)?,
            mode: plain(3)?,
            uid: plain(4)?,
            gid: plain(5)?,
            modified: values[6],
            changed: values[7],
        })
    }
}

fn bytes_of(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// An id that no other process has.
fn process_id() -> io::Result<&'static str> {
    static ID: OnceLock<String> = OnceLock::new();
    files::read_once(&ID, RANDOM_ID)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::fs::symlink;

    const COMMIT: &str = "0123456789012345678901234567890123456789";

    fn stamp() -> impl Strategy<Value = FileStamp> {
        let plain = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>());
        (plain, any::<i64>()).prop_map(|((device, inode, size, mode), modified)| FileStamp {
            device,
            inode,
            size,
            mode,
            uid: mode,
            gid: inode,
            modified: i128::from(modified),
            changed: i128::from(modified) + 1,
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            entries in proptest::collection::btree_map("[a-c/\u{e9}]{1,9}", stamp(), 0..20),
            settings: u64,
        ) {
            let entries = entries.into_iter().map(|(path, stamp)| Entry { path: path.into(), stamp });
            let manifest = Manifest::new(settings, entries.collect());
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("manifest");
            let commit = COMMIT.parse().unwrap();
            manifest.write(&path, &commit).unwrap();
            prop_assert_eq!(Manifest::read(&path, &commit), Some(manifest));
            let other = COMMIT.replace('0', "f").parse().unwrap();
            prop_assert_eq!(Manifest::read(&path, &other), None);
            let text = fs::read(&path).unwrap();
            fs::write(&path, &text[..text.len() - 1]).unwrap();
            // A part of it is never an error, and never more than what was written.
            let part = Manifest::read(&path, &commit);
            prop_assert!(part.is_none_or(|part| part.entries().len() <= text.len()));
        }
    }

    #[test]
    fn any_change_of_a_file_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir_all(path("d/submodule")).unwrap();
        fs::create_dir(path(".git")).unwrap();
        fs::write(path(".git/config"), "").unwrap();
        symlink("f", path("link")).unwrap();
        type Change = (&'static str, fn(&Path));
        let changes: [Change; 5] = [
            ("append", |file| fs::write(file, "12").unwrap()),
            ("same size", |file| {
                let before = fs::metadata(file).unwrap().modified().unwrap();
                while fs::metadata(file).unwrap().modified().unwrap() == before {
                    fs::write(file, "2").unwrap();
                }
            }),
            ("chmod", |file| {
                fs::set_permissions(file, fs::Permissions::from_mode(0o640)).unwrap();
            }),
            ("replace", |file| {
                fs::write(file.with_extension("new"), "1").unwrap();
                fs::rename(file.with_extension("new"), file).unwrap();
            }),
            ("remove", |file| fs::remove_file(file).unwrap()),
        ];
        for (name, change) in changes {
            fs::write(path("d/f"), "1").unwrap();
            let manifest = Manifest::of_tree(0, dir.path()).unwrap();
            let paths = manifest.entries().iter().map(|entry| entry.path.as_path());
            let expected = ["d/f", "d/submodule", "link"].map(Path::new);
            assert_eq!(paths.collect::<Vec<_>>(), expected);
            assert!(manifest.stamp_of(Path::new("d/f")).is_some());
            assert!(manifest.matches(dir.path()).unwrap(), "{name}");
            change(&path("d/f"));
            assert!(!manifest.matches(dir.path()).unwrap(), "{name}");
        }
    }
}
