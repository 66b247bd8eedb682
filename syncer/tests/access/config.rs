//! git's own configuration, CAs and proxies.

use std::fs;

use remotes::BasicAuth;
use remotes::HttpServer;
use remotes::Proxy;
use remotes::Repo;

use crate::access::PASSWORD;
use crate::access::add_submodule;
use crate::access::once;
use crate::access::world;
use crate::access::write;
use crate::world::World;

/// A git that records, at each fetch, the value of a key of its configuration.
fn asking_git(world: &World, key: &str) -> std::path::PathBuf {
    let found = world.path("found");
    let text = format!(
        "[ \"$1\" = fetch ] && git config --get-all '{key}' >{}\nexec git \"$@\"",
        found.display()
    );
    world.script("asking-git", &text)
}

fn found(world: &World) -> String {
    fs::read_to_string(world.path("found")).unwrap()
}

#[test]
fn gits_configuration_is_as_the_flags_say() {
    let world = world();
    for (key, given, added, expected) in [
        ("user.name", "user.name:someone", "", "someone\n"),
        // The user's values replace the syncer's.
        ("safe.directory", "safe.directory:/x", "", "/x\n"),
        ("Some.Key", "some.key:a,other.key:b", "some.key:c", "c\n"),
        (
            "http.https://a.example/x.y/.extraheader",
            r#""http.https://a.example/x.y/.extraHeader":"X: \"1\",2""#,
            "",
            "X: \"1\",2\n",
        ),
        ("a.b", "", r#"a.b:"#, "\n"),
    ] {
        let added = match added {
            "a.b:" => r#"a.b:"""#,
            added => added,
        };
        once(world.syncer())
            .flag("git", asking_git(&world, key))
            .flag("git-config", given)
            .flag("git-config-add", added)
            .finish()
            .assert_code(0);
        assert_eq!(found(&world), expected, "{key}");
    }
}

#[test]
fn more_may_be_added_more_than_once() {
    let world = world();
    once(world.syncer())
        .flag("git", asking_git(&world, "some.key"))
        .flag("git-config-add", "some.key:a")
        .flag("git-config-add", "some.key:b")
        .finish()
        .assert_code(0);
    assert_eq!(found(&world), "b\n");
}

#[test]
fn malformed_pairs_are_refused_with_an_explanation() {
    let world = world();
    for (flag, value, words) in [
        ("git-config", "a.b", "the key \\\"a.b\\\" has no value"),
        ("git-config-add", "a.b:x\\q", "has the escape \\\\q"),
        ("git-config", "nokey:x", "expected a key such as user.name"),
    ] {
        let run = once(world.syncer()).flag(flag, value).finish();
        run.assert_code(1);
        let words = words.replace("\\\"", "\"").replace("\\\\", "\\");
        let log = run.log.replace("\\\"", "\"").replace("\\\\", "\\");
        assert!(log.contains(&words), "{words}: {log}");
        assert!(log.contains(&format!("--{flag}")), "{log}");
    }
}

#[test]
fn the_configuration_applies_to_submodules_and_authenticates() {
    let world = world();
    let server = HttpServer::start(world.repo.path().parent().unwrap());
    let sub = Repo::in_dir(world.repo.path().parent().unwrap(), "sub.git");
    sub.commit().write("s", "sub").push();
    add_submodule(&world, &sub, "sub", &server.url("sub.git"));
    server.require(Some(BasicAuth::Header("x-key", PASSWORD.into())));
    let header = format!(
        "\"http.{}.extraHeader\":\"X-Key: {PASSWORD}\"",
        server.url("")
    );
    let run = once(world.syncer_of(&server.url("site.git")))
        .flag("git-config", &header)
        .flag("verbose", "9")
        .finish();
    run.assert_code(0);
    assert_eq!(world.read("sub/s").as_deref(), Some("sub"));
    assert!(!run.log.contains(PASSWORD), "{}", run.log);
}

#[test]
fn a_hook_sees_the_same_configuration_and_gets_the_same_passwords() {
    let world = world();
    let server = HttpServer::start(world.repo.path().parent().unwrap());
    server.require(Some(BasicAuth::Password("me".into(), PASSWORD.into())));
    let seen = world.path("seen");
    let hook = world.script(
        "hook",
        &format!(
            "{{ git config --get some.key; git ls-remote {} HEAD; }} >{}",
            server.url("site.git"),
            seen.display()
        ),
    );
    once(world.syncer_of(&server.url("site.git")))
        .flag("username", "me")
        .env("GITSYNC_PASSWORD", PASSWORD)
        .flag("git-config", "some.key:some value")
        .flag("exechook-command", hook)
        .finish()
        .assert_code(0);
    let seen = fs::read_to_string(seen).unwrap();
    let commit = world.repo.run(&["rev-parse", "HEAD"]);
    assert_eq!(seen, format!("some value\n{commit}\tHEAD\n"));
}

#[test]
fn a_users_credential_helper_runs_after_the_syncers() {
    let world = world();
    let server = HttpServer::start(world.repo.path().parent().unwrap());
    server.require(Some(BasicAuth::Password("me".into(), PASSWORD.into())));
    let helper = world.script(
        "helper",
        &format!("[ \"$1\" = get ] && printf 'username=me\\npassword={PASSWORD}\\n'"),
    );
    let config = format!("credential.helper:{}", helper.display());
    let syncer = || once(world.syncer_of(&server.url("site.git"))).flag("git-config", &config);
    syncer().finish().assert_code(0);
    let run = syncer()
        .flag("username", "me")
        .env("GITSYNC_PASSWORD", "wrong-password")
        .finish();
    run.assert_code(1);
}

#[test]
fn an_authority_of_the_users_is_trusted() {
    let world = world();
    let server = HttpServer::start_tls(world.repo.path().parent().unwrap());
    let ca = world.path("ca.pem");
    fs::write(&ca, server.ca_pem()).unwrap();
    let syncer = || once(world.syncer_of(&server.url("site.git")));
    let run = syncer().finish();
    run.assert_code(1);
    run.assert_last_error("the server's certificate is not trusted");
    syncer()
        .flag("git-config", format!("http.sslCAInfo:{}", ca.display()))
        .finish()
        .assert_code(0);
    syncer().env("GIT_SSL_CAINFO", &ca).finish().assert_code(0);
    // The Secret's CA is added to the user's as well.
    write(&world.path("secret/ca.crt"), &server.ca_pem());
    let other = "/etc/ssl/certs/ca-certificates.crt";
    let with_secret = || syncer().flag("secret-dir", world.path("secret"));
    with_secret().finish().assert_code(0);
    with_secret()
        .env("GIT_SSL_CAINFO", other)
        .finish()
        .assert_code(0);
    with_secret()
        .flag("git-config", format!("http.sslCAInfo:{other}"))
        .finish()
        .assert_code(0);
}

#[test]
fn a_changed_authority_needs_no_restart() {
    let world = world();
    let server = HttpServer::start_tls(world.repo.path().parent().unwrap());
    let ca = world.path("secret/ca.crt");
    write(&ca, &server.ca_pem());
    let running = world
        .syncer_of(&server.url("site.git"))
        .flag("secret-dir", world.path("secret"))
        .start(&world.path("log"));
    crate::world::eventually("it is published", || world.published());
    server.change_certificate();
    let second = world.repo.commit().write("a", "2").push();
    crate::world::eventually("the new certificate is refused", || {
        running
            .log()
            .contains("certificate is not trusted")
            .then_some(())
    });
    write(&ca, &server.ca_pem());
    world.eventually_published(&second);
}

#[test]
fn a_proxy_of_the_environment_is_used_and_no_proxy_is_respected() {
    let world = world();
    let root = world.repo.path().parent().unwrap();
    let plain = HttpServer::start(root);
    let tls = HttpServer::start_tls(root);
    write(&world.path("secret/ca.crt"), &tls.ca_pem());
    let proxy = Proxy::start();
    let syncer = |url: &str| {
        once(world.syncer_of(url))
            .flag("secret-dir", world.path("secret"))
            .env("http_proxy", proxy.url())
            .env("HTTPS_PROXY", proxy.url())
    };
    syncer(&plain.url("site.git")).finish().assert_code(0);
    let asked = proxy.asked();
    let line = format!("GET {}/info/refs", plain.url("site.git"));
    assert!(asked[0].starts_with(&line), "{asked:?}");
    syncer(&tls.url("site.git")).finish().assert_code(0);
    let connect = format!("CONNECT {} HTTP/1.1", tls.address());
    assert!(proxy.asked().contains(&connect), "{:?}", proxy.asked());
    let before = proxy.asked().len();
    syncer(&plain.url("site.git"))
        .env("no_proxy", "127.0.0.1")
        .finish()
        .assert_code(0);
    assert_eq!(proxy.asked().len(), before);
}

#[test]
fn a_proxy_may_be_configured_and_may_want_a_password() {
    let world = world();
    let server = HttpServer::start(world.repo.path().parent().unwrap());
    let proxy = Proxy::start_with_password("porter", "proxy-password");
    let syncer = |proxy: String| {
        once(world.syncer_of(&server.url("site.git")))
            .flag("git-config", format!("\"http.proxy\":\"{proxy}\""))
            .finish()
    };
    syncer(proxy.url()).assert_code(1);
    syncer(proxy.url_with("porter", "proxy-password")).assert_code(0);
    assert!(!proxy.asked().is_empty());
    // From the list of credentials, as for any other host.
    let credential = format!(
        r#"{{"url":"{}","username":"porter","password":"proxy-password"}}"#,
        proxy.url()
    );
    let before = proxy.asked().len();
    once(world.syncer_of(&server.url("site.git")))
        .env(
            "http_proxy",
            proxy.url().replace("http://", "http://porter@"),
        )
        .flag("credential", credential)
        .finish()
        .assert_code(0);
    assert!(proxy.asked().len() > before);
}
