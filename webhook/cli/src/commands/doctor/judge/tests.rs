mod cache;
mod cases;
mod healthy;
mod syncers;

use std::collections::BTreeSet;

use serde_json::json;

use super::judge;
use crate::commands::doctor::facts::Facts;
use crate::commands::doctor::facts::Trial;
use crate::commands::doctor::finding::CHECKS;
use crate::commands::doctor::finding::Finding;
use crate::commands::doctor::pods::State;

use cache::CACHES;
use cases::CASES;
use healthy::healthy;
use healthy::pod;
use syncers::SYNCERS;

fn ids(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.check.id).collect()
}

#[test]
fn a_healthy_cluster_has_no_finding() {
    let findings = judge(&healthy());
    assert_eq!(findings, []);
}

#[test]
fn each_fault_is_found_with_the_observed_fact() {
    for (check, breaks, words) in CASES.iter().chain(SYNCERS).chain(CACHES) {
        let mut facts = healthy();
        breaks(&mut facts);
        let findings = judge(&facts);
        let found = findings.iter().find(|finding| finding.check == *check);
        let Some(found) = found else {
            panic!("{}: not among {:?}", check.id, ids(&findings));
        };
        assert!(found.what.contains(words), "{}: {}", check.id, found.what);
        // One cause gives one finding, except for a missing installation.
        assert_eq!(ids(&findings), [check.id], "{}", found.what);
    }
}

#[test]
fn every_check_has_a_case() {
    let cases = CASES.iter().chain(SYNCERS).chain(CACHES);
    let with: BTreeSet<&str> = cases.map(|(check, ..)| check.id).collect();
    let all: BTreeSet<&str> = CHECKS.iter().map(|check| check.id).collect();
    assert_eq!(all, with);
}

#[test]
fn an_unavailable_fact_is_no_finding() {
    let facts = Facts {
        pods: vec![pod("web-1")],
        ..Facts::default()
    };
    assert_eq!(judge(&facts), []);
}

#[test]
fn the_pods_of_one_controller_are_one_finding() {
    let mut facts = healthy();
    for pod in &mut facts.pods {
        pod.state = State::Missing;
    }
    let findings = judge(&facts);
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].more, 1);
    assert_eq!(
        findings[0].at.to_string(),
        "Pod shop/web-1, of ReplicaSet web"
    );
}

#[test]
fn old_events_and_those_of_other_components_are_no_finding() {
    let mut facts = healthy();
    let event = |when: &str, message: &str| {
        json!({
            "involvedObject": {"kind": "ReplicaSet", "namespace": "shop", "name": "web"},
            "lastTimestamp": when, "message": message,
        })
    };
    let ours = "admission webhook \"pods.gitvolume.dev\" denied the request: x";
    facts.events = vec![
        event("2026-03-01T10:30:00Z", ours),
        event("2026-03-01T11:30:00Z", "exceeded quota"),
    ];
    // A rejection by the webhook itself is an answer: the trial's address may not be allowed.
    facts.trial = Some(Trial::Refused(ours.to_owned()));
    assert_eq!(judge(&facts), []);
}

#[test]
fn a_mesh_that_runs_after_gitvolume_or_reorders_its_container_is_no_finding() {
    let mut facts = healthy();
    for (configuration, webhook, again, expected) in [
        ("a", "sidecar-injector.istio.io", "IfNeeded", &[][..]),
        (
            "a",
            "linkerd-proxy-injector.linkerd.io",
            "IfNeeded",
            &["mesh-before"],
        ),
        (
            "istio-sidecar-injector",
            "rev.object.sidecar-injector.istio.io",
            "Never",
            &[],
        ),
        (
            "linkerd-proxy-injector-webhook-config",
            "linkerd-proxy-injector.linkerd.io",
            "Never",
            &[],
        ),
        ("z", "other.example", "Never", &["injectors-after"]),
    ] {
        let other = &mut facts.others[0];
        other["metadata"]["name"] = json!(configuration);
        other["webhooks"][0]["name"] = json!(webhook);
        other["webhooks"][0]["reinvocationPolicy"] = json!(again);
        assert_eq!(ids(&judge(&facts)), expected, "{configuration}");
    }
}
