//! One follower: a connection to the cache that sends a syncer's requests.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::Result;
use anyhow::ensure;
use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::header::CONTENT_TYPE;
use hyper::header::ETAG;
use hyper::header::HOST;
use hyper::header::HeaderValue;
use hyper::header::IF_NONE_MATCH;
use rustls::pki_types::ServerName;
use serde_json::json;
use tests::https;
use tests::https::Sender;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::cache::arrival::Arrival;
use crate::cache::arrival::ArrivalStream;
use crate::cache::world::CacheWorld;
use crate::cache::world::WAKE_KEY;

/// The longest wait of a follower, as the syncer sends it.
const WAIT: &str = "wait=50";

/// A follower, with the refs that it knows.
pub(crate) struct Follower {
    path: String,
    address: SocketAddr,
    connector: TlsConnector,
    sender: Sender,
    arrival: Arrival,
    tag: Option<HeaderValue>,
}

impl Follower {
    /// Connects; the future borrows nothing.
    pub(crate) fn connect(world: &CacheWorld) -> impl Future<Output = Result<Self>> + use<> {
        let (path, address, connector) = (world.path(), world.address, world.connector.clone());
        async move {
            let arrival = Arrival::default();
            let sender = connect(address, &connector, &arrival).await?;
            Ok(Self {
                path,
                address,
                connector,
                sender,
                arrival,
                tag: None,
            })
        }
    }

    /// Requests the refs; the first time at once, then waits for a change. Returns the time at which a
    /// change arrived.
    pub(crate) async fn next_change(&mut self) -> Result<Option<Instant>> {
        loop {
            let mut request =
                self.post(remotes::request("ls-refs", &["ref-prefix refs/heads/main"]))?;
            if let Some(tag) = &self.tag {
                let headers = request.headers_mut();
                headers.insert(IF_NONE_MATCH, tag.clone());
                headers.insert("prefer", HeaderValue::from_static(WAIT));
                self.arrival.expect();
            }
            let response = self.send(request).await?;
            let status = response.status();
            let tag = response.headers().get(ETAG).cloned();
            let body = response.into_body().collect().await?.to_bytes();
            if status == StatusCode::NOT_MODIFIED {
                continue;
            }
            ensure!(
                status == StatusCode::OK,
                "{status}: {}",
                String::from_utf8_lossy(&body)
            );
            self.tag = tag;
            return Ok(self.arrival.time());
        }
    }

    /// Requests the first clone of a commit; returns the bytes of the answer, or `None` if the cache
    /// sends too many already.
    pub(crate) async fn first_clone(&mut self, commit: &str) -> Result<Option<u64>> {
        let arguments = ["deepen 1", &format!("want {commit}"), "done"];
        let request = self.post(remotes::request("fetch", &arguments))?;
        let response = self.send(request).await?;
        let status = response.status();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.into_body().collect().await?;
            return Ok(None);
        }
        ensure!(status == StatusCode::OK, "{status}");
        let mut body = response.into_body();
        let mut bytes = 0;
        while let Some(frame) = body.frame().await {
            bytes += frame?.data_ref().map_or(0, |data| data.len() as u64);
        }
        Ok(Some(bytes))
    }

    fn post(&self, body: Vec<u8>) -> Result<Request<Full<Bytes>>> {
        let request = Request::post(&self.path)
            .header(HOST, "localhost")
            .header(AUTHORIZATION, CacheWorld::authorization())
            .header("git-protocol", "version=2")
            .header(CONTENT_TYPE, "application/x-git-upload-pack-request");
        Ok(request.body(Full::from(body))?)
    }

    /// Sends a request, over a new connection if the cache has closed the last one.
    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>> {
        if self.sender.ready().await.is_err() {
            self.sender = connect(self.address, &self.connector, &self.arrival).await?;
        }
        Ok(self.sender.send_request(request).await?)
    }
}

async fn connect(
    address: SocketAddr,
    connector: &TlsConnector,
    arrival: &Arrival,
) -> Result<Sender> {
    let name = ServerName::try_from("localhost")?;
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let stream = ArrivalStream::new(stream, arrival.clone());
    https::connect_over(name, stream, connector).await
}

/// Sends a wake-up for the repository, as the push receiver does.
pub(crate) async fn wake(world: &CacheWorld) -> Result<()> {
    let message = json!({"repositories": [world.url()]}).to_string();
    let mut sender = connect(world.address, &world.connector, &Arrival::default()).await?;
    let request = Request::post("/wake")
        .header(HOST, "localhost")
        .header(AUTHORIZATION, format!("Bearer {}", WAKE_KEY))
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(message)))?;
    let response = sender.send_request(request).await?;
    ensure!(
        response.status() == StatusCode::NO_CONTENT,
        "{}",
        response.status()
    );
    Ok(())
}
