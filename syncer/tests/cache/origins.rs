//! Hosts, addresses and paths that the cache does not serve.

use crate::cache::world::CacheWorld;
use crate::cache::world::INFO_REFS;
use crate::cache::world::WAKE_KEY;
use crate::cache::world::ls_refs;

#[test]
fn hosts_and_paths_outside_the_grammar_reach_no_origin() {
    let world = CacheWorld::new();
    let port = world.origin.address().port();
    for (path, expected) in [
        ("/https/git.example/site.git".to_owned(), 403),
        ("/https/localhost/site.git".to_owned(), 403),
        (format!("/http/localhost:{port}/site.git"), 403),
        (format!("/https/127.0.0.1:{port}/site.git"), 404),
        (format!("/https/127.1:{port}/site.git"), 404),
        (format!("/https/2130706433:{port}/site.git"), 404),
        (format!("/https/0x7f000001:{port}/site.git"), 404),
        (format!("/https/[::1]:{port}/site.git"), 404),
        (format!("/https/localhost.:{port}/site.git"), 404),
        (format!("/https/LOCALHOST:{port}/site.git"), 404),
        (format!("/https/me@localhost:{port}/site.git"), 404),
        (format!("/https/localhost:{port}/x/../site.git"), 404),
        (format!("/https/localhost:{port}/./site.git"), 404),
        (format!("/https/localhost:{port}/x/%2e%2e/site.git"), 404),
        (format!("/https/localhost:{port}//site.git"), 404),
        (format!("/https/localhost:{port}/x%2fsite.git"), 404),
        (format!("/https/localhost:{port}/x%5Csite.git"), 404),
        (format!("/https/localhost:{port}/site.git%00"), 404),
        (format!("/https/localhost:{port}/site.git%0a"), 404),
        (format!("/ftp/localhost:{port}/site.git"), 404),
        (String::new(), 404),
    ] {
        let reply = world.get(&(path.clone() + INFO_REFS), &[]);
        assert_eq!(reply.status, expected, "{path}: {reply:?}");
        let reply = world.post(&(path.clone() + "/git-upload-pack"), &[], &ls_refs());
        assert_eq!(reply.status, expected, "{path}: {reply:?}");
    }
    let other = world.cached("site.git") + "/info/refs?service=git-receive-pack";
    assert_eq!(world.get(&other, &[]).status, 501);
    let push = world.cached("site.git") + "/git-receive-pack";
    assert_eq!(world.post(&push, &[], b"0000").status, 404);
    let head = world.cached("site.git") + "/HEAD";
    assert_eq!(world.get(&head, &[]).status, 404);
    assert_eq!(world.origin.connections(), 0, "{:?}", world.origin.seen());
    assert!(world.metric("gitvolume_cache_refused_total") >= 40);
}

#[test]
fn loopback_is_refused_unless_the_operator_allows_it() {
    let mut world = CacheWorld::stopped();
    let host = format!(
        "--allowed-hosts=localhost:{}",
        world.origin.address().port()
    );
    world.set_hosts(&[&host]);
    world.start();
    for reply in [world.info_refs(&[]), world.upload_pack(&[], &ls_refs())] {
        assert_eq!(reply.status, 403, "{reply:?}");
        assert!(reply.text().contains("--allowed-networks"), "{reply:?}");
    }
    assert_eq!(world.origin.connections(), 0);
}

#[test]
fn a_denied_network_is_refused_although_it_is_allowed() {
    let mut world = CacheWorld::stopped();
    let host = format!(
        "--allowed-hosts=localhost:{}",
        world.origin.address().port()
    );
    let allowed = "--allowed-networks=127.0.0.0/8,::1/128";
    world.set_hosts(&[&host, allowed, "--denied-networks=127.0.0.0/8,::/0"]);
    world.start();
    assert_eq!(world.info_refs(&[]).status, 403);
    assert_eq!(world.origin.connections(), 0);
}

#[test]
fn redirects_are_not_followed() {
    let world = CacheWorld::new();
    world
        .origin
        .redirect_to(Some("https://evil.example".to_owned()));
    for reply in [world.info_refs(&[]), world.upload_pack(&[], &ls_refs())] {
        assert_eq!(reply.status, 501, "{reply:?}");
        assert_eq!(reply.header("location"), None);
    }
}

#[test]
fn only_authorization_reaches_the_origin() {
    use remotes::Answer;
    use remotes::Stub;
    let stub = Stub::start_tls(|_| Answer::new(500, ""));
    let mut world = CacheWorld::stopped();
    std::fs::write(world.path("origin.pem"), stub.ca_pem()).unwrap();
    let port = stub.address().port();
    let host = format!("--allowed-hosts=localhost:{port}");
    world.set_hosts(&[&host, "--allowed-networks=127.0.0.0/8,::1/128"]);
    world.start();
    let path = format!("/https/localhost:{port}/site.git/git-upload-pack");
    let headers = [
        "Authorization: Bearer abc",
        "Cookie: secret",
        "X-Forwarded-For: 10.0.0.1",
        "User-Agent: evil",
        "Accept-Encoding: gzip",
        "Metadata-Flavor: Google",
    ];
    assert_eq!(world.post(&path, &headers, &ls_refs()).status, 504);
    let asked = stub.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let mut names: Vec<&str> = asked[0]
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept",
            "accept-encoding",
            "authorization",
            "content-length",
            "content-type",
            "git-protocol",
            "host",
            "user-agent"
        ]
    );
    assert_eq!(asked[0].header("authorization"), Some("Bearer abc"));
    assert_eq!(asked[0].header("accept-encoding"), Some("identity"));
    assert_eq!(asked[0].body.as_bytes(), ls_refs());
}

#[test]
fn the_cache_does_not_start_with_invalid_flags() {
    let world = CacheWorld::stopped();
    assert!(world.refusal(&[]).contains("--allowed-hosts"));
    for (flags, expected) in [
        (
            &["--allowed-hosts=127.0.0.1"][..],
            "--allowed-hosts: \"127.0.0.1\": expected HOST",
        ),
        (
            &["--allowed-hosts=a.example", "--denied-networks=10.0.0.0"],
            "--denied-networks: \"10.0.0.0\": expected a network",
        ),
        (
            &["--allowed-hosts=a.example", "--disk-limit=10GB"],
            "--disk-limit: \"10GB\": expected a number of bytes",
        ),
        (
            &["--allowed-hosts=a.example", "--period=10ms"],
            "--period: 10ms: expected at least 1s",
        ),
        (
            &["--allowed-hosts=a.example", "--wake-key-file=/nonexistent"],
            "--wake-key-file: /nonexistent: expected a file with a key",
        ),
        (
            &["--allowed-hosts=a.example", "--listen=x"],
            "cannot listen on x: expected an address such as :8443",
        ),
    ] {
        let error = world.refusal(flags);
        assert!(error.contains(expected), "{flags:?}: {error}");
        assert!(!error.contains(WAKE_KEY));
    }
}
