//! A local git host: git's own CGI program behind a small HTTP server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::response::IntoResponse;
use axum::response::Response;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::repository::git;

/// Serves every repository below the directory, read-only, on a free local port.
pub(super) async fn serve(root: PathBuf) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = Router::new().fallback(call).with_state(Arc::new(root));
    tokio::spawn(async { axum::serve(listener, router).await });
    Ok(address)
}

async fn call(
    State(root): State<Arc<PathBuf>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match backend(&root, &method, &uri, &headers, &body).await {
        Ok(response) => response,
        Err(error) => {
            let text = format!("{error:#}\n");
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
    }
}

/// Runs `git http-backend` as RFC 3875 specifies; the names are those that git reads (git
/// `http-backend.c`).
async fn backend(
    root: &PathBuf,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &Bytes,
) -> anyhow::Result<Response> {
    let mut command = tokio::process::Command::from(git());
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", method.as_str())
        .env("PATH_INFO", uri.path())
        .env("QUERY_STRING", uri.query().unwrap_or_default())
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    for (header, name) in [
        ("content-type", "CONTENT_TYPE"),
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
        ("git-protocol", "GIT_PROTOCOL"),
    ] {
        if let Some(value) = headers.get(header).and_then(|value| value.to_str().ok()) {
            command.env(name, value);
        }
    }
    let mut child = command.spawn().context("cannot run git http-backend")?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    let (written, output) = tokio::join!(
        async {
            let written = stdin.write_all(body).await;
            drop(stdin);
            written
        },
        child.wait_with_output()
    );
    let output = output?;
    // It may answer before it has read everything.
    written.or_else(|error| match error.kind() {
        std::io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(error),
    })?;
    parse(&output.stdout).context("git http-backend returned no CGI response")
}

fn parse(output: &[u8]) -> Option<Response> {
    let end = output.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, body) = (&output[..end], &output[end + 4..]);
    let mut response = Response::builder();
    for line in std::str::from_utf8(head).ok()?.split("\r\n") {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        response = if name.eq_ignore_ascii_case("status") {
            response.status(value.split(' ').next()?)
        } else {
            response.header(name, value)
        };
    }
    response.body(Body::from(body.to_vec())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::Repository;

    #[test]
    fn the_backends_response_is_parsed() {
        let output = b"Status: 404 Not Found\r\nContent-Type: text/plain\r\n\r\nno\r\n\r\nsuch";
        let response = parse(output).unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(response.headers()["content-type"], "text/plain");
        assert!(parse(b"garbage").is_none());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn git_clones_from_it() {
        let world = tempfile::tempdir().unwrap();
        let repository = Repository::create(world.path()).unwrap();
        let address = serve(repository.host_root().to_owned()).await.unwrap();
        let clone = git()
            .args(["clone", "--quiet", "--depth=1"])
            .arg(format!("http://{address}/{}", Repository::NAME))
            .arg(world.path().join("clone"))
            .env("no_proxy", "127.0.0.1")
            .status()
            .unwrap();
        assert!(clone.success());
        let page = std::fs::read_to_string(world.path().join("clone/index.html")).unwrap();
        assert!(page.contains("Hello from a git repository."));
    }
}
