//! What the receiver relays to the cache.

use std::fs;
use std::net::SocketAddr;
use std::process::ExitStatus;
use std::thread;

use nix::sys::signal::Signal;
use remotes::Answer;
use remotes::Stub;
use tempfile::TempDir;

use crate::cache::world::CacheWorld;
use crate::cache::world::ls_refs;
use crate::push::Delivery;
use crate::push::SECRET;
use crate::push::receiver::Receiver;
use crate::push::receiver::acme;
use crate::push::receiver::receiver;
use crate::push::receiver::wake;
use crate::push::receiver::wakes;
use crate::world::PROGRAM;
use crate::world::Syncer;
use crate::world::ask;
use crate::world::eventually;
use crate::world::namespaces;

#[test]
fn every_replica_of_the_cache_is_woken() {
    let Some(own_mounts) = namespaces::with_own_mounts() else {
        return;
    };
    let dir = TempDir::with_prefix("push-").unwrap();
    let one = Stub::start_tls(|_| Answer::new(204, ""));
    let port = one.address().port();
    let second = SocketAddr::from(([127, 0, 0, 2], port));
    let other = Stub::start_tls_at(second, |_| Answer::new(204, ""));
    let hosts = dir.path().join("hosts");
    fs::write(&hosts, "127.0.0.1 localhost\n127.0.0.2 localhost\n").unwrap();
    let mount = format!(
        "mount --bind '{}' /etc/hosts && exec \"$@\"",
        hosts.display()
    );
    let (first, rest) = own_mounts.split_first().unwrap();
    let syncer = Syncer::program(first)
        .args(rest.iter().copied())
        .args(["sh", "-c", &mount, "sh", PROGRAM]);
    let url = format!("https://localhost:{port}");
    let running = receiver(&dir, syncer, &url, &(one.ca_pem() + &other.ca_pem()))
        .start(&dir.path().join("log"));
    acme().signed(SECRET).assert_answered(running.port(), 202);
    for cache in [&one, &other] {
        let wakes = eventually("a wake-up", || {
            Some(wakes(cache)).filter(|wakes| !wakes.is_empty())
        });
        assert_eq!(wakes, [wake(&["https://git.example/acme/site.git"], &[])]);
    }
}

#[test]
fn a_follower_that_waits_at_the_cache_gets_the_new_commit_after_a_signed_push() {
    let world = CacheWorld::with_flags(&["--period=1h"]);
    let dir = TempDir::with_prefix("push-").unwrap();
    let url = world.url("");
    let (cache, _) = url.split_once("/https/").unwrap();
    let origin = format!("https://localhost:{}/", world.origin.address().port());
    let running = receiver(&dir, Syncer::new(), cache, "")
        .flag("cache-ca-file", world.path("tls.crt"))
        .flag("wake-key-file", world.path("wake.key"))
        .flag("wake", format!("acme={origin}"))
        .start(&dir.path().join("log"));
    let refs = world.upload_pack(&[], &ls_refs());
    let tag = format!("If-None-Match: {}", refs.header("etag").unwrap());
    thread::scope(|scope| {
        let waiting = scope.spawn(|| world.upload_pack(&[&tag, "Prefer: wait=50"], &ls_refs()));
        eventually("the follower waits", || {
            (world.metric("gitvolume_cache_waiting_followers") == 1).then_some(())
        });
        let commit = world.repo.commit().write("a", "two").push();
        let delivery = Delivery::of("/push/acme", &format!("{origin}site.git"));
        delivery.signed(SECRET).assert_answered(running.port(), 202);
        let reply = waiting.join().unwrap();
        assert_eq!(reply.status, 200, "{reply:?}");
        assert!(reply.text().contains(&commit), "{reply:?}");
    });
}

/// The number of lost wake-ups.
fn lost(port: u16) -> usize {
    let metrics = ask(port, "GET", "/metrics").unwrap();
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("gitvolume_push_relays_total{status=\"error\"} "));
    line.unwrap().parse().unwrap()
}

#[test]
fn a_lost_wake_up_is_logged_once_and_the_receiver_goes_on() {
    let dir = TempDir::with_prefix("push-").unwrap();
    let cache = Stub::start_tls(|_| Answer::new(503, ""));
    let url = cache.url("");
    let running =
        receiver(&dir, Syncer::new(), &url, &cache.ca_pem()).start(&dir.path().join("log"));
    let port = running.port();
    for count in 1..=2 {
        acme().signed(SECRET).assert_answered(port, 202);
        eventually("a wake-up is lost", || (lost(port) >= count).then_some(()));
    }
    let lines = running.log().matches("a wake-up is lost").count();
    assert_eq!(lines, 1, "{}", running.log());
    running.assert_logged("the cache answers 503");
}

#[test]
fn a_wake_up_that_cannot_be_sent_to_any_replica_counts_as_lost() {
    let dir = TempDir::with_prefix("push-").unwrap();
    let running = receiver(
        &dir,
        Syncer::new(),
        "https://cache.invalid:8443",
        "no certificate",
    )
    .start(&dir.path().join("log"));
    acme().signed(SECRET).assert_answered(running.port(), 202);
    eventually("it is counted", || {
        (lost(running.port()) == 1).then_some(())
    });
    running.assert_logged("expected the CA certificates of the cache in PEM");
}

#[test]
fn at_the_end_open_requests_and_the_last_wake_ups_are_finished() {
    let receiver = Receiver::start_with(&["--drain=2s"]);
    acme().signed(SECRET).assert_answered(receiver.port, 202);
    receiver.eventually_relays(1);
    receiver.running.signal(Signal::SIGTERM);
    eventually("it is not ready", || {
        ask(receiver.port, "GET", "/readyz")?
            .starts_with("HTTP/1.1 503 ")
            .then_some(())
    });
    let (status, head, _) = acme().signed(SECRET).send(receiver.port);
    assert_eq!(status, 202);
    assert!(head.contains("connection: close"), "{head}");
    let Receiver {
        mut running,
        cache,
        dir: _dir,
        ..
    } = receiver;
    let ended: ExitStatus = running.wait();
    assert!(ended.success(), "{}", running.log());
    assert_eq!(wakes(&cache).len(), 2);
}
