//! A pull-through cache of the webhook's settings.

use args::CaBundle;
use inject::Cache;
use rustls::pki_types::CertificateDer;

/// A cache, and the components behind its address. `None` is a fact that could not be read, or that
/// does not exist for this address.
#[derive(Clone, Debug, Default)]
pub struct CacheFact {
    /// Its address.
    pub url: String,
    /// The host in the address.
    pub host: String,
    /// The port in the address.
    pub port: u16,
    /// Its CAs, PEM; `None` for those of the syncer's image.
    pub ca: Option<String>,
    /// Namespace and name of the Service that the host names.
    pub service: Option<(String, String)>,
    /// The ports of that Service; empty if it does not exist.
    pub ports: Option<Vec<u16>>,
    /// The numbers of ready and of not ready endpoints.
    pub endpoints: Option<(usize, usize)>,
    /// The replicas.
    pub replicas: Vec<CacheReplica>,
    /// The certificate in the Secret that the replicas mount, with its chain, if it was read.
    pub certificate: Option<Vec<CertificateDer<'static>>>,
}

/// A Pod of a cache.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CacheReplica {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its metrics, if they were read.
    pub figures: Option<CacheFigures>,
}

/// The metrics of a cache that are checked.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CacheFigures {
    /// Requests of followers, without wake-ups.
    pub requests: f64,
    /// Those of them that cost the git host no request.
    pub hits: f64,
    /// The age of the last answer in seconds, if it was served while its git host was unreachable;
    /// otherwise 0.
    pub stale_seconds: f64,
}

impl CacheFact {
    /// The facts that the settings contain.
    pub fn new(cache: &Cache) -> Self {
        let host = cache.url.host_str().unwrap_or_default();
        Self {
            url: cache.to_string(),
            host: host.to_owned(),
            port: cache.url.port_or_known_default().unwrap_or_default(),
            ca: cache
                .ca_bundle
                .as_ref()
                .map(CaBundle::as_str)
                .map(str::to_owned),
            service: service(host),
            ..Self::default()
        }
    }
}

/// Namespace and name of the Service in `NAME.NAMESPACE.svc`, with or without the cluster's domain.
fn service(host: &str) -> Option<(String, String)> {
    let mut labels = host.split('.');
    let (name, namespace) = (labels.next()?, labels.next()?);
    let is_service = labels.next() == Some("svc");
    is_service.then(|| (namespace.to_owned(), name.to_owned()))
}

impl CacheFigures {
    /// Reads the page `/metrics` of a cache.
    pub fn read(page: &str) -> Self {
        let mut figures = Self::default();
        for line in page.lines() {
            let Some((series, value)) = line.rsplit_once(' ') else {
                continue;
            };
            let Ok(value) = value.parse::<f64>() else {
                continue;
            };
            match series.split('{').next().unwrap_or_default() {
                "gitvolume_cache_requests_total" if !is_about_pushes(series) => {
                    figures.requests += value;
                }
                "gitvolume_cache_hits_total" => figures.hits = value,
                "gitvolume_cache_stale_seconds" => figures.stale_seconds = value,
                _ => {}
            }
        }
        figures
    }
}

/// Whether requests of this kind concern pushes: they have no answer of the git host.
fn is_about_pushes(series: &str) -> bool {
    ["wake", "watch"]
        .iter()
        .any(|kind| series.contains(&format!("kind=\"{kind}\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_names_a_service_is_recognised_with_and_without_the_domain() {
        let found = Some(("ops".to_owned(), "cache".to_owned()));
        assert_eq!(service("cache.ops.svc"), found);
        assert_eq!(service("cache.ops.svc.cluster.local"), found);
        for host in ["cache.example", "cache", "svc.cache.example", "192.0.2.1"] {
            assert_eq!(service(host), None, "{host}");
        }
    }

    #[test]
    fn the_metrics_of_a_cache_are_read_without_wake_ups() {
        let page = "# HELP gitvolume_cache_requests_total Requests of followers\n\
            # TYPE gitvolume_cache_requests_total counter\n\
            gitvolume_cache_requests_total{kind=\"ls-refs\"} 30\n\
            gitvolume_cache_requests_total{kind=\"fetch\"} 10\n\
            gitvolume_cache_requests_total{kind=\"wake\"} 500\n\
            gitvolume_cache_requests_total{kind=\"watch\"} 500\n\
            gitvolume_cache_hits_total 35\n\
            gitvolume_cache_stale_seconds 90.5\n";
        let figures = CacheFigures {
            requests: 40.0,
            hits: 35.0,
            stale_seconds: 90.5,
        };
        assert_eq!(CacheFigures::read(page), figures);
        assert_eq!(CacheFigures::read(""), CacheFigures::default());
    }
}
