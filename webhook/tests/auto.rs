//! The path of auto-injection: a call of it proves that the namespace is covered. The same against
//! a real API server is in the workspace's `tests`.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::RawQuery;
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::StatusCode;
use inject::Kind;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpListener;
use webhook::cluster::coverage::AutoInjection;
use webhook::cluster::coverage::Coverage;
use webhook::cluster::namespaces;
use webhook::cluster::namespaces::Namespaces;
use webhook::cluster::objects;

use crate::common::World;
use crate::common::eventually;
use crate::common::post_to;
use crate::common::review;
use crate::common::world_where;

/// A cluster with the namespace `shop` and its GitVolume `site`, both watched.
struct Cluster {
    client: kube::Client,
    known: Arc<Namespaces>,
    world: World,
}

fn route(items: Value) -> axum::routing::MethodRouter {
    get(move |RawQuery(query): RawQuery| {
        let items = items.clone();
        async move {
            if query.unwrap_or_default().contains("watch=true") {
                let silence = futures::stream::pending::<Result<Vec<u8>, std::io::Error>>();
                return Body::from_stream(silence).into_response();
            }
            let list = json!({"metadata": {"resourceVersion": "7"}, "items": items});
            list.to_string().into_response()
        }
    })
}

impl Cluster {
    async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let metadata = |namespace: Value, name: &str| json!({"name": name, "namespace": namespace, "resourceVersion": "8"});
        let site = json!({
            "metadata": metadata(json!("shop"), "site"),
            "spec": {"repo": "https://git.example/site.git", "podSelector": {}},
        });
        let shop = json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
            "metadata": metadata(Value::Null, "shop"),
        });
        let api = "/apis/gitvolume.dev/v1alpha1";
        let router = Router::new()
            .route("/api/v1/namespaces", route(json!([shop])))
            .route(&format!("{api}/gitvolumes"), route(json!([site])))
            .route(&format!("{api}/clustergitvolumes"), route(json!([])));
        tokio::spawn(async { axum::serve(listener, router).await });
        let mut config = kube::Config::new(format!("http://{address}").parse()?);
        config.default_retry = false;
        let client = kube::Client::try_from(config)?;
        let known = Namespaces::with_objects();
        for kind in Kind::ALL {
            tokio::spawn(objects::watch(Arc::clone(&known), kind, client.clone()));
        }
        let world = world_where(Arc::clone(&known)).await?;
        Ok(Self {
            client,
            known,
            world,
        })
    }

    /// Reports the namespace to the webhook, as a covered one.
    async fn watch_namespaces(&self) -> anyhow::Result<()> {
        let watch = namespaces::watch::watch(Arc::clone(&self.known), self.client.clone());
        tokio::spawn(watch);
        eventually!(self.known.missing().is_none());
        Ok(())
    }

    fn cover(&self) {
        let everywhere = AutoInjection::Registered(Coverage::default());
        self.known.set_auto_injection(everywhere);
    }
}

fn patched(review: &[u8], patch: &str) -> anyhow::Result<Vec<u8>> {
    let mut review: Value = serde_json::from_slice(review)?;
    let patch: json_patch::Patch = serde_json::from_str(patch)?;
    json_patch::patch(&mut review["request"]["object"], &patch)?;
    Ok(review.to_string().into_bytes())
}

#[tokio::test]
async fn a_pod_gets_its_objects_and_annotations_by_one_call_and_the_other_entry_changes_nothing()
-> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    cluster.watch_namespaces().await?;
    let mut client = cluster.world.client().await?;
    // The object sets the address, the Pod the branch. The registration is not known here, so the
    // path alone makes the namespace a covered one.
    let annotated = review(&json!({"gitvolume.dev/site.ref": "refs/heads/release"}));
    let answered = post_to(&mut client, "/mutate/auto", annotated.clone()).await?;
    assert_eq!(answered.status, StatusCode::OK);
    let patch = answered.patch()?;
    assert!(patch.contains("https://git.example/site.git"), "{patch}");
    assert!(patch.contains("refs/heads/release"), "{patch}");
    assert!(patch.contains("gitvolume.dev~1injected"), "{patch}");
    let injected = patched(&annotated, &patch)?;

    for is_auto_injected in [false, true] {
        if is_auto_injected {
            cluster.cover();
        }
        for path in ["/mutate", "/mutate/auto"] {
            let again = post_to(&mut client, path, injected.clone()).await?;
            assert_eq!(again.status, StatusCode::OK);
            let response = &again.json()?["response"];
            assert_eq!(response["allowed"], true, "{path}");
            assert!(response["patch"].is_null(), "{path}: {response}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn without_an_answer_of_auto_injection_no_mistake_is_reported() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    cluster.watch_namespaces().await?;
    let mut client = cluster.world.client().await?;
    let annotated = review(&json!({"gitvolume.dev/site.ref": "refs/heads/release"}));
    let answered = post_to(&mut client, "/mutate", annotated.clone()).await?;
    let status = &answered.json()?["response"]["status"];
    assert_eq!(status["code"], 422, "the namespace is not covered");

    cluster.cover();
    let answered = post_to(&mut client, "/mutate", annotated).await?;
    assert_eq!(answered.status, StatusCode::INTERNAL_SERVER_ERROR);
    let text = String::from_utf8_lossy(&answered.body).into_owned();
    assert!(
        text.contains("auto.gitvolume.dev has not handled it"),
        "{text}"
    );
    // A Pod that needs no object is answered as usual: the object and the annotations are two
    // repositories.
    let alone = review(&json!({"gitvolume.dev/inject": "false"}));
    let answered = post_to(&mut client, "/mutate", alone).await?;
    assert_eq!(answered.status, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn a_call_waits_at_most_a_second_for_a_namespace_that_the_watch_has_not_reported()
-> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let mut client = cluster.world.client().await?;
    let plain = review(&json!({}));
    let begun = Instant::now();
    let answered = post_to(&mut client, "/mutate/auto", plain.clone()).await?;
    let took = begun.elapsed();
    assert_eq!(answered.status, StatusCode::INTERNAL_SERVER_ERROR);
    let text = String::from_utf8_lossy(&answered.body).into_owned();
    assert!(text.contains("namespace shop"), "{text}");
    assert!(took >= Duration::from_secs(1), "{took:?}");

    // A Pod that no object can affect does not wait.
    let own = review(&json!({"gitvolume.dev/repo": "https://git.example/x.git"}));
    let answered = post_to(&mut client, "/mutate", own).await?;
    assert_eq!(answered.status, StatusCode::OK);
    let named = review(&json!({"gitvolume.dev/use": "site"}));
    let answered = post_to(&mut client, "/mutate", named).await?;
    assert_eq!(answered.status, StatusCode::INTERNAL_SERVER_ERROR);

    let (answered, reported) = tokio::join!(post_to(&mut client, "/mutate/auto", plain), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        cluster.watch_namespaces().await
    });
    reported?;
    let answered = answered?;
    assert_eq!(answered.status, StatusCode::OK);
    assert!(answered.patch()?.contains("https://git.example/site.git"));
    Ok(())
}
