//! GitHub Apps, against a fake of GitHub's API that verifies signatures.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use remotes::Answer;
use remotes::Asked;
use remotes::HttpServer;
use remotes::Proxy;
use remotes::Stub;
use ring::signature::RSA_PKCS1_2048_8192_SHA256;
use ring::signature::UnparsedPublicKey;

use crate::access::metrics;
use crate::access::once;
use crate::access::server_for;
use crate::access::world;
use crate::access::write;
use crate::world::World;
use crate::world::eventually;

const TOKEN: &str = "ghs_0123456789";

/// A 2048-bit key in both formats, with its public half.
struct Key {
    pkcs1: String,
    pkcs8: String,
    public: Vec<u8>,
}

impl Key {
    fn new(world: &World) -> Self {
        let path = |name: &str| world.path(name).display().to_string();
        let (pkcs1, pkcs8, public) = (path("key-1"), path("key-8"), path("key.pub"));
        openssl(&["genrsa", "-out", &pkcs8, "2048"]);
        openssl(&["rsa", "-traditional", "-in", &pkcs8, "-out", &pkcs1]);
        openssl(&[
            "rsa",
            "-in",
            &pkcs8,
            "-RSAPublicKey_out",
            "-outform",
            "DER",
            "-out",
            &public,
        ]);
        let key = Self {
            pkcs1: fs::read_to_string(pkcs1).unwrap(),
            pkcs8: fs::read_to_string(pkcs8).unwrap(),
            public: fs::read(public).unwrap(),
        };
        assert!(key.pkcs1.contains("BEGIN RSA PRIVATE KEY"));
        assert!(key.pkcs8.contains("BEGIN PRIVATE KEY"));
        key
    }
}

fn openssl(args: &[&str]) {
    let output = Command::new("openssl")
        .args(args)
        .output()
        .expect("openssl: apt-get install openssl");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {args:?}: {stderr}");
}

/// Returns a token with this lifetime to an app with a valid signature; otherwise an error, as
/// GitHub does.
fn github(public: Vec<u8>, issuer: &'static str, lasts: u64) -> impl Fn(&Asked) -> Answer {
    move |asked| match judged(asked, &public, issuer) {
        Ok(()) => {
            let ends = now() + lasts;
            let ends = jiff::Timestamp::from_second(ends.try_into().unwrap()).unwrap();
            Answer::new(
                201,
                format!(r#"{{"token":"{TOKEN}","expires_at":"{ends}","permissions":{{}}}}"#),
            )
        }
        Err(message) => Answer::new(401, format!(r#"{{"message":"{message}"}}"#)),
    }
}

fn judged(asked: &Asked, public: &[u8], issuer: &str) -> Result<(), String> {
    if (&*asked.method, &*asked.path) != ("POST", "/api/v3/app/installations/4711/access_tokens") {
        return Err(format!("unexpected {} {}", asked.method, asked.path));
    }
    if asked.header("accept") != Some("application/vnd.github+json") {
        return Err("unexpected Accept".to_owned());
    }
    let jwt = asked.header("authorization").unwrap_or_default();
    let jwt = jwt.strip_prefix("Bearer ").ok_or("no bearer")?;
    let (signed, signature) = jwt.rsplit_once('.').ok_or("no signature")?;
    let (header, claims) = signed.split_once('.').ok_or("no claims")?;
    let decoded = |part: &str| {
        let decoded = URL_SAFE_NO_PAD.decode(part);
        decoded.map_err(|error| error.to_string())
    };
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public)
        .verify(signed.as_bytes(), &decoded(signature)?)
        .map_err(|_| "the signature is wrong")?;
    let json = |part| -> Result<serde_json::Value, String> {
        serde_json::from_slice(&decoded(part)?).map_err(|error| error.to_string())
    };
    let (header, claims) = (json(header)?, json(claims)?);
    let time = |name: &str| claims[name].as_u64().ok_or(format!("no {name}"));
    let is_valid = header["alg"] == "RS256"
        && claims["iss"] == issuer
        && time("iat")? <= now()
        && time("exp")? > now()
        // GitHub's limit.
        && time("exp")? <= now() + 600;
    is_valid
        .then_some(())
        .ok_or(format!("unexpected {header} {claims}").replace('"', "'"))
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs()
}

fn site(world: &World) -> HttpServer {
    server_for(world, "-", TOKEN)
}

#[test]
fn a_client_id_and_a_key_in_the_environment_give_a_token() {
    let world = world();
    let server = site(&world);
    let key = Key::new(&world);
    let stub = Stub::start(github(key.public, "Iv23.client", 3600));
    let running = world
        .syncer_of(&server.url("site.git"))
        .flag("github-base-url", stub.url("/api/v3/"))
        .flag("github-app-client-id", "Iv23.client")
        .flag("github-app-installation-id", "4711")
        .env("GITSYNC_GITHUB_APP_PRIVATE_KEY", &key.pkcs8)
        .flag("http-bind", "127.0.0.1:0")
        .flag("http-metrics", "true")
        .flag("verbose", "9")
        .start(&world.path("log"));
    eventually("it is published", || world.published());
    let second = world.repo.commit().write("a", "2").push();
    world.eventually_published(&second);
    assert_eq!(stub.asked().len(), 1, "the token lasts an hour");
    let text = metrics(&running);
    let line = "git_sync_refresh_github_app_token_count{status=\"success\"} 1";
    assert!(text.contains(line), "{text}");
    let log = running.log();
    assert!(
        !log.contains(TOKEN) && !log.contains("PRIVATE KEY"),
        "{log}"
    );
}

#[test]
fn an_application_id_and_a_key_file_give_a_token() {
    let world = world();
    let server = site(&world);
    let key = Key::new(&world);
    let file = world.path("secret/key.pem");
    write(&file, &key.pkcs1);
    let stub = Stub::start(github(key.public, "12345", 3600));
    once(world.syncer_of(&server.url("site.git")))
        .flag("github-base-url", stub.url("/api/v3"))
        .flag("github-app-application-id", "12345")
        .flag("github-app-installation-id", "4711")
        .flag("github-app-private-key-file", file)
        .finish()
        .assert_code(0);
}

#[test]
fn a_secret_may_contain_the_app() {
    let world = world();
    let server = site(&world);
    let key = Key::new(&world);
    let secret = world.path("secret");
    let stub = Stub::start(github(key.public, "12345", 3600));
    let syncer = || {
        once(world.syncer_of(&server.url("site.git")))
            .flag("github-base-url", stub.url("/api/v3"))
            .flag("secret-dir", &secret)
            .finish()
    };
    write(&secret.join("github-app-id"), "12345\n");
    write(&secret.join("github-app-private-key"), &key.pkcs8);
    let run = syncer();
    run.assert_code(1);
    run.assert_last_error("the Secret has an incomplete GitHub App");
    write(&secret.join("github-app-installation-id"), "4711\n");
    syncer().assert_code(0);
}

#[test]
fn a_token_that_ends_soon_is_renewed() {
    let world = world();
    let server = site(&world);
    let key = Key::new(&world);
    // Each token must be renewed when the next pass starts.
    let stub = Stub::start(github(key.public, "12345", 20));
    let _running = world
        .syncer_of(&server.url("site.git"))
        .flag("github-base-url", stub.url("/api/v3"))
        .flag("github-app-application-id", "12345")
        .flag("github-app-installation-id", "4711")
        .env("GITSYNC_GITHUB_APP_PRIVATE_KEY", &key.pkcs8)
        .start(&world.path("log"));
    eventually("it is published", || world.published());
    eventually("it is renewed", || (stub.asked().len() > 2).then_some(()));
}

#[test]
fn errors_of_an_app_are_reported() {
    let world = world();
    let server = site(&world);
    let (key, other) = (Key::new(&world), Key::new(&world));
    let file = world.path("secret/key.pem");
    let stub = Stub::start(github(key.public, "12345", 3600));
    let refused = |words: &str, file: &Path| {
        let run = once(world.syncer_of(&server.url("site.git")))
            .flag("github-base-url", stub.url("/api/v3"))
            .flag("github-app-application-id", "12345")
            .flag("github-app-installation-id", "4711")
            .flag("github-app-private-key-file", file)
            .finish();
        run.assert_code(1);
        run.assert_last_error(words);
    };
    refused(
        "cannot read /nonexistent/key.pem",
        Path::new("/nonexistent/key.pem"),
    );
    write(&file, "not a key");
    refused("the GitHub App's private key cannot be read", &file);
    write(&file, &other.pkcs8);
    refused("answers 401 Unauthorized: the signature is wrong", &file);
}

#[test]
fn the_api_is_trusted_by_the_authorities_that_git_trusts() {
    let world = world();
    let server = site(&world);
    let key = Key::new(&world);
    let stub = Stub::start_tls(github(key.public, "12345", 3600));
    let syncer = || {
        once(world.syncer_of(&server.url("site.git")))
            .flag("github-base-url", stub.url("/api/v3"))
            .flag("github-app-application-id", "12345")
            .flag("github-app-installation-id", "4711")
            .env("GITSYNC_GITHUB_APP_PRIVATE_KEY", &key.pkcs8)
    };
    let run = syncer().finish();
    run.assert_code(1);
    run.assert_last_error("cannot ask https://127.0.0.1:");
    let ca = world.path("ca.pem");
    fs::write(&ca, stub.ca_pem()).unwrap();
    write(&world.path("secret/ca.crt"), &stub.ca_pem());
    for (name, value) in [
        ("git-config", format!("http.sslCAInfo:{}", ca.display())),
        ("secret-dir", world.path("secret").display().to_string()),
    ] {
        syncer().flag(name, value).finish().assert_code(0);
    }
    for name in ["GIT_SSL_CAINFO", "SSL_CERT_FILE"] {
        syncer().env(name, &ca).finish().assert_code(0);
    }
}

#[test]
fn the_api_is_reached_by_the_environments_proxy() {
    let world = world();
    let server = site(&world);
    let key = Key::new(&world);
    let stub = Stub::start(github(key.public, "12345", 3600));
    let proxy = Proxy::leading_to(stub.address());
    once(world.syncer_of(&server.url("site.git")))
        // A host name that only the proxy resolves.
        .flag("github-base-url", "http://api.example/api/v3")
        .flag("github-app-application-id", "12345")
        .flag("github-app-installation-id", "4711")
        .env("GITSYNC_GITHUB_APP_PRIVATE_KEY", &key.pkcs8)
        .env("http_proxy", proxy.url())
        .env("no_proxy", "127.0.0.1")
        .finish()
        .assert_code(0);
    assert_eq!(
        proxy.asked(),
        ["POST http://api.example/api/v3/app/installations/4711/access_tokens HTTP/1.1"]
    );
}

#[test]
fn an_api_that_does_not_answer_costs_no_more_than_the_pass_may_take() {
    let world = world();
    let server = site(&world);
    let key = Key::new(&world);
    let stub = Stub::start(|_| {
        std::thread::sleep(Duration::from_secs(600));
        Answer::new(500, "")
    });
    let run = once(world.syncer_of(&server.url("site.git")))
        .flag("github-base-url", stub.url("/"))
        .flag("github-app-application-id", "12345")
        .flag("github-app-installation-id", "4711")
        .env("GITSYNC_GITHUB_APP_PRIVATE_KEY", &key.pkcs8)
        .flag("sync-timeout", "1s")
        .finish();
    run.assert_code(1);
    run.assert_last_error("for the GitHub App's token");
    // Its thread keeps sleeping, and the test need not wait for it.
    std::mem::forget(stub);
}
