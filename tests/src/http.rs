//! A plain HTTP client, for Pods and Services that the test can reach directly.

use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::time::Duration;

/// The body of a page; the error is the status line if it is not 200.
pub fn get(host: &str, port: u16, path: &str) -> Result<String, String> {
    let address: SocketAddr = format!("{host}:{port}")
        .parse()
        .map_err(|error| format!("{host}:{port}: {error}"))?;
    let answer = exchange(address, path).map_err(|error| format!("http://{address}: {error}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    match head.lines().next().unwrap_or_default() {
        status if status.contains(" 200") => Ok(body.to_owned()),
        status => Err(format!("http://{address}{path}: {status}")),
    }
}

fn exchange(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let timeout = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    // HTTP/1.0: the body ends with the connection.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
