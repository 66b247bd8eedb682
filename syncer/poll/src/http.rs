//! Polls over http(s): one POST on a kept connection, once the server's capabilities are known.

use std::sync::Arc;

use args::Revision;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::HeaderMap;
use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::ACCEPT;
use hyper::header::AUTHORIZATION;
use hyper::header::CONTENT_TYPE;
use hyper::header::HOST;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use hyper::header::LOCATION;
use hyper::header::PRAGMA;
use hyper::header::RETRY_AFTER;
use hyper::header::USER_AGENT;
use hyper::header::WWW_AUTHENTICATE;
use tokio::time::Instant;
use url::Position;
use url::Url;

use crate::connect;
use crate::connect::Server;
use crate::credentials::Credentials;
use crate::error::PollError;
use crate::network::Network;
use crate::packets::Packets;
use crate::packets::ProtocolError;
use crate::pool::LONGEST_LIFE;
use crate::refs;
use crate::refs::Greeting;
use crate::refs::Handshake;
use crate::refs::Search;
use crate::response::FoundRef;
use crate::response::KnownRef;
use crate::response::PollResponse;

/// The path of the first request, below the repository's address.
const BEGINNING: &str = "/info/refs?service=git-upload-pack";

/// The maximum number of redirects, git's own limit.
const MOST_REDIRECTS: usize = 20;

/// The user agent. Servers distinguish git from browsers by its name.
const AGENT: HeaderValue = HeaderValue::from_static(concat!(
    "git/2.0 (gitvolume-syncer/",
    env!("CARGO_PKG_VERSION"),
    ")"
));

const PROTOCOL: HeaderName = HeaderName::from_static("git-protocol");

/// Polls one ref of an http(s) remote.
pub struct HttpRefPoller {
    url: Url,
    rev: Revision,
    /// Whether connections are kept between polls.
    is_keeping: bool,
    network: Arc<dyn Network>,
    /// Whether the first request has the password, before the server requests it.
    is_preemptive: bool,
    server_info: ServerInfo,
}

/// The known properties of the server, for one set of credentials.
#[derive(Default)]
struct ServerInfo {
    generation: u64,
    /// Whether the server requires a password.
    wants_password: bool,
    route: Option<Route>,
}

/// A response of the cache.
pub(crate) struct CacheResponse {
    /// The ref; `None` if nothing has changed since the answer that the request names.
    pub(crate) changed: Option<Option<FoundRef>>,
    pub(crate) headers: HeaderMap,
}

/// The prepared request for the refs of a server with protocol version 2.
struct Route {
    server: Server,
    request: Request<Full<Bytes>>,
    since: Instant,
}

impl HttpRefPoller {
    /// Describes a remote without contacting it.
    pub fn new(url: Url, rev: Revision, is_keeping: bool, network: Arc<dyn Network>) -> Self {
        Self {
            url,
            rev,
            is_keeping,
            network,
            is_preemptive: false,
            server_info: ServerInfo::default(),
        }
    }

    /// Sends the password with the first request.
    pub(crate) fn preemptive(self) -> Self {
        Self {
            is_preemptive: true,
            ..self
        }
    }

    /// Compares the ref with the known one. The server's capabilities are kept until the credentials
    /// change.
    pub async fn poll(
        &mut self,
        credentials: Credentials<'_>,
        known: KnownRef<'_>,
    ) -> Result<PollResponse, PollError> {
        let route = match self.route(credentials, known).await? {
            Discovery::Route(route) => *route,
            Discovery::PollResponse(polled) => return Ok(polled),
        };
        // An error discards the route, so that the next poll starts with the capabilities again.
        let polled = self.list(&route, known).await?;
        self.server_info.route = Some(route);
        Ok(polled)
    }

    /// The prepared request, or the answer of an older server.
    async fn route(
        &mut self,
        credentials: Credentials<'_>,
        known: KnownRef<'_>,
    ) -> Result<Discovery, PollError> {
        if self.server_info.generation != credentials.generation {
            self.server_info = ServerInfo {
                generation: credentials.generation,
                ..ServerInfo::default()
            };
        }
        let route = self.server_info.route.take();
        match route.filter(|route| route.since.elapsed() < LONGEST_LIFE) {
            Some(route) => Ok(Discovery::Route(Box::new(route))),
            None => self.begin(credentials, known).await,
        }
    }

    /// Sends the one request of a poll to the cache, with these headers.
    pub(crate) async fn ask_cache(
        &mut self,
        credentials: Credentials<'_>,
        headers: HeaderMap,
    ) -> Result<CacheResponse, PollError> {
        let nothing = KnownRef {
            object: "",
            tag: None,
        };
        let route = match self.route(credentials, nothing).await? {
            Discovery::Route(route) => *route,
            Discovery::PollResponse(_) => {
                return Err(PollError::Unfit(
                    "the cache does not speak protocol version 2",
                ));
            }
        };
        let mut request = route.request.clone();
        request.headers_mut().extend(headers);
        let (response, connection) = connect::send(&*self.network, &route.server, &request).await?;
        let headers = response.headers().clone();
        let changed = if response.status() == StatusCode::NOT_MODIFIED {
            None
        } else {
            judge(&response)?;
            Some(self.read_refs(response, nothing).await?.found)
        };
        connect::keep(&route.server, connection);
        self.server_info.route = Some(route);
        Ok(CacheResponse { changed, headers })
    }

    /// Sends the one request of a poll.
    async fn list(&self, route: &Route, known: KnownRef<'_>) -> Result<PollResponse, PollError> {
        let (response, connection) =
            connect::send(&*self.network, &route.server, &route.request).await?;
        judge(&response)?;
        let polled = self.read_refs(response, known).await?;
        if self.is_keeping {
            connect::keep(&route.server, connection);
        }
        Ok(polled)
    }

    async fn read_refs(
        &self,
        response: Response<Incoming>,
        known: KnownRef<'_>,
    ) -> Result<PollResponse, PollError> {
        let mut search = Search::new(&self.rev, known);
        let (answer, received) =
            read(response, |packets| refs::listed(packets, &mut search)).await?;
        Ok(PollResponse {
            answer,
            found: search.found(),
            received,
        })
    }

    /// Requests the capabilities, git's first request, and prepares the request for refs.
    async fn begin(
        &mut self,
        credentials: Credentials<'_>,
        known: KnownRef<'_>,
    ) -> Result<Discovery, PollError> {
        let mut at = beginning(&self.url)?;
        let mut redirects = 0;
        loop {
            let server = self.server(&at, credentials)?;
            let password = self.password(&at, credentials)?;
            let is_shown = password.is_some();
            let request = connect::address(&server, get(&at, password)?)?;
            let (response, connection) = connect::send(&*self.network, &server, &request).await?;
            if response.status().is_redirection() {
                redirects += 1;
                at = redirected(&at, &response)
                    .filter(|_| redirects <= MOST_REDIRECTS)
                    .ok_or(PollError::Unfit(
                        "the server redirects to an address that git would not follow",
                    ))?;
                continue;
            }
            if response.status() == StatusCode::UNAUTHORIZED && !is_shown && wants_basic(&response)
            {
                self.server_info.wants_password = true;
                if self.password(&at, credentials)?.is_some() {
                    continue;
                }
            }
            judge(&response)?;
            if !is_gits(&response) {
                return Err(PollError::Unfit(
                    "the server supports only git's dumb HTTP protocol",
                ));
            }
            let mut greeted = Handshake::new(Search::new(&self.rev, known));
            let (greeting, received) = read(response, |packets| greeted.read(packets)).await?;
            if self.is_keeping || matches!(greeting, Greeting::Capabilities { .. }) {
                connect::keep(&server, connection);
            }
            return match greeting {
                Greeting::Listed(answer) => Ok(Discovery::PollResponse(PollResponse {
                    answer,
                    found: greeted.found(),
                    received,
                })),
                Greeting::Capabilities { object_format } => {
                    let body = refs::request(&self.rev, object_format.as_deref());
                    let request = post(&at, self.password(&at, credentials)?, body)?;
                    let request = connect::address(&server, request)?;
                    let route = Route {
                        server,
                        request,
                        since: Instant::now(),
                    };
                    Ok(Discovery::Route(Box::new(route)))
                }
            };
        }
    }

    fn server(&self, at: &Url, credentials: Credentials<'_>) -> Result<Server, PollError> {
        let tls = self.network.tls(credentials.ca).map_err(PollError::Trust)?;
        let proxy = self.network.proxy(at);
        Server::of(at, tls, proxy.map(Arc::new)).ok_or(PollError::Unfit("the address has no host"))
    }

    /// The password for an address, if the server requires one; only the repository's own address
    /// gets it.
    fn password(
        &self,
        at: &Url,
        credentials: Credentials<'_>,
    ) -> Result<Option<HeaderValue>, PollError> {
        match credentials.http {
            Some((user, password))
                if (self.is_preemptive || self.server_info.wants_password)
                    && at.origin() == self.url.origin() =>
            {
                basic(user, password).map(Some)
            }
            _ => Ok(None),
        }
    }
}

enum Discovery {
    Route(Box<Route>),
    /// An older server has already listed its refs.
    PollResponse(PollResponse),
}

/// The address of the first request for this repository.
fn beginning(url: &Url) -> Result<Url, PollError> {
    let base = url[..Position::AfterPath].trim_end_matches('/');
    Url::parse(&format!("{base}{BEGINNING}"))
        .map_err(|_| PollError::Unfit("the address is not a valid http address"))
}

/// The target of a redirect, if it is the first request's address of another repository, as git
/// requires.
fn redirected(at: &Url, response: &Response<Incoming>) -> Option<Url> {
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let to = at.join(location).ok()?;
    let is_http = matches!(to.scheme(), "http" | "https");
    // git also follows from TLS to plain http; the poller leaves that to git.
    let is_open = at.scheme() == "https" && to.scheme() == "http";
    (is_http && !is_open && to.as_str().ends_with(BEGINNING)).then_some(to)
}

pub(crate) fn get(
    at: &Url,
    password: Option<HeaderValue>,
) -> Result<Request<Full<Bytes>>, PollError> {
    let path = at[Position::BeforePath..Position::AfterQuery].to_owned();
    let mut request = request(Method::GET, at, path, password)?;
    // As in git: a cache must not answer.
    let headers = request.headers_mut();
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    Ok(request)
}

fn post(
    at: &Url,
    password: Option<HeaderValue>,
    body: Vec<u8>,
) -> Result<Request<Full<Bytes>>, PollError> {
    let path = at[Position::BeforePath..Position::AfterQuery].trim_end_matches(BEGINNING);
    let mut request = request(
        Method::POST,
        at,
        format!("{path}/git-upload-pack"),
        password,
    )?;
    let headers = request.headers_mut();
    let kind = |text| HeaderValue::from_static(text);
    headers.insert(CONTENT_TYPE, kind("application/x-git-upload-pack-request"));
    headers.insert(ACCEPT, kind("application/x-git-upload-pack-result"));
    *request.body_mut() = Full::from(body);
    Ok(request)
}

/// A request of git's HTTP client.
pub(crate) fn request(
    method: Method,
    at: &Url,
    path: String,
    password: Option<HeaderValue>,
) -> Result<Request<Full<Bytes>>, PollError> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, &at[Position::BeforeHost..Position::AfterPort])
        .header(USER_AGENT, AGENT)
        .header(PROTOCOL, "version=2");
    if let Some(password) = password {
        request = request.header(AUTHORIZATION, password);
    }
    Ok(request.body(Full::default())?)
}

fn basic(user: &str, password: &str) -> Result<HeaderValue, PollError> {
    let pair = format!("{user}:{password}");
    let value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)));
    let mut value = value.map_err(hyper::http::Error::from)?;
    value.set_sensitive(true);
    Ok(value)
}

fn wants_basic(response: &Response<Incoming>) -> bool {
    let challenges = response.headers().get_all(WWW_AUTHENTICATE);
    challenges.iter().any(|challenge| {
        let scheme = challenge.as_bytes().get(..5);
        scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic"))
    })
}

/// Whether the response comes from git and not from a web server that serves a file.
fn is_gits(response: &Response<Incoming>) -> bool {
    let kind = response.headers().get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()?.split(';').next());
    kind.is_some_and(|kind| kind.trim() == "application/x-git-upload-pack-advertisement")
}

/// An error for a status other than 200.
pub(crate) fn judge(response: &Response<Incoming>) -> Result<(), PollError> {
    let status = response.status();
    if status == StatusCode::OK {
        return Ok(());
    }
    let header = response.headers().get(RETRY_AFTER);
    let header = header.and_then(|header| header.to_str().ok());
    Err(PollError::Status {
        status,
        retry_after: header.map(str::to_owned),
    })
}

/// Reads a response to its end, so that the connection can be reused; also returns its length.
async fn read<T>(
    response: Response<Incoming>,
    mut parse: impl FnMut(&mut Packets) -> Result<Option<T>, ProtocolError>,
) -> Result<(T, u64), PollError> {
    let mut body = response.into_body();
    let mut packets = Packets::default();
    let mut parsed = None;
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            packets.push(&data)?;
            if parsed.is_none() {
                parsed = parse(&mut packets)?;
            }
        }
    }
    // Further data after the answer makes it invalid.
    let is_whole = packets.is_empty();
    let parsed = parsed.filter(|_| is_whole);
    let parsed = parsed.ok_or(PollError::Protocol(ProtocolError::Short))?;
    Ok((parsed, packets.total()))
}
