//! The keys of the Secret. `ca.crt` and `ca.key` alone are a complete CA: that is the format
//! between two rotations, and the format of all earlier versions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use rustls::pki_types::CertificateDer;

use crate::Bundle;
use crate::BundleError;
use crate::bundle::read_certificates;
use crate::rotation::state::Found;
use crate::rotation::state::Next;
use crate::rotation::state::State;

/// Every CA that callers must trust, the signing one first: byte for byte the caBundle.
pub(super) const CERTIFICATES: &str = "ca.crt";
/// The key of the first CA in `ca.crt`.
pub(super) const KEY: &str = "ca.key";
/// The next CA.
pub(super) const NEXT_CERTIFICATE: &str = "next.crt";
/// The key of the next CA.
pub(super) const NEXT_KEY: &str = "next.key";
/// The time at which the next CA was first read back in the caBundle.
pub(super) const NEXT_SEEN: &str = "next.seen";
/// The time at which previous CAs are removed from `ca.crt`.
pub(super) const PREVIOUS_UNTIL: &str = "previous.until";

type Data = BTreeMap<String, ByteString>;

pub(super) fn read(data: Option<&Data>) -> Found {
    let text = |key: &str| {
        let value = data.and_then(|data| data.get(key));
        value.map_or(String::new(), |value| {
            String::from_utf8_lossy(&value.0).into_owned()
        })
    };
    let (certificates, key) = (text(CERTIFICATES), text(KEY));
    if certificates.is_empty() && key.is_empty() {
        return Found::Nothing;
    }
    let (signer, trusted) = match signer(&certificates, &key) {
        Ok(read) => read,
        Err(error) => return Found::Unusable(error),
    };
    let next = next(&text(NEXT_CERTIFICATE), &text(NEXT_KEY))
        .filter(|next| next.signer() != signer.signer());
    let next = next.map(|ca| Next {
        ca: Arc::new(ca),
        seen: time(&text(NEXT_SEEN)),
    });
    let known = next.as_ref().map(|next| next.ca.signer());
    let mut previous = Vec::new();
    for ca in trusted.iter().skip(1) {
        if ca != signer.signer() && Some(ca) != known && !previous.contains(ca) {
            previous.push(ca.clone());
        }
    }
    let mut state = State {
        signer: Arc::new(signer),
        next,
        previous,
        until: time(&text(PREVIOUS_UNTIL)),
        is_tidy: false,
    };
    state.is_tidy = state.trusted().eq(&trusted);
    Found::Usable(state)
}

pub(super) fn write(state: &State, data: &mut Data) {
    let next = state.next.as_ref();
    let stamp = |time: SystemTime| Timestamp::try_from(time).ok().map(|time| time.to_string());
    let values = [
        (CERTIFICATES, Some(state.pem())),
        (KEY, Some(state.signer.key_pem())),
        (NEXT_CERTIFICATE, next.map(|next| pem_of(next.ca.signer()))),
        (NEXT_KEY, next.map(|next| next.ca.key_pem())),
        (NEXT_SEEN, next.and_then(|next| next.seen).and_then(stamp)),
        (PREVIOUS_UNTIL, state.until.and_then(stamp)),
    ];
    for (key, value) in values {
        match value {
            Some(text) => data.insert(key.to_owned(), ByteString(text.into_bytes())),
            None => data.remove(key),
        };
    }
}

/// A certificate as PEM.
pub(super) fn pem_of(certificate: &CertificateDer<'_>) -> String {
    let text = STANDARD.encode(certificate);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        // Base64 is ASCII.
        let (line, more) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = more;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

/// The signing CA, and all trusted certificates.
fn signer(
    certificates: &str,
    key: &str,
) -> Result<(Bundle, Vec<CertificateDer<'static>>), BundleError> {
    let trusted = read_certificates(certificates.as_bytes())?;
    let first = trusted.first().ok_or(BundleError::Empty)?;
    let signer = Bundle::from_pem(&pem_of(first), key)?;
    match signer.is_pair() {
        true => Ok((signer, trusted)),
        false => Err(BundleError::Mismatch),
    }
}

/// The next CA; an incomplete one has signed nothing, and another one is generated.
fn next(certificate: &str, key: &str) -> Option<Bundle> {
    let next = Bundle::from_pem(certificate, key).ok()?;
    (next.is_pair() && next.certificates().len() == 1).then_some(next)
}

fn time(text: &str) -> Option<SystemTime> {
    text.trim().parse::<Timestamp>().ok().map(SystemTime::from)
}
