//! Origins that answer wrongly, late, or not at all.

use remotes::Answer;
use remotes::Asked;
use remotes::Dialect;
use remotes::Stub;
use remotes::Trouble;

use crate::cache::world::CacheWorld;
use crate::cache::world::first_clone;
use crate::cache::world::login;
use crate::cache::world::ls_refs;
use crate::world::eventually;

/// The paths of a stub's repository.
const REFS: &str = "/git-upload-pack";

/// A cache before a web server whose answers the test defines.
fn stubbed(rule: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> (CacheWorld, Stub) {
    let stub = Stub::start_tls(rule);
    let mut world = CacheWorld::stopped();
    std::fs::write(world.path("origin.pem"), stub.ca_pem()).unwrap();
    let host = format!("--allowed-hosts=localhost:{}", stub.address().port());
    world.set_hosts(&[&host, "--allowed-networks=127.0.0.0/8,::1/128"]);
    world.start();
    (world, stub)
}

fn answer(status: u16, kind: &str, body: &str) -> Answer {
    let mut answer = Answer::new(status, body);
    answer.headers.push(("content-type", kind.to_owned()));
    answer
}

#[test]
fn answers_that_are_not_gits_are_replaced_without_their_body() {
    const RESULT: &str = "application/x-git-upload-pack-result";
    let cases: &[(&str, Answer, u16)] = &[
        ("html", answer(200, "text/html", "<html>secret</html>"), 502),
        ("page", answer(200, RESULT, "<html>secret</html>"), 502),
        ("err", answer(200, RESULT, "0012ERR secret word0000"), 502),
        ("cut", answer(200, RESULT, "003f"), 502),
        ("teapot", answer(418, "text/plain", "secret"), 502),
        ("error", answer(500, "text/plain", "secret"), 504),
        ("forbidden", answer(403, "text/plain", "secret"), 403),
        ("missing", answer(404, "text/plain", "secret"), 404),
    ];
    let answers: Vec<(&str, Answer)> = cases
        .iter()
        .map(|(name, answer, _)| (*name, answer.clone()))
        .collect();
    let (world, stub) = stubbed(move |asked| {
        let found = answers
            .iter()
            .find(|(name, _)| asked.path.starts_with(&format!("/{name}/")));
        found.expect("a known path").1.clone()
    });
    for (name, _, expected) in cases {
        let path = format!("/https/localhost:{}/{name}{REFS}", stub.address().port());
        for body in [ls_refs(), first_clone(&"a".repeat(40))] {
            let reply = world.post(&path, &[], &body);
            assert_eq!(reply.status, *expected, "{name}: {reply:?}");
            let text = reply.text();
            assert!(
                !text.contains("secret") && text.starts_with("gitvolume cache: "),
                "{text}"
            );
        }
    }
    assert_eq!(world.metric("gitvolume_cache_store_bytes"), 0);
}

#[test]
fn a_requested_pause_is_kept_and_is_no_refusal() {
    for (status, header) in [
        (429, ("retry-after", "120")),
        (403, ("retry-after", "120")),
        (403, ("x-ratelimit-remaining", "0")),
    ] {
        let (world, stub) = stubbed(move |_| {
            let mut answer = Answer::new(status, "slow down");
            answer.headers.push((header.0, header.1.to_owned()));
            answer
        });
        let path = format!("/https/localhost:{}/site{REFS}", stub.address().port());
        let header = login();
        for _ in 0..3 {
            let reply = world.post(&path, &[&header], &ls_refs());
            assert_eq!(reply.status, 503, "{reply:?}");
            assert!(reply.header("retry-after").is_some(), "{reply:?}");
        }
        assert_eq!(stub.asked().len(), 1);
    }
}

#[test]
fn a_truncated_pack_is_not_kept_and_the_follower_notices() {
    let world = CacheWorld::new();
    let commit = world.repo.commit().write("b", "x".repeat(10_000)).push();
    assert_eq!(world.upload_pack(&[], &ls_refs()).status, 200);
    world.origin.trouble(Some(Trouble::TruncatedPack));
    let body = first_clone(&commit);
    let cut = world.raw_upload_pack(&body);
    assert!(cut.is_none_or(|reply| reply.status != 200 || !reply.is_complete));
    assert_eq!(world.metric("gitvolume_cache_store_bytes"), 0);
    world.origin.trouble(None);
    let reply = world.upload_pack(&[], &body);
    assert!(reply.status == 200 && reply.is_complete, "{reply:?}");
}

impl CacheWorld {
    fn raw_upload_pack(&self, body: &[u8]) -> Option<crate::cache::world::Reply> {
        let path = self.cached("site.git") + "/git-upload-pack";
        let head = crate::cache::world::head("POST", &path, &[], body.len());
        self.raw(&head, body)
    }
}

#[test]
fn a_server_of_an_older_protocol_is_not_supported() {
    let world = CacheWorld::new();
    for dialect in [Dialect::V0, Dialect::Dumb] {
        world.origin.speak(dialect);
        let reply = world.info_refs(&[]);
        assert!(matches!(reply.status, 501 | 502), "{dialect:?}: {reply:?}");
    }
}

#[test]
fn a_host_that_hangs_is_reported_as_unreachable() {
    let world = CacheWorld::new();
    world.origin.hang(true);
    let reply = world.upload_pack(&[], &ls_refs());
    assert_eq!(reply.status, 504, "{reply:?}");
    world.origin.hang(false);
    assert_eq!(world.upload_pack(&[], &ls_refs()).status, 200);
}

#[test]
fn a_host_with_another_certificate_is_not_taken_for_the_origin() {
    let world = CacheWorld::private();
    world.origin.change_certificate();
    let before = world.origin.requests();
    let reply = world.upload_pack(&[&login()], &ls_refs());
    assert_eq!(reply.status, 502, "{reply:?}");
    assert!(reply.text().contains("certificate"), "{reply:?}");
    assert_eq!(world.origin.requests(), before);
    // The operator trusts the new one.
    std::fs::write(world.path("origin.pem"), world.origin.ca_pem()).unwrap();
    eventually("the host is used again", || {
        let reply = world.upload_pack(&[&login()], &ls_refs());
        (reply.status == 200).then_some(())
    });
}
