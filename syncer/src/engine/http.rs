//! The poll over http(s): one POST on a kept connection, once the server's capabilities are known.

use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Full;
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
use rustls::ClientConfig;
use tokio::time::Instant;
use url::Position;
use url::Url;

use crate::auth::Grant;
use crate::config::Credentials;
use crate::engine::Asking;
use crate::engine::Engine;
use crate::engine::EngineError;
use crate::engine::Told;
use crate::engine::connect;
use crate::engine::connect::Server;
use crate::engine::packets::Packets;
use crate::engine::packets::ProtocolError;
use crate::engine::pool::LONGEST_LIFE;
use crate::engine::refs;
use crate::engine::refs::Greeted;
use crate::engine::refs::Greeting;
use crate::engine::refs::Search;
use crate::git::Hash;
use crate::throttle;
use crate::web;
use crate::web::Proxies;
use crate::web::Trust;

/// Where a conversation begins, below the repository's address.
const BEGINNING: &str = "/info/refs?service=git-upload-pack";

/// git's own limit.
const MOST_REDIRECTS: usize = 20;

/// Servers tell programs from browsers by git's name.
const AGENT: HeaderValue = HeaderValue::from_static(concat!(
    "git/2.0 (gitvolume-syncer/",
    env!("CARGO_PKG_VERSION"),
    ")"
));

const PROTOCOL: HeaderName = HeaderName::from_static("git-protocol");

/// Asks an http(s) server.
#[derive(Debug)]
pub(super) struct HttpEngine {
    url: Url,
    name: String,
    /// Connections are kept from poll to poll.
    is_keeping: bool,
    proxies: Arc<Proxies>,
    learnt: Learnt,
}

/// What is known of the server, for one grant.
#[derive(Debug, Default)]
struct Learnt {
    generation: u64,
    tls: Option<Arc<ClientConfig>>,
    /// The server wants to know who asks.
    wants_password: bool,
    route: Option<Route>,
}

/// How a server of protocol version 2 is asked.
struct Route {
    server: Server,
    request: Request<Full<Bytes>>,
    since: Instant,
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Route").finish_non_exhaustive()
    }
}

impl HttpEngine {
    /// Describes a remote; nothing is asked yet.
    pub(super) fn new(url: Url, name: &str, is_keeping: bool, proxies: Arc<Proxies>) -> Self {
        Self {
            url,
            name: name.to_owned(),
            is_keeping,
            proxies,
            learnt: Learnt::default(),
        }
    }

    async fn compare(&mut self, grant: &Grant, known: &Hash) -> Result<Told, EngineError> {
        if self.learnt.generation != grant.generation {
            self.learnt = Learnt {
                generation: grant.generation,
                ..Learnt::default()
            };
        }
        let route = self.learnt.route.take();
        let route = match route.filter(|route| route.since.elapsed() < LONGEST_LIFE) {
            Some(route) => route,
            None => match self.begin(grant, known).await? {
                Beginning::Route(route) => *route,
                Beginning::Told(told) => return Ok(told),
            },
        };
        // A refusal forgets the route, so that the next poll begins anew.
        let told = self.list(&route, known).await?;
        self.learnt.route = Some(route);
        Ok(told)
    }

    /// Sends the one request of a poll.
    async fn list(&self, route: &Route, known: &Hash) -> Result<Told, EngineError> {
        let (response, connection) = connect::send(&route.server, &route.request).await?;
        judge(&response)?;
        let mut search = Search::new(&self.name, known);
        let (answer, received) =
            read(response, |packets| refs::listed(packets, &mut search)).await?;
        if self.is_keeping {
            connect::keep(&route.server, connection);
        }
        Ok(Told { answer, received })
    }

    /// Learns where and how the server is asked, as git begins each conversation.
    async fn begin(&mut self, grant: &Grant, known: &Hash) -> Result<Beginning, EngineError> {
        let mut at = beginning(&self.url)?;
        let mut redirects = 0;
        loop {
            let server = self.server(&at, grant)?;
            let password = self.password(&at, grant)?;
            let is_shown = password.is_some();
            let request = connect::address(&server, get(&at, password)?)?;
            let (response, connection) = connect::send(&server, &request).await?;
            if response.status().is_redirection() {
                redirects += 1;
                at = redirected(&at, &response)
                    .filter(|_| redirects <= MOST_REDIRECTS)
                    .ok_or(EngineError::Unfit(
                        "the server sends us elsewhere than git would go",
                    ))?;
                continue;
            }
            if response.status() == StatusCode::UNAUTHORIZED && !is_shown && wants_basic(&response)
            {
                self.learnt.wants_password = true;
                if self.password(&at, grant)?.is_some() {
                    continue;
                }
            }
            judge(&response)?;
            if !is_gits(&response) {
                return Err(EngineError::Unfit(
                    "the server gives files and does not speak git's protocol",
                ));
            }
            let mut greeted = Greeted::new(Search::new(&self.name, known));
            let (greeting, received) = read(response, |packets| greeted.read(packets)).await?;
            if self.is_keeping || matches!(greeting, Greeting::Capabilities { .. }) {
                connect::keep(&server, connection);
            }
            return match greeting {
                Greeting::Listed(answer) => Ok(Beginning::Told(Told { answer, received })),
                Greeting::Capabilities { object_format } => {
                    let body = refs::request(&self.name, object_format.as_deref());
                    let request = post(&at, self.password(&at, grant)?, body)?;
                    let request = connect::address(&server, request)?;
                    let route = Route {
                        server,
                        request,
                        since: Instant::now(),
                    };
                    Ok(Beginning::Route(Box::new(route)))
                }
            };
        }
    }

    fn server(&mut self, at: &Url, grant: &Grant) -> Result<Server, EngineError> {
        let tls = match &self.learnt.tls {
            Some(tls) => tls.clone(),
            None => {
                let tls = web::tls(&Trust::of_git(grant.ca.as_deref()))?;
                self.learnt.tls = Some(tls.clone());
                tls
            }
        };
        let proxy = self.proxies.intercept(at);
        Server::of(at, tls, proxy.map(Arc::new))
            .ok_or(EngineError::Unfit("the address has no host"))
    }

    /// The password for an address, if the server wants one: none but the repository's own gets it.
    fn password(&self, at: &Url, grant: &Grant) -> Result<Option<HeaderValue>, EngineError> {
        match &grant.http {
            Some(credentials) if self.learnt.wants_password && at.origin() == self.url.origin() => {
                basic(credentials).map(Some)
            }
            _ => Ok(None),
        }
    }
}

impl Engine for HttpEngine {
    fn ask<'a>(&'a mut self, grant: &'a Grant, known: &'a Hash) -> Asking<'a> {
        Box::pin(self.compare(grant, known))
    }
}

enum Beginning {
    Route(Box<Route>),
    /// An older server has listed its refs at once.
    Told(Told),
}

/// Where a conversation about this repository begins.
fn beginning(url: &Url) -> Result<Url, EngineError> {
    let base = url[..Position::AfterPath].trim_end_matches('/');
    Url::parse(&format!("{base}{BEGINNING}"))
        .map_err(|_| EngineError::Unfit("the address is none of http"))
}

/// Where a redirect leads, if it is to the beginning of another repository, as git wants it.
fn redirected(at: &Url, response: &Response<Incoming>) -> Option<Url> {
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let to = at.join(location).ok()?;
    let is_http = matches!(to.scheme(), "http" | "https");
    // From TLS to none git goes as well; we do not, and leave it to git.
    let is_open = at.scheme() == "https" && to.scheme() == "http";
    (is_http && !is_open && to.as_str().ends_with(BEGINNING)).then_some(to)
}

fn get(at: &Url, password: Option<HeaderValue>) -> Result<Request<Full<Bytes>>, EngineError> {
    let path = at[Position::BeforePath..Position::AfterQuery].to_owned();
    let mut request = request(Method::GET, at, path, password)?;
    // As git has it: a cache between must not answer.
    let headers = request.headers_mut();
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    Ok(request)
}

fn post(
    at: &Url,
    password: Option<HeaderValue>,
    body: Vec<u8>,
) -> Result<Request<Full<Bytes>>, EngineError> {
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

fn request(
    method: Method,
    at: &Url,
    path: String,
    password: Option<HeaderValue>,
) -> Result<Request<Full<Bytes>>, EngineError> {
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

fn basic(credentials: &Credentials) -> Result<HeaderValue, EngineError> {
    let pair = format!("{}:{}", credentials.username, credentials.password);
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

/// Tells whether git answers, and no web server that gives a file.
fn is_gits(response: &Response<Incoming>) -> bool {
    let kind = response.headers().get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()?.split(';').next());
    kind.is_some_and(|kind| kind.trim() == "application/x-git-upload-pack-advertisement")
}

fn judge(response: &Response<Incoming>) -> Result<(), EngineError> {
    let status = response.status();
    if status == StatusCode::OK {
        return Ok(());
    }
    let wait = response.headers().get(RETRY_AFTER);
    let wait = wait.and_then(|wait| throttle::parse(wait.to_str().ok()?, SystemTime::now()));
    match wait.filter(|_| throttle::asks_for_rest(status)) {
        Some(wait) => Err(EngineError::Later { status, wait }),
        None => Err(EngineError::Status(status)),
    }
}

/// Reads an answer to its end, so that the connection can be used again; gives its length, too.
async fn read<T>(
    response: Response<Incoming>,
    mut parse: impl FnMut(&mut Packets) -> Result<Option<T>, ProtocolError>,
) -> Result<(T, u64), EngineError> {
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
    // What follows an answer makes it none.
    let is_whole = packets.is_empty();
    let parsed = parsed.filter(|_| is_whole);
    let parsed = parsed.ok_or(EngineError::Protocol(ProtocolError::Short))?;
    Ok((parsed, packets.total()))
}
