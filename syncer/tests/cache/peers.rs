//! Two replicas of the cache before one git server: each asks the other before the git server.

use std::fs;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use nix::sys::signal::Signal;
use remotes::Answer;
use remotes::ReservedPort;
use remotes::Stub;

use crate::cache::world::CacheWorld;
use crate::cache::world::login;
use crate::cache::world::ls_refs;
use crate::cache::world::request;
use crate::cache::world::wrong_login;
use crate::world::eventually;
use crate::world::namespaces;

/// The headers with which a replica asks another one.
const STORED: &str = "Gitvolume-Peer: stored";
const LEAD: &str = "Gitvolume-Peer: lead";

/// The origin must be unreachable for a minute before stale answers are served.
const AWAY_AFTER: Duration = Duration::from_secs(100);

/// Two replicas; the git server is the first one's.
struct ReplicaPair {
    one: CacheWorld,
    two: CacheWorld,
    _port: ReservedPort,
}

impl ReplicaPair {
    /// Two replicas of a private server, not started yet; `None` if the machine has no namespaces.
    #[track_caller]
    fn stopped() -> Option<Self> {
        let own_mounts = namespaces::with_own_mounts()?;
        let port = ReservedPort::new();
        let mut one = CacheWorld::stopped();
        one.require_login();
        let mut two = CacheWorld::stopped();
        two.ip = "127.0.0.2";
        two.origin_port = one.origin_port;
        for file in ["tls.crt", "tls.key", "origin.pem"] {
            fs::copy(one.path(file), two.path(file)).unwrap();
        }
        let host = format!("--allowed-hosts=localhost:{}", one.origin_port);
        two.set_hosts(&[&host, "--allowed-networks=127.0.0.0/8,::1/128"]);
        let hosts = one.path("hosts");
        let names = "127.0.0.1 localhost\n127.0.0.1 replicas.test\n127.0.0.2 replicas.test\n";
        fs::write(&hosts, names).unwrap();
        let mount = format!(
            "mount --bind '{}' /etc/hosts && exec \"$@\"",
            hosts.display()
        );
        let url = format!("--peers=https://replicas.test:{}", port.address().port());
        let cas = one.path("peers.pem");
        fs::copy(one.path("tls.crt"), &cas).unwrap();
        let ca = format!("--tls-ca={}", cas.display());
        for world in [&mut one, &mut two] {
            world.port = port.address().port();
            let shell = ["sh", "-c", &mount, "sh"];
            let wrapper = own_mounts.iter().copied().chain(shell);
            world.wrapper = wrapper.map(str::to_owned).collect();
            world.add_flags(&[&url, &ca, "--peers-name=localhost"]);
        }
        Some(Self {
            one,
            two,
            _port: port,
        })
    }

    #[track_caller]
    fn start() -> Option<Self> {
        let mut pair = Self::stopped()?;
        pair.one.start();
        pair.two.start();
        Some(pair)
    }

    /// The requests for packs that the git server got from both.
    fn fetches(&self) -> i64 {
        self.one.sent("fetch") + self.two.sent("fetch")
    }

    /// Both, either one first.
    fn both(&self) -> [[&CacheWorld; 2]; 2] {
        [[&self.one, &self.two], [&self.two, &self.one]]
    }

    /// A new commit that followers at both replicas know.
    fn commit(&self, content: &str) -> String {
        let commit = self.one.repo.commit().write("a", content).push();
        for world in [&self.one, &self.two] {
            assert_knows(world, &commit);
        }
        commit
    }
}

/// Asserts that a follower of the replica gets the commit as the branch's.
#[track_caller]
fn assert_knows(world: &CacheWorld, commit: &str) {
    let refs = world.upload_pack(&[&login(), "If-None-Match: \"x\""], &ls_refs());
    assert_eq!(refs.status, 200, "{refs:?}");
    assert!(refs.text().contains(commit), "{refs:?}");
}

/// A request for a commit that no replica sends in advance, as it does for a first clone.
fn objects_of(commit: &str) -> Vec<u8> {
    let want = format!("want {commit}");
    request("fetch", &["filter blob:limit=99999999", &want, "done"])
}

/// Fetches a commit as a follower.
#[track_caller]
fn pack(world: &CacheWorld, commit: &str) -> Vec<u8> {
    let reply = world.upload_pack(&[&login()], &objects_of(commit));
    assert!(
        reply.status == 200 && reply.is_complete,
        "{reply:?}\n{}",
        world.log()
    );
    reply.body
}

fn asked_peers(world: &CacheWorld, result: &str) -> i64 {
    world.metric(&format!(
        "gitvolume_cache_peer_requests_total{{result=\"{result}\"}}"
    ))
}

#[test]
fn a_pack_that_one_replica_has_is_not_requested_again_by_the_other() {
    let Some(pair) = ReplicaPair::start() else {
        return;
    };
    for (n, [first, second]) in pair.both().into_iter().enumerate() {
        let commit = pair.commit(&format!("commit {n}"));
        let before = pair.fetches();
        let packs = [pack(first, &commit), pack(second, &commit)];
        assert_eq!(packs[0], packs[1]);
        assert_eq!(pair.fetches() - before, 1, "{n}");
    }
    let answers = [&pair.one, &pair.two].map(|world| asked_peers(world, "answer"));
    assert_eq!(answers.iter().sum::<i64>(), 2, "{answers:?}");
    assert!(pair.one.metric("gitvolume_cache_peer_bytes_total") >= 0);
}

#[test]
fn replicas_that_miss_at_the_same_moment_send_one_request() {
    let Some(pair) = ReplicaPair::start() else {
        return;
    };
    // A pack of many seconds, so that the requests meet.
    let content: String = (0..100_000).map(|it| format!("{it:x}\n")).collect();
    for n in 0..4 {
        let commit = pair.commit(&format!("{n}{content}"));
        let before = pair.fetches();
        let packs: Vec<_> = thread::scope(|scope| {
            let asking = [&pair.one, &pair.two, &pair.one, &pair.two].map(|world| {
                let commit = &commit;
                scope.spawn(move || pack(world, commit))
            });
            asking.map(|it| it.join().unwrap()).into()
        });
        assert!(packs.iter().all(|it| *it == packs[0]));
        let logs = [pair.one.log(), pair.two.log()];
        assert_eq!(pair.fetches() - before, 1, "{n}: {logs:?}");
    }
}

#[test]
fn another_replica_gets_no_more_than_the_follower_whose_credential_it_presents() {
    let Some(pair) = ReplicaPair::start() else {
        return;
    };
    let commit = pair.commit("secret");
    pack(&pair.one, &commit);
    let asked = pair.one.origin.requests();
    for purpose in [STORED, LEAD] {
        for credential in [&[][..], &[&*wrong_login()]] {
            let headers = [credential, &[purpose]].concat();
            for reply in [
                pair.one.info_refs(&headers),
                pair.one.upload_pack(&headers, &ls_refs()),
                pair.one.upload_pack(&headers, &objects_of(&commit)),
            ] {
                assert_eq!(reply.status, 504, "{reply:?}");
                let text = reply.text();
                assert!(!text.contains(&commit) && !text.contains("PACK"), "{text}");
            }
        }
        // The right credential, and a commit that its refs do not have.
        let other = objects_of(&"a".repeat(40));
        let reply = pair.one.upload_pack(&[&login(), purpose], &other);
        assert_eq!(reply.status, 504, "{reply:?}");
        // Refs are only for outages.
        let reply = pair.one.upload_pack(&[&login(), purpose], &ls_refs());
        assert_eq!(reply.status, 504, "{reply:?}");
        let right = pair
            .one
            .upload_pack(&[&login(), purpose], &objects_of(&commit));
        assert_eq!(right.status, 200, "{right:?}");
    }
    // One look at the refs in use, for the commit that they might have meanwhile.
    assert!(pair.one.origin.requests() <= asked + 1);
    // Through the other replica, the git server decides.
    let wrong = pair
        .two
        .upload_pack(&[&wrong_login()], &objects_of(&commit));
    assert_eq!(wrong.status, 401, "{wrong:?}");
    assert!(!wrong.text().contains("PACK"));
}

#[test]
fn a_killed_replica_costs_the_other_one_no_answer() {
    let Some(mut pair) = ReplicaPair::start() else {
        return;
    };
    let commit = pair.commit("before");
    pair.two.stop();
    let before = pair.one.sent("fetch");
    pack(&pair.one, &commit);
    for n in 0..3 {
        let commit = pair.one.repo.commit().write("a", n.to_string()).push();
        assert_knows(&pair.one, &commit);
        pack(&pair.one, &commit);
    }
    assert_eq!(pair.one.sent("fetch") - before, 4, "{}", pair.one.log());
    let log = pair.one.log();
    assert_eq!(log.matches("cannot ask the other replica").count(), 1);
    assert!(asked_peers(&pair.one, "error") >= 1);
    pair.two.start();
    eventually("the replica is asked again", || {
        let commit = pair
            .one
            .repo
            .commit()
            .write("b", log.len().to_string())
            .push();
        assert_knows(&pair.one, &commit);
        pack(&pair.one, &commit);
        let log = pair.one.log();
        log.contains("the other replica answers again")
            .then_some(())
    });
}

#[test]
fn a_replica_that_hangs_delays_a_follower_by_the_connection_and_then_not_at_all() {
    let Some(pair) = ReplicaPair::start() else {
        return;
    };
    let commit = pair.commit("before");
    pair.two.signal(Signal::SIGSTOP);
    let before = pair.one.sent("fetch");
    let started = Instant::now();
    pack(&pair.one, &commit);
    // One second for the connection; the rest is for a slow machine.
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(pair.one.sent("fetch") - before, 1);
    let log = pair.one.log();
    assert!(log.contains("does not answer in time"), "{log}");
    pair.two.signal(Signal::SIGCONT);
}

#[test]
fn the_broken_answer_of_a_replica_is_replaced_by_the_git_hosts() {
    let Some(mut pair) = ReplicaPair::stopped() else {
        return;
    };
    // In place of the other replica: it answers each request with half of a pack.
    let place = ([127, 0, 0, 2], pair.one.port).into();
    let stub = Stub::start_tls_at(place, |_| {
        let mut answer = Answer::new(200, "000dpackfile\n0009\x01PACK");
        let kind = "application/x-git-upload-pack-result".to_owned();
        answer.headers.push(("content-type", kind));
        answer
    });
    fs::write(pair.one.path("peers.pem"), stub.ca_pem()).unwrap();
    pair.one.start();
    let commit = pair.one.repo.run(&["rev-parse", "main"]);
    assert_knows(&pair.one, &commit);
    let before = pair.one.sent("fetch");
    pack(&pair.one, &commit);
    assert_eq!(pair.one.sent("fetch") - before, 1);
    let asked = stub.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let header = login();
    let (_, header) = header.split_once(": ").unwrap();
    assert_eq!(asked[0].header("authorization"), Some(header));
}

#[test]
fn a_restarted_replica_serves_what_the_other_one_has_while_the_host_is_away() {
    let Some(mut pair) = ReplicaPair::start() else {
        return;
    };
    let commit = pair.commit("before");
    let body = pack(&pair.one, &commit);
    assert_eq!(pair.one.info_refs(&[&login()]).status, 200);
    pair.one.origin.stop();
    pair.two.stop();
    fs::remove_dir_all(pair.two.path("store")).unwrap();
    pair.two.start();
    // The first replica serves stale answers after a minute of failures.
    let started = Instant::now();
    let stale = loop {
        thread::sleep(Duration::from_secs(1));
        let _ = pair.one.upload_pack(&[&login()], &ls_refs());
        let reply = pair.two.upload_pack(&[&login()], &ls_refs());
        match reply.status {
            200 => break reply,
            _ => assert!(started.elapsed() < AWAY_AFTER, "{reply:?}"),
        }
    };
    assert!(stale.text().contains(&commit), "{stale:?}");
    assert!(stale.header("gitvolume-stale").is_some(), "{stale:?}");
    assert_eq!(pair.two.info_refs(&[&login()]).status, 200);
    assert_eq!(pack(&pair.two, &commit), body);
    // From now on it needs the other one no more.
    pair.one.stop();
    let again = pair.two.upload_pack(&[&login()], &ls_refs());
    assert!(again.header("gitvolume-stale").is_some(), "{again:?}");
    assert_eq!(pack(&pair.two, &commit), body);
    for reply in [
        pair.two.upload_pack(&[&wrong_login()], &ls_refs()),
        pair.two
            .upload_pack(&[&wrong_login()], &objects_of(&commit)),
    ] {
        assert!(matches!(reply.status, 401 | 504), "{reply:?}");
        assert!(!reply.text().contains("PACK"));
    }
}
