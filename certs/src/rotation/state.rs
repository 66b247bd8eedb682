//! The content of the CA's Secret.

use std::sync::Arc;
use std::time::SystemTime;

use rustls::pki_types::CertificateDer;

use crate::Bundle;
use crate::BundleError;

/// The content of a usable Secret.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// The CA that signs.
    pub(crate) signer: Arc<Bundle>,
    /// The next CA, during a rotation.
    pub(crate) next: Option<Next>,
    /// Previous CAs, still trusted.
    pub(crate) previous: Vec<CertificateDer<'static>>,
    /// The time at which the previous CAs are removed.
    pub(crate) until: Option<SystemTime>,
    /// Whether the Secret has exactly this content, in canonical form.
    pub(crate) is_tidy: bool,
}

/// The next CA.
#[derive(Clone, Debug)]
pub(crate) struct Next {
    pub(crate) ca: Arc<Bundle>,
    /// The time at which this CA was first read back in the caBundle.
    pub(crate) seen: Option<SystemTime>,
}

/// The result of parsing the Secret.
#[derive(Debug)]
pub(crate) enum Found {
    /// No certificate and no key: the Secret as the chart creates it.
    Nothing,
    /// Content that cannot be used to sign.
    Unusable(BundleError),
    /// A CA, maybe with a next one and previous ones.
    Usable(State),
}
