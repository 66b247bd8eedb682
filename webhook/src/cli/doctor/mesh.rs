//! Service meshes that take a Pod's network: by what they add to it, and by their webhooks.

use serde_json::Value;

use super::facts::text;

/// A service mesh.
#[derive(Debug, Eq, PartialEq)]
pub struct Mesh {
    /// Its name.
    pub name: &'static str,
    /// The init containers before which, or by which, the network is taken: its own, or, with its CNI
    /// plugin, one that looks whether that was done.
    pub inits: [&'static str; 2],
    /// What gives the network back.
    pub proxy: &'static str,
    /// What the name of its webhook ends with; before it may be the revision and what it selects by.
    pub webhook: &'static str,
    /// Whether its webhook, called again, puts its init container behind what came in between.
    pub moves: bool,
}

/// Those that are known.
pub const MESHES: &[Mesh] = &[
    Mesh {
        name: "Istio",
        inits: ["istio-init", "istio-validation"],
        proxy: "istio-proxy",
        webhook: "sidecar-injector.istio.io",
        // Its reorderPod: istio-init is always the last.
        moves: true,
    },
    Mesh {
        name: "Linkerd",
        inits: ["linkerd-init", "linkerd-network-validator"],
        proxy: "linkerd-proxy",
        webhook: "linkerd-proxy-injector.linkerd.io",
        // It leaves a Pod alone that has its proxy.
        moves: false,
    },
];

impl Mesh {
    /// The mesh that a webhook of a MutatingWebhookConfiguration belongs to.
    pub fn of_webhook(entry: &Value) -> Option<&'static Self> {
        let name = text(entry, "/name");
        MESHES.iter().find(|own| name.ends_with(own.webhook))
    }
}
