//! Push webhooks: the receiver for the cache, and the syncer alone.

mod alone;
mod limits;
mod receiver;
mod relay;

use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

const SECRET: &str = "hunter2";

/// A signing token of Standard Webhooks.
const TOKEN: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A delivery, as a git host sends it.
struct Delivery {
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    is_chunked: bool,
}

impl Delivery {
    fn to(path: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.to_owned(),
            headers: Vec::new(),
            body: body.into(),
            is_chunked: false,
        }
    }

    /// The payload of GitHub and Gitea for a repository with this address.
    fn of(path: &str, url: &str) -> Self {
        let payload =
            serde_json::json!({"ref": "refs/heads/main", "repository": {"clone_url": url}});
        Self::to(path, payload.to_string())
    }

    fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// GitHub's signature.
    fn signed(self, secret: &str) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let tag = hmac::sign(&key, &self.body);
        let hex = tag.as_ref().iter().map(|byte| format!("{byte:02x}"));
        let signature = format!("sha256={}", hex.collect::<String>());
        self.header("X-Hub-Signature-256", signature)
    }

    /// The signature of GitLab's signing token, as of some seconds ago.
    fn signed_ago(self, token: &str, seconds: u64) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let time = (now.as_secs() - seconds).to_string();
        let key = STANDARD.decode(token.trim_start_matches("whsec_")).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let signed = [b"id.", time.as_bytes(), b".", &self.body].concat();
        let signature = STANDARD.encode(hmac::sign(&key, &signed));
        self.header("webhook-id", "id")
            .header("webhook-timestamp", time)
            .header("webhook-signature", format!("v1,{signature}"))
    }

    fn chunked(self) -> Self {
        Self {
            is_chunked: true,
            ..self
        }
    }

    /// The request; the connection stays open if it is to.
    fn request(&self, connection: &str) -> Vec<u8> {
        let mut head = format!(
            "POST {} HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\n",
            self.path
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut request = match self.is_chunked {
            true => head + "Transfer-Encoding: chunked\r\n\r\n",
            false => head + &format!("Content-Length: {}\r\n\r\n", self.body.len()),
        }
        .into_bytes();
        if !self.is_chunked {
            request.extend(&self.body);
            return request;
        }
        for chunk in self.body.chunks(1000) {
            request.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
            request.extend(chunk);
            request.extend(b"\r\n");
        }
        request.extend(b"0\r\n\r\n");
        request
    }

    /// Sends it; returns status, head and body of the response. A server that refuses a long body may
    /// close the connection while it is still being sent.
    fn send(&self, port: u16) -> (u16, String, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let sent = stream.write_all(&self.request("close"));
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer);
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("{sent:?} {read:?} {answer:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_owned(), body.to_owned())
    }

    #[track_caller]
    fn assert_answered(&self, port: u16, expected: u16) {
        let (status, head, body) = self.send(port);
        assert_eq!(status, expected, "{head}\n{body}");
    }
}
