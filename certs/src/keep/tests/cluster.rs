//! The CA's life in a cluster, against an API server of two objects that checks versions as the
//! real one does. The same against a real kube-apiserver is in the workspace's `tests`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use serde_json::Value;
use serde_json::json;
use tokio::task::JoinHandle;

use super::api_server::ApiServer;
use crate::Bundle;
use crate::Leaf;
use crate::Lifetimes;
use crate::Names;
use crate::Serving;
use crate::keep_in_cluster;

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..400 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not within 20 s: {what}");
}

/// Keeps it as a replica does.
fn kept(server: &ApiServer, serving: &Arc<Serving>) -> JoinHandle<Infallible> {
    tokio::spawn(keep_in_cluster(
        Arc::clone(serving),
        server.cluster(),
        Names::service("gitvolume", "ns"),
        Lifetimes::default(),
    ))
}

#[tokio::test]
async fn a_ca_bundle_is_written_once_and_repaired_when_it_is_wiped() {
    let server = ApiServer::new();
    let serving = Serving::new();
    assert_eq!(
        serving.missing(SystemTime::now()),
        ["no serving certificate yet"]
    );
    let task = kept(&server, &serving);
    eventually("ready", || serving.missing(SystemTime::now()).is_empty()).await;
    assert_eq!(
        server.objects().writes,
        ["secret", "patch of 2"],
        "both webhooks in one patch"
    );
    let filled = server.ca_bundle(1);
    assert!(filled.is_string());

    let wiped = std::time::Instant::now();
    server.objects().configuration["webhooks"][1]["clientConfig"]["caBundle"] = Value::Null;
    eventually("repaired", || server.ca_bundle(1) == filled).await;
    assert!(wiped.elapsed() < Duration::from_secs(10));
    assert_eq!(
        server.objects().writes.last().unwrap(),
        "patch of 1",
        "only the one that differs"
    );

    // The API server goes away: what was last known counts.
    server.objects().reachable = false;
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(serving.missing(SystemTime::now()).is_empty());
    task.abort();
}

#[tokio::test]
async fn a_changed_ca_is_taken_over_without_a_moment_of_distrust() {
    let server = ApiServer::new();
    let serving = Serving::new();
    let task = kept(&server, &serving);
    eventually("ready", || serving.missing(SystemTime::now()).is_empty()).await;

    let next = Bundle::generate(SystemTime::now()).unwrap();
    {
        let mut objects = server.objects();
        let text = |text: &str| {
            serde_json::to_value(k8s_openapi::ByteString(text.as_bytes().to_vec())).unwrap()
        };
        objects.secret["data"] = json!({
            "ca.crt": text(next.pem()), "ca.key": text(&next.key_pem()),
        });
        objects.secret["metadata"]["resourceVersion"] = json!("100");
        objects.version = 100;
    }
    let signed_by_next = |leaf: &Leaf| leaf.signer() == next.signer();
    eventually("the new CA signs", || {
        serving.leaf().is_some_and(|leaf| signed_by_next(&leaf))
    })
    .await;
    assert!(serving.missing(SystemTime::now()).is_empty());
    task.abort();
}

#[tokio::test]
async fn a_secret_with_something_else_in_it_is_never_overwritten() {
    let server = ApiServer::new();
    server.objects().secret["data"] = json!({"ca.crt": "bm90IGEgY2VydGlmaWNhdGU="});
    let serving = Serving::new();
    let task = kept(&server, &serving);
    eventually("told", || !serving.warnings().is_empty()).await;
    assert_eq!(
        serving.warnings(),
        [
            "certificates cannot be kept current: Secret ca holds no usable CA (delete its \
          data to have a new one made): there is no certificate"
        ]
    );
    assert_eq!(
        serving.missing(SystemTime::now()),
        ["no serving certificate yet"]
    );
    task.abort();
    assert!(server.objects().writes.is_empty());
}
