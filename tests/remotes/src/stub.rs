use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;
use std::thread::JoinHandle;

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::Request;
use hyper::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::sync::oneshot;

use crate::tls::Tls;

type Rule = dyn Fn(&Asked) -> Answer + Send + Sync;

/// A web server whose responses the test defines: an askpass URL, a receiver of webhook calls, an
/// API.
pub struct Stub {
    address: SocketAddr,
    ca_pem: Option<String>,
    asked: Arc<Mutex<Vec<Asked>>>,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

/// A recorded request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
}

/// A response: status, body and headers.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// The body.
    pub body: String,
    /// Additional headers.
    pub headers: Vec<(&'static str, String)>,
}

impl Asked {
    /// The value of a header; `name` is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl Answer {
    /// A status and a text without additional headers.
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            body: body.into(),
            headers: Vec::new(),
        }
    }
}

impl fmt::Debug for Stub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stub")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Stub {
    /// Answers as `rule` decides, on 127.0.0.1 and a free port.
    pub fn start(rule: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = StdListener::bind("127.0.0.1:0").expect("a free port");
        Self::start_with(listener, None, rule)
    }

    /// The same at an address that the test chooses.
    pub fn start_at(
        address: SocketAddr,
        rule: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = StdListener::bind(address).expect("that port is free");
        Self::start_with(listener, None, rule)
    }

    /// The same over TLS, with its own CA: [`Stub::ca_pem`].
    pub fn start_tls(rule: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = StdListener::bind("127.0.0.1:0").expect("a free port");
        Self::start_with(listener, Some(Tls::new()), rule)
    }

    /// The same over TLS at an address that the test chooses, with a certificate for `localhost`.
    pub fn start_tls_at(
        address: SocketAddr,
        rule: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = StdListener::bind(address).expect("that port is free");
        Self::start_with(listener, Some(Tls::new()), rule)
    }

    fn start_with(
        listener: StdListener,
        tls: Option<Tls>,
        rule: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().expect("an address");
        listener.set_nonblocking(true).expect("a socket");
        let ca_pem = tls.as_ref().map(|tls| tls.ca_pem.clone());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (stop, stopped) = oneshot::channel::<()>();
        let seen = asked.clone();
        let thread = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a socket");
                let accepting = tokio::spawn(accept(listener, tls, Arc::new(rule), seen));
                // A dropped sender also means stop.
                let _ = stopped.await;
                accepting.abort();
            });
            runtime.shutdown_background();
        });
        Self {
            address,
            ca_pem,
            asked,
            running: Some((stop, thread)),
        }
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path, which begins with `/`.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.ca_pem.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}{path}", self.address)
    }

    /// The CA certificate that signed the server's certificate; empty without TLS.
    pub fn ca_pem(&self) -> String {
        self.ca_pem.clone().unwrap_or_default()
    }

    /// Every request so far, in order.
    pub fn asked(&self) -> Vec<Asked> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.clone()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            // The thread may have ended already.
            let _ = stop.send(());
            // A rule that panicked has printed its message, and the test fails anyway.
            let _ = thread.join();
        }
    }
}

async fn accept(
    listener: TcpListener,
    tls: Option<Tls>,
    rule: Arc<Rule>,
    asked: Arc<Mutex<Vec<Asked>>>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (rule, asked) = (rule.clone(), asked.clone());
        let acceptor = tls.as_ref().map(|tls| tls.acceptor.clone());
        tokio::spawn(async move {
            match acceptor {
                None => serve(stream, &*rule, &asked).await,
                Some(acceptor) => {
                    // A client that does not trust the certificate fails the handshake.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, &*rule, &asked).await;
                    }
                }
            }
        });
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    rule: &Rule,
    asked: &Mutex<Vec<Asked>>,
) {
    let service =
        service_fn(|request| async { Ok::<_, Infallible>(answer(request, rule, asked).await) });
    // A client may close the connection early.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    rule: &Rule,
    asked: &Mutex<Vec<Asked>>,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes());
    let headers = head.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        (name.as_str().to_owned(), value.into_owned())
    });
    let request = Asked {
        method: head.method.to_string(),
        // Clients send absolute URLs to a proxy.
        path: head
            .uri
            .path_and_query()
            .map(ToString::to_string)
            .unwrap_or_default(),
        headers: headers.collect(),
        body: String::from_utf8_lossy(&body.unwrap_or_default()).into_owned(),
    };
    let answer = rule(&request);
    asked
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(request);
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response
        .body(Full::from(answer.body))
        .expect("a well-formed answer")
}
