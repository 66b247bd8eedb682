//! What deliveries cannot cause, however many there are.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use tempfile::TempDir;

use crate::cache::world::CacheWorld;
use crate::cache::world::ls_refs;
use crate::push::Delivery;
use crate::push::SECRET;
use crate::push::receiver::Receiver;
use crate::push::receiver::acme;
use crate::push::receiver::receiver;
use crate::push::receiver::wakes;
use crate::world::Syncer;
use crate::world::eventually;

const FORGED: usize = 10_000;
const SENDERS: usize = 4;

/// Sends a request on an open connection; returns the status.
fn send(stream: &mut BufReader<TcpStream>, request: &[u8]) -> u16 {
    stream.get_mut().write_all(request).unwrap();
    let mut status = 0;
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
            status = rest[..3].parse().unwrap();
        }
        if let Some(rest) = line.strip_prefix("content-length: ") {
            length = rest.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    status
}

fn connect(port: u16) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    BufReader::new(stream)
}

#[test]
fn ten_thousand_forged_deliveries_wake_nothing_and_real_ones_are_served() {
    let receiver = Receiver::start();
    let port = receiver.port;
    let began = Instant::now();
    let senders = (0..SENDERS).map(|_| {
        thread::spawn(move || {
            let request = acme().signed("forged").request("keep-alive");
            let mut stream = connect(port);
            for _ in 0..FORGED / SENDERS {
                assert_eq!(send(&mut stream, &request), 401);
            }
        })
    });
    let senders: Vec<_> = senders.collect();
    // A git host that delivers meanwhile is served.
    acme().signed(SECRET).assert_answered(port, 202);
    let is_meanwhile = senders.iter().any(|sender| !sender.is_finished());
    for sender in senders {
        sender.join().unwrap();
    }
    println!(
        "{FORGED} forged deliveries in {:?}, meanwhile: {is_meanwhile}",
        began.elapsed()
    );
    acme().signed(SECRET).assert_answered(port, 202);
    // One for each real delivery, or one for both.
    let count = wakes(&receiver.cache).len();
    receiver.eventually_relays(1);
    assert!(count <= 2, "{count}");
}

/// How long forged deliveries arrive, at up to 10,000 per second.
const FLOOD: Duration = Duration::from_secs(10);
const FLOOD_PER_SECOND: u32 = 10_000;

/// Sends forged deliveries; returns how many.
fn flood(port: u16, end: Instant) -> u32 {
    let request = acme().signed("forged").request("keep-alive");
    let mut stream = connect(port);
    let mut sent = 0;
    while Instant::now() < end && sent < FLOOD_PER_SECOND * FLOOD.as_secs() as u32 / SENDERS as u32
    {
        assert_eq!(send(&mut stream, &request), 401);
        sent += 1;
    }
    sent
}

#[test]
fn ten_seconds_of_forged_deliveries_cost_the_git_host_nothing_and_a_real_one_is_served() {
    let world = CacheWorld::with_flags(&["--period=1h"]);
    let dir = TempDir::with_prefix("push-").unwrap();
    let origin = format!("https://localhost:{}/", world.origin_port);
    let running = receiver(&dir, Syncer::new(), &world.base(), "")
        .flag("cache-ca-file", world.path("tls.crt"))
        .flag("wake-key-file", world.path("wake.key"))
        .flag("wake", format!("acme={origin}"))
        .start(&dir.path().join("log"));
    let port = running.port();
    let refs = world.upload_pack(&[], &ls_refs());
    let tag = format!("If-None-Match: {}", refs.header("etag").unwrap());
    thread::scope(|scope| {
        let waiting = scope.spawn(|| world.upload_pack(&[&tag, "Prefer: wait=50"], &ls_refs()));
        eventually("the follower waits", || {
            (world.metric("gitvolume_cache_waiting_followers") == 1).then_some(())
        });
        let before = world.origin.requests();
        let end = Instant::now() + FLOOD;
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| scope.spawn(move || flood(port, end)))
            .collect();
        thread::sleep(FLOOD / 2);
        assert_eq!(world.origin.requests(), before);
        let commit = world.repo.commit().write("a", "two").push();
        let delivery = Delivery::of("/push/acme", &format!("{origin}site.git"));
        delivery.signed(SECRET).assert_answered(port, 202);
        let reply = waiting.join().unwrap();
        assert!(reply.text().contains(&commit), "{reply:?}");
        let sent: u32 = senders.into_iter().map(|it| it.join().unwrap()).sum();
        println!("{sent} forged deliveries in {FLOOD:?}");
        // The poll of the real one alone.
        assert_eq!(world.origin.requests() - before, 1);
    });
}

#[test]
fn a_replayed_delivery_wakes_at_most_once_per_second_and_the_last_one_is_kept() {
    let receiver = Receiver::start();
    let began = Instant::now();
    let request = acme().signed(SECRET).request("keep-alive");
    let mut stream = connect(receiver.port);
    let statuses: Vec<_> = (0..50).map(|_| send(&mut stream, &request)).collect();
    assert_eq!(statuses, [202; 50]);
    // The first one at once, the others together after the interval.
    receiver.eventually_relays(2);
    let most = usize::try_from(began.elapsed().as_secs()).unwrap() + 2;
    let count = wakes(&receiver.cache).len();
    assert!(count <= most, "{count} wake-ups in {:?}", began.elapsed());
}

#[test]
fn verified_deliveries_above_the_limit_are_shed() {
    let receiver = Receiver::start();
    let request = acme().signed(SECRET).request("keep-alive");
    let mut stream = connect(receiver.port);
    let began = Instant::now();
    let statuses: Vec<_> = (0..1000).map(|_| send(&mut stream, &request)).collect();
    let accepted = statuses.iter().filter(|status| **status == 202).count();
    let shed = statuses.iter().filter(|status| **status == 429).count();
    assert_eq!(accepted + shed, 1000, "{statuses:?}");
    let most = 101 + (began.elapsed().as_secs_f64() * 100.0) as usize;
    assert!(
        accepted >= 100 && accepted <= most,
        "{accepted} in {:?}",
        began.elapsed()
    );
    // Deliveries without a valid signature do not count, and are not shed.
    acme().signed("forged").assert_answered(receiver.port, 401);
}
