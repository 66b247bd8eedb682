//! The facts of a healthy cluster.

use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use certs::Bundle;
use certs::Leaf;
use certs::Names;
use certs::Published;
use certs::Serving;
use inject::Settings;
use serde_json::Value;
use serde_json::json;

use super::cache;
use crate::commands::doctor::facts::Facts;
use crate::commands::doctor::facts::Guard;
use crate::commands::doctor::facts::Install;
use crate::commands::doctor::facts::Node;
use crate::commands::doctor::facts::Replica;
use crate::commands::doctor::facts::SecretFact;
use crate::commands::doctor::facts::Trial;
use crate::commands::doctor::pods::PodFact;
use crate::commands::doctor::pods::State;
use crate::commands::doctor::pods::Workload;
use crate::live::known::Known;
use webhook::cluster::known::Known as ServerKnown;
use webhook::server::readiness::Readiness;
use webhook::shutdown::Stage;

pub(super) const DAY: i64 = 24 * 60 * 60;

pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_secs()).unwrap()
}

pub(super) fn entry(name: &str, bundle: &Bundle) -> Value {
    json!({
        "name": name,
        "clientConfig": {
            "caBundle": BASE64_STANDARD.encode(bundle.pem()),
            "service": {"namespace": "gitvolume-system", "name": "gitvolume", "port": 443},
        },
        "rules": [{
            "operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"],
            "resources": ["pods"], "scope": "Namespaced",
        }],
        "matchConditions": [{"name": "asks-for-a-repository", "expression": "true"}],
        "failurePolicy": "Fail",
        "reinvocationPolicy": "IfNeeded",
    })
}

/// The readiness of a replica in a healthy cluster, computed by the webhook's own code.
fn readiness() -> Readiness {
    let bundle = Bundle::generate(SystemTime::now()).unwrap();
    let serving = Serving::new();
    serving.set_published(Published::NotNeeded);
    let leaf = Leaf::issue(&bundle, &Names::local(), SystemTime::now());
    serving.set_leaf(leaf.unwrap());
    let settings = Settings::new("gitvolume-syncer:1");
    Readiness::now(&serving, &ServerKnown::only(settings), Stage::Serving)
}

pub(super) fn replica(name: &str) -> Replica {
    Replica {
        namespace: "gitvolume-system".to_owned(),
        name: name.to_owned(),
        image: "gitvolume:1".to_owned(),
        readiness: Some(Readiness {
            version: "1.0.0".to_owned(),
            settings_hash: "c0ffee".to_owned(),
            ..readiness()
        }),
    }
}

pub(super) fn pod(name: &str) -> PodFact {
    PodFact {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        owner: Some(Workload {
            kind: "ReplicaSet".to_owned(),
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
        }),
        created: "2026-02-01T00:00:00Z".to_owned(),
        phase: "Running".to_owned(),
        state: State::Injected,
        by: Some(("1.0.0".to_owned(), "c0ffee".to_owned())),
        ..PodFact::default()
    }
}

pub(super) fn judged(generation: i64, accepted: &str, effective: &str) -> Value {
    json!({
        "kind": "GitVolume",
        "metadata": {
            "name": "site", "namespace": "shop", "generation": 2,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "status": {"conditions": [
            {"type": "Accepted", "status": accepted, "observedGeneration": generation,
             "message": "spec.mode: \"always\": expected sync or once"},
            {"type": "Effective", "status": effective, "observedGeneration": generation,
             "message": "the namespace lacks the label gitvolume.dev/auto-inject: enabled"},
        ]},
    })
}

/// The facts of a healthy cluster.
pub(super) fn healthy() -> Facts {
    let bundle = Bundle::generate(SystemTime::now()).unwrap();
    let mut auto = entry("auto.gitvolume.dev", &bundle);
    auto["namespaceSelector"] = json!({"matchLabels": {"gitvolume.dev/auto-inject": "enabled"}});
    let registration = json!({
        "metadata": {
            "name": "gitvolume", "creationTimestamp": "2026-01-01T00:00:00Z",
            "managedFields": [
                {"manager": "helm", "fieldsV1": {"f:webhooks": {
                    ".": {},
                    "k:{\"name\":\"pods.gitvolume.dev\"}": {
                        ".": {}, "f:name": {}, "f:failurePolicy": {},
                        "f:clientConfig": {".": {}, "f:service": {"f:name": {}}},
                    },
                }}},
                {"manager": "gitvolume-certs", "fieldsV1": {"f:webhooks": {
                    "k:{\"name\":\"pods.gitvolume.dev\"}": {"f:clientConfig": {"f:caBundle": {}}},
                }}},
                // AKS adds its expressions to every namespaceSelector.
                {"manager": "admissionsenforcer", "fieldsV1": {"f:webhooks": {
                    "k:{\"name\":\"pods.gitvolume.dev\"}": {
                        "f:namespaceSelector": {"f:matchExpressions": {}},
                        "f:objectSelector": {"f:matchLabels": {"f:a": {}}},
                    },
                }}},
            ],
        },
        "webhooks": [
            entry("pods.gitvolume.dev", &bundle),
            auto,
        ],
    });
    let install = Install {
        registration,
        service: Some(("gitvolume-system".to_owned(), "gitvolume".to_owned())),
        has_service: Some(true),
        endpoints: Some((2, 0)),
        replicas: vec![replica("a"), replica("b")],
        ca_secret: Some(bundle.pem().to_owned()),
    };
    let guard = Guard {
        policy: json!({"metadata": {"name": "gitvolume-guard"}}),
        actions: Some(vec![vec!["Deny".to_owned()]]),
    };
    let mut known = Known::default();
    for name in ["default", "gitvolume-system", "kube-system", "shop"] {
        known.add_namespace(&namespace(name, &json!({})));
    }
    Facts {
        now: now(),
        minute_ago: "2026-03-01T11:59:00Z".to_owned(),
        hour_ago: "2026-03-01T11:00:00Z".to_owned(),
        own_version: "1.0.0".to_owned(),
        installs: Some(vec![install]),
        caches: vec![cache::healthy(&bundle)],
        others: vec![json!({
            "metadata": {"name": "a-mesh"}, "webhooks": [entry("a.mesh.example", &bundle)],
        })],
        trial: Some(Trial::Admitted(Some((
            "1.0.0".to_owned(),
            "c0ffee".to_owned(),
        )))),
        guards: Some(vec![guard]),
        objects: vec![judged(2, "True", "True")],
        known,
        nodes: vec![Node {
            name: "n".to_owned(),
            os: "linux".to_owned(),
            kubelet: "v1.33.2+k3s1".to_owned(),
        }],
        pods: vec![pod("web-1"), pod("web-2")],
        secrets: vec![SecretFact {
            namespace: "shop".to_owned(),
            name: "git".to_owned(),
            pod: "web-1".to_owned(),
            keys: Some(vec!["ssh".to_owned(), "known_hosts".to_owned()]),
        }],
        ..Facts::default()
    }
}

pub(super) fn namespace(name: &str, labels: &Value) -> Value {
    let mut labels = labels.clone();
    labels["kubernetes.io/metadata.name"] = json!(name);
    json!({"metadata": {"name": name, "labels": labels}})
}
