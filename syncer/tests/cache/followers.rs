//! Syncers that follow a repository through the cache.

use std::fs;
use std::thread;
use std::time::Duration;

use remotes::HttpServer;
use remotes::Repo;

use crate::cache::world::CacheWorld;
use crate::cache::world::LOGIN;
use crate::cache::world::new_certificate;
use crate::world::Running;
use crate::world::Syncer;
use crate::world::World;
use crate::world::eventually;

/// The requests for objects that a commit costs the git host: the step from the one before, and in
/// advance the first clone of a new follower.
const FETCHES_PER_COMMIT: i64 = 2;

/// The time in seconds after which a cache whose git host is away must have served a follower.
const ANSWERS_AFTER: u32 = 150;

impl CacheWorld {
    /// Waits until the git host has had this many requests for objects.
    #[track_caller]
    fn eventually_sent(&self, fetches: i64) {
        eventually("the git host has sent the objects", || {
            (self.sent("fetch") >= fetches).then_some(())
        });
        assert_eq!(self.sent("fetch"), fetches, "{}", self.log());
    }
}

/// A syncer of the origin's repository, with the address and the CA of the cache.
fn follower(cache: &CacheWorld, world: &World, trust: &str) -> Syncer {
    direct(cache, world)
        .flag("cache", cache.base())
        .flag("cache-trust", trust)
        .env("GITSYNC_CACHE_CA", cache.certificate())
}

/// The same without the cache.
fn direct(cache: &CacheWorld, world: &World) -> Syncer {
    fs::write(world.path("password"), LOGIN.1).unwrap();
    let port = cache.origin.address().port();
    world
        .syncer_of(&format!("https://localhost:{port}/site.git"))
        .flag("username", LOGIN.0)
        .flag("password-file", world.path("password"))
        .flag("verbose", "2")
        .env("GIT_SSL_CAINFO", cache.path("origin.pem"))
}

fn start(world: &World, syncer: Syncer) -> Running {
    syncer.start(&world.path("log"))
}

/// What a syncer says about the cache.
pub(crate) fn state_of_cache(world: &World) -> Option<String> {
    Some(world.health()?["cache"].as_str()?.to_owned())
}

/// Waits until a syncer follows through the cache.
fn eventually_on(world: &World) {
    eventually("the syncer waits at the cache", || {
        (state_of_cache(world)? == "on").then_some(())
    });
}

/// The newest commit.
fn tip(cache: &CacheWorld) -> String {
    cache.repo.run(&["rev-parse", "main"]).trim().to_owned()
}

#[test]
fn followers_with_full_trust_cost_the_git_host_one_fetch_per_commit() {
    let cache = CacheWorld::private();
    // In the layout `link` a follower names the commits of older trees, too: a request of its own.
    let worlds: Vec<_> = ["projected", "files", "projected"].map(World::new).into();
    let running: Vec<_> = worlds
        .iter()
        .map(|world| start(world, follower(&cache, world, "full")))
        .collect();
    let mut commit = tip(&cache);
    for n in 2..=4 {
        for world in &worlds {
            world.eventually_published(&commit);
            eventually_on(world);
        }
        commit = cache.repo.commit().write("a", n.to_string()).push();
    }
    for (world, running) in worlds.iter().zip(&running) {
        world.eventually_published(&commit);
        running.assert_not_logged("fetching from the git host");
        running.assert_not_logged("failCount");
    }
    cache.eventually_sent(1 + 3 * FETCHES_PER_COMMIT);
    // Every other request came from the cache, too.
    let seen = cache.origin.seen();
    let fetches = seen.iter().filter(|seen| seen.has_password).count();
    let all = ["fetch", "ls-refs", "info-refs"].map(|kind| cache.sent(kind));
    assert!(fetches as i64 <= all.iter().sum(), "{seen:?}");
}

#[test]
fn the_objects_of_the_cache_are_not_shown_to_consumers() {
    let cache = CacheWorld::private();
    let world = World::new("link");
    let running = start(&world, follower(&cache, &world, "full"));
    world.eventually_published(&tip(&cache));
    eventually_on(&world);
    let commit = cache.repo.commit().write("a", "2").push();
    world.eventually_published(&commit);
    let port = cache.base();
    for name in ["FETCH_HEAD", "config"] {
        let text = fs::read_to_string(world.root().join(".git").join(name)).unwrap();
        assert!(!text.contains(&port), "{name}: {text}");
    }
    running.assert_not_logged(LOGIN.1);
}

#[test]
fn with_content_trust_the_git_host_is_asked_once_per_commit_and_the_cache_has_the_objects() {
    let cache = CacheWorld::private();
    let world = World::new("projected");
    let syncer = follower(&cache, &world, "content").flag("period", "1s");
    let running = start(&world, syncer);
    world.eventually_published(&tip(&cache));
    eventually_on(&world);
    let commit = cache.repo.commit().write("a", "2").push();
    world.eventually_published(&commit);
    cache.eventually_sent(1 + FETCHES_PER_COMMIT);
    running.assert_not_logged("fetching from the git host");
}

#[test]
fn a_cache_that_lies_about_a_branch_is_caught_with_content_trust() {
    let origin = CacheWorld::private();
    let world = World::new("projected");
    // A git server at the place of the cache: it serves another repository under the same name.
    let place = format!("https/localhost:{}", origin.origin.address().port());
    fs::create_dir_all(world.path("lies").join(&place)).unwrap();
    let lies = Repo::in_dir(&world.path("lies").join(&place), "site.git");
    let lie = lies.commit().write("a", "a lie").push();
    let liar = HttpServer::start_tls(&world.path("lies"));
    let syncer = follower(&origin, &world, "content")
        .flag(
            "cache",
            format!("https://localhost:{}", liar.address().port()),
        )
        .env("GITSYNC_CACHE_CA", liar.ca_pem());
    let running = start(&world, syncer);
    for n in 2..=3 {
        world.eventually_published(&tip(&origin));
        origin.repo.commit().write("a", n.to_string()).push();
    }
    world.eventually_published(&tip(&origin));
    running.assert_not_logged(&lie);
}

#[test]
fn a_stopped_cache_leaves_its_followers_with_the_git_host_and_is_used_again() {
    let mut cache = CacheWorld::private();
    let world = World::new("projected");
    let running = start(&world, follower(&cache, &world, "full"));
    world.eventually_published(&tip(&cache));
    eventually_on(&world);
    cache.stop();
    for n in 2..=3 {
        let commit = cache.repo.commit().write("a", n.to_string()).push();
        world.eventually_published(&commit);
    }
    running.eventually_logs("the syncer continues without the cache");
    cache.start();
    running.eventually_logs("the cache answers again");
    let before = cache.sent("fetch");
    let commit = cache.repo.commit().write("a", "4").push();
    world.eventually_published(&commit);
    // The new process knows no first clone that it could repeat in advance.
    cache.eventually_sent(before + 1);
    running.assert_not_logged("failCount");
}

#[test]
fn a_follower_with_the_wrong_password_gets_nothing_from_the_cache() {
    let cache = CacheWorld::private();
    let right = World::new("projected");
    let _running = start(&right, follower(&cache, &right, "full"));
    right.eventually_published(&tip(&cache));
    eventually_on(&right);
    let wrong = World::new("projected");
    let syncer = follower(&cache, &wrong, "full");
    fs::write(wrong.path("password"), "wrong").unwrap();
    let refused = start(&wrong, syncer);
    refused.eventually_logs("\"failCount\":2,");
    assert_eq!(wrong.published(), None);
}

#[test]
fn a_new_pod_starts_from_the_cache_while_the_git_host_is_away() {
    let mut cache = CacheWorld::private();
    let first = World::new("projected");
    let _running = start(&first, follower(&cache, &first, "full"));
    let commit = tip(&cache);
    first.eventually_published(&commit);
    eventually_on(&first);
    cache.origin.stop();
    eventually("the cache has noticed", || {
        state_of_cache(&first)?.starts_with("direct").then_some(())
    });
    let second = World::new("projected");
    let late = start(&second, follower(&cache, &second, "full"));
    let strict = World::new("projected");
    let refused = follower(&cache, &strict, "full").flag("max-staleness", "1s");
    let refused = start(&strict, refused);
    // The cache serves what it has once the git host was away for a minute.
    for _ in 0..ANSWERS_AFTER {
        thread::sleep(Duration::from_secs(1));
        if second.published().is_some() {
            break;
        }
    }
    assert_eq!(second.published(), Some(commit.clone()), "{}", late.log());
    late.assert_logged("starting with the commit that the cache last knew");
    assert_eq!(first.published(), Some(commit.clone()));

    // The age of the commit is shown until the git host answers again.
    let as_of = |world: &World| world.health().unwrap()["published"]["asOf"].clone();
    assert!(as_of(&second).is_string(), "{}", late.log());
    assert!(as_of(&first).is_null());
    let (is_published, text) = second.probe();
    assert!(
        is_published && text.starts_with("published as of 20"),
        "{text}"
    );
    for _ in 0..ANSWERS_AFTER {
        if refused.log().contains("older than --max-staleness allows") {
            break;
        }
        thread::sleep(Duration::from_secs(1));
    }
    let (is_published, text) = strict.probe();
    assert!(!is_published && strict.published().is_none());
    assert!(
        text.contains("older than --max-staleness allows (1s): "),
        "{text}"
    );

    cache.origin.start_again();
    for _ in 0..ANSWERS_AFTER {
        if as_of(&second).is_null() && strict.published().is_some() {
            break;
        }
        thread::sleep(Duration::from_secs(1));
    }
    assert!(as_of(&second).is_null(), "{}", late.log());
    late.assert_logged("the git host answers again");
    assert_eq!(second.probe(), (true, String::new()));
    assert_eq!(strict.published(), Some(commit));
}

#[test]
fn a_restarted_container_does_not_go_back_to_an_older_answer_of_the_cache() {
    let mut cache = CacheWorld::private();
    let first = World::new("projected");
    let running = start(&first, follower(&cache, &first, "full"));
    let old = tip(&cache);
    first.eventually_published(&old);
    eventually_on(&first);
    drop(running);
    eventually("nobody waits at the cache", || {
        (cache.metric("gitvolume_cache_waiting_followers") == 0).then_some(())
    });
    // As a replica that is a commit behind: the host is away before the cache polls again.
    cache.pass_the_pause();
    let new = cache.repo.commit().write("a", "2").push();
    let restarted = World::new("projected");
    let once = direct(&cache, &restarted).flag("one-time", "true");
    once.finish().assert_code(0);
    assert_eq!(restarted.published(), Some(new.clone()));
    cache.origin.stop();
    let second = World::new("projected");
    let _late = start(&second, follower(&cache, &second, "full"));
    for _ in 0..ANSWERS_AFTER {
        thread::sleep(Duration::from_secs(1));
        if second.published().is_some() {
            break;
        }
    }
    assert_eq!(second.published(), Some(old), "{}", cache.log());
    let running = start(&restarted, follower(&cache, &restarted, "full"));
    running.eventually_logs("failCount");
    running.assert_not_logged("starting with the commit that the cache last knew");
    assert_eq!(restarted.published(), Some(new));
}

#[test]
fn a_follower_trusts_the_next_ca_of_the_cache_before_it_signs() {
    let mut cache = CacheWorld::stopped();
    cache.require_login();
    let cas = cache.path("ca.crt");
    cache.add_flags(&[&format!("--tls-ca={}", cas.display())]);
    let first = cache.certificate();
    fs::write(&cas, &first).unwrap();
    cache.start();
    let world = World::new("projected");
    let syncer = || follower(&cache, &world, "full").env("GITSYNC_CACHE_CA", &first);
    let [syncer, restarted] = [syncer(), syncer()];
    let running = start(&world, syncer.flag("period", "5s"));
    world.eventually_published(&tip(&cache));
    eventually_on(&world);

    let (next, key) = new_certificate();
    fs::write(&cas, format!("{first}{next}")).unwrap();
    running.eventually_logs("trusting the CAs that the cache names");
    cache.stop();
    fs::write(cache.path("tls.crt"), &next).unwrap();
    fs::write(cache.path("tls.key"), key).unwrap();
    cache.start();
    running.eventually_logs("the cache answers again");
    let commit = cache.repo.commit().write("a", "2").push();
    world.eventually_published(&commit);
    running.assert_not_logged("the fetch from the cache failed");
    drop(running);

    // The container restarts with the configuration of its Pod; another Pod has never seen the cache.
    let late = World::new("projected");
    let syncer = follower(&cache, &late, "full").env("GITSYNC_CACHE_CA", &first);
    let _late = start(&late, syncer);
    let _running = start(&world, restarted);
    eventually_on(&world);
    late.eventually_published(&commit);
    eventually("the new syncer continues without the cache", || {
        let state = state_of_cache(&late)?;
        state.contains("certificate").then_some(())
    });
}
