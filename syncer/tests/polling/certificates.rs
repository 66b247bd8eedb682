//! Certificates that git accepts: the poller accepts them or reports that it does not.

use std::fs;
use std::process::Command;

use remotes::HttpServer;

use crate::polling::POLL;
use crate::polling::Watched;
use crate::world::ask;
use crate::world::eventually;

/// Creates the files of a server in the current directory: `server.pem` (with what is sent after
/// the certificate), `server.key` and `trusted.pem`.
fn make(watched: &Watched, script: &str) -> HttpServer {
    let dir = watched.world.path("certificates");
    fs::create_dir_all(&dir).unwrap();
    let prepare = "set -eu
        new() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout $1.key \
            -subj \"/CN=$2\" -out $1.csr; }
        root() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
            -keyout root.key -subj /CN=root -days 9 -out root.pem; }
        sign() { openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -CAcreateserial -days 9 \
            -extfile $3 -out $1.pem; }
        ip() { echo subjectAltName=IP:127.0.0.1; }
        ";
    let output = Command::new("sh")
        .args(["-c", &format!("{prepare}\n{script}")])
        .current_dir(&dir)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
    let root = watched.world.repo.path().parent().unwrap();
    HttpServer::start_tls_with(root, &read("server.pem"), &read("server.key"))
}

/// A self-signed certificate as `openssl req -x509` makes it: `CA:TRUE`.
const SELF_SIGNED: &str =
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
     -keyout server.key -subj /CN=server -addext \"$(ip)\" -days 9 -out server.pem
     cp server.pem trusted.pem";

#[test]
fn every_certificate_that_git_accepts_is_accepted_by_the_poller() {
    for (kind, host, script) in [
        ("self-signed, CA:TRUE", "127.0.0.1", SELF_SIGNED),
        (
            "self-signed, version 1, common name alone",
            "localhost",
            "new server localhost
             openssl x509 -req -in server.csr -signkey server.key -days 9 -out server.pem
             cp server.pem trusted.pem",
        ),
        (
            "CA:TRUE, signed by an authority",
            "127.0.0.1",
            "root; new server server; (ip; echo basicConstraints=CA:TRUE) > ext
             sign server root ext; cp root.pem trusted.pem",
        ),
        (
            "version 1, signed by an authority",
            "localhost",
            "root; new server localhost; touch ext
             openssl x509 -req -in server.csr -CA root.pem -CAkey root.key -CAcreateserial -days 9 \
                -out server.pem
             cp root.pem trusted.pem",
        ),
        (
            "common name alone, behind an intermediate authority",
            "localhost",
            "root; new middle middle; echo basicConstraints=critical,CA:TRUE,pathlen:0 > ca
             sign middle root ca
             new server localhost; echo keyUsage=digitalSignature > ext; sign server middle ext
             cat middle.pem >> server.pem; cp root.pem trusted.pem",
        ),
        (
            "signed by an intermediate authority that alone is trusted",
            "127.0.0.1",
            "root; new middle middle; echo basicConstraints=critical,CA:TRUE > ca
             sign middle root ca; new server server; ip > ext; sign server middle ext
             cp middle.pem trusted.pem",
        ),
        (
            "a bundle with CRLF line ends, text, and what is no certificate",
            "127.0.0.1",
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
                -keyout server.key -subj /CN=server -addext \"$(ip)\" -days 9 -text -out server.pem
             (echo '# company'; cat server.pem) | sed 's/$/\\r/' > trusted.pem",
        ),
    ] {
        let watched = Watched::new("link");
        let server = make(&watched, script);
        let first = watched.commit("1");
        let url = format!("https://{host}:{}/site.git", server.address().port());
        let trusted = watched.world.path("certificates/trusted.pem");
        let syncer = watched.syncer_of(&url).env("GIT_SSL_CAINFO", &trusted);
        eprintln!("{kind}");
        let _running = watched.start(syncer);
        watched.world.eventually_published(&first);
        watched.assert_polls(&server, POLL);
    }
}

#[test]
fn a_server_that_only_git_supports_is_reported_once_and_polled_rarely() {
    let watched = Watched::new("link");
    // rustls with ring does not support P-521.
    let server = make(
        &watched,
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:secp521r1 -nodes -keyout ca.key \
            -subj /CN=ca -days 9 -out ca.pem
         new server server; ip > ext; sign server ca ext; cp ca.pem trusted.pem",
    );
    let first = watched.commit("1");
    let trusted = watched.world.path("certificates/trusted.pem");
    let syncer = watched
        .syncer(&server)
        .env("GIT_SSL_CAINFO", &trusted)
        .flag("http-bind", "127.0.0.1:0")
        .flag("http-metrics", "true")
        .arg("-v=0");
    let running = watched.start(syncer);
    watched.world.eventually_published(&first);
    eventually("the trouble is in the log", || {
        let log = running.log();
        log.contains("polling fails although git succeeds")
            .then_some(())
    });
    watched.assert_asks_git();
    let told = running.log();
    assert_eq!(
        told.matches("polling fails although git").count(),
        1,
        "{told}"
    );
    assert!(told.contains("certificate"), "{told}");
    let status = ask(running.port(), "GET", "/status").unwrap();
    assert!(status.contains("\"poller\":\"failing: "), "{status}");
    let metrics = ask(running.port(), "GET", "/metrics").unwrap();
    assert!(metrics.contains("\ngitvolume_poller_on 0\n"), "{metrics}");
    let second = watched.commit("2");
    watched.world.eventually_published(&second);
}
