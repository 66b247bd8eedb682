//! The webhook that all tests of this program share, and the namespace labels that tests use.

use anyhow::Context;
use anyhow::Result;
use serde_json::json;
use std::sync::OnceLock;
use tests::installation::product;
use tests::installation::serving::Serving;
use tests::installation::serving::WEBHOOK;
use tests::installation::world::World;
use tests::kubernetes::cluster::Cluster;
use tests::kubernetes::control_plane::ControlPlane;
use tests::kubernetes::control_plane::Version;

/// Namespaces with this label are excluded from the shared webhook.
pub(crate) const UNASKED: &str = "gitvolume.test/unasked";

/// Namespaces with this label use a separate webhook with its own settings.
pub(crate) const SETTINGS: &str = "gitvolume.test/settings";

/// In namespaces with this label the API server calls the shared webhook twice; the second time the
/// Pod is injected already.
pub(crate) const TWICE: &str = "gitvolume.test/twice";

/// The webhook that all tests share, on both API servers.
pub(crate) static SERVING: OnceLock<Serving> = OnceLock::new();

/// The version of the API server that a test runs on.
pub(crate) fn version(world: &World) -> Result<Version, String> {
    let plane = world.cluster().control_plane();
    plane
        .map(ControlPlane::version)
        .ok_or("no API server of our own".to_owned())
}

pub(crate) fn serve(cluster: &Cluster) -> Result<()> {
    if SERVING.get().is_none() {
        // Its directory is that of the first API server, and both end together.
        let serving = Serving::start(&cluster.folder().join("webhook"))?;
        let _ = SERVING.set(serving);
    }
    register(cluster)
}

/// Registers the shared webhook for all namespaces except those that a test labels.
pub(crate) fn register(cluster: &Cluster) -> Result<()> {
    let serving = SERVING.get().context("no webhook")?;
    let shared = json!([{"key": UNASKED, "operator": "DoesNotExist"}]);
    let twice = json!([{"key": TWICE, "operator": "Exists"}]);
    let webhooks = [(WEBHOOK, shared), ("twice.gitvolume.dev", twice)];
    serving.register(cluster, product::RELEASE, &webhooks, &[])
}
