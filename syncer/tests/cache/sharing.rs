//! One request to the origin for all followers, with the same objects for each.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use proptest::prelude::*;
use remotes::Repo;

use crate::cache::world::CacheWorld;
use crate::cache::world::first_clone;
use crate::cache::world::login;
use crate::cache::world::ls_refs;
use crate::cache::world::request;
use crate::world::eventually;
use crate::world::git;

#[test]
fn three_followers_of_two_commits_cost_one_fetch_per_commit() {
    let world = CacheWorld::private();
    let login = login();
    let first = world.repo.run(&["rev-parse", "main"]);
    let followers = ["one", "two", "three"].map(|name| world.follower(name));
    for dir in &followers {
        assert_eq!(world.fetch(dir, Some(&login), &["--depth=1"]), first);
    }
    assert_eq!(world.sent("fetch"), 1, "{}", world.log());
    let second = world.repo.commit().write("a", "two").push();
    world.pass_the_pause();
    for dir in &followers {
        assert_eq!(world.fetch(dir, Some(&login), &["--depth=1"]), second);
        assert_eq!(git(dir, &["show", "FETCH_HEAD:a"]), "two");
    }
    // Besides these, the cache has fetched the first clone of the new commit in advance.
    eventually("the first clone is fetched in advance", || {
        (world.metric("gitvolume_cache_prefetches_total") == 1).then_some(())
    });
    assert_eq!(world.sent("fetch"), 3, "{}", world.log());
    // The origin has seen no other request: capabilities once, and refs.
    let posts = world.origin.seen();
    let posts = posts
        .iter()
        .filter(|it| it.line.starts_with("POST"))
        .count();
    assert_eq!(posts as i64, world.sent("fetch") + world.sent("ls-refs"));
    assert_eq!(world.sent("info-refs"), 1, "{:?}", world.origin.seen());
    assert!(world.metric("gitvolume_cache_hits_total") >= 4);
    assert!(world.metric("gitvolume_cache_saved_bytes") > 0);
}

#[test]
fn followers_that_fetch_at_the_same_time_share_one_request() {
    let world = CacheWorld::new();
    let content: String = (0..200_000).map(|it| format!("{it:x}\n")).collect();
    world.repo.commit().write("large", &content).push();
    let followers: Vec<_> = (0..6).map(|it| world.follower(&format!("f{it}"))).collect();
    let url = world.url("site.git");
    let fetching: Vec<_> = followers
        .iter()
        .map(|dir| {
            let args = ["fetch", "-q", "--no-tags", "--depth=1", &url, "main"];
            let mut git = world.git(dir, None, &args);
            git.stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in fetching {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}\n{}", world.log());
    }
    for dir in &followers {
        assert_eq!(git(dir, &["show", "FETCH_HEAD:large"]), content.trim_end());
    }
    assert_eq!(world.sent("fetch"), 1, "{}", world.log());
}

#[test]
fn a_leader_that_disconnects_does_not_end_the_request() {
    use std::io::Write;
    let world = CacheWorld::new();
    let commit = world.repo.commit().write("b", "x".repeat(100_000)).push();
    assert_eq!(world.upload_pack(&[], &ls_refs()).status, 200);
    let body = first_clone(&commit);
    let path = world.cached("site.git") + "/git-upload-pack";
    let head = crate::cache::world::head("POST", &path, &[], body.len());
    let mut stream = world.connect();
    stream
        .write_all(&[head.as_bytes(), &body].concat())
        .unwrap();
    eventually("the origin is asked", || {
        (world.sent("fetch") == 1).then_some(())
    });
    drop(stream);
    eventually("the answer is stored", || {
        (world.metric("gitvolume_cache_store_bytes") > 0).then_some(())
    });
    let reply = world.upload_pack(&[], &body);
    assert!(reply.is_complete && reply.status == 200, "{reply:?}");
    assert_eq!(world.sent("fetch"), 1);
}

#[test]
fn a_follower_that_rejects_a_stored_answer_makes_the_cache_ask_again() {
    let world = CacheWorld::new();
    let commit = world.repo.run(&["rev-parse", "main"]);
    assert_eq!(world.upload_pack(&[], &ls_refs()).status, 200);
    let body = first_clone(&commit);
    let stored = world.upload_pack(&[], &body);
    // git sends this header always.
    let again = world.upload_pack(&["Pragma: no-cache"], &body);
    assert_eq!(again.body, stored.body);
    assert_eq!(world.sent("fetch"), 1);
    let fresh = world.upload_pack(&["Cache-Control: no-cache"], &body);
    assert!(fresh.status == 200 && fresh.is_complete, "{fresh:?}");
    assert_eq!(world.sent("fetch"), 2);
}

#[test]
fn capabilities_whose_answers_cannot_be_shared_are_not_advertised() {
    let world = CacheWorld::new();
    for key in [
        "allowRefInWant",
        "advertiseBundleURIs",
        "advertiseSidebandAll",
    ] {
        world
            .repo
            .run(&["config", &format!("uploadpack.{key}"), "true"]);
    }
    world.repo.run(&["config", "transfer.advertiseSID", "true"]);
    let text = world.info_refs(&[]).text();
    assert!(
        text.contains("version 2") && text.contains("fetch=shallow"),
        "{text}"
    );
    for name in [
        "ref-in-want",
        "bundle-uri",
        "sideband-all",
        "session-id",
        "server-option",
    ] {
        assert!(!text.contains(name), "{text}");
    }
    let refused = world.upload_pack(&[], &request("fetch", &["want-ref refs/heads/main"]));
    assert_eq!(refused.status, 501, "{refused:?}");
    let follower = world.follower("follower");
    world.fetch(&follower, None, &["--depth=1"]);
}

#[test]
fn a_first_clone_is_fetched_in_advance_after_a_commit() {
    let world = CacheWorld::new();
    let first = world.follower("first");
    world.fetch(&first, None, &["--depth=1"]);
    let commit = world.repo.commit().write("a", "two").push();
    world.pass_the_pause();
    // This follower's request for refs shows the change.
    assert_eq!(world.fetch(&first, None, &["--depth=1"]), commit);
    eventually("the new commit is fetched in advance", || {
        (world.metric("gitvolume_cache_prefetches_total") == 1).then_some(())
    });
    let second = world.follower("second");
    assert_eq!(world.fetch(&second, None, &["--depth=1"]), commit);
    // The first clone, the first follower's step, and the first clone in advance.
    assert_eq!(world.sent("fetch"), 3, "{}", world.log());
}

#[test]
fn without_a_store_each_follower_gets_its_own_answer() {
    let world = CacheWorld::with_flags(&["--disk-limit=0"]);
    for name in ["one", "two"] {
        let dir = world.follower(name);
        world.fetch(&dir, None, &["--depth=1"]);
        assert_eq!(git(&dir, &["show", "FETCH_HEAD:a"]), "one");
    }
    assert_eq!(world.sent("fetch"), 2);
    assert_eq!(world.metric("gitvolume_cache_store_bytes"), 0);
}

#[test]
fn an_answer_above_the_limit_is_served_and_not_stored() {
    let world = CacheWorld::with_flags(&["--disk-limit=64Ki"]);
    let content: String = (0..200_000).map(|it| format!("{it:x}\n")).collect();
    world.repo.commit().write("large", &content).push();
    let dir = world.follower("one");
    eventually("the follower has the commit", || {
        let url = world.url("site.git");
        let args = ["fetch", "-q", "--no-tags", "--depth=1", &url, "main"];
        let output = world.git(&dir, None, &args).output().unwrap();
        output.status.success().then_some(())
    });
    assert_eq!(git(&dir, &["show", "FETCH_HEAD:large"]), content.trim_end());
    assert_eq!(world.metric("gitvolume_cache_store_bytes"), 0);
}

#[test]
fn a_clone_has_its_tags_although_the_cache_does_not_ask_for_them() {
    let world = CacheWorld::new();
    let commit = world.repo.run(&["rev-parse", "main"]);
    let tag = world.repo.annotated_tag("v1", &commit);
    let url = world.url("site.git");
    let args = ["clone", "-q", &url, "clone"];
    let output = world.git(world.dir.path(), None, &args).output().unwrap();
    assert!(output.status.success(), "{output:?}\n{}", world.log());
    assert_eq!(git(&world.path("clone"), &["rev-parse", "v1"]), tag);
}

#[test]
fn a_long_request_is_inflated() {
    let world = CacheWorld::new();
    // Many commits that the follower has and the server does not: git compresses the request.
    let dir = world.follower("follower");
    for number in 0..40 {
        let message = format!("own {number}");
        git(&dir, &["commit", "-q", "--allow-empty", "-m", &message]);
    }
    let commit = world.repo.run(&["rev-parse", "main"]);
    assert_eq!(world.fetch(&dir, None, &[]), commit);
}

/// The objects of a repository.
fn objects(dir: &Path) -> BTreeSet<String> {
    let args = ["cat-file", "--batch-all-objects", "--batch-check"];
    git(dir, &args).lines().map(str::to_owned).collect()
}

/// Commits with random files, on a random one of two branches.
fn history(repo: &Repo, commits: &[(u8, u8, bool)]) {
    for (file, content, is_other) in commits {
        let commit = repo
            .commit()
            .write(&format!("f{}", file % 5), [*content; 40]);
        match is_other {
            true => commit.on("other").push(),
            false => commit.push(),
        };
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_cached_answer_and_a_direct_one_give_the_same_objects(
        steps in prop::collection::vec(
            prop::collection::vec((any::<u8>(), any::<u8>(), any::<bool>()), 1..4),
            1..3,
        ),
        flags in prop::sample::select(vec![&["--depth=1"][..], &[], &["--depth=2"]]),
    ) {
        let world = CacheWorld::new();
        let direct = world.follower("direct");
        let cached = ["one", "two"].map(|name| world.follower(name));
        let url = format!("https://localhost:{}/site.git", world.origin.address().port());
        for commits in &steps {
            history(&world.repo, commits);
            let commit = world.repo.run(&["rev-parse", "main"]);
            let args = [&["fetch", "-q", "--no-tags"], flags, &[&url, "main"]].concat();
            let mut fetch = world.git(&direct, None, &args);
            let output = fetch.env("GIT_SSL_CAINFO", world.path("origin.pem")).output().unwrap();
            prop_assert!(output.status.success(), "{:?}", output);
            for dir in &cached {
                eventually("the follower has the commit", || {
                    (world.fetch(dir, None, flags) == commit).then_some(())
                });
            }
        }
        for dir in &cached {
            prop_assert_eq!(objects(dir), objects(&direct));
            git(dir, &["fsck", "--strict"]);
        }
        // At least the first clone was shared.
        prop_assert!(world.metric("gitvolume_cache_hits_total") > 0);
    }
}
