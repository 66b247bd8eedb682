use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::time::SystemTime;

use http::Method;
use http::Request;
use http::Response;
use http_body_util::BodyExt;
use json_patch::PatchOperation;
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use serde_json::json;

use crate::Cluster;

const SECRET: &str = "/api/v1/namespaces/ns/secrets/ca";
const CONFIGURATION: &str =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/ours";

/// The objects of the API server, and the calls that it has received.
pub(super) struct Objects {
    pub(super) secret: Value,
    pub(super) configuration: Value,
    pub(super) version: u64,
    pub(super) writes: Vec<String>,
    pub(super) conflicts: u32,
    pub(super) reachable: bool,
    /// The server's time, for the history.
    pub(super) now: SystemTime,
    /// Every caBundle of the second webhook, with the time from which it was in force.
    pub(super) history: Vec<(SystemTime, Value)>,
    /// Random order in which calls of several clients interleave.
    pub(super) chance: fastrand::Rng,
}

/// The number of further calls after which a client dies.
#[derive(Clone, Copy)]
pub(super) struct Death {
    pub(super) calls: u32,
    /// Whether the last call is executed and only its answer is lost.
    pub(super) is_done: bool,
}

/// An API server of one Secret and one webhook configuration.
#[derive(Clone)]
pub(super) struct ApiServer(Arc<Mutex<Objects>>);

impl ApiServer {
    pub(super) fn new() -> Self {
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
            now: SystemTime::UNIX_EPOCH,
            history: Vec::new(),
            chance: fastrand::Rng::with_seed(0),
        })))
    }

    /// The number of certificates in the caBundle of the first webhook.
    pub(super) fn trusted(&self) -> usize {
        let bundle = self.ca_bundle(0);
        let pem: Option<k8s_openapi::ByteString> = serde_json::from_value(bundle).unwrap();
        let pem = String::from_utf8(pem.unwrap().0).unwrap();
        pem.matches("-----BEGIN CERTIFICATE-----").count()
    }

    /// A client of this server.
    pub(super) fn cluster(&self) -> Cluster {
        self.mortal_cluster(Arc::default())
    }

    /// A client of this server that dies.
    pub(super) fn mortal_cluster(&self, death: Arc<Mutex<Option<Death>>>) -> Cluster {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            let death = Arc::clone(&death);
            async move {
                // Lets other replicas run between a read and the write that follows it.
                let others = server.objects().chance.u32(0..4);
                for _ in 0..others {
                    tokio::task::yield_now().await;
                }
                let is_last = match &mut *death.lock().expect("no panic holds it") {
                    None => false,
                    Some(Death { calls: 0, .. }) => anyhow::bail!("it is dead"),
                    Some(death) => {
                        death.calls -= 1;
                        anyhow::ensure!(death.calls > 0 || death.is_done, "it dies");
                        death.calls == 0
                    }
                };
                let answer = server.answer(request).await;
                anyhow::ensure!(!is_last, "it dies and hears no answer");
                answer
            }
        });
        Cluster::new(Client::new(service, "ns"), "ns", "ca", "ours")
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
                        let bundle =
                            &objects.configuration["webhooks"][1]["clientConfig"]["caBundle"];
                        objects.history.push((objects.now, bundle.clone()));
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

    pub(super) fn objects(&self) -> MutexGuard<'_, Objects> {
        self.0
            .lock()
            .expect("no test panics while it holds the lock")
    }

    pub(super) fn ca_bundle(&self, webhook: usize) -> Value {
        let objects = self.objects();
        objects.configuration["webhooks"][webhook]["clientConfig"]["caBundle"].clone()
    }
}

fn failure(code: u16, reason: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": reason, "reason": reason, "code": code})
}
