//! The facts of a healthy pull-through cache, and its faults.

use std::time::Duration;
use std::time::SystemTime;

use certs::Bundle;
use certs::Leaf;
use certs::Names;
use rustls::pki_types::CertificateDer;

use super::cases::Case;
use super::cases::first;
use super::healthy::DAY;
use super::healthy::healthy as healthy_cluster;
use super::ids;
use super::judge;
use crate::commands::doctor::cache::CacheFact;
use crate::commands::doctor::cache::CacheFigures;
use crate::commands::doctor::cache::CacheReplica;
use crate::commands::doctor::facts::Facts;
use crate::commands::doctor::finding as f;
use webhook::settings::CacheWithoutCa;

const HOST: &str = "gitvolume-cache.gitvolume-system.svc.cluster.local";

/// A certificate for a host, which this CA signed `age` seconds before its end.
fn certificate(bundle: &Bundle, host: &str, left: i64) -> Option<Vec<CertificateDer<'static>>> {
    let names = Names::none().and_dns(host);
    let left = Duration::from_secs(left.unsigned_abs());
    let leaf = Leaf::issue_for(bundle, &names, SystemTime::now(), left).unwrap();
    Some(leaf.chain().to_vec())
}

/// A healthy cache, whose certificates this CA signs.
pub(super) fn healthy(bundle: &Bundle) -> CacheFact {
    let replica = |name: &str| CacheReplica {
        namespace: "gitvolume-system".to_owned(),
        name: name.to_owned(),
        figures: Some(CacheFigures {
            requests: 5000.0,
            hits: 4900.0,
            stale_seconds: 0.0,
        }),
    };
    CacheFact {
        url: format!("https://{HOST}:8443"),
        host: HOST.to_owned(),
        port: 8443,
        ca: Some(bundle.pem().to_owned()),
        service: Some(("gitvolume-system".to_owned(), "gitvolume-cache".to_owned())),
        ports: Some(vec![8443]),
        endpoints: Some((2, 0)),
        replicas: vec![replica("gitvolume-cache-0"), replica("gitvolume-cache-1")],
        certificate: certificate(bundle, HOST, 30 * DAY),
    }
}

/// Replaces CA and certificate: the CA ends in `ca` seconds, the certificate, for this host, in
/// `leaf`.
fn issue(facts: &mut Facts, ca: i64, host: &str, leaf: i64) {
    let lifetime = Duration::from_secs(ca.unsigned_abs());
    let bundle = Bundle::generate_for(SystemTime::now(), lifetime).unwrap();
    let cache = cache(facts);
    cache.certificate = certificate(&bundle, host, leaf);
    cache.ca = Some(bundle.pem().to_owned());
}

fn cache(facts: &mut Facts) -> &mut CacheFact {
    &mut facts.caches[0]
}

fn figures(facts: &mut Facts) -> &mut CacheFigures {
    cache(facts).replicas[0].figures.as_mut().unwrap()
}

pub(super) const CACHES: &[Case] = &[
    (
        f::CACHE_WITHOUT_CA,
        |facts| {
            first(facts).caches_without_ca.push(CacheWithoutCa {
                url: "https://cache.example".to_owned(),
                file: "/etc/gitvolume-cache/ca.crt".to_owned(),
            });
        },
        "The file is /etc/gitvolume-cache/ca.crt in the webhook's Pods.",
    ),
    (
        f::CACHE_CA_EXPIRED,
        |facts| {
            issue(facts, 3600, HOST, 3600);
            cache(facts).certificate = None;
            facts.now += 2 * 3600;
            // Only the cache's CA has ended; the webhook's certificates live for days.
        },
        "The last one expires at 20",
    ),
    (
        f::CACHE_CA_ENDS_SOON,
        |facts| issue(facts, 20 * DAY, HOST, 10 * DAY),
        "The last one expires at 20",
    ),
    (
        f::CACHE_SERVICE_MISSING,
        |facts| cache(facts).ports = Some(Vec::new()),
        "There is no such Service; the address is https://gitvolume-cache.",
    ),
    (
        f::CACHE_WITHOUT_ENDPOINTS,
        |facts| cache(facts).endpoints = Some((0, 2)),
        "It has no ready endpoint, and 2 that are not.",
    ),
    (
        f::CACHE_ENDPOINTS_NOT_READY,
        |facts| cache(facts).endpoints = Some((1, 1)),
        "1 of 2 endpoints are ready.",
    ),
    (
        f::CACHE_CERTIFICATE_EXPIRED,
        |facts| {
            issue(facts, 100 * DAY, HOST, 3600);
            facts.now += 2 * 3600;
        },
        "It expired at 20",
    ),
    (
        f::CACHE_CERTIFICATE_ENDS_SOON,
        |facts| issue(facts, 100 * DAY, HOST, DAY),
        "It expires at 20",
    ),
    (
        f::CACHE_CERTIFICATE_NAME,
        |facts| {
            issue(
                facts,
                100 * DAY,
                "gitvolume-cache.gitvolume-system.svc.corp",
                30 * DAY,
            )
        },
        "gitvolume-cache.gitvolume-system.svc.cluster.local: ",
    ),
    (
        f::CACHE_CERTIFICATE_UNTRUSTED,
        |facts| {
            let other = Bundle::generate(SystemTime::now()).unwrap();
            cache(facts).ca = Some(other.pem().to_owned());
        },
        "invalid peer certificate: ",
    ),
    (
        f::CACHE_NOT_REACHED,
        |facts| {
            for pod in &mut facts.pods {
                pod.cache_state = Some("direct: the connection timed out".to_owned());
            }
        },
        "Its syncer reports: the connection timed out.",
    ),
    (
        f::CACHE_STALE,
        |facts| figures(facts).stale_seconds = 90.4,
        "Its last such answer was 90 seconds old.",
    ),
    (
        f::CACHE_FEW_HITS,
        |facts| figures(facts).hits = 500.0,
        "It has answered 10 % of 5000 requests itself.",
    ),
];

#[test]
fn a_service_without_the_port_of_the_address_is_a_finding() {
    let mut facts = healthy_cluster();
    cache(&mut facts).ports = Some(vec![443, 80]);
    let findings = judge(&facts);
    assert_eq!(ids(&findings), ["cache-service-missing"]);
    assert!(findings[0].what.starts_with("Its ports are 443, 80; "));
}

#[test]
fn pods_whose_syncers_wait_at_the_cache_and_few_requests_are_no_finding() {
    let mut facts = healthy_cluster();
    facts.pods[0].cache_state = Some("on".to_owned());
    *figures(&mut facts) = CacheFigures {
        requests: 500.0,
        hits: 0.0,
        stale_seconds: 0.0,
    };
    assert_eq!(judge(&facts), []);
}

#[test]
fn a_cache_whose_parts_cannot_be_read_is_no_finding() {
    let mut facts = healthy_cluster();
    facts.caches = vec![CacheFact {
        service: cache(&mut facts).service.clone(),
        ..CacheFact::default()
    }];
    assert_eq!(judge(&facts), []);
}
