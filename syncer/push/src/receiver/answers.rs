//! The responses of the receiver.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Body;
use hyper::header::ALLOW;
use hyper::header::CONTENT_TYPE;
use hyper::header::HeaderValue;
use url::Url;

use crate::delivery::body::DeliveryReader;
use crate::delivery::body::response;
use crate::delivery::selection::wake_of;
use crate::receiver::error::PushError;
use crate::receiver::metrics;
use crate::receiver::metrics::DeliveryResult;
use crate::receiver::metrics::PushMetrics;
use crate::receiver::relay::Relay;
use crate::secret_file::SecretFile;

/// The path of deliveries, before the name of a secret.
const PUSH: &str = "/push/";

const ACCEPTED: &str = "accepted\n";
const OUTSIDE: &str = "this secret may not wake the repository of this push: see --wake\n";

/// A secret, and what its holder may wake.
struct Sender {
    file: SecretFile,
    prefixes: Vec<Url>,
}

/// The state that responses come from.
pub(super) struct PushAnswers {
    senders: BTreeMap<String, Sender>,
    reader: DeliveryReader,
    relay: Arc<Relay>,
    metrics: Arc<PushMetrics>,
}

impl PushAnswers {
    pub(super) fn new(
        secret_dir: &Path,
        prefixes: BTreeMap<String, Vec<Url>>,
        relay: Arc<Relay>,
        metrics: Arc<PushMetrics>,
    ) -> Result<Self, PushError> {
        let senders = prefixes.into_iter().map(|(name, prefixes)| {
            let file = SecretFile::new(secret_dir.join(&name));
            // Reports a file that cannot be used at the start, and not at the first delivery.
            file.secret();
            (name, Sender { file, prefixes })
        });
        Ok(Self {
            senders: senders.collect(),
            reader: DeliveryReader::new().map_err(|_| PushError::Random)?,
            relay,
            metrics,
        })
    }

    /// The response to a request; `is_ready` is false at the end of the process.
    pub(super) async fn to<B: Body<Data = Bytes>>(
        &self,
        request: Request<B>,
        is_ready: bool,
    ) -> Response<Full<Bytes>> {
        let path = request.uri().path().to_owned();
        match path.strip_prefix(PUSH) {
            Some(name) if request.method() == Method::POST => self.deliver(name, request).await,
            Some(_) => {
                let mut response = response(StatusCode::METHOD_NOT_ALLOWED, "send POST\n");
                let allow = HeaderValue::from_static("POST");
                response.headers_mut().insert(ALLOW, allow);
                response
            }
            None => self.page(&path, is_ready),
        }
    }

    fn page(&self, path: &str, is_ready: bool) -> Response<Full<Bytes>> {
        match path {
            "/livez" => response(StatusCode::OK, "ok\n"),
            "/readyz" if is_ready => response(StatusCode::OK, "ok\n"),
            "/readyz" => response(StatusCode::SERVICE_UNAVAILABLE, "the process is ending\n"),
            "/metrics" => {
                let mut response = Response::new(Full::from(self.metrics.render()));
                let kind = HeaderValue::from_static(metrics::CONTENT_TYPE);
                response.headers_mut().insert(CONTENT_TYPE, kind);
                response
            }
            _ => response(StatusCode::NOT_FOUND, "expected POST /push/NAME\n"),
        }
    }

    async fn deliver<B: Body<Data = Bytes>>(
        &self,
        name: &str,
        request: Request<B>,
    ) -> Response<Full<Bytes>> {
        let sender = self.senders.get_key_value(name);
        let secret = sender.and_then(|(_, sender)| sender.file.secret());
        let received = self.reader.read(request, secret.as_ref()).await;
        let name = sender.map(|(name, _)| name.as_str());
        let prefixes = sender.map_or(&[][..], |(_, sender)| &sender.prefixes);
        let wake = received.map(|addresses| wake_of(prefixes, &addresses));
        let (result, response) = match wake {
            Err(error) => (DeliveryResult::Refused(error), error.response()),
            Ok(wake) if wake.repositories.is_empty() && wake.prefixes.is_empty() => {
                (DeliveryResult::Outside, response(StatusCode::OK, OUTSIDE))
            }
            Ok(wake) => {
                self.relay.request(wake);
                (
                    DeliveryResult::Accepted,
                    response(StatusCode::ACCEPTED, ACCEPTED),
                )
            }
        };
        tracing::info!(v = 1, name, result = result.as_str(), "delivery");
        self.metrics.count_delivery(name, result);
        response
    }
}
