//! Connections to allowed addresses only.

use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use hyper_util::client::proxy::matcher::Intercept;
use poll::Network;
use poll::Resolving;
use rustls::ClientConfig;
use url::Url;

use crate::address::networks::Networks;

/// A network that resolves names to allowed addresses. It uses no proxy: behind one, addresses
/// could not be checked.
pub(crate) struct CheckedNetwork {
    pub(crate) inner: Arc<dyn Network>,
    pub(crate) networks: Networks,
}

/// The error of a name without an allowed address.
#[derive(Debug, thiserror::Error)]
#[error("no address of the host is allowed")]
pub(crate) struct ForbiddenAddress;

impl Network for CheckedNetwork {
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            let found = self.inner.resolve(host).await?;
            let had_any = !found.is_empty();
            let allowed = found.into_iter().filter(|ip| self.networks.allow(*ip));
            let allowed: Vec<IpAddr> = allowed.collect();
            if had_any && allowed.is_empty() {
                return Err(io::Error::other(ForbiddenAddress));
            }
            Ok(allowed)
        })
    }

    fn proxy(&self, _: &Url) -> Option<Intercept> {
        None
    }

    fn tls(&self, ca: Option<&Path>) -> Result<Arc<ClientConfig>, Box<dyn Error + Send + Sync>> {
        self.inner.tls(ca)
    }
}
