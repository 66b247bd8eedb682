//! The repository that all syncers follow, over https and ssh.

use std::cell::Cell;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use remotes::HttpServer;
use remotes::Repo;
use remotes::SshServer;
use remotes::git;
use tempfile::TempDir;

/// The file whose content identifies the published revision.
pub(crate) const STAMP: &str = "stamp";
/// The number of files in the repository.
pub(crate) const FILES: usize = 200;
/// The number of initial commits.
pub(crate) const HISTORY: usize = 2200;

const REPO: &str = "site.git";

/// The transport by which a syncer reaches the repository.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Road {
    Https,
    Ssh,
}

/// A repository, a web server and an sshd.
pub(crate) struct Remote {
    dir: TempDir,
    repo: Repo,
    https: HttpServer,
    ssh: SshServer,
    commits: Cell<usize>,
}

impl Remote {
    /// Creates the repository and starts to serve it.
    pub(crate) fn start() -> Result<Self> {
        let dir = TempDir::with_prefix("figures-remote-")?;
        let remote = Self {
            repo: Repo::in_dir(dir.path(), REPO),
            https: HttpServer::start_tls(dir.path()),
            ssh: SshServer::start(),
            commits: Cell::new(0),
            dir,
        };
        let first: Vec<usize> = (0..FILES).collect();
        let mut stream = commit(0, "", &first);
        for number in 1..HISTORY {
            stream.push_str(&commit(number, "", &changed(number)));
        }
        import(remote.repo.path(), &stream)?;
        remote.commits.set(HISTORY - 1);
        remote.repo.run(&["gc", "--quiet"]);
        Ok(remote)
    }

    /// Changes three files and the stamp, and returns the stamp.
    pub(crate) fn commit(&self) -> Result<String> {
        let number = self.commits.get() + 1;
        self.commits.set(number);
        let stream = commit(number, "from refs/heads/main^0\n", &changed(number));
        import(self.repo.path(), &stream)?;
        Ok(self.stamp())
    }

    /// The newest revision's stamp.
    pub(crate) fn stamp(&self) -> String {
        self.commits.get().to_string()
    }

    /// The server of this transport.
    pub(crate) fn address(&self, road: Road) -> SocketAddr {
        match road {
            Road::Https => self.https.address(),
            Road::Ssh => self.ssh.address(),
        }
    }

    /// The number of requests to the web server.
    pub(crate) fn requests(&self) -> usize {
        self.https.requests()
    }

    /// The flags, the same for both programs, for this transport through a proxy; `dir` receives
    /// the files that they name.
    pub(crate) fn flags(&self, road: Road, proxy: SocketAddr, dir: &Path) -> Result<Vec<String>> {
        match road {
            Road::Https => {
                let authority = dir.join("ca.pem");
                fs::write(&authority, self.https.ca_pem())?;
                Ok(vec![
                    format!("--repo=https://{proxy}/{REPO}"),
                    format!("--git-config=http.sslCAInfo:{}", authority.display()),
                ])
            }
            Road::Ssh => {
                let (key, known_hosts) = (dir.join("key"), dir.join("known_hosts"));
                fs::write(&key, self.ssh.user_key())?;
                fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
                let (own, seen) = (self.ssh.address().port(), proxy.port());
                let line = self.ssh.known_hosts();
                let line = line.replace(&format!("]:{own} "), &format!("]:{seen} "));
                fs::write(&known_hosts, line)?;
                let url = self.ssh.url(&self.dir.path().join(REPO));
                Ok(vec![
                    format!(
                        "--repo={}",
                        url.replace(&self.ssh.address().to_string(), &proxy.to_string())
                    ),
                    format!("--ssh-key-file={}", key.display()),
                    format!("--ssh-known-hosts-file={}", known_hosts.display()),
                ])
            }
        }
    }
}

/// The files that a commit changes.
fn changed(number: usize) -> Vec<usize> {
    (0..3).map(|nth| (number * 3 + nth) % FILES).collect()
}

/// A commit of these files and the stamp in the format of `git fast-import`. In the middle of a
/// stream its parent is implicitly the previous one.
fn commit(number: usize, from: &str, files: &[usize]) -> String {
    let time = 1_700_000_000 + number;
    let head = format!(
        "commit refs/heads/main\ncommitter author <author@example.com> {time} +0000\n\
         data 6\nchange\n{from}"
    );
    let file =
        |path: &str, text: &str| format!("M 100644 inline {path}\ndata {}\n{text}\n", text.len());
    let files = files.iter().map(|&nth| {
        let path = format!("part{}/page{nth}.html", nth % 12);
        file(&path, &page(nth, number))
    });
    let stamp = file(STAMP, &number.to_string());
    head + &files.collect::<String>() + &stamp + "\n"
}

/// Some 2 kB that compress as text does.
fn page(file: usize, revision: usize) -> String {
    let line = |line: usize| {
        let number = (file * 7919 + revision * 104_729 + line * 1_299_709) % 999_983;
        format!("<p>page {file}, line {line}: {number:06} of {revision}</p>\n")
    };
    (0..45).map(line).collect()
}

/// One process for the whole stream, so that thousands of commits take a second.
pub(crate) fn import(repo: &Path, stream: &str) -> Result<()> {
    let mut child = git()
        .arg("--git-dir")
        .arg(repo)
        .args(["fast-import", "--quiet", "--done"])
        .stdin(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("a pipe")?;
    stdin.write_all(stream.as_bytes())?;
    stdin.write_all(b"done\n")?;
    drop(stdin);
    let status = child.wait()?;
    ensure!(status.success(), "git fast-import: {status}");
    Ok(())
}
