//! Credentials: who gets what.

use std::fs;
use std::thread;
use std::time::Duration;

use remotes::BasicAuth;
use remotes::Repo;

use crate::cache::world::CacheWorld;
use crate::cache::world::INFO_REFS;
use crate::cache::world::LOGIN;
use crate::cache::world::Reply;
use crate::cache::world::basic;
use crate::cache::world::first_clone;
use crate::cache::world::login;
use crate::cache::world::ls_refs;
use crate::cache::world::wrong_login;
use crate::world::eventually;

/// Asserts that an answer refuses, and contains neither refs nor objects.
#[track_caller]
fn assert_nothing(reply: &Reply, commit: &str) {
    assert_eq!(reply.status, 401, "{reply:?}");
    let text = reply.text();
    for word in [commit, "refs/heads", "PACK", "version 2", "packfile"] {
        assert!(!text.contains(word), "{text}");
    }
    assert_eq!(reply.header("etag"), None);
}

#[test]
fn a_wrong_credential_gets_nothing_at_any_endpoint() {
    let world = CacheWorld::private();
    let commit = world.repo.run(&["rev-parse", "main"]);
    let (right, wrong) = (login(), wrong_login());
    let follower = world.follower("follower");
    world.fetch(&follower, Some(&right), &["--depth=1"]);
    let refs = world.upload_pack(&[&right], &ls_refs());
    let tag = format!("If-None-Match: {}", refs.header("etag").unwrap());
    assert!(refs.text().contains(&commit));
    let body = first_clone(&commit);
    let pack = world.upload_pack(&[&right], &body);
    assert!(pack.status == 200 && pack.is_complete);
    let asked = world.sent("fetch");
    for headers in [&[&*wrong][..], &[]] {
        let with = |more: &[&str]| -> Vec<String> {
            let all = headers.iter().chain(more);
            all.map(|header| (*header).to_owned()).collect()
        };
        let send = |more: &[&str], body: &[u8]| {
            let headers = with(more);
            let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
            world.upload_pack(&headers, body)
        };
        assert_nothing(&world.info_refs(headers), &commit);
        assert_nothing(&send(&[], &ls_refs()), &commit);
        assert_nothing(&send(&[&tag], &ls_refs()), &commit);
        assert_nothing(&send(&[&tag, "Prefer: wait=20"], &ls_refs()), &commit);
        assert_nothing(&send(&[], &body), &commit);
        assert_nothing(&send(&["Cache-Control: no-cache"], &body), &commit);
        assert_nothing(&send(&[], b"0000"), &commit);
    }
    // The refusals were remembered: one request of each credential has reached the origin.
    assert_eq!(world.sent("fetch"), asked);
    assert_eq!(
        world.info_refs(&[]).header("www-authenticate"),
        Some("Basic realm=\"git\"")
    );
    // A fetch by object id alone, as the first request of a credential.
    let other = basic(LOGIN.0, "another wrong one");
    assert_nothing(&world.upload_pack(&[&other], &body), &commit);
    // The right credential is served meanwhile.
    assert_eq!(world.upload_pack(&[&right], &body).body, pack.body);
}

#[test]
fn a_credential_of_one_repository_gets_nothing_of_another() {
    let world = CacheWorld::new();
    let other = Repo::in_dir(world.dir.path(), "other.git");
    let others = other.commit().write("b", "other").push();
    let paths = vec![("/site.git", "me", "mine"), ("/other.git", "you", "yours")];
    world.origin.require(Some(BasicAuth::Paths(paths)));
    let (mine, yours) = (basic("me", "mine"), basic("you", "yours"));
    let commit = world.repo.run(&["rev-parse", "main"]);
    let path = |name: &str| world.cached(name) + "/git-upload-pack";
    for (name, header, commit) in [("site.git", &mine, &commit), ("other.git", &yours, &others)] {
        let refs = world.post(&path(name), &[header], &ls_refs());
        assert!(refs.text().contains(commit.as_str()), "{refs:?}");
        let pack = world.post(&path(name), &[header], &first_clone(commit));
        assert!(pack.status == 200 && pack.is_complete, "{pack:?}");
    }
    // By the id of an object of the other repository, at its own address and at the other's.
    assert_nothing(
        &world.post(&path("other.git"), &[&mine], &first_clone(&others)),
        &others,
    );
    let reply = world.post(&path("site.git"), &[&mine], &first_clone(&others));
    assert_eq!(reply.status, 502, "{reply:?}");
    assert!(!reply.text().contains("PACK"));
    // A path that the origin may treat as the same repository is another one.
    let reply = world.post(&path("site.git/"), &[&yours], &first_clone(&commit));
    assert_eq!(reply.status, 404, "{reply:?}");
}

#[test]
fn an_object_that_was_not_advertised_is_asked_for_once_per_credential() {
    let world = CacheWorld::private();
    let commit = world.repo.run(&["rev-parse", "main"]);
    let right = login();
    let body = first_clone(&commit);
    // Without `ls-refs` nothing is advertised: the origin decides.
    for _ in 0..3 {
        let pack = world.upload_pack(&[&right], &body);
        assert!(pack.status == 200 && pack.is_complete, "{pack:?}");
    }
    assert_eq!(world.sent("fetch"), 1);
    assert_nothing(&world.upload_pack(&[&wrong_login()], &body), &commit);
    assert_eq!(world.sent("fetch"), 2);
}

#[test]
fn a_changed_password_ends_the_wait_of_the_old_one_alone() {
    let world = CacheWorld::new();
    let file = world.path("password");
    fs::write(&file, "old").unwrap();
    world
        .origin
        .require(Some(BasicAuth::PasswordFile("me".to_owned(), file.clone())));
    let (old, new) = (basic("me", "old"), basic("me", "new"));
    let refs = world.upload_pack(&[&old], &ls_refs());
    assert_eq!(refs.status, 200, "{refs:?}");
    let tag = format!("If-None-Match: {}", refs.header("etag").unwrap());
    let wait = |login: &str| world.upload_pack(&[login, &tag, "Prefer: wait=50"], &ls_refs());
    thread::scope(|scope| {
        let olds = scope.spawn(|| wait(&old));
        eventually("a follower waits", || {
            (world.metric("gitvolume_cache_waiting_followers") == 1).then_some(())
        });
        fs::write(&file, "new").unwrap();
        let news = scope.spawn(|| wait(&new));
        let reply = olds.join().unwrap();
        assert_eq!(reply.status, 401, "{reply:?}");
        eventually("the other follower waits", || {
            (world.metric("gitvolume_cache_waiting_followers") == 1).then_some(())
        });
        let commit = world.repo.commit().write("a", "two").push();
        let reply = news.join().unwrap();
        assert!(reply.text().contains(&commit), "{reply:?}");
    });
    // Nothing of what the old password has received is left for it.
    let commit = world.repo.run(&["rev-parse", "main"]);
    assert_nothing(&world.upload_pack(&[&old], &ls_refs()), &commit);
}

#[test]
fn refusals_are_few_per_host_and_do_not_reach_accepted_credentials() {
    let world = CacheWorld::private();
    let right = login();
    assert_eq!(world.upload_pack(&[&right], &ls_refs()).status, 200);
    let before = world.origin.requests();
    let statuses: Vec<u16> = (0..12)
        .map(|it| {
            world
                .upload_pack(&[&basic("me", &format!("guess {it}"))], &ls_refs())
                .status
        })
        .collect();
    assert_eq!(
        statuses.iter().filter(|it| **it == 401).count(),
        5,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|it| **it == 503).count(),
        7,
        "{statuses:?}"
    );
    assert_eq!(world.origin.requests() - before, 5);
    assert_eq!(world.upload_pack(&[&right], &ls_refs()).status, 200);
}

#[test]
fn credentials_of_a_connection_and_old_protocols_are_not_supported() {
    let world = CacheWorld::private();
    let before = world.origin.requests();
    for header in [
        "Authorization: Negotiate abc",
        "Authorization: AWS4-HMAC-SHA256 x",
    ] {
        assert_eq!(
            world.upload_pack(&[header], &ls_refs()).status,
            501,
            "{header}"
        );
    }
    let head = format!(
        "GET {}{INFO_REFS} HTTP/1.1\r\nHost: cache\r\nConnection: close\r\n\r\n",
        world.cached("site.git")
    );
    assert_eq!(world.raw(&head, b"").unwrap().status, 501);
    assert_eq!(world.origin.requests(), before);
}

/// The origin must be unreachable for a minute before stale answers are served.
#[test]
fn while_the_host_is_away_accepted_credentials_alone_are_served() {
    let mut world = CacheWorld::private();
    let (right, wrong) = (login(), wrong_login());
    let follower = world.follower("before");
    let commit = world.fetch(&follower, Some(&right), &["--depth=1"]);
    let refs = world.upload_pack(&[&right], &ls_refs());
    let tag = format!("If-None-Match: {}", refs.header("etag").unwrap());
    assert_eq!(refs.header("gitvolume-stale"), None);
    let as_of = refs.header("gitvolume-as-of").unwrap().to_owned();
    world.origin.stop();
    let unreachable = world.upload_pack(&[&right, &tag], &ls_refs());
    assert_eq!(unreachable.status, 504, "{unreachable:?}");
    let stale = (0..100).find_map(|_| {
        thread::sleep(Duration::from_secs(1));
        let reply = world.upload_pack(&[&right], &ls_refs());
        (reply.status == 200).then_some(reply)
    });
    let stale = stale.expect("an answer while the host is away");
    assert!(stale.text().contains(&commit));
    assert_eq!(stale.header("gitvolume-as-of"), Some(&*as_of));
    let age: u64 = stale.header("gitvolume-stale").unwrap().parse().unwrap();
    assert!(age >= 59, "{age}");
    // A new Pod starts.
    let new = world.follower("new");
    assert_eq!(world.fetch(&new, Some(&right), &["--depth=1"]), commit);
    let unchanged = world.upload_pack(&[&right, &tag, "Prefer: wait=1"], &ls_refs());
    assert_eq!(unchanged.status, 304, "{unchanged:?}");
    assert!(
        unchanged.header("gitvolume-stale").is_some(),
        "{unchanged:?}"
    );
    for headers in [&[&*wrong][..], &[]] {
        for reply in [
            world.info_refs(headers),
            world.upload_pack(headers, &ls_refs()),
            world.upload_pack(headers, &first_clone(&commit)),
        ] {
            assert!(matches!(reply.status, 401 | 504), "{reply:?}");
            assert!(!reply.text().contains(&commit) && !reply.text().contains("PACK"));
        }
    }
    // The host is back, and its word counts again.
    world.origin.start_again();
    eventually("an answer of the host", || {
        let reply = world.upload_pack(&[&right, "If-None-Match: \"x\""], &ls_refs());
        (reply.status == 200 && reply.header("gitvolume-stale").is_none()).then_some(())
    });
}
