//! Small acts on the file system that must be whole or absent.

use std::cell::Cell;
use std::fs;
use std::io;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;

use rustix::fs::AtFlags;
use rustix::fs::CWD;
use rustix::fs::Timespec;
use rustix::fs::Timestamps;
use rustix::fs::UTIME_NOW;
use rustix::fs::utimensat;

use crate::crash;

/// Mode of files that hold a secret.
pub(crate) const SECRET_MODE: u32 = 0o600;

/// Mode of all other files; the process's umask takes the bits away that nobody should have.
pub(crate) const PLAIN_MODE: u32 = 0o666;

/// Prefix of a file that is about to be renamed; what a killed process leaves has it.
pub(crate) const TEMPORARY: &str = ".new-";

/// What tells one content of a file from the next, without reading it: the kubelet makes new files,
/// other tools may write into the old ones.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Stamp {
    inode: u64,
    size: u64,
    written: (i64, i64),
    /// A copied file may keep the time of its writing, not this one.
    changed: (i64, i64),
}

impl Stamp {
    /// Looks at a file; one that cannot be seen has none.
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

/// Writes a file so that a reader sees the old content or the new, never a part; the umask holds
/// for its mode.
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

/// Makes a symlink, or replaces whatever link stands there, by one rename; `prefix` marks the
/// temporary name as ours, so that a leftover of a killed process is known.
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

/// Reads a symlink; nothing there is `None`.
pub(crate) fn read_link(path: &Path) -> io::Result<Option<PathBuf>> {
    absent_is_none(fs::read_link(path))
}

/// Makes a symlink where nothing is.
pub(crate) fn new_link(target: &Path, link: &Path) -> io::Result<()> {
    crash::step();
    symlink(target, link)
}

/// Gives a file or a directory another name.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    crash::step();
    fs::rename(from, to)
}

/// Makes a directory with those that lead to it, unless it is there.
pub(crate) fn make_dir(path: &Path) -> io::Result<()> {
    crash::step();
    fs::create_dir_all(path)
}

thread_local! {
    static IS_EVENT_LOOP: Cell<bool> = const { Cell::new(false) };
}

/// Notes that this thread is the event loop's, which no long work may hold up.
pub(crate) fn this_is_the_event_loop() {
    IS_EVENT_LOOP.set(true);
}

/// Removes a file, or a directory with all it holds; nothing there is well. A directory only in
/// [`blocking`]: it may hold a million files.
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

/// Tells whether two files have the same content, or two symlinks the same target, and whether both
/// can be executed or neither.
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
    let bytes = |path| Ok::<_, io::Error>(BufReader::new(fs::File::open(path)?).bytes());
    let (mut bytes_a, mut bytes_b) = (bytes(a)?, bytes(b)?);
    loop {
        match (bytes_a.next().transpose()?, bytes_b.next().transpose()?) {
            (None, None) => return Ok(true),
            (one, other) if one != other => return Ok(false),
            _ => {}
        }
    }
}

/// Lists the names in a directory; a directory that is not there has none.
pub(crate) fn names_in(dir: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let Some(entries) = absent_is_none(fs::read_dir(dir))? else {
        return Ok(Vec::new());
    };
    entries.map(|entry| Ok(entry?.file_name())).collect()
}

/// Sets a directory's time of change to now; the clock of a stale tree starts with it. Whoever may
/// write to the directory may do so, and not only its owner.
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

/// Sets a file's time of change to now, and makes it, with its directories, if it is not there.
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

/// Turns "not found" into a value.
pub(crate) fn absent_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Runs file system work that may take long away from the event loop.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}
