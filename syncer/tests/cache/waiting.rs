//! Followers that wait for a change, wake-ups, and the end of the process.

use std::thread;

use nix::sys::signal::Signal;
use proptest::prelude::*;

use crate::cache::world::CacheWorld;
use crate::cache::world::Reply;
use crate::cache::world::WAKE_KEY;
use crate::cache::world::ls_refs;
use crate::cache::world::request;
use crate::world::eventually;

impl CacheWorld {
    /// The tag of the present refs, as a header.
    fn tag(&self) -> String {
        let refs = self.upload_pack(&[], &ls_refs());
        assert_eq!(refs.status, 200, "{refs:?}");
        format!("If-None-Match: {}", refs.header("etag").unwrap())
    }

    fn wait_for(&self, tag: &str, seconds: u64) -> Reply {
        let prefer = format!("Prefer: wait={seconds}");
        self.upload_pack(&[tag, &prefer], &ls_refs())
    }

    /// Waits until this many followers wait.
    pub(crate) fn waiting(&self, count: i64) {
        eventually("followers wait", || {
            (self.metric("gitvolume_cache_waiting_followers") == count).then_some(())
        });
    }

    /// Sends a wake-up, and returns the status of the answer.
    pub(crate) fn wake(&self, header: &str, body: &str) -> u16 {
        self.post("/wake", &[header], body.as_bytes()).status
    }
}

#[test]
fn waiting_followers_are_told_of_a_change_and_cost_one_request_per_period() {
    let world = CacheWorld::new();
    let tag = world.tag();
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..5)
            .map(|_| scope.spawn(|| world.wait_for(&tag, 50)))
            .collect();
        world.waiting(5);
        let commit = world.repo.commit().write("a", "two").push();
        for reply in waiting {
            let reply = reply.join().unwrap();
            assert_eq!(reply.status, 200, "{reply:?}");
            assert!(reply.text().contains(&commit));
            assert_ne!(reply.header("etag"), tag.split(' ').nth(1));
        }
    });
    // Five followers, and no more requests than one would have cost; the bound is generous, for a
    // slow machine.
    let requests = world.sent("ls-refs");
    assert!(requests < 60, "{requests}");
    world.waiting(0);
}

#[test]
fn a_wait_without_a_change_ends_with_304() {
    let world = CacheWorld::new();
    let tag = world.tag();
    let reply = world.wait_for(&tag, 2);
    assert_eq!((reply.status, &*reply.body), (304, &b""[..]), "{reply:?}");
    assert_eq!(reply.header("etag"), tag.split(' ').nth(1));
    let as_of = reply.header("gitvolume-as-of").unwrap();
    assert!(
        as_of.len() == "2026-01-01T00:00:00.000Z".len() && as_of.ends_with('Z'),
        "{as_of}"
    );
    assert_eq!(reply.header("gitvolume-stale"), None);
    // Without a wait, too.
    assert_eq!(world.upload_pack(&[&tag], &ls_refs()).status, 304);
}

#[test]
fn another_tag_makes_the_cache_ask_the_origin() {
    let world = CacheWorld::with_flags(&["--period=1h"]);
    let tag = world.tag();
    let commit = world.repo.commit().write("a", "two").push();
    // The follower has something that this replica does not know, perhaps newer.
    let other = "If-None-Match: \"another replica's\"";
    let reply = world.upload_pack(&[other, "Prefer: wait=30"], &ls_refs());
    assert!(
        reply.status == 200 && reply.text().contains(&commit),
        "{reply:?}"
    );
    let now = reply.header("etag").unwrap();
    assert!(!tag.contains(now));
    let again = world.upload_pack(&[other], &ls_refs());
    assert_eq!(again.header("etag"), Some(now));
    assert!(again.header("gitvolume-as-of") > reply.header("gitvolume-as-of"));
}

#[test]
fn a_change_under_one_request_ends_the_answers_of_others() {
    let world = CacheWorld::with_flags(&["--period=1h"]);
    let tag = world.tag();
    let all = request("ls-refs", &["peel", "symrefs"]);
    assert_eq!(world.upload_pack(&[], &all).status, 200);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| world.wait_for(&tag, 50));
        world.waiting(1);
        let commit = world.repo.commit().write("a", "two").push();
        // Another request of this repository shows the change.
        let reply = world.upload_pack(&["If-None-Match: \"x\""], &all);
        assert!(reply.text().contains(&commit));
        let reply = waiting.join().unwrap();
        assert!(reply.text().contains(&commit), "{reply:?}");
    });
}

#[test]
fn a_wake_up_makes_the_cache_look_at_once() {
    let world = CacheWorld::with_flags(&["--period=1h"]);
    let tag = world.tag();
    let body = |path: &str| {
        let port = world.origin.address().port();
        format!("{{\"repositories\": [\"https://localhost:{port}/{path}\"]}}")
    };
    let right = format!("Authorization: Bearer {WAKE_KEY}");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| world.wait_for(&tag, 50));
        world.waiting(1);
        let commit = world.repo.commit().write("a", "two").push();
        let before = world.sent("ls-refs");
        assert_eq!(
            world.wake("Authorization: Bearer wrong", &body("site")),
            401
        );
        assert_eq!(world.wake("X: y", &body("site")), 401);
        assert_eq!(world.wake(&right, &body("other")), 204);
        assert_eq!(world.wake(&right, "{\"x\": 1}"), 400);
        assert_eq!(world.wake(&right, &" ".repeat(1 << 17)), 413);
        assert_eq!(world.sent("ls-refs"), before);
        assert_eq!(world.wake(&right, &body("site")), 204);
        let reply = waiting.join().unwrap();
        assert!(reply.text().contains(&commit), "{reply:?}");
    });
}

#[test]
fn a_changed_key_of_wake_ups_is_used_without_a_restart() {
    let world = CacheWorld::new();
    let wake = |key: &str| world.wake(&format!("Authorization: Bearer {key}"), "{}");
    let next = "the-next-key-of-wake-ups";
    assert_eq!((wake(WAKE_KEY), wake(next)), (204, 401));
    std::fs::write(world.path("wake.key"), next).unwrap();
    eventually("the next key is used", || (wake(next) == 204).then_some(()));
    assert_eq!(wake(WAKE_KEY), 401);
    // Without a usable key, the last one stays in use.
    std::fs::write(world.path("wake.key"), "short").unwrap();
    eventually("the problem is logged", || {
        let log = world.log();
        log.contains("the last key of wake-ups stays in use")
            .then_some(())
    });
    assert_eq!((wake(next), wake("short")), (204, 401));
}

#[test]
fn repeated_wake_ups_cost_one_request_per_second_and_the_last_one_counts() {
    let world = CacheWorld::with_flags(&["--period=1h"]);
    let tag = world.tag();
    let port = world.origin.address().port();
    let body = format!("{{\"prefixes\": [\"https://localhost:{port}\"]}}");
    let right = format!("Authorization: Bearer {WAKE_KEY}");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| world.wait_for(&tag, 50));
        world.waiting(1);
        let started = std::time::Instant::now();
        let before = world.sent("ls-refs");
        for _ in 0..30 {
            assert_eq!(world.wake(&right, &body), 204);
        }
        let sent = world.sent("ls-refs") - before;
        assert!(sent <= started.elapsed().as_secs() as i64 + 2, "{sent}");
        let commit = world.repo.commit().write("a", "two").push();
        assert_eq!(world.wake(&right, &body), 204);
        assert!(waiting.join().unwrap().text().contains(&commit));
    });
}

#[test]
fn at_the_end_waiting_followers_are_answered_and_the_process_succeeds() {
    let mut world = CacheWorld::new();
    let tag = world.tag();
    assert!(world.admin("/readyz").starts_with("HTTP/1.1 200"));
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| world.wait_for(&tag, 50)))
            .collect();
        world.waiting(3);
        world.signal(Signal::SIGTERM);
        for reply in waiting {
            let reply = reply.join().unwrap();
            assert_eq!(reply.status, 304, "{reply:?}");
            assert_eq!(reply.header("connection"), Some("close"));
        }
    });
    assert!(world.wait(), "{}", world.log());
}

#[test]
fn a_replaced_certificate_is_served_without_a_restart() {
    let world = CacheWorld::new();
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned()];
    let leaf = rcgen::CertificateParams::new(names)
        .unwrap()
        .self_signed(&key)
        .unwrap();
    // The key first: a partial update is no reason to stop serving.
    std::fs::write(world.path("tls.key"), key.serialize_pem()).unwrap();
    std::fs::write(world.path("tls.crt"), leaf.pem()).unwrap();
    eventually("the new certificate is served", || {
        world
            .log()
            .contains("serving the new certificate")
            .then_some(())
    });
    // Followers of this world trust what is in the file now.
    assert_eq!(world.info_refs(&[]).status, 200);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_as_a_body_are_refused_with_a_status(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 60),
    ) {
        let world = CacheWorld::new();
        for body in bodies {
            let reply = world.upload_pack(&[], &body);
            prop_assert!(matches!(reply.status, 400 | 501), "{reply:?}");
            let reply = world.upload_pack(&["Content-Encoding: gzip"], &body);
            prop_assert!(matches!(reply.status, 400 | 501), "{reply:?}");
        }
        prop_assert_eq!(world.origin.requests(), 0);
        prop_assert_eq!(world.upload_pack(&[], &ls_refs()).status, 200);
    }
}
