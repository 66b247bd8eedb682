use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use args::PushArgs;
use url::Url;

/// The settings of the receiver.
#[derive(Debug)]
pub struct PushConfig {
    pub(crate) listen: SocketAddr,
    pub(crate) secret_dir: PathBuf,
    /// The addresses that the holder of each secret may wake, by the secret's name.
    pub(crate) prefixes: BTreeMap<String, Vec<Url>>,
    pub(crate) cache: CacheConfig,
    /// Certificate and key; `None` for plain HTTP.
    pub(crate) tls: Option<(PathBuf, PathBuf)>,
    pub(crate) drain: Duration,
}

/// The cache and its credentials.
#[derive(Debug)]
pub(crate) struct CacheConfig {
    pub(crate) url: Url,
    pub(crate) ca_file: PathBuf,
    pub(crate) key_file: PathBuf,
}

impl From<PushArgs> for PushConfig {
    fn from(args: PushArgs) -> Self {
        // Destructured without `..`, so that an unused flag does not compile.
        let PushArgs {
            listen,
            secret_dir,
            wake,
            cache,
            cache_ca_file,
            wake_key_file,
            tls_cert,
            tls_key,
            drain,
            // The log uses it.
            verbose: _,
        } = args;
        let mut prefixes: BTreeMap<String, Vec<Url>> = BTreeMap::new();
        for rule in wake {
            prefixes.entry(rule.name).or_default().push(rule.prefix);
        }
        Self {
            listen,
            secret_dir,
            prefixes,
            cache: CacheConfig {
                url: cache,
                ca_file: cache_ca_file,
                key_file: wake_key_file,
            },
            // The parser accepts both or none.
            tls: tls_cert.zip(tls_key),
            drain: drain.get(),
        }
    }
}
