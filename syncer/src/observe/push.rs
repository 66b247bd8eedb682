//! `POST /push`: a delivery of a git host's push webhook starts a pass.

use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

use args::RepoUrl;
use args::wake;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::ALLOW;
use hyper::header::HeaderValue;
use push::DeliveryReader;
use push::SecretFile;
use push::SpacedQueue;
use push::response;
use push::wake_of;
use tokio::sync::watch;
use url::Url;

/// The interval between two passes of a repository that deliveries start.
const INTERVAL: Duration = Duration::from_secs(1);

const ACCEPTED: &str = "accepted\n";
const OUTSIDE: &str = "this syncer follows no repository with the address in this push\n";

/// The endpoint, with the repositories of the process.
pub(crate) struct PushEndpoint {
    secret: SecretFile,
    reader: DeliveryReader,
    repos: Vec<PushedRepo>,
    /// Indexes of repositories.
    queue: SpacedQueue<usize>,
}

struct PushedRepo {
    /// `None` for a repository on this machine, which no payload names: every delivery wakes it.
    address: Option<Url>,
    wake: watch::Sender<()>,
}

impl PushEndpoint {
    /// An endpoint for these repositories: the address of each without user and password, and the
    /// channel that starts a pass. It fails only if the system has no random numbers.
    pub(crate) fn new<'a>(
        secret_file: &Path,
        repos: impl Iterator<Item = (&'a str, watch::Sender<()>)>,
    ) -> Option<Self> {
        let secret = SecretFile::new(secret_file);
        // Reports a file that cannot be used at the start, and not at the first delivery.
        secret.secret();
        let repos = repos.map(|(address, wake)| PushedRepo {
            address: address
                .parse::<RepoUrl>()
                .ok()
                .as_ref()
                .and_then(wake::address),
            wake,
        });
        Some(Self {
            secret,
            reader: DeliveryReader::new().ok()?,
            repos: repos.collect(),
            queue: SpacedQueue::new(INTERVAL),
        })
    }

    /// The response to a request.
    pub(crate) async fn deliver(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::POST {
            let mut response = response(StatusCode::METHOD_NOT_ALLOWED, "send POST\n");
            let allow = HeaderValue::from_static("POST");
            response.headers_mut().insert(ALLOW, allow);
            return response;
        }
        let secret = self.secret.secret();
        let addresses = match self.reader.read(request, secret.as_ref()).await {
            Ok(addresses) => addresses,
            Err(error) => {
                tracing::info!(v = 1, reason = ?error, "a push is refused");
                return error.response();
            }
        };
        let own: Vec<Url> = self
            .repos
            .iter()
            .filter_map(|repo| repo.address.clone())
            .collect();
        let named = wake_of(&own, &addresses);
        let is_named = |repo: &PushedRepo| {
            let address = repo.address.as_ref();
            address.is_none_or(|address| named.names(address))
        };
        let woken: Vec<usize> = (0..self.repos.len())
            .filter(|index| is_named(&self.repos[*index]))
            .collect();
        tracing::info!(v = 1, repositories = woken.len(), "a push is accepted");
        if woken.is_empty() {
            return response(StatusCode::OK, OUTSIDE);
        }
        self.queue.request(woken);
        response(StatusCode::ACCEPTED, ACCEPTED)
    }

    /// Starts passes; never returns.
    pub(crate) async fn run(&self) -> Infallible {
        loop {
            for index in self.queue.next().await {
                self.repos[index].wake.send_replace(());
            }
        }
    }
}
