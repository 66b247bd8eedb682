use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;

use http::Method;
use http::Request;
use http::Response;
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use serde_json::json;

use super::*;

/// An API server of two Secrets that checks versions; a write of a stale version is a conflict.
#[derive(Clone, Default)]
struct ApiServer(Arc<Mutex<BTreeMap<String, Value>>>);

const ROOT: &str = "/api/v1/namespaces/ns/secrets/gitvolume-cache-ca";
const SERVED: &str = "/api/v1/namespaces/ns/secrets/gitvolume-cache-tls";

impl ApiServer {
    /// Both Secrets without data, as the chart creates them.
    fn new() -> Self {
        let server = Self::default();
        for path in [ROOT, SERVED] {
            let (_, name) = path.rsplit_once('/').unwrap();
            let metadata = json!({"name": name, "resourceVersion": "1"});
            let mut secrets = server.0.lock().unwrap();
            secrets.insert(path.to_owned(), json!({"metadata": metadata}));
        }
        server
    }

    fn certificate(&self) -> IssuedCertificate {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { server.answer(request).await }
        });
        let client = Client::new(service, "ns");
        let secret = |name| SharedSecret::new(client.clone(), "ns", name);
        IssuedCertificate {
            ca: secret("gitvolume-cache-ca"),
            leaf: secret("gitvolume-cache-tls"),
            names: Names::service("gitvolume-cache", "ns")
                .and_dns("gitvolume-cache.ns.svc.cluster.local"),
        }
    }

    async fn answer(&self, request: Request<Body>) -> anyhow::Result<Response<Body>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let path = head.uri.path();
        // Lets another replica run between a read and the write that follows it.
        tokio::task::yield_now().await;
        let mut secrets = self.0.lock().unwrap();
        let own = secrets.get_mut(path).unwrap();
        let version = |secret: &Value| secret["metadata"]["resourceVersion"].clone();
        let mut status = 200;
        let mut answer = own.clone();
        if head.method == Method::PUT {
            let mut sent: Value = serde_json::from_slice(&body)?;
            if version(&sent) == version(own) {
                let next = version(own).as_str().unwrap().parse::<u64>()? + 1;
                sent["metadata"]["resourceVersion"] = json!(next.to_string());
                *own = sent.clone();
                answer = sent;
            } else {
                status = 409;
                answer = json!({"kind": "Status", "apiVersion": "v1", "metadata": {},
                    "status": "Failure", "reason": "Conflict", "message": "", "code": 409});
            }
        }
        let body = Body::from(serde_json::to_vec(&answer)?);
        Ok(Response::builder().status(status).body(body)?)
    }

    fn text(&self, path: &str, key: &str) -> String {
        let secrets = self.0.lock().unwrap();
        let value = secrets[path]["data"][key].clone();
        let value: Option<ByteString> = serde_json::from_value(value).unwrap();
        value.map_or_else(String::new, |value| String::from_utf8(value.0).unwrap())
    }

    fn change(&self, path: &str, edit: impl FnOnce(&mut Value)) {
        edit(self.0.lock().unwrap().get_mut(path).unwrap());
    }

    /// The end of the served certificate; fails if a client that trusts `ca` rejects it.
    fn ends(&self, ca: &str, now: SystemTime) -> SystemTime {
        let chain = read_certificates(self.text(SERVED, CERTIFICATE).as_bytes()).unwrap();
        let trusted = read_certificates(ca.as_bytes()).unwrap();
        let names = self.certificate().names;
        let is_accepted = |ca| issue::verify(ca, &chain[0], &names, now).is_ok();
        assert!(trusted.iter().any(is_accepted), "no trusted CA signed it");
        let key = PrivateKeyDer::from_pem_slice(self.text(SERVED, KEY).as_bytes()).unwrap();
        CertifiedKey::from_der(chain.clone(), key, &ring::default_provider()).unwrap();
        crate::bundle::validity(&chain[0]).unwrap().1
    }
}

/// One pass of a replica that has just started, at this time.
async fn pass(server: &ApiServer, now: SystemTime) {
    let certificate = server.certificate();
    let mut keeper = Keeper {
        certificate: &certificate,
        clock: &move || now,
        known: None,
    };
    keeper.reconcile().await.unwrap();
}

#[tokio::test]
async fn an_empty_pair_of_secrets_gets_a_root_of_ten_years_and_a_certificate_of_thirty_days() {
    let server = ApiServer::new();
    let now = SystemTime::now();
    pass(&server, now).await;
    let root = server.text(ROOT, CA);
    assert_eq!(server.text(SERVED, CA), root);
    assert_eq!(
        server.text(SERVED, "ca.key"),
        "",
        "the root's key stays in its Secret"
    );
    let roots = read_certificates(root.as_bytes()).unwrap();
    let (_, ends) = crate::bundle::validity(&roots[0]).unwrap();
    assert!(ends > now + 3649 * DAY && ends < now + 3651 * DAY);
    let ends = server.ends(&root, now);
    assert!(ends > now + 29 * DAY && ends < now + 31 * DAY);
}

#[tokio::test]
async fn a_certificate_is_renewed_at_two_thirds_of_its_lifetime_and_the_root_stays() {
    let server = ApiServer::new();
    let now = SystemTime::now();
    pass(&server, now).await;
    let (root, first) = (server.text(ROOT, CA), server.text(SERVED, CERTIFICATE));
    pass(&server, now + 19 * DAY).await;
    assert_eq!(server.text(SERVED, CERTIFICATE), first, "it is too early");
    pass(&server, now + 21 * DAY).await;
    assert_ne!(server.text(SERVED, CERTIFICATE), first);
    assert_eq!(server.text(ROOT, CA), root);
    server.ends(&root, now + 50 * DAY);
}

#[tokio::test]
async fn a_damaged_certificate_and_one_of_another_key_are_issued_again() {
    let server = ApiServer::new();
    let now = SystemTime::now();
    pass(&server, now).await;
    let root = server.text(ROOT, CA);
    for key in [CERTIFICATE, KEY, CA] {
        for damage in [Value::Null, json!("bm90IFBFTQ==")] {
            server.change(SERVED, |secret| secret["data"][key] = damage.clone());
            pass(&server, now).await;
            server.ends(&root, now);
            assert_eq!(server.text(SERVED, CA), root, "{key} {damage}");
        }
    }
}

#[tokio::test]
async fn two_replicas_that_start_at_once_agree_on_one_root() {
    let server = ApiServer::new();
    let now = SystemTime::now();
    tokio::join!(pass(&server, now), pass(&server, now));
    let root = server.text(ROOT, CA);
    assert_eq!(server.text(SERVED, CA), root);
    server.ends(&root, now);
}

/// A Pod that started with the old root accepts the cache for another year.
#[tokio::test]
async fn the_next_root_is_given_to_new_pods_for_a_year_before_it_signs() {
    let server = ApiServer::new();
    let now = SystemTime::now();
    pass(&server, now).await;
    let old = server.text(ROOT, CA);
    // kubectl annotate secret gitvolume-cache-ca gitvolume.dev/rotate-ca=now
    server.change(ROOT, |secret| {
        secret["metadata"]["annotations"] = json!({"gitvolume.dev/rotate-ca": "now"});
    });
    pass(&server, now + DAY).await;
    let both = server.text(SERVED, CA);
    assert_eq!(both.matches("BEGIN CERTIFICATE").count(), 2);
    server.ends(&old, now + DAY);
    pass(&server, now + 364 * DAY).await;
    server.ends(&old, now + 364 * DAY);
    pass(&server, now + 367 * DAY).await;
    let (next, is_old) = (server.text(ROOT, CA), |pem: &str| pem.starts_with(&old));
    assert!(!is_old(&next), "the next root signs");
    server.ends(&both, now + 367 * DAY);
}

/// The commands of docs/cache.md for a stolen root key.
#[tokio::test]
async fn a_stolen_root_is_replaced_at_once_by_emptying_its_secret_and_restarting_the_webhook() {
    let server = ApiServer::new();
    let now = SystemTime::now();
    pass(&server, now).await;
    let stolen = server.text(ROOT, CA);
    server.change(ROOT, |secret| secret["data"] = Value::Null);
    pass(&server, now).await;
    let next = server.text(ROOT, CA);
    assert!(!next.contains(&stolen));
    assert_eq!(server.text(SERVED, CA), next);
    server.ends(&next, now);
}

#[tokio::test]
async fn a_secret_with_other_content_is_never_overwritten() {
    let server = ApiServer::new();
    server.change(ROOT, |secret| {
        secret["data"] = json!({"ca.crt": "bm90IFBFTQ=="})
    });
    let certificate = server.certificate();
    let mut keeper = Keeper {
        certificate: &certificate,
        clock: &SystemTime::now,
        known: None,
    };
    let error = keeper.reconcile().await.unwrap_err().to_string();
    assert!(
        error.contains("Secret gitvolume-cache-ca contains no usable CA"),
        "{error}"
    );
    assert_eq!(server.text(ROOT, CA), "not PEM");
    assert_eq!(server.text(SERVED, CERTIFICATE), "");
}
