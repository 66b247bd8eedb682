//! File system operations that take effect completely or not at all.

use std::cell::Cell;
use std::fs;
use std::io;
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::SystemTime;

use rustix::fs::AtFlags;
use rustix::fs::CWD;
use rustix::fs::Timespec;
use rustix::fs::Timestamps;
use rustix::fs::UTIME_NOW;
use rustix::fs::utimensat;

use crate::system::crash;

/// The mode of files that hold a secret.
pub(crate) const SECRET_MODE: u32 = 0o600;

/// The mode of all other files; the process's umask removes the unwanted bits.
pub(crate) const PLAIN_MODE: u32 = 0o666;

/// The prefix of a file before it is renamed; files of a killed process keep it.
pub(crate) const TEMPORARY: &str = ".new-";

/// File metadata that differs between two contents of a file, so that it need not be read: the
/// kubelet creates new files, other tools may overwrite the old ones.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Stamp {
    inode: u64,
    size: u64,
    written: (i64, i64),
    /// The change time: a copied file may keep its modification time, but not this one.
    changed: (i64, i64),
}

impl Stamp {
    /// Reads the metadata of a file; `None` if that fails.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        Some(Self {
            inode: found.ino(),
            size: found.size(),
            written: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

/// Files with their metadata at one moment; a file need not exist.
#[derive(Debug, Default)]
pub(crate) struct StampedFiles(Vec<(PathBuf, Option<Stamp>)>);

impl StampedFiles {
    /// Reads the metadata of the files, with one `stat` call each.
    pub(crate) fn of(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let files = paths.into_iter().map(|path| {
            let stamp = Stamp::of(&path);
            (path, stamp)
        });
        Self(files.collect())
    }

    /// Whether no file was written, created or removed since.
    pub(crate) fn are_unchanged(&self) -> bool {
        self.0.iter().all(|(path, stamp)| Stamp::of(path) == *stamp)
    }
}

/// Writes a file so that a consumer sees the old or the new content, never a part; its mode is
/// subject to the umask.
pub(crate) fn write_atomic(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    crash::step();
    let mut file = tempfile::Builder::new()
        .prefix(TEMPORARY)
        .permissions(fs::Permissions::from_mode(mode))
        .tempfile_in(parent)?;
    file.write_all(content)?;
    crash::step();
    file.persist(path)?;
    Ok(())
}

/// Creates a symlink, or replaces an existing one, by one rename; `prefix` marks the temporary
/// name, so that the leftover of a killed process is recognised.
pub(crate) fn replace_link(prefix: &str, target: &Path, link: &Path) -> io::Result<()> {
    let parent = link.parent().unwrap_or(Path::new("."));
    crash::step();
    let temporary = tempfile::Builder::new()
        .prefix(prefix)
        .make_in(parent, |path| symlink(target, path))?;
    crash::step();
    temporary.persist(link).map_err(|error| error.error)?;
    Ok(())
}

/// Reads a line of the kernel's once in a process.
pub(crate) fn read_once(line: &'static OnceLock<String>, path: &str) -> io::Result<&'static str> {
    if let Some(line) = line.get() {
        return Ok(line);
    }
    let read = fs::read_to_string(path)?.trim().to_owned();
    Ok(line.get_or_init(|| read))
}

/// Reads a symlink; `None` if it does not exist.
pub(crate) fn read_link(path: &Path) -> io::Result<Option<PathBuf>> {
    absent_is_none(fs::read_link(path))
}

/// Creates a symlink; it must not exist.
pub(crate) fn new_link(target: &Path, link: &Path) -> io::Result<()> {
    crash::step();
    symlink(target, link)
}

/// Renames a file or a directory.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    crash::step();
    fs::rename(from, to)
}

/// Creates a directory with its parents, unless it exists.
pub(crate) fn make_dir(path: &Path) -> io::Result<()> {
    crash::step();
    fs::create_dir_all(path)
}

thread_local! {
    static IS_EVENT_LOOP: Cell<bool> = const { Cell::new(false) };
}

/// Marks this thread as the event loop's, which long work must not block.
pub(crate) fn this_is_the_event_loop() {
    IS_EVENT_LOOP.set(true);
}

/// Removes a file, or a directory with its content; a missing path is no error. Remove a directory
/// only in [`blocking`]: it may contain a million files.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where directories are removed"
)]
pub(crate) fn remove_any(path: &Path) -> io::Result<()> {
    let found = absent_is_none(fs::symlink_metadata(path))?;
    if found.is_some() {
        crash::step();
    }
    let is_dir = found.as_ref().is_some_and(fs::Metadata::is_dir);
    debug_assert!(
        !is_dir || !IS_EVENT_LOOP.get(),
        "{} is removed on the event loop",
        path.display()
    );
    let removed = match found {
        None => return Ok(()),
        Some(found) if found.is_dir() => fs::remove_dir_all(path),
        Some(_) => fs::remove_file(path),
    };
    absent_is_none(removed).map(|_| ())
}

/// Does the same in a blocking thread.
pub(crate) async fn remove_blocking(path: &Path) -> io::Result<()> {
    let path = path.to_owned();
    blocking(move || remove_any(&path)).await
}

/// The number of bytes of two files that are compared at once.
const COMPARED: usize = 1 << 16;

/// Whether two files have the same content, or two symlinks the same target, and both or neither
/// can be executed.
pub(crate) fn are_same(a: &Path, b: &Path) -> io::Result<bool> {
    let (found_a, found_b) = (fs::symlink_metadata(a)?, fs::symlink_metadata(b)?);
    if found_a.is_symlink() && found_b.is_symlink() {
        return Ok(fs::read_link(a)? == fs::read_link(b)?);
    }
    let is_executable = |found: &fs::Metadata| found.mode() & 0o100 != 0;
    let are_alike = found_a.is_file()
        && found_b.is_file()
        && found_a.len() == found_b.len()
        && is_executable(&found_a) == is_executable(&found_b);
    if !are_alike {
        return Ok(false);
    }
    let (file_a, file_b) = (fs::File::open(a)?, fs::File::open(b)?);
    let chunk = |file: &fs::File| {
        let mut chunk = Vec::with_capacity(COMPARED);
        file.take(COMPARED as u64).read_to_end(&mut chunk)?;
        Ok::<_, io::Error>(chunk)
    };
    loop {
        let (chunk_a, chunk_b) = (chunk(&file_a)?, chunk(&file_b)?);
        if chunk_a.is_empty() || chunk_a != chunk_b {
            return Ok(chunk_a == chunk_b);
        }
    }
}

/// Lists the names in a directory; empty if the directory does not exist.
pub(crate) fn names_in(dir: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let Some(entries) = absent_is_none(fs::read_dir(dir))? else {
        return Ok(Vec::new());
    };
    entries.map(|entry| Ok(entry?.file_name())).collect()
}

/// Visits each regular file below a directory, except git's own.
pub(crate) fn visit(
    dir: &Path,
    visit_file: &mut impl FnMut(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() && entry.file_name() != ".git" {
                dirs.push(entry.path());
            } else if kind.is_file() {
                visit_file(&entry.path())?;
            }
        }
    }
    Ok(())
}

/// Sets a directory's modification time to now; the grace period of a stale tree starts with it.
/// Write permission on the directory is sufficient; the caller need not own it.
pub(crate) fn touch(dir: &Path) -> io::Result<()> {
    crash::step();
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    };
    let times = Timestamps {
        last_access: now,
        last_modification: now,
    };
    Ok(utimensat(CWD, dir, &times, AtFlags::empty())?)
}

/// Sets a file's modification time to now; a missing file is created with its directories.
pub(crate) fn touch_file(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)?;
    file.set_modified(SystemTime::now())
}

/// Turns the error "not found" into `None`.
pub(crate) fn absent_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Runs long file system work outside the event loop.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}
