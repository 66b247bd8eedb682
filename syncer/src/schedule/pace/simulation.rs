//! A simulation of a thousand Pods of one Deployment, started at the same instant, in virtual time:
//! when do they poll their server? Every wait comes from the real [`Pace`]; the random numbers are
//! seeded, so each run is the same.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use fastrand::Rng;

use super::Pace;

const PODS: u64 = 1000;
const PERIOD: Duration = Duration::from_secs(10);
const MINUTE: usize = 60;

/// The server's reaction to a poll at this time.
#[derive(Clone, Copy, PartialEq)]
enum Server {
    /// Answers at once.
    Up,
    /// Refuses at once.
    Down,
    /// Accepts the poll, and ends all pending ones together at this time.
    Hung { until: Duration },
}

/// The number of polls in each second.
fn questions(seconds: usize, server: impl Fn(Duration) -> Server) -> Vec<u32> {
    let end = Duration::from_secs(seconds as u64);
    let mut pods: Vec<Pace> = (0..PODS)
        .map(|seed| Pace::with_dice(PERIOD, PERIOD, Rng::with_seed(seed)))
        .collect();
    let mut due: BinaryHeap<_> = (0..pods.len())
        .map(|pod| Reverse((Duration::ZERO, pod)))
        .collect();
    let mut asked = vec![0; seconds];
    while let Some(Reverse((now, pod))) = due.pop() {
        if now >= end {
            continue;
        }
        asked[now.as_secs() as usize] += 1;
        let next = match server(now) {
            Server::Up => now + pods[pod].after_success(),
            Server::Down => now + pods[pod].after_failure(),
            Server::Hung { until } => until + pods[pod].after_failure(),
        };
        due.push(Reverse((next, pod)));
    }
    asked
}

/// The busiest second of each half minute, as the documentation shows it.
fn peaks(what: &str, asked: &[u32]) -> Vec<u32> {
    let peaks: Vec<u32> = asked.chunks(30).map(busiest).collect();
    println!("{what}: {peaks:?}");
    peaks
}

fn busiest(asked: &[u32]) -> u32 {
    asked.iter().copied().max().unwrap_or_default()
}

/// The average per second: a thousand Pods, each once in ten seconds.
const SHARE: u32 = 100;

/// The upper bound of random variation around the average.
const BUSY: u32 = SHARE * 3 / 2;

#[test]
fn pods_started_together_do_not_poll_together() {
    let asked = questions(5 * MINUTE, |_| Server::Up);
    assert_eq!(asked[0], 1000, "the first sync is never delayed");
    let peaks = peaks("started together", &asked[1..]);
    assert!(peaks.iter().all(|peak| *peak <= BUSY), "{asked:?}");
    // There are no waves either: no second after the first ten is quiet.
    let quietest = asked[20..].iter().min();
    assert!(quietest >= Some(&(SHARE / 3)), "{asked:?}");
}

#[test]
fn an_outage_that_all_have_seen_does_not_bring_them_together() {
    let outage = Duration::from_secs(120)..Duration::from_secs(420);
    let asked = questions(10 * MINUTE, |now| {
        if outage.contains(&now) {
            Server::Down
        } else {
            Server::Up
        }
    });
    let peaks = peaks("down from 120 s to 420 s", &asked[1..]);
    assert!(peaks.iter().all(|peak| *peak <= BUSY), "{asked:?}");
    // During the outage they poll less and less: once in 60 to 72 seconds at the end.
    let last_minute: u32 = asked[360..420].iter().sum();
    assert!(last_minute <= 1000, "{asked:?}");
}

#[test]
fn pods_started_together_in_an_outage_come_apart_by_their_retries() {
    let asked = questions(10 * MINUTE, |now| {
        if now < Duration::from_secs(300) {
            Server::Down
        } else {
            Server::Up
        }
    });
    let peaks = peaks("started together, down until 300 s", &asked[1..]);
    // Jitter only lengthens, by a fifth at most, so the first retries fall within two seconds.
    assert!(peaks[0] <= 6 * SHARE, "{asked:?}");
    assert!(busiest(&asked[60..]) <= BUSY, "{asked:?}");
}

#[test]
fn a_server_that_drops_all_at_once_sees_them_together_once() {
    let (from, until) = (Duration::from_secs(120), Duration::from_secs(180));
    let asked = questions(5 * MINUTE, |now| {
        if (from..until).contains(&now) {
            Server::Hung { until }
        } else {
            Server::Up
        }
    });
    peaks("hung from 120 s to 180 s", &asked[1..]);
    // The retry, one period later and a fifth longer at most.
    assert!(busiest(&asked[190..192]) <= 6 * SHARE, "{asked:?}");
    assert!(busiest(&asked[192..]) <= BUSY, "{asked:?}");
}
