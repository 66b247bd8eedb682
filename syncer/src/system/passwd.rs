//! `--add-user`: a line in /etc/passwd for a user without one, which ssh requires.

use std::ffi::OsStr;
use std::fs;
use std::fs::OpenOptions;
use std::io;
use std::io::Write;
use std::path::Path;

use nix::unistd::Gid;
use nix::unistd::Uid;
use nix::unistd::User;

const PASSWD: &str = "/etc/passwd";

/// The reason why the line cannot be added.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasswdError {
    #[error("--add-user: cannot read {PASSWD}")]
    Read(#[source] io::Error),
    #[error(
        "--add-user: cannot add an entry for the syncer's user to {PASSWD}: the file must be writable by the syncer's user or group"
    )]
    Write(#[source] io::Error),
}

/// Adds a line for the process's user, unless the system has one, with git-sync's name and this
/// home.
pub(crate) fn add_us(home: &OsStr) -> Result<(), PasswdError> {
    let (uid, gid) = (Uid::current(), Gid::current());
    let known = User::from_uid(uid).map_err(|error| PasswdError::Read(error.into()))?;
    if known.is_some() {
        return Ok(());
    }
    add(Path::new(PASSWD), uid, gid, home)?;
    tracing::info!(v = 3, uid = uid.as_raw(), "added an entry to /etc/passwd");
    Ok(())
}

fn add(file: &Path, uid: Uid, gid: Gid, home: &OsStr) -> Result<(), PasswdError> {
    let present = fs::read(file).map_err(PasswdError::Read)?;
    let home = home.to_string_lossy();
    // A field can contain neither of them.
    let home = match home.as_ref() {
        "" => "/",
        home if home.contains([':', '\n']) => "/",
        home => home,
    };
    let mut line = format!("git-sync:x:{uid}:{gid}::{home}:/sbin/nologin\n");
    if present.last().is_some_and(|last| *last != b'\n') {
        line.insert(0, '\n');
    }
    let opened = OpenOptions::new().append(true).open(file);
    // In one write: another container's syncer may share the file.
    opened
        .and_then(|mut file| file.write_all(line.as_bytes()))
        .map_err(PasswdError::Write)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_passwd_line_is_git_syncs_and_on_its_own_line() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("passwd");
        for (present, home, expected) in [
            ("", "/tmp", "git-sync:x:7:8::/tmp:/sbin/nologin\n"),
            (
                "root:x:0:0::/:/bin/sh",
                "a:b",
                "root:x:0:0::/:/bin/sh\ngit-sync:x:7:8::/:/sbin/nologin\n",
            ),
        ] {
            fs::write(&file, present).unwrap();
            let (uid, gid) = (Uid::from_raw(7), Gid::from_raw(8));
            add(&file, uid, gid, OsStr::new(home)).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), expected);
        }
    }
}
