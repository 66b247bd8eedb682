//! Followers of repositories over ssh: the cache tells them of pushes, and they ask the git host.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use nix::sys::signal::Signal;
use remotes::SshServer;

use crate::cache::followers::state_of_cache;
use crate::cache::world::CacheWorld;
use crate::cache::world::Reply;
use crate::cache::world::WAKE_KEY;
use crate::world::Running;
use crate::world::World;
use crate::world::eventually;

const SITE: &str = r#"{"repository": "ssh://git.example/team/site.git"}"#;

impl CacheWorld {
    /// Waits for a push, with the tag of an earlier answer.
    fn watch(&self, tag: Option<&str>, seconds: u64) -> Reply {
        let tag = tag.map(|tag| format!("If-None-Match: {tag}"));
        let prefer = format!("Prefer: wait={seconds}");
        let headers: Vec<&str> = tag.as_deref().into_iter().chain([&*prefer]).collect();
        self.post("/watch", &headers, SITE.as_bytes())
    }

    /// Sends a wake-up for the repository at this address.
    #[track_caller]
    fn wake_up(&self, address: &str) {
        let key = format!("Authorization: Bearer {WAKE_KEY}");
        let body = serde_json::json!({"repositories": [address]}).to_string();
        assert_eq!(self.wake(&key, &body), 204, "{}", self.log());
    }
}

#[test]
fn a_wake_up_ends_the_wait_of_the_repositorys_followers_alone() {
    let world = CacheWorld::new();
    let first = world.watch(None, 50);
    assert_eq!(first.status, 200, "{first:?}");
    let tag = first.header("etag").unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| world.watch(Some(tag), 50));
        world.waiting(1);
        world.wake_up("ssh://git.example/team/site-b");
        let again = world.watch(Some(tag), 1);
        assert_eq!((again.status, again.header("etag")), (304, Some(tag)));
        world.wake_up("ssh://git.example/team/site");
        let woken = waiting.join().unwrap();
        assert_eq!(woken.status, 200, "{woken:?}");
        assert_ne!(woken.header("etag"), Some(tag));
    });
    // A wake-up between two waits is not lost.
    assert_eq!(world.watch(Some(tag), 50).status, 200);
    assert_eq!(world.sent("ls-refs"), 0, "{}", world.log());
    for body in ["", "{}", r#"{"repository": "site"}"#] {
        assert_eq!(world.post("/watch", &[], body.as_bytes()).status, 400);
    }
}

#[test]
fn waits_for_pushes_end_with_the_process() {
    let mut world = CacheWorld::new();
    let first = world.watch(None, 50);
    let tag = first.header("etag").unwrap().to_owned();
    let answer = thread::scope(|scope| {
        let waiting = scope.spawn(|| world.watch(Some(&tag), 50));
        world.waiting(1);
        world.signal(Signal::SIGTERM);
        waiting.join().unwrap()
    });
    assert_eq!(
        (answer.status, answer.header("connection")),
        (304, Some("close"))
    );
    assert!(world.wait(), "{}", world.log());
}

/// A syncer of the cache's repository over ssh that polls every ten minutes.
fn over_ssh(cache: &CacheWorld, world: &World, server: &SshServer) -> Running {
    let key = world.path("key");
    fs::write(&key, server.user_key()).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    world
        .syncer_of(&server.url(cache.repo.path()))
        .flag("ssh-key-file", &key)
        .flag("ssh-known-hosts", "false")
        .flag("period", "10m")
        .flag("verbose", "2")
        .flag("cache", cache.base())
        .env("GITSYNC_CACHE_CA", cache.certificate())
        .start(&world.path("log"))
}

#[test]
fn a_cache_without_wake_ups_is_of_no_use_over_ssh_and_no_problem() {
    let mut cache = CacheWorld::stopped();
    cache.takes_wake_ups = false;
    cache.start();
    let server = SshServer::start();
    let world = World::new("projected");
    let running = over_ssh(&cache, &world, &server);
    eventually("the state says why", || {
        (state_of_cache(&world)? == "off: no push receiver wakes the cache").then_some(())
    });
    running.assert_not_logged("continues without the cache");
}

#[test]
fn a_push_is_published_by_a_follower_over_ssh_long_before_its_next_poll() {
    let cache = CacheWorld::new();
    let server = SshServer::start();
    let world = World::new("projected");
    let _running = over_ssh(&cache, &world, &server);
    let tip = cache.repo.run(&["rev-parse", "main"]).trim().to_owned();
    world.eventually_published(&tip);
    let path = cache.repo.path().display();
    let address = format!("ssh://{}{path}", server.address());
    for content in ["2", "3"] {
        eventually("the follower waits for pushes", || {
            (state_of_cache(&world)? == "on for pushes alone").then_some(())
        });
        cache.waiting(1);
        let commit = cache.repo.commit().write("a", content).push();
        cache.wake_up(&address);
        world.eventually_published(&commit);
    }
    // Neither refs nor objects came from the cache.
    assert_eq!((cache.sent("ls-refs"), cache.sent("fetch")), (0, 0));
}
