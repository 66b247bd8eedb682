use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use arc_swap::ArcSwapOption;
use rustls::pki_types::CertificateDer;

use crate::Leaf;
use crate::Published;
use crate::Resolver;

/// What is served now and what is known of our caBundle.
///
/// Readiness and metrics read it, the keeping tasks write it. Losing the API server changes
/// nothing here: what was last known counts.
#[derive(Debug, Default)]
pub struct Serving {
    resolver: Arc<Resolver>,
    leaf: ArcSwapOption<Leaf>,
    published: ArcSwap<Published>,
}

impl Serving {
    /// Nothing is served yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The resolver for the TLS server.
    pub fn resolver(&self) -> Arc<Resolver> {
        Arc::clone(&self.resolver)
    }

    /// Serves this leaf from the next handshake on.
    pub fn set_leaf(&self, leaf: Leaf) {
        self.resolver.set(&leaf);
        self.leaf.store(Some(Arc::new(leaf)));
    }

    /// Takes note of our caBundle as it was read.
    pub fn set_published(&self, published: Published) {
        self.published.store(Arc::new(published));
    }

    /// The leaf that is served.
    pub fn leaf(&self) -> Option<Arc<Leaf>> {
        self.leaf.load_full()
    }

    /// Whether callers trust the CA of the leaf that is served, as far as is known.
    pub fn ca_bundle_in_sync(&self) -> bool {
        self.leaf()
            .is_some_and(|leaf| self.published.load().trusts(leaf.signer()))
    }

    /// What keeps callers from reaching us, in words; empty when nothing does.
    pub fn missing(&self, now: SystemTime) -> Vec<&'static str> {
        let Some(leaf) = self.leaf() else {
            return vec!["no serving certificate yet"];
        };
        let mut missing = Vec::new();
        if !leaf.is_valid(now) {
            missing.push("the serving certificate is not valid now");
        }
        if !self.published.load().trusts(leaf.signer()) {
            missing.push("the webhook configuration's caBundle lacks our CA");
        }
        missing
    }

    /// Whether callers trust this CA, as far as is known.
    pub(crate) fn trusts(&self, ca: &CertificateDer<'_>) -> bool {
        self.published.load().trusts(ca)
    }
}
