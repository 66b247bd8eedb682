//! The life cycle of the CA in a cluster, against an API server of two objects that checks versions
//! as the real one does. The same against a real kube-apiserver is in the workspace's `tests`.

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

/// Starts the task that a replica runs.
fn kept(server: &ApiServer, serving: &Arc<Serving>) -> JoinHandle<Infallible> {
    kept_for(server, serving, Lifetimes::default())
}

fn kept_for(
    server: &ApiServer,
    serving: &Arc<Serving>,
    lifetimes: Lifetimes,
) -> JoinHandle<Infallible> {
    tokio::spawn(keep_in_cluster(
        Arc::clone(serving),
        server.cluster(),
        Names::service("gitvolume", "ns"),
        lifetimes,
    ))
}

/// Starts a replica whose news reach the API servers within a second; waits until it is ready.
async fn ready_soon(server: &ApiServer) -> (Arc<Serving>, JoinHandle<Infallible>) {
    let serving = Serving::new();
    let lifetimes = Lifetimes {
        propagation: Duration::from_secs(1),
        ..Lifetimes::default()
    };
    let task = kept_for(server, &serving, lifetimes);
    eventually("ready", || serving.missing(SystemTime::now()).is_empty()).await;
    (serving, task)
}

/// Changes the Secret as kubectl does.
fn change(server: &ApiServer, edit: impl FnOnce(&mut Value)) {
    let mut objects = server.objects();
    objects.version += 1;
    let version = objects.version.to_string();
    edit(&mut objects.secret);
    objects.secret["metadata"]["resourceVersion"] = json!(version);
}

/// Puts a CA into the Secret, as another replica does.
fn put_ca(server: &ApiServer, ca: &Bundle) {
    let text = |text: &str| {
        serde_json::to_value(k8s_openapi::ByteString(text.as_bytes().to_vec())).unwrap()
    };
    let mut objects = server.objects();
    objects.secret["data"] = json!({"ca.crt": text(ca.pem()), "ca.key": text(&ca.key_pem())});
    objects.secret["metadata"]["resourceVersion"] = json!("100");
    objects.version = 100;
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

    // While the API server is unreachable, the last known state stays in force.
    server.objects().reachable = false;
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(serving.missing(SystemTime::now()).is_empty());
    task.abort();
}

#[tokio::test]
async fn a_changed_ca_is_adopted_and_stays_trusted_all_the_time() {
    let server = ApiServer::new();
    let serving = Serving::new();
    let task = kept(&server, &serving);
    eventually("ready", || serving.missing(SystemTime::now()).is_empty()).await;

    let next = Bundle::generate(SystemTime::now()).unwrap();
    put_ca(&server, &next);
    let signed_by_next = |leaf: &Leaf| leaf.signer() == next.signer();
    eventually("the new CA signs", || {
        serving.leaf().is_some_and(|leaf| signed_by_next(&leaf))
    })
    .await;
    assert!(serving.missing(SystemTime::now()).is_empty());
    task.abort();
}

/// The commands of docs/certificates.md, "Stolen CA key", with a short propagation time.
#[tokio::test]
async fn a_stolen_ca_is_trusted_no_longer_once_the_documented_procedure_ends() {
    let server = ApiServer::new();
    let (serving, task) = ready_soon(&server).await;
    let stolen = serving.leaf().unwrap().signer().clone();

    // kubectl annotate secret gitvolume-ca gitvolume.dev/rotate-ca=now
    change(&server, |secret| {
        secret["metadata"]["annotations"]["gitvolume.dev/rotate-ca"] = json!("now");
    });
    // The Secret has no annotation and no `next.crt`, but `previous.until`.
    eventually("the next CA signs", || {
        let secret = server.objects().secret.clone();
        secret["metadata"]["annotations"]["gitvolume.dev/rotate-ca"].is_null()
            && secret["data"]["next.crt"].is_null()
            && secret["data"]["previous.until"].is_string()
    })
    .await;
    eventually("every replica has a certificate of the next CA", || {
        serving.leaf().is_some_and(|leaf| *leaf.signer() != stolen)
    })
    .await;
    assert_eq!(server.trusted(), 2);
    // kubectl patch secret gitvolume-ca --patch='{"stringData":{"previous.until":"1970-…"}}'
    change(&server, |secret| {
        let until = k8s_openapi::ByteString(b"1970-01-01T00:00:00Z".to_vec());
        secret["data"]["previous.until"] = serde_json::to_value(until).unwrap();
    });
    eventually("one CA is trusted", || server.trusted() == 1).await;
    assert!(serving.missing(SystemTime::now()).is_empty());
    assert!(*serving.leaf().unwrap().signer() != stolen);
    task.abort();
}

#[tokio::test]
async fn a_replica_that_starts_after_the_ca_has_ended_publishes_the_next_one() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let server = ApiServer::new();
    let long_ago = SystemTime::now() - 400 * DAY;
    let ended = Bundle::generate_for(long_ago, 365 * DAY).unwrap();
    put_ca(&server, &ended);
    let (serving, task) = ready_soon(&server).await;
    assert!(serving.leaf().unwrap().signer() != ended.signer());
    eventually("the trouble is over", || serving.warnings().is_empty()).await;
    task.abort();
}

#[tokio::test]
async fn a_secret_with_other_content_is_never_overwritten() {
    let server = ApiServer::new();
    server.objects().secret["data"] = json!({"ca.crt": "bm90IGEgY2VydGlmaWNhdGU="});
    let serving = Serving::new();
    let task = kept(&server, &serving);
    eventually("told", || !serving.warnings().is_empty()).await;
    assert_eq!(
        serving.warnings(),
        [
            "cannot renew the certificates: Secret ca contains no usable CA (delete its data, and the webhook generates a new CA): there is no certificate"
        ]
    );
    assert_eq!(
        serving.missing(SystemTime::now()),
        ["no serving certificate yet"]
    );
    task.abort();
    assert!(server.objects().writes.is_empty());
}
