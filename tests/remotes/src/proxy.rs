use std::io;
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

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A forward proxy on 127.0.0.1: `CONNECT` for https, absolute URLs for http. Its threads end with
/// the process.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Starts without authentication.
    pub fn start() -> Self {
        Self::start_with(None, None)
    }

    /// Starts without authentication, and connects every client to this server, regardless of the
    /// requested name.
    pub fn leading_to(server: SocketAddr) -> Self {
        Self::start_with(None, Some(server))
    }

    /// Starts with this user and password.
    pub fn start_with_password(user: &str, password: &str) -> Self {
        Self::start_with(Some(STANDARD.encode(format!("{user}:{password}"))), None)
    }

    fn start_with(basic: Option<String>, server: Option<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (seen, basic) = (seen.clone(), basic.clone());
                // The client of a failed connection reports the error to the test.
                thread::spawn(move || pass(client, &seen, basic.as_deref(), server));
            }
        });
        Self { address, asked }
    }

    /// Its address, for `http_proxy` and the other proxy variables.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The same with user and password.
    pub fn url_with(&self, user: &str, password: &str) -> String {
        format!("http://{user}:{password}@{}", self.address)
    }

    /// The first lines of all accepted requests.
    pub fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.clone()
    }
}

fn pass(
    mut client: TcpStream,
    seen: &Mutex<Vec<String>>,
    basic: Option<&str>,
    server: Option<SocketAddr>,
) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let wanted = basic.map(|basic| format!("proxy-authorization: Basic {basic}"));
    let is_welcome =
        wanted.is_none_or(|wanted| head.lines().any(|line| line.eq_ignore_ascii_case(&wanted)));
    if !is_welcome {
        return client.write_all(
            b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\
              Content-Length: 0\r\nConnection: close\r\n\r\n",
        );
    }
    let line = head.lines().next().unwrap_or_default().to_owned();
    seen.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(line.clone());
    let target = line.split(' ').nth(1).unwrap_or_default();
    let host = target.strip_prefix("http://").unwrap_or(target);
    let host = host.split('/').next().unwrap_or_default();
    let mut server = match server {
        Some(server) => TcpStream::connect(server)?,
        None => TcpStream::connect(host)?,
    };
    if line.starts_with("CONNECT ") {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    } else {
        server.write_all(head.as_bytes())?;
    }
    server.write_all(reader.buffer())?;
    let (mut from, mut to) = (server.try_clone()?, client.try_clone()?);
    let back = thread::spawn(move || {
        copy(&mut from, &mut to);
    });
    copy(&mut client, &mut server);
    // The result of the copying thread is not needed.
    let _ = back.join();
    Ok(())
}

fn copy(from: &mut TcpStream, to: &mut TcpStream) {
    let mut buffer = [0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    // The other side may have closed already.
    let _ = to.shutdown(Shutdown::Write);
}
