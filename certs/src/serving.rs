use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use jiff::Unit;
use rustls::pki_types::CertificateDer;

use crate::Leaf;
use crate::Published;
use crate::Resolver;

/// The serving certificate, and the known state of the caBundle.
///
/// Readiness and metrics read it, the keeping tasks write it. While the API server is unreachable,
/// the last known state stays in force.
#[derive(Debug, Default)]
pub struct Serving {
    resolver: Arc<Resolver>,
    leaf: ArcSwapOption<Leaf>,
    published: ArcSwap<Published>,
    was_trusted: AtomicBool,
    trouble: ArcSwapOption<String>,
    leaves: AtomicU64,
    rotations: AtomicU64,
}

impl Serving {
    /// A state without a certificate.
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
        let leaf = Arc::new(leaf);
        let old = self.leaf.swap(Some(Arc::clone(&leaf)));
        if let Some(old) = old {
            self.leaves.fetch_add(1, Ordering::Relaxed);
            let is_another = old.signer() != leaf.signer();
            self.rotations
                .fetch_add(u64::from(is_another), Ordering::Relaxed);
        }
        self.note_trust();
    }

    /// Stores the caBundle as it was read.
    pub fn set_published(&self, published: Published) {
        self.published.store(Arc::new(published));
        self.note_trust();
    }

    /// Sets or clears the error of the task that keeps the certificates current.
    pub(crate) fn set_trouble(&self, trouble: Option<String>) {
        self.trouble.store(trouble.map(Arc::new));
    }

    /// The current leaf.
    pub fn leaf(&self) -> Option<Arc<Leaf>> {
        self.leaf.load_full()
    }

    /// The number of leaves after the first one.
    pub fn leaves_renewed(&self) -> u64 {
        self.leaves.load(Ordering::Relaxed)
    }

    /// The number of times that the CA of the current leaf changed.
    pub fn rotations(&self) -> u64 {
        self.rotations.load(Ordering::Relaxed)
    }

    /// Whether callers are known to trust the CA of the current leaf.
    pub fn ca_bundle_in_sync(&self) -> bool {
        self.leaf()
            .is_some_and(|leaf| self.published.load().trusts(leaf.signer()))
    }

    /// The reasons why callers cannot reach this replica; empty if there are none.
    ///
    /// A caBundle that was correct once and is wrong now is only a [warning](Self::warnings):
    /// callers distrust every replica alike, so an unready one helps nobody, and when the caBundle
    /// is repaired a moment later, callers would still find no replica until the probes and
    /// endpoints have followed. Otherwise every upgrade that adds a webhook would be such an
    /// outage.
    pub fn missing(&self, now: SystemTime) -> Vec<&'static str> {
        let Some(leaf) = self.leaf() else {
            return vec!["no serving certificate yet"];
        };
        let mut missing = Vec::new();
        if !leaf.is_valid(now) {
            missing.push("the serving certificate is expired or not yet valid");
        }
        if !self.was_trusted.load(Ordering::Relaxed) {
            missing.push("the webhook configuration's caBundle does not contain the webhook's CA");
        }
        missing
    }

    /// Problems of the certificates that do not affect readiness.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(leaf) = self.leaf() {
            let published = self.published.load();
            let distrusting: Vec<&str> = published.distrusting(leaf.signer()).collect();
            if !distrusting.is_empty() {
                let webhooks = distrusting.join(", ");
                warnings.push(format!(
                    "the caBundle of {webhooks} does not contain the webhook's CA"
                ));
            }
        }
        if let Some(trouble) = self.trouble.load_full() {
            warnings.push(format!("cannot renew the certificates: {trouble}"));
        }
        warnings
    }

    /// Whether callers are known to trust this CA.
    pub(crate) fn trusts(&self, ca: &CertificateDer<'_>) -> bool {
        self.published.load().trusts(ca)
    }

    fn note_trust(&self) {
        if self.ca_bundle_in_sync() {
            self.was_trusted.store(true, Ordering::Relaxed);
        }
    }
}

/// A time in readable form, to the second.
pub(crate) fn day(time: SystemTime) -> String {
    let time = Timestamp::try_from(time).unwrap_or_default();
    let rounded = time.round(Unit::Second).unwrap_or(time);
    rounded.to_string()
}
