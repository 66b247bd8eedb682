//! The watch of Namespaces, against an API server that lists and watches as the real one does. The
//! same against a real kube-apiserver is in the workspace's `tests`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use axum::Router;
use axum::body::Body;
use axum::extract::RawQuery;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use futures::channel::mpsc;
use futures::channel::mpsc::UnboundedSender;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpListener;
use webhook::cluster::namespaces;
use webhook::cluster::namespaces::Namespaces;

use crate::common::World;
use crate::common::eventually;
use crate::common::good_review;
use crate::common::post;
use crate::common::world_where;

type Chunk = Result<Bytes, io::Error>;

#[derive(Default)]
struct Objects {
    /// Names, each with whether the namespace has a UID range.
    namespaces: Vec<(&'static str, bool)>,
    is_away: bool,
    watches: Vec<UnboundedSender<Chunk>>,
    accepted: Vec<String>,
}

#[derive(Clone)]
struct ApiServer(Arc<Mutex<Objects>>);

impl ApiServer {
    fn with(namespaces: &[(&'static str, bool)]) -> Self {
        Self(Arc::new(Mutex::new(Objects {
            namespaces: namespaces.to_vec(),
            ..Objects::default()
        })))
    }

    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rejects every request from now on, and breaks off those in progress.
    fn leave(&self) {
        let mut objects = self.objects();
        objects.is_away = true;
        for watch in objects.watches.drain(..) {
            let _ = watch.unbounded_send(Err(io::Error::other("cut")));
        }
    }

    fn tell(&self, kind: &str, name: &str, has_uid_range: bool) {
        let event = json!({"type": kind, "object": namespace(name, has_uid_range)});
        for watch in &self.objects().watches {
            let _ = watch.unbounded_send(Ok(format!("{event}\n").into()));
        }
    }

    /// Starts a webhook that watches this API server.
    async fn watched(&self) -> anyhow::Result<World> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address: SocketAddr = listener.local_addr()?;
        let router = Router::new()
            .route("/api/v1/namespaces", get(answer))
            .with_state(self.clone());
        tokio::spawn(async { axum::serve(listener, router).await });
        let mut config = kube::Config::new(format!("http://{address}").parse()?);
        config.default_retry = false;
        let known = Namespaces::watched();
        tokio::spawn(namespaces::watch::watch(
            Arc::clone(&known),
            kube::Client::try_from(config)?,
        ));
        world_where(known).await
    }
}

async fn answer(
    State(server): State<ApiServer>,
    RawQuery(query): RawQuery,
    headers: axum::http::HeaderMap,
) -> Response {
    let mut objects = server.objects();
    if objects.is_away {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let accept = headers.get("accept").and_then(|value| value.to_str().ok());
    objects.accepted.push(accept.unwrap_or_default().to_owned());
    if query.unwrap_or_default().contains("watch=true") {
        let (sender, receiver) = mpsc::unbounded();
        objects.watches.push(sender);
        return Body::from_stream(receiver).into_response();
    }
    let items: Vec<Value> = objects
        .namespaces
        .iter()
        .map(|(name, has_uid_range)| namespace(name, *has_uid_range))
        .collect();
    let list = json!({
        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList",
        "metadata": {"resourceVersion": "7"}, "items": items,
    });
    list.to_string().into_response()
}

fn namespace(name: &str, has_uid_range: bool) -> Value {
    let annotations = match has_uid_range {
        true => json!({"openshift.io/sa.scc.uid-range": "1000680000/10000"}),
        false => json!({"kubectl.kubernetes.io/last-applied-configuration": "{}"}),
    };
    json!({
        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
        "metadata": {"name": name, "resourceVersion": "8", "annotations": annotations},
    })
}

/// Whether the webhook sets a user for the syncer in a Pod of the namespace `shop`.
async fn gets_a_user(world: &World) -> anyhow::Result<bool> {
    let answered = post(&mut world.client().await?, good_review()).await?;
    let patch = answered.patch()?;
    anyhow::ensure!(patch.contains("runAsNonRoot"), "no syncer: {patch}");
    Ok(patch.contains("runAsUser"))
}

async fn readiness(world: &World) -> anyhow::Result<String> {
    let body = world.admin("/readyz").await?.body;
    // The lines after the first are about the certificate.
    let first = String::from_utf8_lossy(&body);
    Ok(first.lines().next().unwrap_or_default().to_owned())
}

async fn metric(world: &World, name: &str) -> anyhow::Result<f64> {
    let body = world.admin("/metrics").await?.body;
    let text = String::from_utf8_lossy(&body).into_owned();
    let name = format!("gitvolume_webhook_{name} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&name));
    let value = value.ok_or_else(|| anyhow::anyhow!("no {name}in {text}"))?;
    Ok(value.parse()?)
}

#[tokio::test]
async fn a_replica_is_ready_once_the_namespaces_are_listed_and_stays_ready_without_the_watch()
-> anyhow::Result<()> {
    let server = ApiServer::with(&[("default", false), ("shop", true)]);
    server.leave();
    let world = server.watched().await?;
    eventually!(metric(&world, "namespaces_stale_seconds").await? > 0.0);
    let missing = "not ready: the namespaces are not listed yet";
    assert_eq!(readiness(&world).await?, missing);

    server.objects().is_away = false;
    eventually!(readiness(&world).await? == "ok");
    assert!(!gets_a_user(&world).await?);
    assert_eq!(metric(&world, "namespaces_stale_seconds").await?, 0.0);
    assert_eq!(metric(&world, "namespaces_with_user_ranges").await?, 1.0);

    eventually!(!server.objects().watches.is_empty());
    server.leave();
    eventually!(metric(&world, "namespaces_stale_seconds").await? > 0.0);
    assert_eq!(readiness(&world).await?, "ok");
    assert!(!gets_a_user(&world).await?, "what was known counts");

    {
        let mut objects = server.objects();
        objects.namespaces = vec![("shop", false)];
        objects.is_away = false;
    }
    eventually!(gets_a_user(&world).await?);
    assert_eq!(metric(&world, "namespaces_stale_seconds").await?, 0.0);
    Ok(())
}

#[tokio::test]
async fn a_changed_namespace_takes_effect() -> anyhow::Result<()> {
    let server = ApiServer::with(&[("default", true)]);
    let world = server.watched().await?;
    eventually!(readiness(&world).await? == "ok");
    assert!(gets_a_user(&world).await?);
    eventually!(!server.objects().watches.is_empty());
    server.tell("ADDED", "shop", false);
    server.tell("MODIFIED", "shop", true);
    eventually!(!gets_a_user(&world).await?);
    server.tell("MODIFIED", "shop", false);
    eventually!(gets_a_user(&world).await?);
    server.tell("MODIFIED", "shop", true);
    eventually!(!gets_a_user(&world).await?);
    server.tell("DELETED", "shop", true);
    eventually!(gets_a_user(&world).await?);
    assert_eq!(metric(&world, "namespaces_with_user_ranges").await?, 1.0);
    Ok(())
}

#[tokio::test]
async fn only_the_metadata_is_requested() -> anyhow::Result<()> {
    let server = ApiServer::with(&[]);
    let world = server.watched().await?;
    eventually!(readiness(&world).await? == "ok");
    eventually!(!server.objects().watches.is_empty());
    for accepted in &server.objects().accepted {
        assert!(accepted.contains("as=PartialObjectMetadata"), "{accepted}");
    }
    Ok(())
}
