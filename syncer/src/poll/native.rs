//! The crate `poll` as an engine.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use args::RepoKind;
use hyper_util::client::proxy::matcher::Intercept;
use poll::Answer;
use poll::Credentials;
use poll::HttpRefPoller;
use poll::KnownRef;
use poll::Network;
use poll::PollError;
use poll::PollResponse;
use poll::Resolving;
use poll::SshCredentials;
use poll::SshRefPoller;
use rustls::ClientConfig;
use url::Url;

#[cfg(feature = "cache")]
use crate::config::Environment;
use crate::config::RepoConfig;
use crate::error::chain;
use crate::poll::allowed::setting::Setting;
use crate::poll::engine::Asking;
use crate::poll::engine::Engine;
use crate::poll::engine::EngineAnswer;
use crate::poll::engine::EngineError;
use crate::poll::engine::Known;
use crate::remote::auth::RemoteCredentials;
use crate::remote::throttle;
use crate::remote::web;
use crate::remote::web::Proxies;
use crate::remote::web::Trust;
use crate::remote::web::dns;

/// The maximum period for which connections are kept between polls. Servers and routers close
/// connections that are idle for longer.
const KEEPING: Duration = Duration::from_secs(60);

/// The engine for an address; the error is the setting that only git implements.
pub(super) fn engine(config: &RepoConfig) -> Result<Box<dyn Engine>, Setting> {
    let rev = config.rev.clone();
    let is_keeping = config.period <= KEEPING;
    let network = Arc::new(ProcessNetwork(Proxies::of(&config.environment)));
    let address = || Setting::of("an address that only git understands");
    match config.repo.kind {
        RepoKind::Git => Err(Setting::of("a git:// address")),
        RepoKind::Local => Err(Setting::local()),
        RepoKind::Http => {
            let url = Url::parse(&config.repo.url).map_err(|_| address())?;
            if url.query().is_some() || url.fragment().is_some() {
                return Err(Setting::of("an address with a query"));
            }
            Ok(Box::new(HttpRefPoller::new(url, rev, is_keeping, network)))
        }
        RepoKind::Ssh => {
            let engine = SshRefPoller::new(&config.repo.url, rev, is_keeping, network);
            Ok(Box::new(engine.ok_or_else(address)?))
        }
    }
}

impl Engine for HttpRefPoller {
    fn ask<'a>(&'a mut self, grant: &'a RemoteCredentials, known: Known<'a>) -> Asking<'a> {
        Box::pin(async move { answer(self.poll(credentials(grant), of_poll(known)).await) })
    }
}

impl Engine for SshRefPoller {
    fn ask<'a>(&'a mut self, grant: &'a RemoteCredentials, known: Known<'a>) -> Asking<'a> {
        Box::pin(async move { answer(self.poll(credentials(grant), of_poll(known)).await) })
    }
}

fn of_poll(known: Known<'_>) -> KnownRef<'_> {
    KnownRef {
        object: known.object.as_str(),
        tag: known.tag,
    }
}

fn credentials(grant: &RemoteCredentials) -> Credentials<'_> {
    let http = grant.http.as_ref();
    Credentials {
        generation: grant.generation,
        http: http.map(|user| (user.username.as_str(), user.password.as_str())),
        ca: grant.ca.as_deref(),
        ssh: grant.ssh.as_ref().map(|ssh| SshCredentials {
            keys: &ssh.keys,
            known_hosts: ssh.known_hosts.as_deref(),
            check: ssh.check,
        }),
    }
}

fn answer(polled: Result<PollResponse, PollError>) -> Result<EngineAnswer, EngineError> {
    let error = match polled {
        Ok(response) => {
            return Ok(EngineAnswer {
                is_same: response.answer == Answer::Same,
                received: response.received,
            });
        }
        Err(error) => error,
    };
    if let PollError::Status {
        status,
        retry_after: Some(header),
    } = &error
        && throttle::asks_for_rest(*status)
        && let Some(wait) = throttle::parse(header, SystemTime::now())
    {
        return Err(EngineError::Later {
            status: *status,
            wait,
        });
    }
    Err(EngineError::Failed(chain(&error)))
}

/// The network of the cache, which uses no proxy.
#[cfg(feature = "cache")]
pub(crate) fn network() -> Arc<dyn Network> {
    Arc::new(ProcessNetwork(Proxies::of(&Environment::default())))
}

/// The name resolution, proxies and trust of this process.
struct ProcessNetwork(Proxies);

impl Network for ProcessNetwork {
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a> {
        Box::pin(dns::addresses(host))
    }

    fn proxy(&self, url: &Url) -> Option<Intercept> {
        self.0.intercept(url)
    }

    fn tls(&self, ca: Option<&Path>) -> Result<Arc<ClientConfig>, Box<dyn Error + Send + Sync>> {
        Ok(web::tls(&Trust::of_git(ca))?)
    }
}
