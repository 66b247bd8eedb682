//! One syncer per directory.

use std::fs::File;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::FcntlArg;
use nix::fcntl::FdFlag;
use nix::fcntl::Flock;
use nix::fcntl::FlockArg;
use nix::fcntl::fcntl;
use tokio::time::Instant;

/// How long a directory's owner may take to end. The git commands of a killed syncer hold its lock
/// (they inherit it), so that two never write at the same time.
const PATIENCE: Duration = Duration::from_secs(5);

const RETRY: Duration = Duration::from_millis(50);

/// Says why a directory cannot be ours.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OwnerError {
    #[error("{} is in use by another syncer; give each its own directory", .0.display())]
    Taken(PathBuf),
    #[error("cannot lock {}", .path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// A directory that is ours until this value, and every command started meanwhile, is gone.
pub(crate) struct Owned {
    _lock: Option<Flock<File>>,
}

impl Owned {
    /// Takes a directory; the lock is on the directory itself, so no file of ours appears in it.
    pub(crate) async fn take(dir: &Path) -> Result<Self, OwnerError> {
        let failed = |source: io::Error| OwnerError::Io {
            path: dir.to_owned(),
            source,
        };
        let started = Instant::now();
        let mut file = File::open(dir).map_err(failed)?;
        loop {
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => {
                    fcntl(&*lock, FcntlArg::F_SETFD(FdFlag::empty()))
                        .map_err(|errno| failed(errno.into()))?;
                    return Ok(Self { _lock: Some(lock) });
                }
                Err((same, Errno::EWOULDBLOCK)) if started.elapsed() < PATIENCE => {
                    file = same;
                    tokio::time::sleep(RETRY).await;
                }
                Err((_, Errno::EWOULDBLOCK)) => return Err(OwnerError::Taken(dir.to_owned())),
                // Some network file systems lock no directory: then the user is on their honour.
                Err((_, Errno::EBADF | Errno::ENOLCK | Errno::EOPNOTSUPP | Errno::EINVAL)) => {
                    tracing::info!(dir = %dir.display(), "the file system has no locks; a second syncer would not be noticed");
                    return Ok(Self { _lock: None });
                }
                Err((_, errno)) => return Err(failed(errno.into())),
            }
        }
    }
}
