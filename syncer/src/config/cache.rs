use std::time::Duration;

use args::CaBundle;
use args::CacheTrust;
use args::GitDuration;
use url::Url;

use crate::config::ConfigError;
use crate::config::error::http_url;

/// The pull-through cache of a repository.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "poller"), allow(dead_code))]
pub(crate) struct CacheConfig {
    pub(crate) url: Url,
    /// The CAs of the cache; `None` for the system's.
    pub(crate) ca: Option<CaBundle>,
    pub(crate) trust: CacheTrust,
    /// The maximum age of the answer that a first sync uses while the git host is unreachable.
    pub(crate) max_staleness: Option<Duration>,
}

impl CacheConfig {
    /// Reads the flags; an empty address means no cache.
    pub(crate) fn new(
        url: Option<String>,
        ca: Option<CaBundle>,
        trust: CacheTrust,
        max_staleness: GitDuration,
    ) -> Result<Option<Self>, ConfigError> {
        let Some(url) = url.filter(|url| !url.is_empty()) else {
            return Ok(None);
        };
        let example = "https://gitvolume-cache.gitvolume-system.svc.cluster.local:8443";
        let url = http_url("cache", &url, example)?;
        if !url.username().is_empty() || url.password().is_some() {
            let problem = "expected an address without a user: the cache gets the credentials of the git host";
            return Err(ConfigError::new("cache", problem));
        }
        let max_staleness = Some(max_staleness.get()).filter(|longest| !longest.is_zero());
        Ok(Some(Self {
            url,
            ca,
            trust,
            max_staleness,
        }))
    }
}
