//! Service meshes that redirect a Pod's network: recognised by the containers that they add, and by
//! their webhooks.

use serde_json::Value;

use crate::commands::doctor::value::text;

/// A service mesh.
#[derive(Debug, Eq, PartialEq)]
pub struct Mesh {
    /// Its name.
    pub name: &'static str,
    /// The init containers by which, or before which, the network is redirected: the mesh's own
    /// one, or, with its CNI plugin, one that verifies the redirection.
    pub inits: [&'static str; 2],
    /// The container that makes the network usable again.
    pub proxy: &'static str,
    /// The suffix of its webhook's name; a revision and a selector may precede it.
    pub webhook: &'static str,
    /// Whether its webhook, when called again, moves its init container behind those that were
    /// added in between.
    pub moves: bool,
}

/// The known meshes.
pub const MESHES: &[Mesh] = &[
    Mesh {
        name: "Istio",
        inits: ["istio-init", "istio-validation"],
        proxy: "istio-proxy",
        webhook: "sidecar-injector.istio.io",
        // Its `reorderPod` always puts istio-init last.
        moves: true,
    },
    Mesh {
        name: "Linkerd",
        inits: ["linkerd-init", "linkerd-network-validator"],
        proxy: "linkerd-proxy",
        webhook: "linkerd-proxy-injector.linkerd.io",
        // Its webhook skips a Pod that already has the proxy.
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
