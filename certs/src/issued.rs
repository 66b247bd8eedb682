//! The certificate of another server, in a Secret that its Pods mount: the pull-through cache calls
//! no Kubernetes API and cannot issue its own.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;
use std::time::SystemTime;

use futures::future::Either;
use futures::future::select;
use k8s_openapi::ByteString;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::CertifiedKey;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::Leaf;
use crate::Lifetimes;
use crate::Names;
use crate::Published;
use crate::SharedSecret;
use crate::bundle::read_certificates;
use crate::issue;
use crate::issue::Signed;
use crate::keep::CaFacts;
use crate::keep::KeepError;
use crate::keep::Log;
use crate::keep::ROUNDS;
use crate::keep::is_settled;
use crate::keep::rotate;
use crate::rotation::state::State;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The lifetimes for a server whose clients get the CA once, at their creation: Pods keep it in
/// their spec. The next CA is given to new clients for a year before it signs.
const LIFETIMES: Lifetimes = Lifetimes {
    ca: DAY.saturating_mul(3650),
    leaf: DAY.saturating_mul(30),
    propagation: DAY.saturating_mul(365),
};

/// Maximum interval between two reads of the Secrets; watches report most changes at once.
const CHECK: Duration = Duration::from_secs(60);

/// The same after a pass that failed.
const RETRY: Duration = Duration::from_secs(5);

/// Minimum pause between two passes.
const PAUSE: Duration = Duration::from_secs(1);

const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
const CA: &str = "ca.crt";

/// A certificate in one Secret, signed by a CA in another.
#[derive(Clone)]
pub struct IssuedCertificate {
    /// The Secret of the CA; only the webhook reads it.
    pub ca: SharedSecret,
    /// The Secret for the server: `tls.crt`, `tls.key`, and `ca.crt` with the CAs to trust.
    pub leaf: SharedSecret,
    /// The names of the server.
    pub names: Names,
}

/// Keeps the CA and the certificate current; never returns. Each replica may run it: a conflict
/// means that another one was faster.
pub async fn keep_issued(certificate: IssuedCertificate) -> Infallible {
    let changed = Notify::new();
    let watching = select_never(
        certificate.ca.watch(&changed),
        certificate.leaf.watch(&changed),
    );
    let mut keeper = Keeper {
        certificate: &certificate,
        clock: &SystemTime::now,
        known: None,
    };
    let keeping = async {
        let mut log = Log::default();
        loop {
            let outcome = keeper.reconcile().await;
            let check = if outcome.is_ok() { CHECK } else { RETRY };
            match log.change(outcome) {
                Some(Some(error)) => {
                    tracing::warn!(%error, "cannot issue the certificate of the cache");
                }
                Some(None) => tracing::info!("the certificate of the cache is issued again"),
                None => {}
            }
            tokio::time::sleep(PAUSE).await;
            // Continue on a timeout as on a change.
            let _ = timeout(check, changed.notified()).await;
        }
    };
    select_never(watching, keeping).await
}

async fn select_never(
    one: impl Future<Output = Infallible>,
    other: impl Future<Output = Infallible>,
) -> Infallible {
    match select(pin!(one), pin!(other)).await {
        Either::Left((never, _)) | Either::Right((never, _)) => never,
    }
}

struct Keeper<'a> {
    certificate: &'a IssuedCertificate,
    /// The wall clock.
    clock: &'a (dyn Fn() -> SystemTime + Sync),
    /// The content of the CA's Secret when it was last read.
    known: Option<State>,
}

impl Keeper<'_> {
    /// One pass: makes all changes that are due.
    async fn reconcile(&mut self) -> Result<(), KeepError> {
        for _ in 0..ROUNDS {
            if is_settled(self.reconcile_once().await)? {
                break;
            }
        }
        Ok(())
    }

    /// Makes at most one change; returns whether it made one.
    async fn reconcile_once(&mut self) -> Result<bool, KeepError> {
        let IssuedCertificate { ca, leaf, names } = self.certificate;
        let facts = CaFacts {
            memory: self.known.as_ref(),
            published: &Published::NotNeeded,
            lifetimes: LIFETIMES,
            clock: self.clock,
        };
        let (state, step) = rotate(ca, &facts).await?;
        let state = self.known.insert(state);
        if step.is_some() {
            return Ok(true);
        }
        let mut secret = leaf.read().await?;
        let now = (self.clock)();
        let data = secret.data.get_or_insert_default();
        let text = |key: &str| data.get(key).map_or(&[][..], |value| &value.0);
        if is_current([text(CERTIFICATE), text(KEY), text(CA)], state, names, now) {
            return Ok(false);
        }
        let Signed { certificate, key } = issue::sign(&state.signer, names, now, LIFETIMES.leaf)?;
        for (name, text) in [
            (CERTIFICATE, certificate.pem()),
            (KEY, key.serialize_pem()),
            (CA, state.pem()),
        ] {
            data.insert(name.to_owned(), ByteString(text.into_bytes()));
        }
        leaf.write(&secret).await?;
        tracing::info!(secret = leaf.name(), "issued a certificate");
        Ok(true)
    }
}

/// Whether the certificate, key and CAs of the Secret can stay.
fn is_current(
    [certificate, key, ca]: [&[u8]; 3],
    state: &State,
    names: &Names,
    now: SystemTime,
) -> bool {
    let (Ok(chain), Ok(key)) = (
        read_certificates(certificate),
        PrivateKeyDer::from_pem_slice(key),
    ) else {
        return false;
    };
    let signer = state.signer.signer();
    let is_valid = chain
        .first()
        .is_some_and(|leaf| issue::verify(signer, leaf, names, now).is_ok());
    if !is_valid || ca != state.pem().as_bytes() {
        return false;
    }
    let pair = CertifiedKey::from_der(chain, key, &ring::default_provider());
    let leaf = pair.map(|pair| Leaf::of_others(pair, signer.clone()));
    matches!(leaf, Ok(Ok(leaf)) if !leaf.is_due(now))
}

#[cfg(test)]
mod tests;
