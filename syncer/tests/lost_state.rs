//! The syncer's own directory is removed while it runs and has nothing else to do: `probe` must
//! succeed again soon, or the kubelet would restart a healthy container.

use std::fs;

use remotes::Repo;
use serde_json::json;

use crate::world::LAYOUTS;
use crate::world::Syncer;
use crate::world::World;
use crate::world::eventually;

#[track_caller]
fn assert_the_probe_comes_back(world: &World) {
    eventually("the probe is answered", || world.probe().0.then_some(()));
    // In one step: the syncer may recreate it at any moment.
    fs::rename(world.state(), world.path("away")).unwrap();
    eventually("the probe is answered again", || {
        world.probe().0.then_some(())
    });
}

#[test]
fn beside_a_full_hash_it_is_made_again() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let commit = world.repo.commit().write("a", "1").push();
        let syncer = world.syncer().flag("ref", &commit);
        let _running = syncer.start(&world.path("log"));
        assert_the_probe_comes_back(&world);
    }
}

#[test]
fn beside_a_finished_clone_it_is_made_again() {
    let world = World::new("clone");
    world.repo.commit().write("a", "1").push();
    let _running = world.syncer().start(&world.path("log"));
    assert_the_probe_comes_back(&world);
}

#[test]
fn of_several_repositories_it_is_made_again_with_their_list() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let other = Repo::in_dir(&world.path(""), "other.git");
    let commit = other.commit().write("a", "1").push();
    let repos = json!({ "repos": {
        "followed": { "repo": world.repo.url(), "root": world.path("a") },
        "pinned": { "repo": other.url(), "root": world.path("b"), "ref": commit },
    }});
    let _running = Syncer::new()
        .flag("state", world.state())
        .flag("period", "50ms")
        .env("GITSYNC_CONFIG_INLINE", repos.to_string())
        .start(&world.path("log"));
    assert_the_probe_comes_back(&world);
}
