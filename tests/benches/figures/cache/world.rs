//! A git host with one private repository, and the cache in front of it.

use std::fs;
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::anyhow;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::CertificateParams;
use rcgen::KeyPair;
use remotes::BasicAuth;
use remotes::HttpServer;
use remotes::Repo;
use tempfile::TempDir;
use tests::eventually::eventually;
use tests::http;
use tests::https;
use tests::metrics;
use tests::proc;
use tests::process::Process;
use tests::settings;
use tokio_rustls::TlsConnector;

/// User and password of the repository.
const LOGIN: (&str, &str) = ("reader", "c2VjcmV0");

/// The key of wake-ups.
pub(crate) const WAKE_KEY: &str = "a-key-of-wake-ups";

/// The time for the cache to start, and for all followers to wait.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The running programs, removed at the end.
pub(crate) struct CacheWorld {
    pub(crate) repo: Repo,
    pub(crate) origin: HttpServer,
    pub(crate) address: SocketAddr,
    pub(crate) connector: TlsConnector,
    cache: Process,
    admin: u16,
    _dir: TempDir,
}

impl CacheWorld {
    /// Starts the git host with a repository of this many random bytes, and the cache.
    pub(crate) fn start(bytes: usize) -> Result<Self> {
        let dir = TempDir::with_prefix("figures-cache-")?;
        let path = |name: &str| dir.path().join(name);
        let repo = Repo::in_dir(dir.path(), "site.git");
        let mut content = vec![0; bytes];
        fill_randomly(&mut content)?;
        repo.commit().write("file", content).push();
        let origin = HttpServer::start_tls(dir.path());
        origin.require(Some(BasicAuth::Password(
            LOGIN.0.to_owned(),
            LOGIN.1.to_owned(),
        )));
        fs::write(path("origin.pem"), origin.ca_pem())?;
        let key = KeyPair::generate()?;
        let certificate =
            CertificateParams::new(vec!["localhost".to_owned()])?.self_signed(&key)?;
        fs::write(path("tls.crt"), certificate.pem())?;
        fs::write(path("tls.key"), key.serialize_pem())?;
        fs::write(path("wake.key"), WAKE_KEY)?;
        let file = |flag: &str, name: &str| format!("--{flag}={}", path(name).display());
        let arguments = [
            "cache".to_owned(),
            "--listen=127.0.0.1:0".to_owned(),
            "--admin-listen=127.0.0.1:0".to_owned(),
            format!("--allowed-hosts=localhost:{}", origin.address().port()),
            "--allowed-networks=127.0.0.0/8,::1/128".to_owned(),
            file("tls-cert", "tls.crt"),
            file("tls-key", "tls.key"),
            file("ca-file", "origin.pem"),
            file("wake-key-file", "wake.key"),
            file("dir", "store"),
        ];
        let cache = Process::start("cache", &settings::syncer_binary(), &arguments, dir.path())?;
        let port = |log: &str, name: &str| {
            let (_, rest) = log.split_once(&format!("\"{name}\":\"127.0.0.1:"))?;
            rest.split('"').next()?.parse::<u16>().ok()
        };
        let (endpoint, admin) = eventually("the cache listens", TIMEOUT, || {
            cache.check().map_err(|error| error.to_string())?;
            let log = cache.log_tail(20);
            port(&log, "endpoint").zip(port(&log, "admin")).ok_or(log)
        })
        .map_err(|error| anyhow!(error))?;
        Ok(Self {
            repo,
            origin,
            address: SocketAddr::from(([127, 0, 0, 1], endpoint)),
            connector: https::connector(&path("tls.crt"))?,
            cache,
            admin,
            _dir: dir,
        })
    }

    /// The `Authorization` of the followers.
    pub(crate) fn authorization() -> String {
        format!(
            "Basic {}",
            STANDARD.encode(format!("{}:{}", LOGIN.0, LOGIN.1))
        )
    }

    /// The path of git's requests for the repository in the cache.
    pub(crate) fn path(&self) -> String {
        let port = self.origin.address().port();
        format!("/https/localhost:{port}/site.git/git-upload-pack")
    }

    /// A metric of the cache, with its labels.
    pub(crate) fn metric(&self, name: &str) -> Result<f64> {
        let page =
            http::get("127.0.0.1", self.admin, "/metrics").map_err(|error| anyhow!(error))?;
        metrics::whole_value(&page, name).map_err(|error| anyhow!(error))
    }

    /// The address of the repository at the git host.
    pub(crate) fn url(&self) -> String {
        let port = self.origin.address().port();
        format!("https://localhost:{port}/site.git")
    }

    /// The requests of a kind that the git host has had from the cache.
    pub(crate) fn sent(&self, kind: &str) -> Result<f64> {
        self.metric(&format!(
            "gitvolume_cache_origin_requests_total{{kind=\"{kind}\"}}"
        ))
    }

    /// Waits until this many followers wait at the cache.
    pub(crate) fn eventually_waiting(&self, followers: usize) -> Result<()> {
        let name = "gitvolume_cache_waiting_followers";
        eventually("all followers wait", TIMEOUT, || {
            self.cache.check().map_err(|error| error.to_string())?;
            match self.metric(name) {
                Ok(waiting) if waiting == followers as f64 => Ok(()),
                waiting => Err(format!("{waiting:?}\n{}", self.cache.log_tail(10))),
            }
        })
        .map_err(|error| anyhow!(error))
    }

    /// The memory of the cache, in MB.
    pub(crate) fn memory(&self) -> Result<f64> {
        proc::rss(self.cache.pid())
    }

    /// The CPU time of the cache since its start.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        Ok(proc::cpu(self.cache.pid())?.total())
    }
}

/// Content that neither git nor TLS makes smaller.
fn fill_randomly(bytes: &mut [u8]) -> Result<()> {
    let mut file = File::open("/dev/urandom").context("/dev/urandom")?;
    Ok(file.read_exact(bytes)?)
}
