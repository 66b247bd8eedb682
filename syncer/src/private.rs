//! The directory of the syncer's own files: `--state`, or a temporary one.

use std::io;
use std::path::Path;
use std::path::PathBuf;

use nix::unistd::Gid;
use nix::unistd::Uid;
use nix::unistd::User;
use tempfile::TempDir;

use crate::config::RepoConfig;
use crate::files;

/// Where the syncer writes what is neither git's nor the reader's.
pub(crate) struct Private {
    dir: PathBuf,
    /// `HOME` of the commands we start; `None` keeps the one we were given.
    pub(crate) home: Option<PathBuf>,
    /// `TMPDIR` of the commands we start; `None` keeps the one we were given.
    pub(crate) tmp: Option<PathBuf>,
    /// Lives as long as the process; a killed one leaves it to the container's end.
    _temporary: Option<TempDir>,
}

impl Private {
    /// Makes the directory ready, away from the event loop: an earlier run may have left much.
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
                if name
                    .as_encoded_bytes()
                    .starts_with(files::TEMPORARY.as_bytes())
                {
                    files::remove_any(&state.join(name))?;
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
        let temporary = tempfile::Builder::new().prefix("gitvolume-").tempdir()?;
        let dir = temporary.path().to_owned();
        Ok(Self {
            home: config.environment.home.is_none().then(|| dir.clone()),
            dir,
            tmp: None,
            _temporary: Some(temporary),
        })
    }

    /// Makes its directories again, should they have been removed while we run.
    pub(crate) fn restore(&self) -> io::Result<()> {
        let dirs = [Some(&self.dir), self.home.as_ref(), self.tmp.as_ref()];
        dirs.into_iter()
            .flatten()
            .try_for_each(|dir| files::make_dir(dir))
    }

    /// The path of one of our files.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Writes a passwd and a group file that know our numeric user, if the system's do not: plain
    /// `ssh` ends with "No user exists for uid" otherwise. Returns their paths.
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
