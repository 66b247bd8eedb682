use std::path::PathBuf;

use clap::Args;
use url::Url;

use crate::GitDuration;
use crate::flags::push::replicas_address;

/// Flags of `cache`, the pull-through cache of git's smart HTTP protocol.
#[derive(Args, Clone, Debug)]
pub struct CacheArgs {
    /// The git hosts that the cache serves: HOST, HOST:PORT, *.DOMAIN, or http://HOST for plain HTTP
    ///
    /// Comma-separated; may be repeated. There is no default: a request for another host is refused.
    #[arg(long, required = true, value_delimiter = ',', value_name = "HOST")]
    pub allowed_hosts: Vec<String>,
    /// Networks of git hosts that are allowed although they are loopback, link-local or otherwise special
    #[arg(long, value_delimiter = ',', value_name = "CIDR")]
    pub allowed_networks: Vec<String>,
    /// Networks that the cache never connects to, such as those of the API server and of other tenants
    #[arg(long, value_delimiter = ',', value_name = "CIDR")]
    pub denied_networks: Vec<String>,
    /// Trusted CAs of the git hosts, PEM; the system's by default
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Listen address for followers (HTTPS)
    #[arg(long, default_value = ":8443", value_name = "ADDRESS")]
    pub listen: String,
    /// Listen address for probes and Prometheus (HTTP): /livez, /readyz, /metrics
    #[arg(long, default_value = ":8081", value_name = "ADDRESS")]
    pub admin_listen: String,
    /// The serving certificate with its chain, PEM; a changed file is served without a restart
    #[arg(long, value_name = "FILE")]
    pub tls_cert: PathBuf,
    /// The key of the serving certificate, PEM
    #[arg(long, value_name = "FILE")]
    pub tls_key: PathBuf,
    /// CA certificates that sign the certificates of all replicas, PEM, read again when the file changes: followers
    /// get them at /ca, and --peers needs them
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// The directory for stored answers; one cache process per directory
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// The limit of stored answers: bytes, or a number with Ki, Mi or Gi; 0 stores nothing
    #[arg(long, default_value = "10Gi", value_name = "SIZE")]
    pub disk_limit: String,
    /// The time between two polls of a repository while followers wait for a change
    #[arg(long, default_value = "10s", value_name = "DURATION")]
    pub period: GitDuration,
    /// How long a credential is accepted while the git host is unreachable; 0s serves no stale answers
    #[arg(long, default_value = "1h", value_name = "DURATION")]
    pub offline: GitDuration,
    /// A file with the key that senders of wake-ups present, read again when it changes; without it, POST /wake is
    /// disabled
    #[arg(long, value_name = "FILE")]
    pub wake_key_file: Option<PathBuf>,
    /// The other replicas, asked before the git host: https://HOST:PORT, where HOST resolves to the addresses of all
    #[arg(long, value_name = "URL", value_parser = replicas_address, requires = "tls_ca")]
    pub peers: Option<Url>,
    /// The name in the certificates of --peers; its HOST by default
    #[arg(long, value_name = "NAME", requires = "peers")]
    pub peers_name: Option<String>,
    /// Maximum number of open connections of followers
    #[arg(long, default_value_t = 12_000, value_name = "N")]
    pub max_connections: usize,
    /// Maximum number of packs that are sent at the same time; further followers wait
    #[arg(long, default_value_t = 512, value_name = "N")]
    pub max_transfers: usize,
    /// The time over which waiting followers are answered when the cache shuts down
    #[arg(long, default_value = "2s", value_name = "DURATION")]
    pub drain_spread: GitDuration,
    /// Log level: 0 logs problems and changes, 2 each request to a git host
    #[arg(short, long, default_value_t = 0, value_name = "N")]
    pub verbose: u8,
}
