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

/// What is served now and what is known of our caBundle.
///
/// Readiness and metrics read it, the keeping tasks write it. Losing the API server changes
/// nothing here: what was last known counts.
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

    /// Takes note of our caBundle as it was read.
    pub fn set_published(&self, published: Published) {
        self.published.store(Arc::new(published));
        self.note_trust();
    }

    /// Takes note of what keeps certificates from being kept current, or that nothing does.
    pub(crate) fn set_trouble(&self, trouble: Option<String>) {
        self.trouble.store(trouble.map(Arc::new));
    }

    /// The leaf that is served.
    pub fn leaf(&self) -> Option<Arc<Leaf>> {
        self.leaf.load_full()
    }

    /// How many leaves came after the first one.
    pub fn leaves_renewed(&self) -> u64 {
        self.leaves.load(Ordering::Relaxed)
    }

    /// How often another CA than before signed the leaf that is served.
    pub fn rotations(&self) -> u64 {
        self.rotations.load(Ordering::Relaxed)
    }

    /// Whether callers trust the CA of the leaf that is served, as far as is known.
    pub fn ca_bundle_in_sync(&self) -> bool {
        self.leaf()
            .is_some_and(|leaf| self.published.load().trusts(leaf.signer()))
    }

    /// What keeps callers from reaching us, in words; empty when nothing does.
    ///
    /// A caBundle that was right once and is not any more is told by [`warnings`](Self::warnings) alone:
    /// callers distrust every replica alike, so an unready one helps nobody, and when the caBundle
    /// is repaired a moment later, callers would still find no replica until the probes and
    /// endpoints have followed. An upgrade that adds a webhook would be such an outage each time.
    pub fn missing(&self, now: SystemTime) -> Vec<&'static str> {
        let Some(leaf) = self.leaf() else {
            return vec!["no serving certificate yet"];
        };
        let mut missing = Vec::new();
        if !leaf.is_valid(now) {
            missing.push("the serving certificate is not valid now");
        }
        if !self.was_trusted.load(Ordering::Relaxed) {
            missing.push("the webhook configuration's caBundle lacks our CA");
        }
        missing
    }

    /// What is wrong with the certificates and keeps no replica from being ready.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(leaf) = self.leaf() {
            let published = self.published.load();
            let distrusting: Vec<&str> = published.distrusting(leaf.signer()).collect();
            if !distrusting.is_empty() {
                let webhooks = distrusting.join(", ");
                warnings.push(format!("the caBundle of {webhooks} lacks our CA"));
            }
        }
        if let Some(trouble) = self.trouble.load_full() {
            warnings.push(format!("certificates cannot be kept current: {trouble}"));
        }
        warnings
    }

    /// Whether callers trust this CA, as far as is known.
    pub(crate) fn trusts(&self, ca: &CertificateDer<'_>) -> bool {
        self.published.load().trusts(ca)
    }

    fn note_trust(&self) {
        if self.ca_bundle_in_sync() {
            self.was_trusted.store(true, Ordering::Relaxed);
        }
    }
}

/// A time for people, to the second.
pub(crate) fn day(time: SystemTime) -> String {
    let time = Timestamp::try_from(time).unwrap_or_default();
    let rounded = time.round(Unit::Second).unwrap_or(time);
    rounded.to_string()
}
