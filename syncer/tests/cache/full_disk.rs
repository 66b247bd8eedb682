//! A store whose disk is full.

use std::fs;
use std::path::PathBuf;

use crate::cache::world::CacheWorld;
use crate::world::eventually;
use crate::world::namespaces;

/// A cache whose store is a file system of its own; `None` if the machine has no namespaces.
#[track_caller]
fn with_disk(size: &str) -> Option<CacheWorld> {
    let own_mounts = namespaces::with_own_mounts()?;
    let mut world = CacheWorld::stopped();
    let store = world.path("store");
    fs::create_dir(&store).unwrap();
    let mount = format!(
        "mount -t tmpfs -o size={size} none '{}' && exec \"$@\"",
        store.display()
    );
    let wrapper = own_mounts.iter().copied().chain(["sh", "-c", &mount, "sh"]);
    world.wrapper = wrapper.map(str::to_owned).collect();
    world.start();
    Some(world)
}

/// Commits a file of bytes that git cannot compress.
fn commit(world: &CacheWorld, length: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(length as u64);
    let content: Vec<u8> = (0..length).map(|_| rng.u8(..)).collect();
    world.repo.commit().write("large", &content).push();
    world.pass_the_pause();
    content
}

/// Clones as a new follower, again after a failure.
#[track_caller]
fn clone(world: &CacheWorld, name: &str) -> PathBuf {
    let dir = world.follower(name);
    let url = world.url("site.git");
    let args = ["fetch", "-q", "--no-tags", "--depth=1", &url, "main"];
    eventually("the follower has the commit", || {
        let output = world.git(&dir, None, &args).output().unwrap();
        output.status.success().then_some(())
    });
    dir
}

#[track_caller]
fn assert_has(world: &CacheWorld, dir: &std::path::Path, content: &[u8]) {
    let mut show = world.git(dir, None, &["show", "FETCH_HEAD:large"]);
    let output = show.output().unwrap();
    assert!(output.status.success() && output.stdout == content);
}

#[test]
fn a_full_disk_serves_without_storing() {
    let Some(world) = with_disk("128k") else {
        return;
    };
    let content = commit(&world, 400 << 10);
    for name in ["one", "two"] {
        let dir = clone(&world, name);
        assert_has(&world, &dir, &content);
    }
    let log = world.log();
    assert!(
        log.contains("the cache serves without storing for 30 seconds"),
        "{log}"
    );
    assert!(world.metric("gitvolume_cache_store_errors_total") >= 1);
    assert_eq!(world.metric("gitvolume_cache_store_bytes"), 0);
    // Each follower got an answer of the git host.
    assert!(world.sent("fetch") >= 2, "{log}");
}

#[test]
fn a_full_disk_makes_room_by_removing_old_packs() {
    let Some(world) = with_disk("600k") else {
        return;
    };
    let first = commit(&world, 250 << 10);
    let dir = clone(&world, "one");
    assert_has(&world, &dir, &first);
    let before = world.metric("gitvolume_cache_store_bytes");
    assert!(before > 250 << 10, "{before}");
    let second = commit(&world, 450 << 10);
    let dir = clone(&world, "two");
    assert_has(&world, &dir, &second);
    let log = world.log();
    assert!(
        log.contains("half of the stored answers are removed"),
        "{log}"
    );
    eventually("the second pack alone is stored", || {
        let bytes = world.metric("gitvolume_cache_store_bytes");
        (450 << 10..600 << 10).contains(&bytes).then_some(())
    });
}
