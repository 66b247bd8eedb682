//! A temporary world for one test: a git server, a cache before it, and followers.

use std::fs;
use std::fs::File;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use rcgen::CertificateParams;
use rcgen::KeyPair;
use remotes::BasicAuth;
use remotes::HttpServer;
use remotes::Repo;
pub(crate) use remotes::request;
use rustls::ClientConfig;
use rustls::ClientConnection;
use rustls::RootCertStore;
use rustls::StreamOwned;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use tempfile::TempDir;

use crate::world::PROGRAM;
use crate::world::ask;
use crate::world::eventually;

/// The key of wake-ups.
pub(crate) const WAKE_KEY: &str = "a-key-of-wake-ups";

/// The user and the password of a private server.
pub(crate) const LOGIN: (&str, &str) = ("me", "c2VjcmV0");

/// Networks that tests need and no operator allows.
const LOOPBACK: &str = "--allowed-networks=127.0.0.0/8,::1/128";

/// The limit of one request, so that a hanging cache fails the test.
const TIMEOUT: Duration = Duration::from_secs(150);

/// The environment of one test, removed at its end.
pub(crate) struct CacheWorld {
    pub(crate) dir: TempDir,
    pub(crate) repo: Repo,
    pub(crate) origin: HttpServer,
    flags: Vec<String>,
    running: Option<RunningCache>,
    /// The address on which the cache listens.
    pub(crate) ip: &'static str,
    /// The port, from the first start on.
    pub(crate) port: u16,
    /// The port of the origin, which may be another world's.
    pub(crate) origin_port: u16,
    /// Whether the cache has the key of wake-ups.
    pub(crate) takes_wake_ups: bool,
    /// A program with its arguments that runs the cache.
    pub(crate) wrapper: Vec<String>,
}

struct RunningCache {
    child: Child,
    port: u16,
    admin: u16,
}

/// An answer of the cache.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
    /// Whether the body has its end.
    pub(crate) is_complete: bool,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1);
        let mut headers = lines.filter_map(|line| line.split_once(": "));
        let found = headers.find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The header of a user with a password.
pub(crate) fn basic(user: &str, password: &str) -> String {
    let pair = STANDARD.encode(format!("{user}:{password}"));
    format!("Authorization: Basic {pair}")
}

/// The right credential of a private server.
pub(crate) fn login() -> String {
    basic(LOGIN.0, LOGIN.1)
}

/// A wrong one.
pub(crate) fn wrong_login() -> String {
    basic(LOGIN.0, "wrong")
}

/// `ls-refs` of the branch that most tests follow.
pub(crate) fn ls_refs() -> Vec<u8> {
    request("ls-refs", &["ref-prefix refs/heads/main"])
}

/// The first clone of one commit.
pub(crate) fn first_clone(commit: &str) -> Vec<u8> {
    request("fetch", &["deepen 1", &format!("want {commit}"), "done"])
}

/// A new certificate of the cache, which is its own CA, and its key, in PEM.
pub(crate) fn new_certificate() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = leaf.self_signed(&key).unwrap();
    (leaf.pem(), key.serialize_pem())
}

impl CacheWorld {
    /// A public server with one commit, and a cache that polls once a second.
    pub(crate) fn new() -> Self {
        Self::with_flags(&[])
    }

    /// The same for a server that requires [`LOGIN`].
    pub(crate) fn private() -> Self {
        let world = Self::new();
        world.require_login();
        world
    }

    /// Makes the server require [`LOGIN`].
    pub(crate) fn require_login(&self) {
        let (user, password) = LOGIN;
        let auth = BasicAuth::Password(user.to_owned(), password.to_owned());
        self.origin.require(Some(auth));
    }

    /// The same with further flags of the cache, which take precedence.
    pub(crate) fn with_flags(flags: &[&str]) -> Self {
        let mut world = Self::stopped();
        world.add_flags(flags);
        world.start();
        world
    }

    /// A world whose cache is not started yet.
    pub(crate) fn stopped() -> Self {
        let dir = TempDir::with_prefix("cache-").unwrap();
        let repo = Repo::in_dir(dir.path(), "site.git");
        repo.run(&["config", "uploadpack.allowFilter", "true"]);
        repo.commit().write("a", "one").push();
        let origin = HttpServer::start_tls(dir.path());
        fs::write(dir.path().join("origin.pem"), origin.ca_pem()).unwrap();
        let (certificate, key) = new_certificate();
        fs::write(dir.path().join("tls.crt"), certificate).unwrap();
        fs::write(dir.path().join("tls.key"), key).unwrap();
        fs::write(dir.path().join("wake.key"), WAKE_KEY).unwrap();
        let origin_port = origin.address().port();
        let flags = vec![
            format!("--allowed-hosts=localhost:{origin_port}"),
            LOOPBACK.to_owned(),
        ];
        Self {
            dir,
            repo,
            origin,
            flags,
            running: None,
            ip: "127.0.0.1",
            port: 0,
            origin_port,
            takes_wake_ups: true,
            wrapper: Vec::new(),
        }
    }

    /// Adds flags, which take precedence.
    pub(crate) fn add_flags(&mut self, flags: &[&str]) {
        self.flags
            .extend(flags.iter().map(|flag| (*flag).to_owned()));
    }

    /// Replaces the flags for hosts and networks.
    pub(crate) fn set_hosts(&mut self, flags: &[&str]) {
        self.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts the cache.
    pub(crate) fn start(&mut self) {
        let log = self.path("log");
        let flag = |name: &str, file: &str| format!("--{name}={}", self.path(file).display());
        let mut command = match self.wrapper.split_first() {
            Some((program, rest)) => {
                let mut command = Command::new(program);
                command.args(rest).arg(PROGRAM);
                command
            }
            None => Command::new(PROGRAM),
        };
        let child = command
            .arg("cache")
            .arg(format!("--listen={}:{}", self.ip, self.port))
            .arg("--admin-listen=127.0.0.1:0")
            .args(["--drain-spread=200ms", "--verbose=5"])
            .arg(flag("tls-cert", "tls.crt"))
            .arg(flag("tls-key", "tls.key"))
            .arg(flag("dir", "store"))
            .arg(flag("ca-file", "origin.pem"))
            .args(
                self.takes_wake_ups
                    .then(|| flag("wake-key-file", "wake.key")),
            )
            .args(&self.flags)
            .args(
                match self.flags.iter().any(|it| it.starts_with("--period")) {
                    true => None,
                    false => Some("--period=1s"),
                },
            )
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let port = |text: &str, name: &str| {
            let (_, rest) = text.split_once(&format!("\"{name}\":\"127.0.0."))?;
            let (_, rest) = rest.split_once(':')?;
            rest.split('"').next()?.parse().ok()
        };
        let (port, admin) = eventually("the cache listens", || {
            let text = fs::read_to_string(&log).unwrap();
            Some((port(&text, "endpoint")?, port(&text, "admin")?))
        });
        self.port = port;
        self.running = Some(RunningCache { child, port, admin });
    }

    /// Kills the cache. The next start has the same port.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::SIGKILL);
        self.wait();
    }

    /// The address of the cache, for followers.
    pub(crate) fn base(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// The certificate of the cache, which is its own CA.
    pub(crate) fn certificate(&self) -> String {
        fs::read_to_string(self.path("tls.crt")).unwrap()
    }

    /// Starts the cache with flags with which it does not start, and returns its error.
    pub(crate) fn refusal(&self, flags: &[&str]) -> String {
        let flag = |name: &str, file: &str| format!("--{name}={}", self.path(file).display());
        let output = Command::new(PROGRAM)
            .arg("cache")
            .arg("--listen=127.0.0.1:0")
            .arg("--admin-listen=127.0.0.1:0")
            .arg(flag("tls-cert", "tls.crt"))
            .arg(flag("tls-key", "tls.key"))
            .arg(flag("dir", "store"))
            .args(flags)
            .output()
            .unwrap();
        assert!(!output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn running(&self) -> &RunningCache {
        self.running.as_ref().expect("a running cache")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.running().child.id() as i32);
        kill(pid, signal).unwrap();
    }

    /// Waits for the end of the cache; returns whether it succeeded.
    pub(crate) fn wait(&mut self) -> bool {
        let mut running = self.running.take().expect("a running cache");
        running.child.wait().unwrap().success()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    /// The value of a metric, with its labels in the name.
    pub(crate) fn metric(&self, name: &str) -> i64 {
        let page = self.admin("/metrics");
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{name}: {page}"))
            .parse()
            .unwrap()
    }

    /// The number of requests of a kind that the cache has sent to the origin.
    pub(crate) fn sent(&self, kind: &str) -> i64 {
        self.metric(&format!(
            "gitvolume_cache_origin_requests_total{{kind=\"{kind}\"}}"
        ))
    }

    pub(crate) fn admin(&self, path: &str) -> String {
        ask(self.running().admin, "GET", path).expect("the admin listener")
    }

    /// The path of a repository in the cache.
    pub(crate) fn cached(&self, name: &str) -> String {
        format!("/https/localhost:{}/{name}", self.origin_port)
    }

    /// The URL of a repository through the cache.
    pub(crate) fn url(&self, name: &str) -> String {
        format!(
            "https://localhost:{}{}",
            self.running().port,
            self.cached(name)
        )
    }

    /// git as a follower, with a header for the cache.
    pub(crate) fn git(&self, dir: &Path, header: Option<&str>, args: &[&str]) -> Command {
        let mut git = remotes::git();
        git.arg("-C").arg(dir);
        git.args(["-c", "protocol.version=2", "-c"]);
        git.arg("http.followRedirects=false");
        // It takes precedence over the configuration.
        git.env("GIT_SSL_CAINFO", self.path("tls.crt"));
        if let Some(header) = header {
            git.arg("-c").arg(format!("http.extraHeader={header}"));
        }
        git.args(args);
        git
    }

    /// A new follower, an empty repository.
    pub(crate) fn follower(&self, name: &str) -> PathBuf {
        let dir = self.path(name);
        fs::create_dir(&dir).unwrap();
        crate::world::git(&dir, &["init", "-q"]);
        dir
    }

    /// Fetches the branch through the cache and returns its commit.
    #[track_caller]
    pub(crate) fn fetch(&self, dir: &Path, header: Option<&str>, more: &[&str]) -> String {
        let url = self.url("site.git");
        let args = [&["fetch", "-q", "--no-tags"], more, &[&*url, "main"]].concat();
        let output = self.git(dir, header, &args).output().unwrap();
        assert!(output.status.success(), "{output:?}\n{}", self.log());
        crate::world::git(dir, &["rev-parse", "FETCH_HEAD"])
    }

    /// Waits for the time between two requests of the cache for the same refs: a follower without
    /// `If-None-Match` gets an answer that is up to that old.
    pub(crate) fn pass_the_pause(&self) {
        std::thread::sleep(Duration::from_millis(1_100));
    }

    /// Sends a request as these bytes, over TLS; `None` if the connection broke before an answer.
    pub(crate) fn raw(&self, head: &str, body: &[u8]) -> Option<Reply> {
        let mut stream = self.connect();
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut bytes = Vec::new();
        // A truncated answer ends without TLS's own end.
        let _ = stream.read_to_end(&mut bytes);
        parse(&bytes)
    }

    /// A connection to the cache.
    pub(crate) fn connect(&self) -> StreamOwned<ClientConnection, TcpStream> {
        let pem = fs::read(self.path("tls.crt")).unwrap();
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(&pem).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let tls = ClientConnection::new(Arc::new(config), name).unwrap();
        let stream = TcpStream::connect((self.ip, self.running().port)).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        StreamOwned::new(tls, stream)
    }

    /// Sends a GET.
    pub(crate) fn get(&self, path: &str, headers: &[&str]) -> Reply {
        self.raw(&head("GET", path, headers, 0), b"")
            .expect("an answer")
    }

    /// Sends a POST with git's content type.
    pub(crate) fn post(&self, path: &str, headers: &[&str], body: &[u8]) -> Reply {
        self.raw(&head("POST", path, headers, body.len()), body)
            .expect("an answer")
    }

    /// Sends a request of git for the repository.
    pub(crate) fn upload_pack(&self, headers: &[&str], body: &[u8]) -> Reply {
        self.post(
            &(self.cached("site.git") + "/git-upload-pack"),
            headers,
            body,
        )
    }

    /// Requests the capabilities of the repository.
    pub(crate) fn info_refs(&self, headers: &[&str]) -> Reply {
        self.get(&(self.cached("site.git") + INFO_REFS), headers)
    }
}

/// What follows a repository's path in git's first request.
pub(crate) const INFO_REFS: &str = "/info/refs?service=git-upload-pack";

impl Drop for CacheWorld {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            // It may have ended already.
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }
}

/// The head of a request.
pub(crate) fn head(method: &str, path: &str, headers: &[&str], length: usize) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: cache\r\nConnection: close\r\n");
    head += "Git-Protocol: version=2\r\n";
    if method == "POST" {
        head += "Content-Type: application/x-git-upload-pack-request\r\n";
        head += &format!("Content-Length: {length}\r\n");
    }
    for header in headers {
        head += &format!("{header}\r\n");
    }
    head + "\r\n"
}

fn parse(bytes: &[u8]) -> Option<Reply> {
    let end = bytes.windows(4).position(|it| it == b"\r\n\r\n")?;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut reply = Reply {
        status: head.split(' ').nth(1)?.parse().ok()?,
        head,
        body: bytes[end + 4..].to_vec(),
        is_complete: true,
    };
    match reply.header("transfer-encoding") {
        Some("chunked") => {
            let mut rest = std::mem::take(&mut reply.body);
            reply.is_complete = false;
            while let Some(end) = rest.windows(2).position(|it| it == b"\r\n") {
                let size = std::str::from_utf8(&rest[..end]).unwrap();
                let size = usize::from_str_radix(size, 16).unwrap();
                let chunk = rest.get(end + 2..end + 2 + size);
                let Some(chunk) = chunk.filter(|_| size > 0) else {
                    reply.is_complete = size == 0;
                    break;
                };
                reply.body.extend_from_slice(chunk);
                rest.drain(..(end + 4 + size).min(rest.len()));
            }
        }
        _ => {
            let length = reply
                .header("content-length")
                .and_then(|it| it.parse().ok());
            reply.is_complete = length.is_none_or(|length: usize| length == reply.body.len());
        }
    }
    Some(reply)
}
