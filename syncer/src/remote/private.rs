//! The directory of the syncer's own files: `--state`, or a temporary one.

use std::fs;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

use nix::fcntl::Flock;
use nix::fcntl::FlockArg;
use nix::unistd::Gid;
use nix::unistd::Uid;
use nix::unistd::User;

use crate::config::RepoConfig;
use crate::system::files;

/// Prefixes of the names of temporary directories, before and after they are locked.
const NEW: &str = ".gitvolume-private-";
const PREFIX: &str = "gitvolume-private-";

/// The prefix of repaired ssh keys that cannot be in memory only; a key that is no longer in the
/// Secret must be removed.
pub(crate) const KEY: &str = "key-";

/// The directory for the syncer's files that belong neither to git nor to consumers.
pub(crate) struct Private {
    dir: PathBuf,
    /// `HOME` of the syncer's commands; `None` keeps the inherited value.
    pub(crate) home: Option<PathBuf>,
    /// `TMPDIR` of the syncer's commands; `None` keeps the inherited value.
    pub(crate) tmp: Option<PathBuf>,
    /// Removed at the end of the process.
    _temporary: Option<Temporary>,
}

/// A temporary directory, locked while its process lives. The next process removes the directory of
/// a killed one, which may contain passwords.
struct Temporary {
    dir: PathBuf,
    _lock: Option<Flock<File>>,
}

impl Temporary {
    /// Creates a directory below `parent`, and removes those of dead processes there.
    fn below(parent: &Path) -> io::Result<Self> {
        for name in files::names_in(parent).unwrap_or_default() {
            let path = parent.join(&name);
            if name.to_string_lossy().starts_with(PREFIX)
                && is_ours(&path)
                && let Some(_lock) = lock(&path)
                && let Err(error) = files::remove_any(&path)
            {
                tracing::info!(v = 0, reason = %error, dir = %path.display(), "cannot remove it");
            }
        }
        let mut new = tempfile::Builder::new().prefix(NEW).tempdir_in(parent)?;
        let lock = lock(new.path());
        // The final name permits its removal, so it is renamed only after it is locked.
        let name = new.path().file_name().unwrap_or_default().to_string_lossy();
        let dir = parent.join(name.replacen(NEW, PREFIX, 1));
        fs::rename(new.path(), &dir)?;
        new.disable_cleanup(true);
        Ok(Self { dir, _lock: lock })
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // A remaining file is removed at the next start.
        #[expect(
            clippy::disallowed_methods,
            reason = "a few small files in memory or on the local disk do not block the event loop"
        )]
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn is_ours(dir: &Path) -> bool {
    fs::symlink_metadata(dir)
        .is_ok_and(|found| found.is_dir() && found.uid() == Uid::effective().as_raw())
}

/// Locks a directory; `None` if a living process holds the lock or the file system has no locks.
fn lock(dir: &Path) -> Option<Flock<File>> {
    let file = File::open(dir).ok()?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).ok()
}

impl Private {
    /// Prepares the directory in a blocking thread: an earlier run may have left many files.
    pub(crate) async fn open(config: &RepoConfig) -> io::Result<Self> {
        let config = config.clone();
        files::blocking(move || Self::open_now(&config)).await
    }

    fn open_now(config: &RepoConfig) -> io::Result<Self> {
        if let Some(state) = &config.state {
            let home = state.join("home");
            let tmp = state.join("tmp");
            files::remove_any(&tmp)?;
            for name in files::names_in(state)? {
                let text = name.to_string_lossy();
                if text.starts_with(files::TEMPORARY) || text.starts_with(KEY) {
                    files::remove_any(&state.join(&name))?;
                }
            }
            files::make_dir(&home)?;
            files::make_dir(&tmp)?;
            return Ok(Self {
                dir: state.clone(),
                home: Some(home),
                tmp: Some(tmp),
                _temporary: None,
            });
        }
        let temporary = Temporary::below(&std::env::temp_dir())?;
        let dir = temporary.dir.clone();
        Ok(Self {
            home: config.environment.home.is_none().then(|| dir.clone()),
            dir,
            tmp: None,
            _temporary: Some(temporary),
        })
    }

    /// Recreates its directories, in case they were removed while the process runs.
    pub(crate) fn restore(&self) -> io::Result<()> {
        let dirs = [Some(&self.dir), self.home.as_ref(), self.tmp.as_ref()];
        dirs.into_iter()
            .flatten()
            .try_for_each(|dir| files::make_dir(dir))
    }

    /// The directory, which only the syncer uses.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The path of one of the syncer's files.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Writes a passwd and a group file with the process's numeric user, if the system's files lack
    /// it: otherwise plain `ssh` fails with "No user exists for uid". Returns their paths.
    pub(crate) fn name_ourselves(&self) -> io::Result<Option<(PathBuf, PathBuf)>> {
        let (uid, gid) = (Uid::current(), Gid::current());
        if User::from_uid(uid)?.is_some() {
            return Ok(None);
        }
        let home = self.home.as_deref().unwrap_or(Path::new("/"));
        let passwd = format!(
            "gitvolume:x:{uid}:{gid}::{}:/sbin/nologin\n",
            home.display()
        );
        let paths = (self.path("passwd"), self.path("group"));
        files::write_atomic(&paths.0, passwd.as_bytes(), files::PLAIN_MODE)?;
        let group = format!("gitvolume:x:{gid}:\n");
        files::write_atomic(&paths.1, group.as_bytes(), files::PLAIN_MODE)?;
        Ok(Some(paths))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_killed_processes_are_removed_and_those_of_living_ones_are_not() {
        let parent = tempfile::tempdir().unwrap();
        let living = Temporary::below(parent.path()).unwrap();
        fs::write(living.dir.join("credentials"), "x").unwrap();
        let dead = parent.path().join("gitvolume-private-dead");
        let other = parent.path().join("gitvolume-other");
        for dir in [&dead, &other] {
            fs::create_dir(dir).unwrap();
            fs::write(dir.join("credentials"), "x").unwrap();
        }
        let next = Temporary::below(parent.path()).unwrap();
        assert!(living.dir.join("credentials").is_file());
        assert!(other.join("credentials").is_file() && !dead.exists());
        let dir = next.dir.clone();
        assert!(dir.is_dir());
        drop(next);
        assert!(!dir.exists());
    }
}
