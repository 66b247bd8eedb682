use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::server::ClientHello;
use rustls::server::ResolvesServerCert;
use rustls::sign::CertifiedKey;

use crate::Leaf;

/// A rustls certificate resolver: new handshakes use the current leaf, existing connections keep
/// theirs.
///
/// Before the first leaf every handshake fails, which the API server treats as a failed call.
#[derive(Default)]
pub struct Resolver {
    current: ArcSwapOption<CertifiedKey>,
}

impl Resolver {
    /// Serves this leaf from the next handshake on.
    pub fn set(&self, leaf: &Leaf) {
        self.current.store(Some(leaf.certified()));
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current.load_full()
    }
}

impl fmt::Debug for Resolver {
    // Implemented by hand so that the key never reaches a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filled = self.current.load().is_some();
        f.debug_struct("Resolver")
            .field("filled", &filled)
            .finish_non_exhaustive()
    }
}
