//! The real server inside the test's process, and a client that trusts only its CA.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use certs::Bundle;
use certs::Leaf;
use certs::Names;
use certs::Published;
use certs::Serving;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::Request;
use hyper::StatusCode;
use hyper::client::conn::http1;
use hyper::client::conn::http1::SendRequest;
use hyper::header::HeaderMap;
use hyper::header::HeaderName;
use hyper_util::rt::TokioIo;
use inject::Settings;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::ServerName;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use webhook::cluster::known::Known;
use webhook::cluster::namespaces::Namespaces;
use webhook::server;
use webhook::server::Config;
use webhook::server::Limits;
use webhook::server::Listen;
use webhook::server::Running;
use webhook::server::judge::Injector;
use webhook::server::judge::Judge;

/// The syncer's image in the settings.
const IMAGE: &str = "registry.example/syncer:1";

pub(crate) struct World {
    pub(crate) running: Running,
    pub(crate) serving: Arc<Serving>,
    pub(crate) bundle: Bundle,
}

pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answered {
    pub(crate) fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_slice(&self.body).context("the answer is no JSON")
    }

    /// The text of the patch in the answer.
    pub(crate) fn patch(&self) -> anyhow::Result<String> {
        let answer = self.json()?;
        let patch = answer["response"]["patch"].as_str().unwrap_or_default();
        Ok(String::from_utf8(BASE64_STANDARD.decode(patch)?)?)
    }

    pub(crate) fn closes(&self) -> bool {
        self.headers
            .get("connection")
            .is_some_and(|value| value == "close")
    }

    pub(crate) fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

pub(crate) type Client = SendRequest<Full<Bytes>>;

pub(crate) async fn world() -> anyhow::Result<World> {
    world_that_knows(Known::only(Settings::new(IMAGE))).await
}

/// A server with these namespaces.
pub(crate) async fn world_where(namespaces: Arc<Namespaces>) -> anyhow::Result<World> {
    let known = Known {
        namespaces,
        ..Known::only(Settings::new(IMAGE))
    };
    world_that_knows(known).await
}

/// A server with this state.
pub(crate) async fn world_that_knows(known: Known) -> anyhow::Result<World> {
    let injector = Injector::new(known.clone());
    start(Limits::default(), known, Arc::new(injector)).await
}

pub(crate) async fn world_with(limits: Limits, judge: Arc<dyn Judge>) -> anyhow::Result<World> {
    start(limits, Known::only(Settings::new(IMAGE)), judge).await
}

async fn start(limits: Limits, known: Known, judge: Arc<dyn Judge>) -> anyhow::Result<World> {
    let bundle = Bundle::generate(SystemTime::now())?;
    let serving = Serving::new();
    serving.set_published(Published::NotNeeded);
    serving.set_leaf(Leaf::issue(&bundle, &Names::local(), SystemTime::now())?);
    let listen: Listen = "127.0.0.1:0".parse()?;
    let config = Config {
        listen,
        admin_listen: listen,
        limits,
    };
    let running = server::start(config, Arc::clone(&serving), known, judge).await?;
    Ok(World {
        running,
        serving,
        bundle,
    })
}

impl World {
    pub(crate) async fn connect(&self) -> anyhow::Result<TlsStream<TcpStream>> {
        connect(self.running.address(), &self.bundle).await
    }

    pub(crate) async fn client(&self) -> anyhow::Result<Client> {
        handshake(self.connect().await?).await
    }

    pub(crate) async fn admin(&self, path: &str) -> anyhow::Result<Answered> {
        let stream = TcpStream::connect(self.running.admin_address()).await?;
        let mut client = handshake(stream).await?;
        let request = Request::get(path).header("host", "admin");
        send(&mut client, request.body(Full::default())?).await
    }
}

pub(crate) async fn connect(
    address: SocketAddr,
    trusted: &Bundle,
) -> anyhow::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    for certificate in trusted.certificates() {
        roots.add(certificate.clone())?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::from(address.ip());
    Ok(TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?)
}

pub(crate) async fn handshake<T>(stream: T) -> anyhow::Result<Client>
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (client, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(client)
}

pub(crate) async fn post(client: &mut Client, body: impl Into<Bytes>) -> anyhow::Result<Answered> {
    post_to(client, "/mutate", body).await
}

pub(crate) async fn post_to(
    client: &mut Client,
    path: &str,
    body: impl Into<Bytes>,
) -> anyhow::Result<Answered> {
    let request = Request::post(format!("{path}?timeout=5s"))
        .header("host", "gitvolume.gitvolume-system.svc")
        .header("content-type", "application/json");
    send(client, request.body(Full::new(body.into()))?).await
}

async fn send(client: &mut Client, request: Request<Full<Bytes>>) -> anyhow::Result<Answered> {
    client.ready().await?;
    let (head, body) = client.send_request(request).await?.into_parts();
    Ok(Answered {
        status: head.status,
        headers: head.headers,
        body: body.collect().await?.to_bytes(),
    })
}

/// A review as the API server sends it, for a Pod with these annotations.
pub(crate) fn review(annotations: &Value) -> Vec<u8> {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "0b4b6b4e-5f3e-4c1e-9d3b-7f3f0a3a0001",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": "shop",
            "operation": "CREATE",
            "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller"},
            "object": {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "generateName": "web-5d9c7b8f4-", "namespace": "shop",
                    "creationTimestamp": null, "annotations": annotations,
                },
                "spec": {
                    "containers": [{
                        "name": "nginx", "image": "nginx:1.29",
                        "volumeMounts": [{
                            "name": "kube-api-access", "readOnly": true,
                            "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
                        }],
                        "aFieldOfTomorrow": {"kept": true},
                    }],
                    "volumes": [{"name": "kube-api-access", "projected": {"sources": []}}],
                },
            },
            "oldObject": null,
            "dryRun": false,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
        },
    })
    .to_string()
    .into_bytes()
}

pub(crate) fn good_review() -> Vec<u8> {
    review(&json!({
        "gitvolume.dev/repo": "https://git.example/site.git",
        "gitvolume.dev/mount-path": "/usr/share/nginx/html",
    }))
}

/// Repeats a check until it holds.
#[allow(unused_macros, reason = "each test program uses a part")]
macro_rules! eventually {
    ($holds:expr) => {
        tokio::time::timeout(std::time::Duration::from_secs(60), async {
            loop {
                if $holds {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            anyhow::Ok(())
        })
        .await
        .map_err(|_| anyhow::anyhow!("never: {}", stringify!($holds)))??
    };
}
#[allow(unused_imports, reason = "each test program uses a part")]
pub(crate) use eventually;
