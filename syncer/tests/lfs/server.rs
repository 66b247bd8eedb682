//! A server of Git LFS in front of a git server, at the same address. It checks the protocol and can
//! misbehave.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest;
use serde_json::Value;
use serde_json::json;

const MEDIA_TYPE: &str = "application/vnd.git-lfs+json";

/// The header that a download must repeat from the batch answer.
const TOKEN: &str = "x-media-token";

/// What the server does instead of the right thing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Lie {
    #[default]
    None,
    /// The batch request has this status, with `Retry-After` if it is a pause.
    Batch(u16),
    /// The batch answer is a web page.
    BatchPage,
    /// The batch answer has another size.
    BatchSize,
    /// The batch answer is longer than any memory.
    BatchEndless,
    /// The batch answer has no such object.
    Missing,
    /// The batch answer chooses another transfer.
    Transfer,
    /// The downloads are at this address.
    Href(String),
    /// A download has other bytes of the same length.
    WrongBytes,
    /// A download has no length and never ends.
    Endless,
    /// A download announces another length.
    WrongLength,
    /// A download is a web page.
    Page,
    /// A download redirects to this address.
    Redirect(String),
    /// A download ends after this many bytes of the content, each time.
    Cut(usize),
    /// A download stops after this many bytes and stays open.
    Hang(usize),
    /// A download ignores ranges.
    NoRange,
    /// A download starts at another byte than requested.
    WrongRange,
}

/// A request as recorded.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Request {
    fn path(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub(crate) fn is_batch(&self) -> bool {
        self.path().ends_with("/objects/batch")
    }
}

#[derive(Default)]
struct Shared {
    address: Option<SocketAddr>,
    git: Option<SocketAddr>,
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    user: Mutex<Option<(String, String)>>,
    lie: Mutex<Lie>,
    seen: Mutex<Vec<Request>>,
    violations: Mutex<Vec<String>>,
}

/// The server; its threads end with the test's process.
pub(crate) struct LfsServer(Arc<Shared>);

impl LfsServer {
    /// Serves content, and everything else from the git server at `git`.
    pub(crate) fn start(git: Option<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let shared = Arc::new(Shared {
            address: listener.local_addr().ok(),
            git,
            ..Shared::default()
        });
        let serving = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = serving.clone();
                // A client that closes the connection is no failure of the test.
                thread::spawn(move || {
                    let _ = shared.serve(stream);
                });
            }
        });
        Self(shared)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address.unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// Stores a content and returns its pointer.
    pub(crate) fn add(&self, content: &[u8]) -> String {
        let oid = oid(content);
        lock(&self.0.objects).insert(oid.clone(), content.to_vec());
        let size = content.len();
        format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n")
    }

    /// Requires a user and a password.
    pub(crate) fn require(&self, user: &str, password: &str) {
        *lock(&self.0.user) = Some((user.to_owned(), password.to_owned()));
    }

    pub(crate) fn lie(&self, lie: Lie) {
        *lock(&self.0.lie) = lie;
    }

    pub(crate) fn seen(&self) -> Vec<Request> {
        lock(&self.0.seen).clone()
    }

    /// The downloads so far.
    pub(crate) fn downloads(&self) -> Vec<Request> {
        let seen = self.seen().into_iter();
        seen.filter(|request| request.path().starts_with("/media/"))
            .collect()
    }

    #[track_caller]
    pub(crate) fn assert_protocol(&self) {
        let violations = lock(&self.0.violations).clone();
        assert!(violations.is_empty(), "{violations:#?}");
        assert!(
            self.seen().iter().any(Request::is_batch),
            "nothing was requested"
        );
    }
}

/// The SHA-256 hash of a content.
pub(crate) fn oid(content: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, content);
    let bytes = digest.as_ref().iter();
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut head = String::new();
        loop {
            let begin = head.len();
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
            if &head[begin..] == "\r\n" {
                break;
            }
        }
        let mut lines = head.lines();
        let line = lines.next().unwrap_or_default().to_owned();
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers: BTreeMap<String, String> = headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut request = Request {
            line,
            headers,
            body: String::new(),
        };
        let path = request.path().to_owned();
        if !path.contains("/info/lfs/") && !path.starts_with("/media/") {
            return self.forward(&head, reader, stream);
        }
        let length = request.header("content-length").unwrap_or("0");
        let mut body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut body)?;
        request.body = String::from_utf8(body).unwrap();
        lock(&self.seen).push(request.clone());
        let answered = match path.strip_prefix("/media/") {
            Some(oid) => self.download(&request, oid, &stream),
            None => self.batch(&request, &stream),
        };
        stream.shutdown(Shutdown::Write)?;
        answered
    }

    /// Passes a request of git on, and the connection with it.
    fn forward(
        &self,
        head: &str,
        mut reader: BufReader<TcpStream>,
        mut stream: TcpStream,
    ) -> std::io::Result<()> {
        let Some(git) = self.git else {
            return answer(&stream, 404, &[], b"not git");
        };
        let mut upstream = TcpStream::connect(git)?;
        // The next request may be one of Git LFS.
        let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
        upstream.write_all(head.as_bytes())?;
        let mut sending = upstream.try_clone()?;
        thread::spawn(move || {
            let _ = std::io::copy(&mut reader, &mut sending);
        });
        std::io::copy(&mut upstream, &mut stream)?;
        stream.shutdown(Shutdown::Both)
    }

    fn violation(&self, text: impl Into<String>) {
        lock(&self.violations).push(text.into());
    }

    fn batch(&self, request: &Request, stream: &TcpStream) -> std::io::Result<()> {
        let lie = lock(&self.lie).clone();
        if !request.line.starts_with("POST ") || !request.is_batch() {
            self.violation(format!("{}: expected POST …/objects/batch", request.line));
        }
        for name in ["accept", "content-type"] {
            if request.header(name) != Some(MEDIA_TYPE) {
                self.violation(format!("{name}: {:?}", request.header(name)));
            }
        }
        if let Some((user, password)) = &*lock(&self.user) {
            let expected = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
            if request.header("authorization") != Some(&expected) {
                let body = json!({"message": "Credentials needed"}).to_string();
                return answer(
                    stream,
                    401,
                    &[("Content-Type", MEDIA_TYPE)],
                    body.as_bytes(),
                );
            }
        }
        let asked: Value = serde_json::from_str(&request.body).unwrap_or_default();
        let is_known = asked["operation"] == "download"
            && asked["transfers"] == json!(["basic"])
            && asked["hash_algo"] == "sha256"
            && asked["objects"].as_array().is_some_and(|objects| {
                let is_object =
                    |object: &Value| object["oid"].is_string() && object["size"].is_u64();
                (1..=100).contains(&objects.len()) && objects.iter().all(is_object)
            });
        if !is_known {
            self.violation(format!("batch request: {}", request.body));
        }
        match lie {
            Lie::Batch(status) => {
                let headers = [("Retry-After", "1"), ("Content-Type", MEDIA_TYPE)];
                return answer(stream, status, &headers, br#"{"message": "no, thanks"}"#);
            }
            Lie::BatchPage => {
                return answer(stream, 200, &[("Content-Type", "text/html")], b"<p>Sign in");
            }
            Lie::BatchEndless => return endless(stream, b"{\"objects\": [ "),
            _ => {}
        }
        let objects = asked["objects"].as_array().cloned().unwrap_or_default();
        let objects: Vec<Value> = objects
            .iter()
            .map(|object| self.object(object, &lie))
            .collect();
        let transfer = if lie == Lie::Transfer { "tus" } else { "basic" };
        let body = json!({"transfer": transfer, "objects": objects, "hash_algo": "sha256"});
        let headers = [("Content-Type", MEDIA_TYPE)];
        answer(stream, 200, &headers, body.to_string().as_bytes())
    }

    fn object(&self, asked: &Value, lie: &Lie) -> Value {
        let (oid, size) = (
            asked["oid"].as_str().unwrap(),
            asked["size"].as_u64().unwrap(),
        );
        let is_known = lock(&self.objects)
            .get(oid)
            .is_some_and(|content| content.len() as u64 == size);
        if !is_known || *lie == Lie::Missing {
            let error = json!({"code": 404, "message": "Object does not exist"});
            return json!({"oid": oid, "size": size, "error": error});
        }
        let href = match lie {
            Lie::Href(base) => format!("{base}/media/{oid}"),
            _ => format!("http://{}/media/{oid}", self.address.unwrap()),
        };
        let size = size + u64::from(*lie == Lie::BatchSize);
        let header = json!({"X-Media-Token": &oid[..8]});
        let download = json!({"href": href, "header": header, "expires_in": 60});
        json!({"oid": oid, "size": size, "actions": {"download": download}})
    }

    fn download(&self, request: &Request, oid: &str, stream: &TcpStream) -> std::io::Result<()> {
        let lie = lock(&self.lie).clone();
        if request.header(TOKEN) != oid.get(..8) {
            self.violation(format!("{TOKEN}: {:?}", request.header(TOKEN)));
        }
        let Some(mut content) = lock(&self.objects).get(oid).cloned() else {
            return answer(stream, 404, &[], b"");
        };
        let range = request.header("range").map(|range| {
            let offset = range.strip_prefix("bytes=").unwrap().strip_suffix('-');
            offset.unwrap().parse::<usize>().unwrap()
        });
        let length = content.len();
        match &lie {
            Lie::WrongBytes => content[length / 2] ^= 1,
            Lie::Endless => return endless(stream, &content),
            Lie::WrongLength => content.push(b'x'),
            Lie::Page => {
                let headers = [("Content-Type", "text/html")];
                return answer(stream, 200, &headers, b"<p>Sign in");
            }
            Lie::Redirect(base) => {
                let location = format!("{base}/media/{oid}");
                return answer(stream, 302, &[("Location", &location)], b"");
            }
            _ => {}
        }
        let offset = range.filter(|_| lie != Lie::NoRange).unwrap_or(0);
        let mut head = match range {
            Some(_) if lie != Lie::NoRange => {
                let first = offset + usize::from(lie == Lie::WrongRange);
                let range = format!("bytes {first}-{}/{length}", length - 1);
                format!("HTTP/1.1 206 Partial Content\r\nContent-Range: {range}\r\n")
            }
            _ => "HTTP/1.1 200 OK\r\n".to_owned(),
        };
        let content = &content[offset..];
        head.push_str("Content-Type: application/octet-stream\r\nConnection: close\r\n");
        head.push_str(&format!("Content-Length: {}\r\n\r\n", content.len()));
        let mut stream = stream;
        stream.write_all(head.as_bytes())?;
        match lie {
            Lie::Cut(bytes) => stream.write_all(&content[..bytes.min(content.len())]),
            Lie::Hang(bytes) => {
                stream.write_all(&content[..bytes.min(content.len())])?;
                // Until the client closes the connection.
                let _ = stream.read(&mut [0]);
                Ok(())
            }
            _ => stream.write_all(content),
        }
    }
}

fn answer(
    mut stream: &TcpStream,
    status: u16,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} x\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)
}

/// Sends bytes until the client closes the connection.
fn endless(mut stream: &TcpStream, begin: &[u8]) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
    stream.write_all(begin)?;
    loop {
        stream.write_all(&[b' '; 64 << 10])?;
    }
}
