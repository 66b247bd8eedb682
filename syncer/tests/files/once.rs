//! `mode: once`: an init container that runs again.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::assert_equals_a_clone;
use super::entries;
use super::once;
use crate::world::World;

/// A tree of a one-time run, whose remote is gone afterwards and would have a newer commit.
fn made_once() -> (World, String) {
    let world = World::new("files");
    let first = world.repo.commit().write("a", "1").write("d/b", "1").push();
    once(&world).finish().assert_code(0);
    world.repo.commit().write("a", "2").push();
    fs::rename(world.repo.path(), world.path("away.git")).unwrap();
    (world, first)
}

#[test]
fn a_second_run_changes_nothing_and_needs_no_remote() {
    let (world, first) = made_once();
    let inode = |name: &str| fs::metadata(world.tree().join(name)).unwrap().ino();
    let before = (entries(&world.tree()), inode("a"), inode("d/b"));
    for reboots in [false, true] {
        if reboots {
            world.reboot();
        }
        let run = once(&world).flag("v", "5").finish();
        run.assert_code(0);
        for command in ["git fetch", "git ls-remote"] {
            assert!(!run.log.contains(command), "{}", run.log);
        }
        assert_eq!((entries(&world.tree()), inode("a"), inode("d/b")), before);
        assert_eq!(world.published().as_ref(), Some(&first));
        assert!(world.probe().0);
    }
    // Newer commits are there again, but once is once.
    fs::rename(world.path("away.git"), world.repo.path()).unwrap();
    once(&world).finish().assert_code(0);
    assert_eq!(world.read("a").as_deref(), Some("1"));
}

#[test]
fn damage_of_a_reboot_is_repaired_without_the_remote() {
    let (world, first) = made_once();
    fs::write(world.tree().join("a"), "").unwrap();
    fs::remove_file(world.tree().join("d/b")).unwrap();
    world.reboot();
    assert!(!world.probe().0);
    once(&world).finish().assert_code(0);
    assert_eq!(world.read("a").as_deref(), Some("1"));
    assert_eq!(world.read("d/b").as_deref(), Some("1"));
    assert_eq!(world.published().as_ref(), Some(&first));
}

#[test]
fn another_request_is_synced() {
    for (name, value) in [("ref", "refs/heads/main"), ("sparse-checkout", "/a")] {
        let (world, _) = made_once();
        once(&world).flag(name, value).finish().assert_code(1);
        fs::rename(world.path("away.git"), world.repo.path()).unwrap();
        once(&world).flag(name, value).finish().assert_code(0);
        assert_eq!(world.read("a").as_deref(), Some("2"), "{name}");
        if name == "ref" {
            assert_equals_a_clone(&world);
        }
    }
}

#[test]
fn a_syncer_that_follows_the_ref_asks_the_remote() {
    let (world, _) = made_once();
    fs::rename(world.path("away.git"), world.repo.path()).unwrap();
    let second = world.repo.run(&["rev-parse", "HEAD"]);
    let _running = world.syncer().start(&world.path("log"));
    world.eventually_published(&second);
    assert_equals_a_clone(&world);
}
