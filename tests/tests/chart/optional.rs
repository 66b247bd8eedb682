//! The metrics of the programs that the chart installs only if a value enables them.

use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;

use tests::eventually::eventually;
use tests::http;
use tests::installation::product::NAMESPACE;
use tests::installation::product::RELEASE;
use tests::process::Process;
use tests::settings;

use crate::promql::Sample;
use crate::running::LONG;

/// The metrics of the cache and of the push receiver after one delivery, with the labels that the
/// Prometheus operator adds for the chart's ServiceMonitors.
pub(crate) fn samples(dir: &Path) -> Result<Vec<Sample>, String> {
    let file = |name: &str, content: &str| -> Result<PathBuf, String> {
        let path = dir.join(name);
        std::fs::write(&path, content).map_err(|error| format!("{name}: {error}"))?;
        Ok(path)
    };
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
    let pair = pair.map_err(|error| error.to_string())?;
    let certificate = file("cache.crt", &pair.cert.pem())?;
    let key = file("cache.key", &pair.signing_key.serialize_pem())?;
    let wake_key = file("wake.key", "0123456789abcdef")?;
    file("acme", "secret")?;
    let packs = dir.join("packs");
    std::fs::create_dir(&packs).map_err(|error| error.to_string())?;
    let cache = [
        "cache".to_owned(),
        "--allowed-hosts=git.example".to_owned(),
        "--listen=127.0.0.1:0".to_owned(),
        "--admin-listen=127.0.0.1:0".to_owned(),
        format!("--tls-cert={}", certificate.display()),
        format!("--tls-key={}", key.display()),
        format!("--dir={}", packs.display()),
    ];
    let push = [
        "push".to_owned(),
        "--listen=127.0.0.1:0".to_owned(),
        format!("--secret-dir={}", dir.display()),
        "--wake=acme=https://git.example/acme".to_owned(),
        "--cache=https://127.0.0.1:1".to_owned(),
        format!("--cache-ca-file={}", certificate.display()),
        format!("--wake-key-file={}", wake_key.display()),
        "--drain=0s".to_owned(),
    ];
    let (_cache, port) = start("cache", &cache, "admin", dir)?;
    let mut samples = scraped("cache", "cache-replicas", port)?;
    let (_push, port) = start("push", &push, "endpoint", dir)?;
    deliver(port).map_err(|error| format!("a delivery: {error}"))?;
    samples.extend(scraped("push", "push", port)?);
    Ok(samples)
}

/// Starts a server of the syncer's program; the port is that of the address with this key in its log.
fn start(name: &str, args: &[String], key: &str, dir: &Path) -> Result<(Process, u16), String> {
    let binary = settings::syncer_binary();
    let process = Process::start(name, &binary, args, dir).map_err(|error| format!("{error:#}"))?;
    let address = format!("\"{key}\":\"127.0.0.1:");
    let port = eventually("a port", LONG, || {
        process.check().map_err(|error| error.to_string())?;
        let log = process.log_tail(20);
        let port = log
            .split(&address)
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        port.and_then(|port| port.parse().ok()).ok_or(log)
    })?;
    Ok((process, port))
}

/// The metrics of a program that the chart's Service with this suffix selects.
fn scraped(program: &str, service: &str, port: u16) -> Result<Vec<Sample>, String> {
    let job = format!("{RELEASE}-{service}");
    let instance = format!("10.0.0.1:{port}");
    let pod = format!("{RELEASE}-{program}-1");
    let scrape = [
        ("container", program),
        ("instance", &instance),
        ("job", &job),
        ("namespace", NAMESPACE),
        ("pod", &pod),
        ("service", &job),
    ];
    let page = http::get("127.0.0.1", port, "/metrics")?;
    let mut samples = Sample::all(&page, &format!("gitvolume_{program}_"), &scrape)?;
    samples.push(Sample::read("up", &scrape)?);
    Ok(samples)
}

/// A delivery without a signature: a counter with labels has no sample before the first one.
fn deliver(port: u16) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let request = "POST /push/acme HTTP/1.1\r\nHost: push\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
    stream.write_all(request.as_bytes())?;
    stream.read_to_end(&mut Vec::new()).map(drop)
}
