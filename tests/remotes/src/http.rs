use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::header::CONTENT_ENCODING;
use hyper::header::CONTENT_TYPE;
use hyper::header::HeaderName;
use hyper::header::USER_AGENT;
use hyper::header::WWW_AUTHENTICATE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpSocket;
use tokio::process::Command;
use tokio::runtime;
use tokio::sync::oneshot;

use crate::git;
use crate::tls::ClientCertificate;
use crate::tls::Tls;
use crate::trouble::Answer;
use crate::trouble::Dialect;
use crate::trouble::Trouble;
use crate::trouble::plain;

/// Authentication that the server requires; without it, anonymous read access.
#[derive(Clone, Debug)]
pub enum BasicAuth {
    /// A user and a password.
    Password(String, String),
    /// A user, and a password file that is read at each request, so that the password can change.
    PasswordFile(String, PathBuf),
    /// A header with this value, such as `cookie`, instead of a password.
    Header(&'static str, String),
    /// A different user and password for each of these first components of the path.
    Paths(Vec<(&'static str, &'static str, &'static str)>),
}

/// One request as recorded by the server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seen {
    /// The request line, for example `GET /site.git/info/refs?service=git-upload-pack`.
    pub line: String,
    /// Whether the request contained a password.
    pub has_password: bool,
    /// Time of the request.
    pub at: Instant,
}

/// Smart HTTP server for all repositories below a directory, on 127.0.0.1, in its own thread.
#[derive(Debug)]
pub struct HttpServer {
    site: Arc<Site>,
    address: SocketAddr,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    /// Holds the port while the server is stopped: no other program gets it, and connections are
    /// refused.
    reserved: Option<TcpSocket>,
}

struct Site {
    root: PathBuf,
    auth: Mutex<Option<BasicAuth>>,
    redirect: Mutex<Option<String>>,
    tls: Mutex<Option<Tls>>,
    trouble: Mutex<Option<(Trouble, &'static str)>>,
    dialect: Mutex<Dialect>,
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    requests: AtomicUsize,
    is_hanging: AtomicBool,
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl HttpServer {
    /// Serves the repositories below a directory, on a free port.
    pub fn start(root: &Path) -> Self {
        Self::start_with(root, None)
    }

    /// The same over TLS, with its own CA: [`HttpServer::ca_pem`].
    pub fn start_tls(root: &Path) -> Self {
        Self::start_with(root, Some(Tls::new()))
    }

    /// The same with the caller's certificate chain and key, in PEM.
    pub fn start_tls_with(root: &Path, chain: &str, key: &str) -> Self {
        Self::start_with(root, Some(Tls::of_pem(chain, key)))
    }

    /// The same; serves only clients that present the returned certificate.
    pub fn start_tls_for_a_client(root: &Path) -> (Self, ClientCertificate) {
        let (tls, client) = Tls::for_a_client();
        (Self::start_with(root, Some(tls)), client)
    }

    fn start_with(root: &Path, tls: Option<Tls>) -> Self {
        let socket = bound(SocketAddr::from(([127, 0, 0, 1], 0)));
        let address = socket.local_addr().expect("an address");
        let mut server = Self {
            site: Arc::new(Site::new(root, None, tls)),
            address,
            running: None,
            reserved: None,
        };
        server.run(socket);
        server
    }

    /// The address of a repository.
    pub fn url(&self, name: &str) -> String {
        let is_tls = lock(&self.site.tls).is_some();
        let scheme = if is_tls { "https" } else { "http" };
        format!("{scheme}://{}/{name}", self.address)
    }

    /// The CA certificate that signed the server's certificate; empty without TLS.
    pub fn ca_pem(&self) -> String {
        let tls = lock(&self.site.tls);
        tls.as_ref()
            .map(|tls| tls.ca_pem.clone())
            .unwrap_or_default()
    }

    /// Uses a certificate of a new CA for new connections; open ones continue.
    pub fn change_certificate(&self) {
        *lock(&self.site.tls) = Some(Tls::new());
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Number of requests served so far.
    pub fn requests(&self) -> usize {
        self.site.requests.load(Ordering::Relaxed)
    }

    /// Number of connections accepted so far.
    pub fn connections(&self) -> usize {
        self.site.connections.load(Ordering::Relaxed)
    }

    /// Every request answered so far, in order.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.site.seen).clone()
    }

    /// Sets the response to send instead of running git; `None` runs git again.
    pub fn trouble(&self, trouble: Option<Trouble>) {
        *lock(&self.site.trouble) = trouble.map(|trouble| (trouble, ""));
    }

    /// Sets the response for clients with this name only; other clients get git's.
    pub fn trouble_for(&self, agent: &'static str, trouble: Trouble) {
        *lock(&self.site.trouble) = Some((trouble, agent));
    }

    /// Sets the protocol for the following requests.
    pub fn speak(&self, dialect: Dialect) {
        *lock(&self.site.dialect) = dialect;
    }

    /// Sets the required authentication; `None` allows anonymous access.
    pub fn require(&self, auth: Option<BasicAuth>) {
        *lock(&self.site.auth) = auth;
    }

    /// Redirects every request to the same path below this base; `None` stops redirecting.
    pub fn redirect_to(&self, base: Option<String>) {
        *lock(&self.site.redirect) = base;
    }

    /// Leaves all requests unanswered; `false` answers new ones again.
    pub fn hang(&self, hang: bool) {
        self.site.is_hanging.store(hang, Ordering::Relaxed);
    }

    /// Stops: closes the port and every connection.
    pub fn stop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            self.reserved = Some(bound(self.address));
            // The thread may have ended already.
            let _ = stop.send(());
            thread.join().expect("the server's thread");
        }
    }

    /// Starts again on the same port after [`HttpServer::stop`].
    pub fn start_again(&mut self) {
        self.stop();
        let socket = self.reserved.take().expect("a stopped server");
        self.run(socket);
    }

    fn run(&mut self, socket: TcpSocket) {
        let (stop, stopped) = oneshot::channel::<()>();
        let site = self.site.clone();
        let thread = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let listener = socket.listen(1024).expect("a socket");
                let accepting = tokio::spawn(accept(listener, site));
                // A dropped sender also means stop.
                let _ = stopped.await;
                accepting.abort();
            });
            runtime.shutdown_background();
        });
        self.running = Some((stop, thread));
    }
}

/// A socket of this address that several owners may share, so that one can take over from another.
fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("a socket");
    socket.set_reuseport(true).expect("a socket");
    socket.bind(address).expect("a free port");
    socket
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Serves the repositories below a directory until the process ends; for the program `git-http`.
pub fn serve_for_ever(
    root: &Path,
    listen: SocketAddr,
    auth: Option<BasicAuth>,
) -> anyhow::Result<()> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen}"))?;
        println!("listening on {}", listener.local_addr()?);
        accept(listener, Arc::new(Site::new(root, auth, None))).await;
        Ok(())
    })
}

async fn accept(listener: TcpListener, site: Arc<Site>) {
    while let Ok((stream, _)) = listener.accept().await {
        site.connections.fetch_add(1, Ordering::Relaxed);
        let site = site.clone();
        let acceptor = lock(&site.tls).as_ref().map(|tls| tls.acceptor.clone());
        tokio::spawn(async move {
            match acceptor {
                None => serve(stream, &site).await,
                Some(acceptor) => {
                    // A client that does not trust the certificate fails the handshake.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, &site).await;
                    }
                }
            }
        });
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, site: &Site) {
    let service = service_fn(|request| async {
        let (head, body) = site.answer(request).await.into_parts();
        let Ok(body) = body.collect().await;
        let body = site.spoilt(body.to_bytes());
        Ok::<_, Infallible>(Response::from_parts(head, body))
    });
    // A client may close the connection early.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl Site {
    fn new(root: &Path, auth: Option<BasicAuth>, tls: Option<Tls>) -> Self {
        Self {
            root: root.to_owned(),
            auth: Mutex::new(auth),
            redirect: Mutex::new(None),
            tls: Mutex::new(tls),
            trouble: Mutex::new(None),
            dialect: Mutex::new(Dialect::Any),
            seen: Mutex::new(Vec::new()),
            connections: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            is_hanging: AtomicBool::new(false),
        }
    }

    fn spoilt(&self, body: Bytes) -> Answer {
        match *lock(&self.trouble) {
            Some((trouble, _)) => trouble.spoilt(body),
            None => Answer::whole(body),
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if self.is_hanging.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        lock(&self.seen).push(Seen {
            line: format!("{} {}", request.method(), request.uri()),
            has_password: request.headers().contains_key(AUTHORIZATION),
            at: Instant::now(),
        });
        let agent = request.headers().get(USER_AGENT);
        let agent = agent
            .and_then(|agent| agent.to_str().ok())
            .unwrap_or_default();
        if let Some((trouble, name)) = *lock(&self.trouble)
            && agent.contains(name)
            && let Some(response) = trouble.response()
        {
            return response;
        }
        if let Some(base) = lock(&self.redirect).as_deref() {
            let location = format!("{base}{}", request.uri());
            return plain(StatusCode::FOUND, "location", &location);
        }
        if !self.is_welcome(&request) {
            let challenge = "Basic realm=\"git\"";
            return plain(
                StatusCode::UNAUTHORIZED,
                WWW_AUTHENTICATE.as_str(),
                challenge,
            );
        }
        self.ask_git(request).await.unwrap_or_else(|error| {
            eprintln!("git-http: {error:#}");
            plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                "x-error",
                "git http-backend",
            )
        })
    }

    fn is_welcome(&self, request: &Request<Incoming>) -> bool {
        let (user, password) = match lock(&self.auth).as_ref() {
            None => return true,
            Some(BasicAuth::Password(user, password)) => (user.clone(), password.clone()),
            Some(BasicAuth::PasswordFile(user, path)) => match std::fs::read_to_string(path) {
                Ok(password) => (user.clone(), password.trim_end().to_owned()),
                Err(_) => return false,
            },
            Some(BasicAuth::Header(name, value)) => {
                let given = request.headers().get(*name);
                return given.is_some_and(|given| given.as_bytes() == value.as_bytes());
            }
            Some(BasicAuth::Paths(paths)) => {
                let path = request.uri().path();
                let mut paths = paths.iter();
                match paths.find(|(prefix, ..)| path.starts_with(prefix)) {
                    Some((_, user, password)) => ((*user).to_owned(), (*password).to_owned()),
                    None => return false,
                }
            }
        };
        let expected = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let given = request.headers().get(AUTHORIZATION);
        given.is_some_and(|given| given.as_bytes() == expected.as_bytes())
    }

    /// Runs `git http-backend` as a CGI program (RFC 3875).
    async fn ask_git(&self, request: Request<Incoming>) -> anyhow::Result<Response<Full<Bytes>>> {
        let (head, body) = request.into_parts();
        let dialect = *lock(&self.dialect);
        let body = body.collect().await?.to_bytes();
        let mut command = Command::from(git());
        let header = |name: HeaderName| {
            let value = head.headers.get(name);
            value
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
        };
        let protocol = match dialect {
            Dialect::Any => header(HeaderName::from_static("git-protocol")),
            Dialect::V0 | Dialect::Dumb => "",
        };
        // Without a service parameter, git lists its refs in a file, as in dumb HTTP.
        let query = match dialect {
            Dialect::Any | Dialect::V0 => head.uri.query().unwrap_or_default(),
            Dialect::Dumb => "",
        };
        command
            .arg("http-backend")
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("GIT_PROJECT_ROOT", &self.root)
            // git must not check the owner of the repositories.
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", "safe.directory")
            .env("GIT_CONFIG_VALUE_0", "*")
            .env("REQUEST_METHOD", head.method.as_str())
            .env("PATH_INFO", head.uri.path())
            .env("QUERY_STRING", query)
            .env("CONTENT_TYPE", header(CONTENT_TYPE))
            .env("CONTENT_LENGTH", body.len().to_string())
            .env("HTTP_CONTENT_ENCODING", header(CONTENT_ENCODING))
            .env("GIT_PROTOCOL", protocol)
            .env("REMOTE_ADDR", "127.0.0.1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().context("git: apt-get install git")?;
        let mut stdin = child.stdin.take().context("a pipe")?;
        let feed = async {
            // git may reject the request before it has read it all; its response contains the
            // reason.
            let _ = stdin.write_all(&body).await;
            drop(stdin);
        };
        let ((), output) = tokio::join!(feed, child.wait_with_output());
        response(&output?.stdout)
    }
}

/// Converts the output of a CGI program into a response.
fn response(output: &[u8]) -> anyhow::Result<Response<Full<Bytes>>> {
    let end = output
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .context("git http-backend wrote no header")?;
    let (head, body) = (&output[..end], &output[end + 4..]);
    let mut response = Response::new(Full::from(Bytes::copy_from_slice(body)));
    for line in std::str::from_utf8(head)?.lines() {
        let (name, value) = line.split_once(": ").context("a header line")?;
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().unwrap_or_default();
            *response.status_mut() = code.parse()?;
        } else {
            let name = HeaderName::from_bytes(name.as_bytes())?;
            response.headers_mut().append(name, value.parse()?);
        }
    }
    Ok(response)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
