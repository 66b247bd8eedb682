//! Reading of one delivery: the body is hashed as it arrives, and only its beginning is kept.

use std::pin::pin;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::HeaderMap;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Body;
use hyper::header::CONTENT_TYPE;
use hyper::header::HeaderValue;
use hyper::header::RETRY_AFTER;
use ring::error::Unspecified;
use tokio::time::timeout;
use url::Url;

use crate::delivery::payload::addresses;
use crate::delivery::secret::PushSecret;
use crate::delivery::signature::SignatureCheck;
use crate::limits::rate::DeliveryRate;

/// The largest body in bytes; GitHub sends no larger one.
const LARGEST_BODY: usize = 25 << 20;

/// The number of bytes of a body that are kept and parsed. A longer payload, of a push with very many
/// commits, is not parsed.
const LARGEST_PARSED: usize = 64 << 10;

/// The timeout of a whole body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The reason why a delivery is refused.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum DeliveryError {
    /// The signature is missing or wrong, or the secret does not exist.
    Unverified,
    /// The body exceeds the limit.
    TooLarge,
    /// The body did not arrive in time.
    TooSlow,
    /// The connection ended within the body.
    Incomplete,
    /// It is authentic, but there are too many.
    TooMany,
}

impl DeliveryError {
    /// The response. Its text appears in the list of deliveries of the git host.
    pub fn response(self) -> Response<Full<Bytes>> {
        let (status, text) = match self {
            Self::Unverified => (
                StatusCode::UNAUTHORIZED,
                "the signature is missing or wrong, or there is no such secret\n",
            ),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body is larger than 25 MiB\n",
            ),
            Self::TooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                "the body did not arrive within 30 seconds\n",
            ),
            Self::Incomplete => (StatusCode::BAD_REQUEST, "the body is incomplete\n"),
            Self::TooMany => (StatusCode::TOO_MANY_REQUESTS, "too many deliveries\n"),
        };
        let mut response = response(status, text);
        if self == Self::TooMany {
            let retry = HeaderValue::from_static("1");
            response.headers_mut().insert(RETRY_AFTER, retry);
        }
        response
    }
}

/// A response with text for a person.
pub fn response(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// Reads deliveries, within the process's limit.
#[derive(Debug)]
pub struct DeliveryReader {
    /// In place of a secret that does not exist, so that responses do not show which ones do.
    unknown: PushSecret,
    rate: DeliveryRate,
}

impl DeliveryReader {
    /// A reader. It fails only if the system has no random numbers.
    pub fn new() -> Result<Self, Unspecified> {
        Ok(Self {
            unknown: PushSecret::random()?,
            rate: DeliveryRate::new(Instant::now()),
        })
    }

    /// Reads a delivery and verifies it; `None` is a secret that does not exist. Returns the addresses
    /// of the repository that the payload names: none if the payload is longer than 64 KiB, is in no
    /// known form, or names no repository.
    pub async fn read<B: Body<Data = Bytes>>(
        &self,
        request: Request<B>,
        secret: Option<&PushSecret>,
    ) -> Result<Vec<Url>, DeliveryError> {
        let (head, body) = request.into_parts();
        let secret = secret.unwrap_or(&self.unknown);
        let addresses = receive(&head.headers, body, secret, SystemTime::now()).await?;
        match self.rate.allows(Instant::now()) {
            true => Ok(addresses),
            false => Err(DeliveryError::TooMany),
        }
    }
}

/// Reads a delivery and verifies it; returns the addresses in its payload.
pub(crate) async fn receive<B: Body<Data = Bytes>>(
    headers: &HeaderMap,
    body: B,
    secret: &PushSecret,
    now: SystemTime,
) -> Result<Vec<Url>, DeliveryError> {
    let check = SignatureCheck::new(headers, secret, now);
    let read = timeout(BODY_TIMEOUT, read(body, check));
    let payload = read.await.unwrap_or(Err(DeliveryError::TooSlow))?;
    Ok(payload
        .map(|payload| addresses(&payload))
        .unwrap_or_default())
}

/// Reads the whole body; returns it unless it is too long to be parsed.
async fn read<B: Body<Data = Bytes>>(
    body: B,
    mut check: SignatureCheck,
) -> Result<Option<Vec<u8>>, DeliveryError> {
    let mut body = pin!(body);
    if body.size_hint().lower() > LARGEST_BODY as u64 {
        return Err(DeliveryError::TooLarge);
    }
    let mut length = 0;
    let mut kept = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| DeliveryError::Incomplete)?;
        let Ok(part) = frame.into_data() else {
            continue;
        };
        length += part.len();
        if length > LARGEST_BODY {
            return Err(DeliveryError::TooLarge);
        }
        check.update(&part);
        match length <= LARGEST_PARSED {
            true => kept.extend_from_slice(&part),
            false => kept = Vec::new(),
        }
    }
    match check.verify() {
        true => Ok((length <= LARGEST_PARSED).then_some(kept)),
        false => Err(DeliveryError::Unverified),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;
    use ring::hmac;

    const PAYLOAD: &str = r#"{"repository": {"clone_url": "https://git.example/acme/site.git"}}"#;

    async fn received(body: &[u8], signed: &[u8]) -> Result<Vec<Url>, DeliveryError> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"hunter2");
        let signature = hmac::sign(&key, signed);
        let hex = signature.as_ref().iter().map(|byte| format!("{byte:02x}"));
        let mut headers = HeaderMap::new();
        let value = format!("sha256={}", hex.collect::<String>());
        headers.insert("x-hub-signature-256", value.parse().unwrap());
        let secret = PushSecret::parse(b"hunter2").unwrap();
        let body = Full::from(body.to_vec());
        receive(&headers, body, &secret, SystemTime::now()).await
    }

    #[tokio::test]
    async fn a_signed_payload_names_its_repository() {
        let found = received(PAYLOAD.as_bytes(), PAYLOAD.as_bytes())
            .await
            .unwrap();
        assert_eq!(found[0].as_str(), "https://git.example/acme/site.git");
        let refused = received(PAYLOAD.as_bytes(), b"{}").await;
        assert_eq!(refused, Err(DeliveryError::Unverified));
    }

    #[tokio::test]
    async fn a_long_payload_is_verified_and_names_nothing() {
        let fill = " ".repeat(LARGEST_PARSED - PAYLOAD.len());
        let longest = format!("{PAYLOAD}{fill}");
        let found = received(longest.as_bytes(), longest.as_bytes()).await;
        assert_eq!(found.unwrap().len(), 1);
        let longer = format!("{longest} ");
        let found = received(longer.as_bytes(), longer.as_bytes()).await;
        assert_eq!(found, Ok(Vec::new()));
        let refused = received(longer.as_bytes(), longest.as_bytes()).await;
        assert_eq!(refused, Err(DeliveryError::Unverified));
    }

    #[tokio::test]
    async fn a_body_above_the_limit_is_refused_whether_it_is_signed_or_not() {
        let large = vec![b' '; LARGEST_BODY + 1];
        let refused = received(&large, &large).await;
        assert_eq!(refused, Err(DeliveryError::TooLarge));
        let largest = &large[1..];
        assert_eq!(received(largest, largest).await, Ok(Vec::new()));
    }
}
