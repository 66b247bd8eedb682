//! The signature schemes of git hosts. The body is hashed in the parts in which it arrives.
//!
//! | Header | Sender | Source |
//! |---|---|---|
//! | `webhook-signature` | GitLab's signing token | Standard Webhooks 1.0.0 |
//! | `X-Hub-Signature-256` | GitHub, Gitea, Forgejo, any other | docs.github.com, "Validating webhook deliveries" |
//! | `X-Forgejo-Signature`, `X-Gitea-Signature` | Forgejo, Gitea | docs.gitea.com, "Webhooks" |
//! | `X-Hub-Signature: sha256=` | Bitbucket Cloud and Data Center | support.atlassian.com, "Manage webhooks" |
//! | `X-Gitlab-Token` | GitLab's secret token | docs.gitlab.com, "Webhooks" |
//! | `Authorization: Basic` | Azure DevOps | learn.microsoft.com, "Webhooks" |
//!
//! The first header of this list that a request has decides. The schemes share one secret without
//! weakening each other: each of them proves that the sender has it. Only Standard Webhooks has a
//! time; a replay of any other delivery is accepted, and costs one poll.

use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use ring::hmac;

use crate::delivery::secret::PushSecret;
use crate::delivery::secret::are_equal;

/// The largest difference between the sender's clock and ours, as Standard Webhooks recommends.
const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// The number of signatures of one delivery that are compared; a sender adds one per rotated key.
const MOST_SIGNATURES: usize = 8;

/// The number of bytes of a SHA-256 hash.
const HASH: usize = 32;

/// The check of one delivery, with the part of the body that has arrived.
pub(crate) enum SignatureCheck {
    /// The headers alone decide.
    Decided(bool),
    /// HMAC-SHA256 over the body, with each of the keys.
    Hmac {
        contexts: Vec<hmac::Context>,
        signatures: Vec<Vec<u8>>,
    },
}

impl SignatureCheck {
    /// Starts the check of a request with these headers.
    pub(crate) fn new(headers: &HeaderMap, secret: &PushSecret, now: SystemTime) -> Self {
        let header = |name: &str| headers.get(name).map(|value| value.as_bytes());
        let values = secret.values();
        let has_signing_key = values.iter().any(|value| value.signing_key.is_some());
        if let Some(signature) = header("webhook-signature").filter(|_| has_signing_key) {
            return standard(headers, signature, secret, now).unwrap_or(Self::Decided(false));
        }
        if let Some(signature) = header("x-hub-signature-256") {
            return Self::of_body(secret, signature.strip_prefix(b"sha256="));
        }
        for name in ["x-forgejo-signature", "x-gitea-signature"] {
            if let Some(signature) = header(name) {
                return Self::of_body(secret, Some(signature));
            }
        }
        // GitHub and Gitea send the SHA-1 signature of older receivers in the same header.
        let signature = header("x-hub-signature").and_then(|value| value.strip_prefix(b"sha256="));
        if signature.is_some() {
            return Self::of_body(secret, signature);
        }
        if let Some(token) = header("x-gitlab-token") {
            return Self::Decided(secret.is_value(token));
        }
        let password = header(AUTHORIZATION.as_str()).and_then(basic_password);
        Self::Decided(password.is_some_and(|password| secret.is_value(&password)))
    }

    /// HMAC over the body alone, with a signature in hexadecimal digits.
    fn of_body(secret: &PushSecret, signature: Option<&[u8]>) -> Self {
        let Some(signature) = signature.and_then(from_hex) else {
            return Self::Decided(false);
        };
        let keys = secret.values().iter().map(|value| &value.key);
        Self::Hmac {
            contexts: keys.map(hmac::Context::with_key).collect(),
            signatures: vec![signature],
        }
    }

    /// Adds the next part of the body.
    pub(crate) fn update(&mut self, part: &[u8]) {
        if let Self::Hmac { contexts, .. } = self {
            for context in contexts {
                context.update(part);
            }
        }
    }

    /// Whether the delivery is authentic; call it at the end of the body.
    pub(crate) fn verify(self) -> bool {
        match self {
            Self::Decided(is_valid) => is_valid,
            Self::Hmac {
                contexts,
                signatures,
            } => contexts.into_iter().any(|context| {
                let tag = context.sign();
                signatures
                    .iter()
                    .any(|signature| are_equal(signature, tag.as_ref()))
            }),
        }
    }
}

/// Standard Webhooks: HMAC over `ID.TIMESTAMP.BODY`; `None` if a header is missing, malformed or too
/// far from now.
fn standard(
    headers: &HeaderMap,
    signature: &[u8],
    secret: &PushSecret,
    now: SystemTime,
) -> Option<SignatureCheck> {
    let id = headers.get("webhook-id")?.as_bytes();
    let timestamp = headers.get("webhook-timestamp")?.to_str().ok()?;
    let is_number = timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let sent: u64 = timestamp.parse().ok().filter(|_| is_number)?;
    let now = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
    if sent.abs_diff(now) > TOLERANCE.as_secs() {
        return None;
    }
    let signatures = signature.split(|byte| *byte == b' ');
    let signatures = signatures.filter_map(|text| STANDARD.decode(text.strip_prefix(b"v1,")?).ok());
    let keys = secret.values().iter();
    let keys = keys.filter_map(|value| value.signing_key.as_ref());
    let mut check = SignatureCheck::Hmac {
        contexts: keys.map(hmac::Context::with_key).collect(),
        signatures: signatures.take(MOST_SIGNATURES).collect(),
    };
    for part in [id, b".", timestamp.as_bytes(), b"."] {
        check.update(part);
    }
    Some(check)
}

/// The password of basic authentication (RFC 7617), whatever the user name.
fn basic_password(header: &[u8]) -> Option<Vec<u8>> {
    let (scheme, encoded) = header.split_at_checked(6)?;
    let decoded = STANDARD.decode(encoded.trim_ascii()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    scheme
        .eq_ignore_ascii_case(b"basic ")
        .then(|| decoded[colon + 1..].to_vec())
}

/// The bytes of a SHA-256 hash in hexadecimal digits.
fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(digit(*high)? << 4 | digit(*low)?).ok(),
        _ => None,
    });
    let bytes: Vec<u8> = pairs.collect::<Option<_>>()?;
    (bytes.len() == HASH).then_some(bytes)
}

#[cfg(test)]
mod tests;
