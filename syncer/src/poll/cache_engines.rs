//! The clients of the crate `poll` for the pull-through cache as engines.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use args::CaBundle;
use args::RepoKind;
use args::wake;
use hyper::StatusCode;
use jiff::Timestamp;
use poll::CacheRefPoller;
use poll::CasPoller;
use poll::Network;
use poll::PollError;
use poll::PushPoller;
use url::Url;

use crate::config::RepoConfig;
use crate::error::chain;
use crate::poll::cache::CachePolicy;
use crate::poll::cache::CacheRole;
use crate::poll::cache::CacheWatch;
use crate::poll::engine::AskingCache;
use crate::poll::engine::CacheEngine;
use crate::poll::engine::CacheReport;
use crate::poll::engine::EngineError;
use crate::poll::engine::Staleness;
use crate::poll::native::CacheNetwork;
use crate::poll::native::credentials;
use crate::poll::native::remote_ref;
use crate::redact::redact;
use crate::remote::auth;
use crate::remote::auth::RemoteCredentials;
use crate::remote::web::Trust;

/// Starts to follow a repository through the cache: its ref and its objects over http(s), pushes alone
/// over ssh. `None` if the cache can do neither, or if there is none.
pub(super) fn cache(config: &RepoConfig, grant: &Arc<RemoteCredentials>) -> Option<CacheWatch> {
    let cache = config.cache.as_ref()?;
    let trust = Trust::of_git(grant.cache_ca.as_deref());
    let network: Arc<dyn Network> = Arc::new(CacheNetwork(trust));
    let cas = LearnedCas(grant.cache_ca.clone().zip(cache.ca.clone()));
    let (role, engine, url): (_, Box<dyn CacheEngine>, _) = match config.repo.kind {
        RepoKind::Http => {
            let origin = Url::parse(&config.repo.url).ok()?;
            let url = args::cache::cache_url(&cache.url, &origin)?;
            let rev = config.rev.clone();
            let poller = CacheRefPoller::new(&cache.url, url.clone(), rev, network);
            let role = CacheRole::Repository(cache.trust);
            (role, Box::new(RefFollower { poller, cas }), url)
        }
        RepoKind::Ssh => {
            let repository = wake::address(&config.repo.url.parse().ok()?)?;
            let poller = PushPoller::new(&cache.url, repository, network);
            let engine = Box::new(PushFollower { poller, cas });
            (CacheRole::Pushes, engine, cache.url.clone())
        }
        RepoKind::Git | RepoKind::Local => return None,
    };
    let policy = CachePolicy {
        role,
        max_staleness: cache.max_staleness,
    };
    let period = config.period;
    Some(CacheWatch::start(engine, url, policy, period, grant))
}

/// The file with the CAs of the cache, and the configured ones; `None` if the system's are used.
struct LearnedCas(Option<(PathBuf, CaBundle)>);

impl LearnedCas {
    /// Trusts the CAs that the cache names, if they have changed.
    async fn learn(&self, named: &mut CasPoller) {
        let Some((path, configured)) = &self.0 else {
            return;
        };
        let learned: Result<bool, Box<dyn Error + Send + Sync>> = async {
            let Some(pem) = named.changed().await? else {
                return Ok(false);
            };
            Ok(auth::learn_cas(path, configured, &pem.parse()?)?)
        }
        .await;
        match learned {
            Ok(true) => tracing::info!(v = 0, "trusting the CAs that the cache names"),
            Ok(false) => {}
            Err(error) => {
                let reason = redact(&chain(&*error));
                tracing::info!(v = 0, reason, "cannot read the CAs that the cache names");
            }
        }
    }
}

/// Follows a ref.
struct RefFollower {
    poller: CacheRefPoller,
    cas: LearnedCas,
}

impl CacheEngine for RefFollower {
    fn ask<'a>(&'a mut self, grant: &'a RemoteCredentials, wait: Duration) -> AskingCache<'a> {
        Box::pin(async move {
            // Before the wait and not after it, where it would delay the answer.
            self.cas.learn(self.poller.cas()).await;
            let asked = self.poller.ask(credentials(grant), wait).await;
            let answer = asked.map_err(|error| match &error {
                PollError::Status { status, .. } if *status == StatusCode::GATEWAY_TIMEOUT => {
                    EngineError::HostAway(chain(&error))
                }
                _ => EngineError::Failed(chain(&error)),
            })?;
            Ok(answer.map(|answer| {
                let as_of = answer.as_of.and_then(|time| time.parse().ok());
                let as_of_age = |age| Timestamp::now().saturating_sub(age).ok();
                CacheReport {
                    found: answer.found.and_then(remote_ref),
                    as_of,
                    stale: answer.stale.and_then(|age| {
                        let as_of = as_of.or_else(|| as_of_age(age))?;
                        Some(Staleness { age, as_of })
                    }),
                }
            }))
        })
    }
}

/// Follows the pushes to a repository.
struct PushFollower {
    poller: PushPoller,
    cas: LearnedCas,
}

impl CacheEngine for PushFollower {
    fn ask<'a>(&'a mut self, _: &'a RemoteCredentials, wait: Duration) -> AskingCache<'a> {
        Box::pin(async move {
            self.cas.learn(self.poller.cas()).await;
            let pushed = self.poller.pushed(wait).await;
            let is_pushed = pushed.map_err(|error| match &error {
                PollError::Status { status, .. } if *status == StatusCode::NOT_FOUND => {
                    EngineError::NoPushes
                }
                _ => EngineError::Failed(chain(&error)),
            })?;
            Ok(is_pushed.then_some(CacheReport {
                found: None,
                as_of: None,
                stale: None,
            }))
        })
    }
}
