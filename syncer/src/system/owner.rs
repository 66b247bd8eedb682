//! Ownership of a directory: one syncer per directory.
//!
//! On a file system with locks that every machine sees, the owner holds a lock on the directory
//! itself, without a file in it. Elsewhere (NFS, SMB, FUSE: a lock on a directory is local to the
//! machine there, or is refused) it holds a [`Lease`].

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
use nix::sys::statfs::FsType;
use nix::sys::statfs::fstatfs;
use tokio::time::Instant;

use crate::system::lease::Lease;

/// How long a directory's owner may take to end. The git commands of a killed syncer keep its lock
/// (they inherit it), so that two never write at the same time.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

const RETRY: Duration = Duration::from_millis(50);

/// File systems that several machines may share: NFS, SMB (three kinds), FUSE, 9P, Ceph, AFS.
const NETWORK: [i128; 8] = [
    0x6969,
    0x517b,
    0xff53_4d42,
    0xfe53_4d42,
    0x6573_5546,
    0x0102_1997,
    0x00c3_6400,
    0x5346_414f,
];

/// The reason why a directory cannot be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OwnerError {
    #[error("{} is in use by another syncer; use a separate directory for each", .0.display())]
    Taken(PathBuf),
    #[error("cannot lock {}", .path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// An owned directory, until this value is dropped and every command started meanwhile has ended.
#[derive(Debug)]
pub(crate) struct Owned {
    _lock: Option<Flock<File>>,
    lease: Option<Lease>,
}

impl Owned {
    /// Takes a directory, and waits for the end of its owner up to a timeout.
    pub(crate) async fn take(dir: &Path) -> Result<Self, OwnerError> {
        let started = Instant::now();
        loop {
            match Self::try_take(dir).await {
                Err(OwnerError::Taken(_)) if started.elapsed() < LOCK_TIMEOUT => {
                    tokio::time::sleep(RETRY).await;
                }
                taken => return taken,
            }
        }
    }

    /// Waits until another syncer has taken the directory; with a lock that cannot happen.
    pub(crate) async fn lost(&self) {
        match &self.lease {
            Some(lease) => lease.lost().await,
            None => std::future::pending().await,
        }
    }

    /// Takes a directory if it has no owner at this moment.
    pub(crate) async fn try_take(dir: &Path) -> Result<Self, OwnerError> {
        let failed = |source: io::Error| OwnerError::Io {
            path: dir.to_owned(),
            source,
        };
        let taken = || OwnerError::Taken(dir.to_owned());
        let file = File::open(dir).map_err(failed)?;
        let mut has_locks = !is_network(&file);
        let lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => {
                fcntl(&*lock, FcntlArg::F_SETFD(FdFlag::empty()))
                    .map_err(|errno| failed(errno.into()))?;
                Some(lock)
            }
            Err((_, Errno::EWOULDBLOCK)) => return Err(taken()),
            Err((
                _,
                Errno::EBADF | Errno::ENOLCK | Errno::EOPNOTSUPP | Errno::EINVAL | Errno::ENOSYS,
            )) => {
                has_locks = false;
                None
            }
            Err((_, errno)) => return Err(failed(errno.into())),
        };
        let lease = if has_locks {
            None
        } else {
            Some(Lease::take(dir).await.map_err(failed)?.ok_or_else(taken)?)
        };
        Ok(Self { _lock: lock, lease })
    }
}

/// Whether other machines may use the same files.
pub(crate) fn is_shared(dir: &Path) -> bool {
    File::open(dir).is_ok_and(|dir| is_network(&dir))
}

fn is_network(dir: &File) -> bool {
    let is_it = |kind: FsType| {
        // The type is a machine word, signed or not; the magic numbers have 32 bits.
        NETWORK.contains(&(i128::from(kind.0) & 0xffff_ffff))
    };
    fstatfs(dir).is_ok_and(|found| is_it(found.filesystem_type()))
}
