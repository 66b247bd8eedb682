//! The receiver `gitvolume-syncer push`, with a stub in place of each replica of the cache.

use std::fs;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;

use args::wake::Wake;
use remotes::Answer;
use remotes::Stub;
use tempfile::TempDir;

use crate::push::Delivery;
use crate::push::SECRET;
use crate::push::TOKEN;
use crate::world::Running;
use crate::world::Syncer;
use crate::world::ask;
use crate::world::eventually;
use crate::world::write_secret;

const KEY: &str = "key-of-the-cache";

/// A receiver, and the cache to which it relays.
pub(super) struct Receiver {
    pub(super) running: Running,
    pub(super) port: u16,
    pub(super) cache: Stub,
    pub(super) dir: TempDir,
}

impl Receiver {
    pub(super) fn start() -> Self {
        Self::start_with(&[])
    }

    pub(super) fn start_with(flags: &[&str]) -> Self {
        let dir = TempDir::with_prefix("push-").unwrap();
        let cache = Stub::start_tls(|_| Answer::new(204, ""));
        let url = cache.url("");
        let running = receiver(&dir, Syncer::new(), &url, &cache.ca_pem())
            .args(flags.iter().copied())
            .start(&dir.path().join("log"));
        let port = running.port();
        Self {
            running,
            port,
            cache,
            dir,
        }
    }

    fn secrets(&self) -> std::path::PathBuf {
        self.dir.path().join("secrets")
    }

    fn metrics(&self) -> String {
        ask(self.port, "GET", "/metrics").unwrap()
    }

    /// Waits until the cache has got this number of wake-ups; returns all.
    #[track_caller]
    pub(super) fn eventually_relays(&self, count: usize) -> Vec<Wake> {
        eventually(&format!("{count} wake-ups"), || {
            let wakes = wakes(&self.cache);
            (wakes.len() >= count).then_some(wakes)
        })
    }
}

/// The wake-ups that a replica has got, each with the right key.
pub(super) fn wakes(cache: &Stub) -> Vec<Wake> {
    let asked = cache.asked().into_iter();
    let wakes = asked.map(|asked| {
        assert_eq!(
            (asked.method.as_str(), asked.path.as_str()),
            ("POST", "/wake")
        );
        assert_eq!(
            asked.header("authorization"),
            Some("Bearer key-of-the-cache")
        );
        serde_json::from_str(&asked.body).unwrap()
    });
    wakes.collect()
}

/// The command line of a receiver with the secrets `acme`, which may wake `https://git.example/acme`,
/// and `lab`, which may wake `https://lab.example`; `syncer` ends with the program.
pub(super) fn receiver(dir: &TempDir, syncer: Syncer, cache: &str, ca_pem: &str) -> Syncer {
    let path = |name: &str| dir.path().join(name);
    write_secret(&path("secrets"), "acme", SECRET);
    write_secret(&path("secrets"), "lab", TOKEN);
    fs::write(path("ca.pem"), ca_pem).unwrap();
    fs::write(path("key"), format!("{KEY}\n")).unwrap();
    syncer
        .arg("push")
        .flag("listen", "127.0.0.1:0")
        .flag("secret-dir", path("secrets"))
        .flag("wake", "acme=https://git.example/acme")
        .flag("wake", "lab=https://lab.example")
        .flag("cache", cache)
        .flag("cache-ca-file", path("ca.pem"))
        .flag("wake-key-file", path("key"))
        .flag("drain", "0s")
        .flag("verbose", "1")
}

pub(super) fn wake(repositories: &[&str], prefixes: &[&str]) -> Wake {
    let urls = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    Wake {
        repositories: urls(repositories),
        prefixes: urls(prefixes),
    }
}

pub(super) fn acme() -> Delivery {
    Delivery::of("/push/acme", "https://git.example/acme/site.git")
}

#[test]
fn a_signed_delivery_wakes_the_cache_once() {
    let receiver = Receiver::start();
    acme().signed(SECRET).assert_answered(receiver.port, 202);
    let wakes = receiver.eventually_relays(1);
    assert_eq!(wakes, [wake(&["https://git.example/acme/site.git"], &[])]);
    let line = r#"gitvolume_push_deliveries_total{name="acme",result="accepted"} 1"#;
    assert!(receiver.metrics().contains(line), "{}", receiver.metrics());
    receiver.running.assert_not_logged(SECRET);
    receiver.running.assert_not_logged(KEY);
}

#[test]
fn an_unknown_name_and_a_wrong_signature_have_the_same_response() {
    let receiver = Receiver::start();
    let without_date = |delivery: Delivery| {
        let (status, head, body) = delivery.send(receiver.port);
        let head = head.lines().filter(|line| !line.starts_with("date: "));
        (status, head.collect::<Vec<_>>().join("\n"), body)
    };
    let wrong = without_date(acme().signed("wrong"));
    assert_eq!(wrong.0, 401);
    let other = |path: &str| Delivery::of(path, "https://git.example/acme/site.git");
    for delivery in [
        acme(),
        acme().signed(TOKEN),
        other("/push/nobody").signed(SECRET),
        other("/push/nobody"),
        other("/push/").signed(SECRET),
        other("/push/../secrets/acme").signed(SECRET),
        other("/push/lab").signed(SECRET),
    ] {
        let path = delivery.path.clone();
        assert_eq!(without_date(delivery), wrong, "{path}");
    }
    let metrics = receiver.metrics();
    for line in [
        r#"gitvolume_push_deliveries_total{name="",result="unverified"} 4"#,
        r#"gitvolume_push_deliveries_total{name="acme",result="unverified"} 3"#,
        r#"gitvolume_push_relays_total{status="success"} 0"#,
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

#[test]
fn the_holder_of_a_secret_wakes_nothing_of_another() {
    let receiver = Receiver::start();
    let foreign = Delivery::of("/push/acme", "https://git.example/acme-b/site.git");
    let (status, _, text) = foreign.signed(SECRET).send(receiver.port);
    assert_eq!(
        (status, text.as_str()),
        (
            200,
            "this secret may not wake the repository of this push: see --wake\n"
        )
    );
    // A payload that cannot be read wakes what is its own.
    Delivery::to("/push/acme", "?")
        .signed(SECRET)
        .assert_answered(receiver.port, 202);
    let wakes = receiver.eventually_relays(1);
    assert_eq!(wakes, [wake(&[], &["https://git.example/acme"])]);
}

#[test]
fn a_delivery_with_a_time_is_refused_after_five_minutes() {
    let receiver = Receiver::start();
    let lab = || Delivery::of("/push/lab", "https://lab.example/site.git");
    lab()
        .signed_ago(TOKEN, 310)
        .assert_answered(receiver.port, 401);
    lab()
        .signed_ago(TOKEN, 200)
        .assert_answered(receiver.port, 202);
    lab()
        .header("X-Gitlab-Token", TOKEN)
        .assert_answered(receiver.port, 202);
    lab()
        .header("X-Gitlab-Token", "another")
        .assert_answered(receiver.port, 401);
}

#[test]
fn a_body_in_chunks_is_verified_and_a_long_one_wakes_all_of_its_sender() {
    let receiver = Receiver::start();
    acme()
        .signed(SECRET)
        .chunked()
        .assert_answered(receiver.port, 202);
    let wakes = receiver.eventually_relays(1);
    assert_eq!(wakes, [wake(&["https://git.example/acme/site.git"], &[])]);
    let mut long = acme();
    long.body.extend(vec![b' '; 100_000]);
    long.signed(SECRET)
        .chunked()
        .assert_answered(receiver.port, 202);
    let wakes = receiver.eventually_relays(2);
    assert_eq!(wakes[1], wake(&[], &["https://git.example/acme"]));
}

#[test]
fn a_body_above_25_mib_is_refused_before_it_has_arrived() {
    let receiver = Receiver::start();
    let delivery = Delivery::to("/push/acme", "").header("Content-Length", (26 << 20).to_string());
    let head = String::from_utf8(delivery.request("close")).unwrap();
    // The body's length stands twice, so the last one is taken out.
    let head = head.replace("Content-Length: 0\r\n", "");
    let mut stream = TcpStream::connect(("127.0.0.1", receiver.port)).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // The length of a body in chunks is not known before.
    let large = Delivery::to("/push/acme", vec![b'x'; (25 << 20) + 1])
        .signed(SECRET)
        .chunked();
    let mut stream = TcpStream::connect(("127.0.0.1", receiver.port)).unwrap();
    // The receiver may close the connection before the end.
    let _ = stream.write_all(&large.request("close"));
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 413 "),
        "{answer}"
    );
    eventually("it is counted", || {
        let line = r#"gitvolume_push_deliveries_total{name="acme",result="too_large"} 2"#;
        receiver.metrics().contains(line).then_some(())
    });
    assert_eq!(wakes(&receiver.cache), []);
}

#[test]
fn a_rotated_secret_is_used_without_a_restart() {
    let receiver = Receiver::start();
    let eventually_answers = |secret: &str, expected: u16| {
        eventually(&format!("{secret}: {expected}"), || {
            let (status, ..) = acme().signed(secret).send(receiver.port);
            (status == expected).then_some(())
        });
    };
    write_secret(&receiver.secrets(), "acme", "new\nhunter2");
    eventually_answers("new", 202);
    acme().signed(SECRET).assert_answered(receiver.port, 202);
    write_secret(&receiver.secrets(), "acme", "new");
    eventually_answers(SECRET, 401);
    write_secret(&receiver.secrets(), "acme", "one\ntwo\nthree");
    eventually_answers("new", 401);
    receiver
        .running
        .assert_logged("expected a push secret: one line of text, or two lines during a rotation");
}

#[test]
fn the_receiver_serves_tls_from_mounted_files() {
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let dir = TempDir::with_prefix("push-").unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("tls.crt"), certified.cert.pem()).unwrap();
    fs::write(path("tls.key"), certified.signing_key.serialize_pem()).unwrap();
    let flags = [
        format!("--tls-cert={}", path("tls.crt")),
        format!("--tls-key={}", path("tls.key")),
    ];
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let receiver = Receiver::start_with(&flags);
    let curl = std::process::Command::new("curl")
        .args(["--silent", "--show-error", "--cacert", &path("tls.crt")])
        .arg(format!("https://localhost:{}/readyz", receiver.port))
        .output()
        .expect("run curl: apt-get install curl");
    assert_eq!(String::from_utf8_lossy(&curl.stdout), "ok\n", "{curl:?}");
}

#[test]
fn a_receiver_that_cannot_work_says_why() {
    let dir = TempDir::with_prefix("push-").unwrap();
    let run = |flags: &[&str]| {
        receiver(&dir, Syncer::new(), "https://127.0.0.1:1", "")
            .args(flags.iter().copied())
            .finish()
    };
    let key = dir.path().join("key");
    let key = key.to_str().unwrap();
    let finished = run(&["--tls-cert", key, "--tls-key", "/nonexistent"]);
    finished.assert_code(1);
    assert!(
        finished
            .log
            .contains("cannot read /nonexistent of the push receiver"),
        "{}",
        finished.log
    );
    for flags in [
        &["--tls-cert=/x"][..],
        &["--cache=http://cache"],
        &["--wake=x"],
        &["--listen=x"],
    ] {
        let finished = run(flags);
        finished.assert_code(2);
    }
}
