//! Several syncers on one root, as on a claim that several Pods mount.
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use remotes::Repo;

use crate::world::LAYOUTS;
use crate::world::Running;
use crate::world::World;
use crate::world::eventually;

/// A world whose first syncer has published a commit.
fn followed(layout: &'static str) -> (World, String, Running) {
    let world = World::new(layout);
    let commit = world.repo.commit().write("a", "1").push();
    let running = world.syncer().start(&world.path("first-log"));
    world.eventually_published(&commit);
    (world, commit, running)
}

#[test]
fn a_one_time_syncer_succeeds_when_the_syncer_that_is_there_has_published_its_commit() {
    for layout in LAYOUTS {
        let (world, _, mut first) = followed(layout);
        let second = world.repo.commit().write("a", "2").push();
        let once = world.syncer().flag("one-time", "true").finish();
        once.assert_code(0);
        assert_eq!(world.published(), Some(second.clone()), "{layout}");
        assert!(!first.has_ended());
        // The same with a full hash.
        let once = world.syncer().flag("one-time", "true").flag("ref", &second);
        once.finish().assert_code(0);
        // The first one continues unaffected.
        let third = world.repo.commit().write("a", "3").push();
        world.eventually_published(&third);
        assert!(!first.log().contains("\"error\""), "{}", first.log());
    }
}

#[test]
fn a_standby_takes_over_when_the_first_syncer_ends() {
    for layout in LAYOUTS {
        let (world, _, first) = followed(layout);
        let script = world.script(
            "hook",
            &format!("echo $GITSYNC_HASH >>{}", world.path("told").display()),
        );
        let second = world
            .syncer()
            .flag("http-bind", "127.0.0.1:0")
            .flag("exechook-command", script)
            .start(&world.path("second-log"));
        let is_ready = || {
            let answer = crate::world::ask(second.port(), "GET", "/readyz")?;
            answer.starts_with("HTTP/1.1 200").then_some(())
        };
        eventually("the second one is ready", is_ready);
        let commit = world.repo.commit().write("a", "2").push();
        world.eventually_published(&commit);
        eventually("the second one's hook hears of it", || {
            world.lines("told").contains(&commit).then_some(())
        });
        first.terminate();
        let commit = world.repo.commit().write("a", "3").push();
        world.eventually_published(&commit);
        assert!(!second.log().contains("\"error\""), "{}", second.log());
    }
}

#[test]
fn two_that_start_at_once_on_an_empty_root_both_succeed() {
    let world = World::new("link");
    let commit = world.repo.commit().write("a", "1").push();
    let once = |log: &str| {
        let syncer = world.syncer().flag("one-time", "true");
        syncer.start(&world.path(log))
    };
    let mut running = [once("a"), once("b"), once("c")];
    for running in &mut running {
        assert!(running.wait().success(), "{}", running.log());
    }
    assert_eq!(world.published(), Some(commit));
}

#[test]
fn a_syncer_of_another_repository_is_refused() {
    for layout in LAYOUTS {
        let (world, commit, _first) = followed(layout);
        let other = Repo::in_dir(&world.path(""), "other.git");
        other.commit().write("a", "other").push();
        let refused = world
            .syncer_of(&other.url())
            .flag("one-time", "true")
            .finish();
        refused.assert_code(1);
        refused.assert_last_error("is in use by another syncer; use a separate directory for each");
        assert_eq!(world.published(), Some(commit), "{layout}");
    }
}

#[test]
fn a_ref_that_the_other_syncer_does_not_publish_is_a_failure_with_a_remedy() {
    let (world, commit, _first) = followed("link");
    world.repo.branch("other", &commit);
    world.repo.commit().on("other").write("a", "other").push();
    let failed = world
        .syncer()
        .flag("ref", "other")
        .flag("one-time", "true")
        .flag("sync-timeout", "2s")
        .flag("max-failures", "0")
        .finish();
    failed.assert_code(1);
    failed.assert_last_error("in use by another syncer of this repository");
    assert_eq!(world.published(), Some(commit));
}

#[test]
fn a_reader_changes_nothing_in_the_directories_of_the_other_one() {
    let (world, _, first) = followed("projected");
    let lock = world.state().join("tmp/live.lock");
    fs::write(&lock, "live").unwrap();
    let stamp = |path: &Path| fs::metadata(path).unwrap().ino();
    let before = stamp(&world.state().join("tmp"));
    world
        .syncer()
        .flag("one-time", "true")
        .finish()
        .assert_code(0);
    assert!(lock.exists());
    assert_eq!(stamp(&world.state().join("tmp")), before);
    first.terminate();
}
