//! Checks of the pull-through caches: their CAs, Services, certificates and replicas, and the syncers
//! that do not reach them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::client::verify_server_name;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::UnixTime;
use rustls::server::ParsedCertificate;

use super::certificates::Trusted;
use super::certificates::read;
use super::certificates::time;
use crate::commands::doctor::cache::CacheFact;
use crate::commands::doctor::cache::CacheFigures;
use crate::commands::doctor::cache::CacheReplica;
use crate::commands::doctor::facts::Facts;
use crate::commands::doctor::finding as f;
use crate::commands::doctor::finding::Finding;
use crate::commands::doctor::finding::Place;
use crate::commands::doctor::pods::PodFact;
use crate::commands::doctor::pods::Workload;

/// Remaining lifetime of a CA in seconds below which it is reported: a Pod keeps the CA that it
/// started with.
const CA_SOON: i64 = 30 * 24 * 60 * 60;

/// Remaining lifetime of a certificate in seconds below which it is reported.
const SOON: i64 = 2 * 24 * 60 * 60;

/// Requests of a replica below which its hit rate means nothing.
const FEW_REQUESTS: f64 = 1000.0;

/// The lowest hit rate that is no finding.
const FEW_HITS: f64 = 0.2;

pub(super) fn judge(facts: &Facts, findings: &mut Vec<Finding>) {
    without_ca(facts, findings);
    for cache in &facts.caches {
        authorities(facts.now, cache, findings);
        service(cache, findings);
        certificate(facts.now, cache, findings);
        for replica in &cache.replicas {
            if let Some(figures) = &replica.figures {
                figures_of(replica, figures, findings);
            }
        }
    }
    syncers(facts, findings);
}

/// The setting of a cache.
fn place(url: &str) -> Place {
    Place::cluster("setting", "cache").part(url)
}

fn without_ca(facts: &Facts, findings: &mut Vec<Finding>) {
    let installs = facts.installs.iter().flatten();
    let replicas = installs.flat_map(|install| &install.replicas);
    let all = replicas.filter_map(|replica| Some(&replica.readiness.as_ref()?.caches_without_ca));
    let all: BTreeSet<_> = all.flatten().map(|own| (&own.url, &own.file)).collect();
    for (url, file) in all {
        let what = format!("The file is {file} in the webhook's Pods.");
        findings.push(Finding::new(f::CACHE_WITHOUT_CA, place(url), what));
    }
}

fn authorities(now: i64, cache: &CacheFact, findings: &mut Vec<Finding>) {
    let Some(pem) = &cache.ca else {
        return;
    };
    let trusted = read(pem.as_bytes());
    let valid = trusted
        .iter()
        .filter(|own| own.not_before <= now && now < own.not_after);
    let last = |own: &Trusted| own.not_after;
    let (check, last) = match valid.map(last).max() {
        None => (f::CACHE_CA_EXPIRED, trusted.iter().map(last).max()),
        Some(last) if last - now < CA_SOON => (f::CACHE_CA_ENDS_SOON, Some(last)),
        Some(_) => return,
    };
    let last = time(last.unwrap_or_default());
    let what = format!("The last one expires at {last}.");
    findings.push(Finding::new(check, place(&cache.url), what));
}

fn service(cache: &CacheFact, findings: &mut Vec<Finding>) {
    let Some((namespace, name)) = &cache.service else {
        return;
    };
    let at = || Place::within(namespace, "Service", name);
    let Some(ports) = &cache.ports else {
        return;
    };
    if !ports.contains(&cache.port) {
        let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
        let what = match ports.is_empty() {
            true => format!("There is no such Service; the address is {}.", cache.url),
            false => format!(
                "Its ports are {}; the address is {}.",
                ports.join(", "),
                cache.url
            ),
        };
        findings.push(Finding::new(f::CACHE_SERVICE_MISSING, at(), what));
        return;
    }
    let (check, what) = match cache.endpoints {
        Some((0, others)) => (
            f::CACHE_WITHOUT_ENDPOINTS,
            format!("It has no ready endpoint, and {others} that are not."),
        ),
        Some((ready, others)) if others > 0 => (
            f::CACHE_ENDPOINTS_NOT_READY,
            format!("{ready} of {} endpoints are ready.", ready + others),
        ),
        _ => return,
    };
    let look = format!(
        "kubectl -n {namespace} describe endpointslices -l kubernetes.io/service-name={name}"
    );
    findings.push(Finding::new(check, at(), what).command(look));
}

fn certificate(now: i64, cache: &CacheFact, findings: &mut Vec<Finding>) {
    let Some((leaf, chain)) = cache.certificate.as_deref().and_then(<[_]>::split_first) else {
        return;
    };
    let mut found = |check, what: String| {
        findings.push(Finding::new(check, place(&cache.url), what));
    };
    let Some(ends) = Trusted::parse(leaf.clone()).map(|leaf| leaf.not_after) else {
        return;
    };
    if ends <= now {
        found(
            f::CACHE_CERTIFICATE_EXPIRED,
            format!("It expired at {}.", time(ends)),
        );
        return;
    }
    if ends - now < SOON {
        found(
            f::CACHE_CERTIFICATE_ENDS_SOON,
            format!("It expires at {}.", time(ends)),
        );
    }
    let Ok(parsed) = ParsedCertificate::try_from(leaf) else {
        return;
    };
    if let Ok(name) = ServerName::try_from(cache.host.as_str())
        && let Err(error) = verify_server_name(&parsed, &name)
    {
        found(
            f::CACHE_CERTIFICATE_NAME,
            format!("{}: {error}.", cache.host),
        );
    }
    if let Some(pem) = &cache.ca
        && let Err(error) = verify(&parsed, chain, &read(pem.as_bytes()), now)
    {
        found(f::CACHE_CERTIFICATE_UNTRUSTED, format!("{error}."));
    }
}

/// Checks that one of the CAs signed a certificate. Go's and webpki's rules for CAs differ; these are
/// the syncer's.
fn verify(
    leaf: &ParsedCertificate<'_>,
    chain: &[CertificateDer<'_>],
    trusted: &[Trusted],
    now: i64,
) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trusted.iter().map(|own| own.der.clone()));
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now.unsigned_abs()));
    let algorithms = ring::default_provider().signature_verification_algorithms;
    verify_server_cert_signed_by_trust_anchor(leaf, &roots, chain, now, algorithms.all)
}

fn figures_of(replica: &CacheReplica, figures: &CacheFigures, findings: &mut Vec<Finding>) {
    let CacheFigures {
        requests,
        hits,
        stale_seconds,
    } = figures;
    let CacheReplica {
        namespace, name, ..
    } = replica;
    let at = || Place::within(namespace, "Pod", name);
    if *stale_seconds > 0.0 {
        let what = format!("Its last such answer was {stale_seconds:.0} seconds old.");
        let log = format!("kubectl -n {namespace} logs {name}");
        findings.push(Finding::new(f::CACHE_STALE, at(), what).command(log));
    }
    if *requests >= FEW_REQUESTS && hits / requests < FEW_HITS {
        let rate = 100.0 * hits / requests;
        let what = format!("It has answered {rate:.0} % of {requests:.0} requests itself.");
        findings.push(Finding::new(f::CACHE_FEW_HITS, at(), what));
    }
}

/// Pods of one controller whose syncers report the same state are one finding.
fn syncers(facts: &Facts, findings: &mut Vec<Finding>) {
    let mut groups: BTreeMap<(Workload, &str), Vec<&PodFact>> = BTreeMap::new();
    for pod in &facts.pods {
        let state = pod.cache_state.as_deref();
        if let Some(reason) = state.and_then(|state| state.strip_prefix("direct: ")) {
            groups.entry((pod.made_by(), reason)).or_default().push(pod);
        }
    }
    for ((maker, reason), pods) in groups {
        let Some(first) = pods.iter().min_by_key(|pod| &pod.name) else {
            continue;
        };
        let PodFact {
            namespace, name, ..
        } = first;
        let mut at = Place::within(namespace, "Pod", name);
        if maker.kind != "Pod" {
            at = at.part(&format!("of {} {}", maker.kind, maker.name));
        }
        let what = format!("Its syncer reports: {reason}.");
        let log = format!("kubectl logs {name} -n {namespace} -c gitvolume");
        let finding = Finding::new(f::CACHE_NOT_REACHED, at, what).command(log);
        findings.push(finding.and_more(pods.len() - 1));
    }
}
