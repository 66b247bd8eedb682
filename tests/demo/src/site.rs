//! The app: a web server for the files below one directory.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::response::Response;
use http_body_util::BodyExt;
use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

/// A web server on a free local port.
pub(super) struct Site {
    address: SocketAddr,
}

impl Site {
    pub(super) async fn serve(root: PathBuf) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let router = Router::new().fallback(file).with_state(Arc::new(root));
        tokio::spawn(async { axum::serve(listener, router).await });
        Ok(Self { address })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Fetches the front page, as a visitor does.
    pub(super) async fn page(&self) -> anyhow::Result<String> {
        let stream = TcpStream::connect(self.address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let request = Request::get("/").header("host", self.address.to_string());
        let response = sender.send_request(request.body(Empty::<Bytes>::new())?);
        let response = response.await.context("cannot fetch the page")?;
        let body = response.into_body().collect().await?.to_bytes();
        connection.abort();
        Ok(String::from_utf8_lossy(&body).into_owned())
    }
}

async fn file(State(root): State<Arc<PathBuf>>, uri: Uri) -> Response {
    let parts = uri.path().split('/').filter(|part| !part.is_empty());
    let mut path = root.to_path_buf();
    for part in parts {
        // Rejects paths above the directory, and names that the layout itself uses.
        if part.starts_with("..") {
            return StatusCode::NOT_FOUND.into_response();
        }
        path.push(part);
    }
    if path.join("index.html").is_file() {
        path.push("index.html");
    }
    let read = if path.is_dir() {
        listing(&path).map(String::into_bytes)
    } else {
        std::fs::read(&path)
    };
    match read {
        Ok(bytes) => ([(CONTENT_TYPE, content_type(&path))], bytes).into_response(),
        Err(error) if error.kind() == ErrorKind::NotFound => StatusCode::NOT_FOUND.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Page for a repository without an index page: a list of its files.
fn listing(directory: &Path) -> std::io::Result<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with("..") {
            names.push(name);
        }
    }
    names.sort();
    names.push(String::new());
    Ok(names.join("\n"))
}

fn content_type(path: &Path) -> &'static str {
    let extension = path.extension().and_then(|extension| extension.to_str());
    match extension {
        Some("css") => "text/css",
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript",
        Some("png") => "image/png",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}
