//! The CA's life in a cluster, against an API server of two objects that checks versions as the
//! real one does. The same against a real kube-apiserver is in the workspace's `tests`.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::time::Duration;
use std::time::SystemTime;

use certs::Bundle;
use certs::Cluster;
use certs::Leaf;
use certs::Lifetimes;
use certs::Names;
use certs::Serving;
use certs::keep_in_cluster;
use http::Method;
use http::Request;
use http::Response;
use http_body_util::BodyExt;
use json_patch::PatchOperation;
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use serde_json::json;

const SECRET: &str = "/api/v1/namespaces/ns/secrets/ca";
const CONFIGURATION: &str =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/ours";

struct Objects {
    secret: Value,
    configuration: Value,
    version: u64,
    writes: Vec<String>,
    conflicts: u32,
    reachable: bool,
}

#[derive(Clone)]
struct ApiServer(Arc<Mutex<Objects>>);

impl ApiServer {
    fn new() -> Self {
        let webhook = |name: &str| {
            json!({
                "name": name, "sideEffects": "None", "admissionReviewVersions": ["v1"],
                "clientConfig": {"service": {"name": "gitvolume", "namespace": "ns"}},
            })
        };
        Self(Arc::new(Mutex::new(Objects {
            secret: json!({"metadata": {"name": "ca", "resourceVersion": "1"}}),
            configuration: json!({
                "metadata": {"name": "ours", "resourceVersion": "1"},
                "webhooks": [webhook("a.gitvolume.dev"), webhook("b.gitvolume.dev")],
            }),
            version: 1,
            writes: Vec::new(),
            conflicts: 0,
            reachable: true,
        })))
    }

    fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                // Lets a second replica in between a read and the write that follows it.
                tokio::time::sleep(Duration::from_millis(20)).await;
                server.answer(request).await
            }
        });
        Client::new(service, "ns")
    }

    fn cluster(&self) -> Cluster {
        Cluster::new(self.client(), "ns", "ca", "ours")
    }

    async fn answer(&self, request: Request<Body>) -> anyhow::Result<Response<Body>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let mut objects = self.objects();
        anyhow::ensure!(objects.reachable, "connection refused");
        let objects = &mut *objects;
        let next = objects.version + 1;
        let (status, answer) = match (head.method, head.uri.path()) {
            (Method::GET, SECRET) => (200, objects.secret.clone()),
            (Method::GET, CONFIGURATION) => (200, objects.configuration.clone()),
            (Method::PUT, SECRET) => {
                let mut sent: Value = serde_json::from_slice(&body)?;
                let version = "/metadata/resourceVersion";
                if sent.pointer(version) == objects.secret.pointer(version) {
                    sent["metadata"]["resourceVersion"] = json!(next.to_string());
                    objects.version = next;
                    objects.secret = sent.clone();
                    objects.writes.push("secret".to_owned());
                    (200, sent)
                } else {
                    objects.conflicts += 1;
                    (409, failure(409, "Conflict"))
                }
            }
            (Method::PATCH, CONFIGURATION) => {
                let query = head.uri.query().unwrap_or_default();
                anyhow::ensure!(query.contains("fieldManager=gitvolume-certs"), "{query}");
                let patch: json_patch::Patch = serde_json::from_slice(&body)?;
                match json_patch::patch(&mut objects.configuration, &patch) {
                    Ok(()) => {
                        objects.version = next;
                        objects.configuration["metadata"]["resourceVersion"] =
                            json!(next.to_string());
                        let adds = patch.0.iter();
                        let adds = adds.filter(|op| matches!(op, PatchOperation::Add(_)));
                        objects.writes.push(format!("patch of {}", adds.count()));
                        (200, objects.configuration.clone())
                    }
                    Err(_) => (422, failure(422, "Invalid")),
                }
            }
            (_, path) => (404, failure(404, path)),
        };
        let body = Body::from(serde_json::to_vec(&answer)?);
        Ok(Response::builder().status(status).body(body)?)
    }

    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.0
            .lock()
            .expect("no test panics while it holds the lock")
    }

    fn ca_bundle(&self, webhook: usize) -> Value {
        let objects = self.objects();
        objects.configuration["webhooks"][webhook]["clientConfig"]["caBundle"].clone()
    }
}

fn failure(code: u16, reason: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": reason, "reason": reason, "code": code})
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..400 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not within 20 s: {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_start_together_converge_on_one_ca() {
    let server = ApiServer::new();
    let names = Names::service("gitvolume", "ns");
    let replicas: Vec<Arc<Serving>> = (0..5).map(|_| Serving::new()).collect();
    let tasks: Vec<_> = replicas
        .iter()
        .map(|serving| {
            let keep = keep_in_cluster(
                Arc::clone(serving),
                server.cluster(),
                names.clone(),
                Lifetimes::default(),
            );
            tokio::spawn(keep)
        })
        .collect();
    let is_ready = |serving: &Arc<Serving>| serving.missing(SystemTime::now()).is_empty();
    eventually("all ready", || replicas.iter().all(is_ready)).await;
    tasks.iter().for_each(|task| task.abort());
    let mut signers: Vec<_> = replicas
        .iter()
        .map(|serving| serving.leaf().unwrap().signer().clone())
        .collect();
    signers.dedup();
    assert_eq!(signers.len(), 1, "every replica has the same CA");
    let objects = server.objects();
    let secrets = objects.writes.iter().filter(|write| *write == "secret");
    assert_eq!(secrets.count(), 1);
    assert!(objects.conflicts > 0, "the race was real");
}

#[tokio::test]
async fn a_ca_bundle_is_written_once_and_repaired_when_it_is_wiped() {
    let server = ApiServer::new();
    let serving = Serving::new();
    assert_eq!(
        serving.missing(SystemTime::now()),
        ["no serving certificate yet"]
    );
    let names = Names::service("gitvolume", "ns");
    let task = tokio::spawn(keep_in_cluster(
        Arc::clone(&serving),
        server.cluster(),
        names,
        Lifetimes::default(),
    ));
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
    let names = Names::service("gitvolume", "ns");
    let task = tokio::spawn(keep_in_cluster(
        Arc::clone(&serving),
        server.cluster(),
        names,
        Lifetimes::default(),
    ));
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
    let task = tokio::spawn(keep_in_cluster(
        Arc::clone(&serving),
        server.cluster(),
        Names::service("gitvolume", "ns"),
        Lifetimes::default(),
    ));
    eventually("told", || !serving.notes().is_empty()).await;
    assert_eq!(
        serving.notes(),
        [
            "warning: certificates cannot be kept current: Secret ca holds no usable CA (delete its \
          data to have a new one made): there is no CA certificate"
        ]
    );
    assert_eq!(
        serving.missing(SystemTime::now()),
        ["no serving certificate yet"]
    );
    task.abort();
    assert!(server.objects().writes.is_empty());
}
