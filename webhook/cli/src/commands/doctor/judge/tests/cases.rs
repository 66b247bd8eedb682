//! The faults: each case breaks one thing in a healthy cluster.

use std::time::Duration;
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use certs::Bundle;
use serde_json::Value;
use serde_json::json;

use super::healthy::DAY;
use super::healthy::judged;
use super::healthy::namespace;
use super::healthy::now;
use crate::commands::doctor::facts::Facts;
use crate::commands::doctor::facts::Install;
use crate::commands::doctor::facts::Trial;
use crate::commands::doctor::finding as f;
use crate::commands::doctor::finding::Check;
use crate::commands::doctor::pods::State;
use crate::commands::doctor::pods::Workload;
use webhook::server::readiness::Readiness;

fn install(facts: &mut Facts) -> &mut Install {
    &mut facts.installs.as_mut().unwrap()[0]
}

/// A field of the first or second webhook.
fn member<'a>(facts: &'a mut Facts, index: usize, key: &str) -> &'a mut Value {
    &mut install(facts).registration["webhooks"][index][key]
}

pub(super) fn first(facts: &mut Facts) -> &mut Readiness {
    install(facts).replicas[0].readiness.as_mut().unwrap()
}

fn bundle_of(age: i64) -> Value {
    // A generated CA is valid for years.
    let ca = Bundle::generate(SystemTime::now()).unwrap();
    let life = ca.not_after().duration_since(SystemTime::now()).unwrap();
    let age = Duration::from_secs(u64::try_from(age).unwrap());
    let made = SystemTime::now() - life + age;
    let ca = Bundle::generate(made).unwrap();
    json!({"caBundle": BASE64_STANDARD.encode(ca.pem())})
}

fn failed(cause: &str) -> Option<Trial> {
    Some(Trial::Refused(format!(
        "Internal error occurred: failed calling webhook \"pods.gitvolume.dev\": failed to call webhook: \
         Post \"https://gitvolume.gitvolume-system.svc:443/mutate?timeout=5s\": {cause}"
    )))
}

fn label(facts: &mut Facts, name: &str) {
    let labels = json!({"gitvolume.dev/auto-inject": "enabled"});
    facts.known.add_namespace(&namespace(name, &labels));
}

/// A check, the change that causes its finding, and words of the finding's sentence.
pub(super) type Case = (&'static Check, fn(&mut Facts), &'static str);

pub(super) const CASES: &[Case] = &[
    (
        f::NOT_INSTALLED,
        |facts| facts.installs = Some(Vec::new()),
        "no registration",
    ),
    (
        f::INSTALLED_TWICE,
        |facts| {
            let mut other = install(facts).clone();
            other.registration["metadata"]["name"] = json!("other");
            facts.installs.as_mut().unwrap().push(other);
        },
        "Also registered: other.",
    ),
    (
        f::ENTRY_MISSING,
        |facts| *member(facts, 0, "name") = json!("templates.gitvolume.dev"),
        "no webhook pods.gitvolume.dev",
    ),
    (
        f::ENTRY_MISSES_PODS,
        |facts| member(facts, 0, "rules")[0]["operations"] = json!(["UPDATE"]),
        "No rule",
    ),
    (
        f::ENTRY_UNSCOPED,
        |facts| *member(facts, 0, "matchConditions") = Value::Null,
        "no matchConditions, and failurePolicy Fail",
    ),
    (
        f::ENTRY_COVERS_ITSELF,
        |facts| label(facts, "gitvolume-system"),
        "selects the namespace gitvolume-system",
    ),
    (
        f::ENTRY_COVERS_KUBE_SYSTEM,
        |facts| label(facts, "kube-system"),
        "selects the namespace kube-system",
    ),
    (
        f::ENTRY_NEVER_AGAIN,
        |facts| *member(facts, 0, "reinvocationPolicy") = json!("Never"),
        "is Never",
    ),
    (
        f::ENTRY_EDITED,
        |facts| {
            let fields = json!({"f:webhooks": {"k:{\"name\":\"pods.gitvolume.dev\"}": {
                "f:failurePolicy": {}, "f:timeoutSeconds": {},
            }}});
            let managed = &mut install(facts).registration["metadata"]["managedFields"];
            let edit = json!({"manager": "kubectl-edit", "fieldsV1": fields});
            managed.as_array_mut().unwrap().push(edit);
        },
        "kubectl-edit has set pods.gitvolume.dev.timeoutSeconds.",
    ),
    (
        f::CA_BUNDLE_EMPTY,
        |facts| member(facts, 1, "clientConfig")["caBundle"] = Value::Null,
        "is empty",
    ),
    (
        f::CA_BUNDLE_UNREADABLE,
        |facts| member(facts, 1, "clientConfig")["caBundle"] = json!("aGVsbG8="),
        "no certificate in PEM",
    ),
    (
        f::CA_BUNDLE_UNTRUSTED,
        |facts| facts.trial = failed("tls: failed to verify certificate: x509: unknown authority"),
        "unknown authority",
    ),
    (
        f::CA_BUNDLE_UNTRUSTED,
        |facts| first(facts).ca_bundle_in_sync = false,
        "does not contain",
    ),
    (
        f::CA_EXPIRED,
        |facts| {
            install(facts).ca_secret = None;
            *member(facts, 0, "clientConfig") = bundle_of(0);
            facts.now += 1;
        },
        "expires at 2",
    ),
    (
        f::CA_ENDS_SOON,
        |facts| {
            install(facts).ca_secret = None;
            *member(facts, 0, "clientConfig") = bundle_of(DAY);
        },
        "expires at 2",
    ),
    (
        f::CA_SECRET_DIFFERS,
        |facts| {
            let other = Bundle::generate(SystemTime::now()).unwrap();
            let bundle = json!(BASE64_STANDARD.encode(other.pem()));
            member(facts, 0, "clientConfig")["caBundle"] = bundle;
        },
        "lacks the first certificate",
    ),
    (
        f::CERTIFICATE_EXPIRED,
        |facts| first(facts).certificate_not_after = Some(now() - 1),
        "It expired at 2",
    ),
    (
        f::CERTIFICATE_ENDS_SOON,
        |facts| first(facts).certificate_not_after = Some(now() + DAY),
        "It expires at 2",
    ),
    (
        f::SERVICE_MISSING,
        |facts| install(facts).has_service = Some(false),
        "no such Service",
    ),
    (
        f::NO_ENDPOINTS,
        |facts| install(facts).endpoints = Some((0, 2)),
        "2 that are not",
    ),
    (
        f::ENDPOINTS_NOT_READY,
        |facts| install(facts).endpoints = Some((1, 1)),
        "1 of 2",
    ),
    (
        f::REPLICA_NOT_READY,
        |facts| {
            first(facts).ready = false;
            first(facts).missing = vec!["shutting down".to_owned()];
        },
        "It reports: shutting down",
    ),
    (
        f::REPLICA_REMARKS,
        |facts| first(facts).warnings = vec!["the file cannot be read".to_owned()],
        "It reports: the file cannot be read",
    ),
    (
        f::REPLICAS_DIFFER,
        |facts| first(facts).version = "0.9.0".to_owned(),
        "1 of 0.9.0, 1 of 1.0.0",
    ),
    (
        f::PROGRAM_DIFFERS,
        |facts| facts.own_version = "1.1.0".to_owned(),
        "version 1.0.0, this program has version 1.1.0",
    ),
    (
        f::UNREACHABLE,
        |facts| facts.trial = failed("context deadline exceeded"),
        "deadline",
    ),
    (
        f::TRIAL_REFUSED,
        |facts| {
            let message = "ValidatingAdmissionPolicy 'gitvolume-guard' with binding 'gitvolume-guard' \
                           denied request: Pod x asks for a repository";
            facts.trial = Some(Trial::Refused(message.to_owned()));
        },
        "asks for a repository",
    ),
    (
        f::TRIAL_NOT_INJECTED,
        |facts| facts.trial = Some(Trial::Admitted(None)),
        "was not injected",
    ),
    (
        f::SILENT_SKIP,
        |facts| {
            *member(facts, 0, "failurePolicy") = json!("Ignore");
            facts.guards.as_mut().unwrap()[0].actions = Some(vec![vec!["Warn".to_owned()]]);
        },
        "failurePolicy Ignore",
    ),
    (
        f::GUARD_MISSING,
        |facts| facts.guards = Some(Vec::new()),
        "no ValidatingAdmissionPolicy",
    ),
    (
        f::GUARD_UNBOUND,
        |facts| facts.guards.as_mut().unwrap()[0].actions = Some(Vec::new()),
        "No ValidatingAdmissionPolicyBinding",
    ),
    (
        f::GUARD_BROKEN,
        |facts| {
            let warning = json!({"fieldRef": "spec.validations[0]", "warning": "ERROR: undefined"});
            facts.guards.as_mut().unwrap()[0].policy["status"] =
                json!({"typeChecking": {"expressionWarnings": [warning]}});
        },
        "ERROR: undefined",
    ),
    (
        f::INJECTORS_AFTER,
        |facts| facts.others[0]["metadata"]["name"] = json!("kyverno"),
        "After it: kyverno.",
    ),
    (
        f::MESH_BEFORE,
        |facts| {
            let names = "rev.namespace.sidecar-injector.istio.io";
            facts.others[0]["webhooks"][0]["name"] = json!(names);
            facts.others[0]["webhooks"][0]["reinvocationPolicy"] = json!("Never");
        },
        "It is Istio's, with reinvocationPolicy Never.",
    ),
    (
        f::MESH_WITHOUT_NETWORK,
        |facts| {
            facts.pods[0].mesh = Some("Istio");
            facts.pods[0].phase = "Pending".to_owned();
        },
        "Istio's proxy",
    ),
    (
        f::KUBELET_TOO_OLD,
        |facts| facts.nodes[0].kubelet = "v1.28.9-eks-1".to_owned(),
        "v1.28.9-eks-1",
    ),
    (
        f::OBJECT_REFUSED,
        |facts| facts.objects = vec![judged(2, "False", "False")],
        "expected sync or once",
    ),
    (
        f::OBJECT_WITHOUT_EFFECT,
        |facts| facts.objects = vec![judged(2, "True", "False")],
        "lacks the label",
    ),
    (
        f::OBJECT_UNJUDGED,
        |facts| facts.objects = vec![judged(1, "True", "True")],
        "an earlier generation",
    ),
    (
        f::POD_NOT_INJECTED,
        |facts| facts.pods[0].state = State::Missing,
        "the webhook was not reached",
    ),
    (
        f::POD_NOT_INJECTED,
        |facts| {
            facts.pods[0].state = State::Missing;
            facts.pods[0].created = "2025-12-31T00:00:00Z".to_owned();
        },
        "created before gitvolume was installed",
    ),
    (
        f::POD_NOT_INJECTED,
        |facts| {
            facts.pods[0].state = State::Missing;
            *member(facts, 0, "namespaceSelector") = json!({"matchLabels": {"team": "a"}});
        },
        "does not select its namespace (the label team: a is missing)",
    ),
    (
        f::POD_WITHOUT_OBJECT,
        |facts| facts.pods[0].state = State::Unchosen,
        "selects it",
    ),
    (
        f::POD_OUTDATED,
        |facts| facts.pods[0].state = State::Changed,
        "have changed since",
    ),
    (
        f::SETTINGS_DIFFER,
        |facts| first(facts).settings_hash = "bad".to_owned(),
        "bad, c0ffee",
    ),
    (
        f::POD_REFUSED,
        |facts| facts.pods[0].state = State::Refused("gitvolume.dev/mode: no".to_owned()),
        "gitvolume.dev/mode: no",
    ),
    (
        f::POD_CREATION_REFUSED,
        |facts| {
            facts.events = vec![json!({
                "involvedObject": {"kind": "ReplicaSet", "namespace": "shop", "name": "web"},
                "lastTimestamp": "2026-03-01T11:30:00Z",
                "message": "Error creating: admission webhook \"pods.gitvolume.dev\" denied the request: x",
            })];
        },
        "denied the request: x",
    ),
    (
        f::POD_OUTDATED,
        |facts| facts.pods[0].by = Some(("1.0.0".to_owned(), "bad".to_owned())),
        "configuration bad; the current version is 1.0.0 with c0ffee",
    ),
    (
        f::POD_OUTDATED,
        |facts| facts.pods[0].by = Some((String::new(), String::new())),
        "cannot be read",
    ),
    (
        f::GITREPO_UNMOUNTED,
        |facts| {
            facts.pods[0].state = State::Missing;
            facts.pods[0].git_repo = Some("code".to_owned());
            facts.pods[0].phase = "Pending".to_owned();
        },
        "volume code was not converted",
    ),
    (
        f::GITREPO_LEFT,
        |facts| {
            facts.pods[0].state = State::LetThrough;
            facts.pods[0].git_repo = Some("code".to_owned());
        },
        "on purpose",
    ),
    (
        f::GITREPO_CONVERTED,
        |facts| facts.pods[0].is_converted = true,
        "gitvolume init container",
    ),
    (
        f::ANNOTATION_MISPLACED,
        |facts| {
            let workload = Workload {
                kind: "Deployment".to_owned(),
                namespace: "shop".to_owned(),
                name: "web".to_owned(),
            };
            facts.misplaced = vec![(workload, "gitvolume.dev/repo: no effect".to_owned())];
        },
        "no effect",
    ),
    (
        f::SECRET_MISSING,
        |facts| facts.secrets[0].keys = None,
        "there is no such Secret",
    ),
    (
        f::SECRET_WITHOUT_KEYS,
        |facts| facts.secrets[0].keys = Some(vec!["deploy-key".to_owned()]),
        "it has deploy-key",
    ),
];
