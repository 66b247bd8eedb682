//! The repositories of submodules stay from commit to commit where no consumer can write to them.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use crate::submodules::Family;
use crate::submodules::assert_gits_view;
use crate::world::LAYOUTS;
use crate::world::Running;
use crate::world::eventually;

fn start(family: &Family) -> Running {
    let running = family
        .world
        .syncer_of(&family.server.url("site.git"))
        .flag("link-trees", "true")
        .start(&family.world.path("log"));
    eventually("all is published", || {
        family.world.read("a dir/sub/inner/deep")
    });
    running
}

#[test]
fn a_commit_that_leaves_the_submodules_as_they_are_does_not_need_their_hosts() {
    for layout in LAYOUTS {
        let family = Family::new(layout);
        let world = &family.world;
        let running = start(&family);
        for repo in [&family.child, &family.grandchild] {
            fs::rename(repo.path(), repo.path().with_extension("away")).unwrap();
        }
        for n in 2..5 {
            let commit = world.repo.commit().write("top", n.to_string()).push();
            world.eventually_published(&commit);
            let deep = world.read("a dir/sub/inner/deep");
            assert_eq!(deep.as_deref(), Some("1"), "{layout}");
            assert_gits_view(world, 2);
        }
        running.assert_not_logged("recreating");
    }
}

#[test]
fn a_submodule_at_another_address_is_cloned_from_there() {
    for layout in LAYOUTS {
        let family = Family::new(layout);
        let world = &family.world;
        let _running = start(&family);
        // The nested one, and the same commit there: only the address decides.
        let moved = family.grandchild.path().with_file_name("moved.git");
        fs::rename(family.grandchild.path(), &moved).unwrap();
        let child = family
            .child
            .commit()
            .write(".gitmodules", family.list("inner", "moved.git"))
            .push();
        let commit = world.repo.commit().submodule("a dir/sub", &child).push();
        world.eventually_published(&commit);
        let config = world.find("config").into_iter().find(|path| {
            let text = fs::read_to_string(path).unwrap();
            path.parent().is_some_and(|dir| dir.ends_with("inner")) && text.contains("moved.git")
        });
        assert!(config.is_some(), "{layout}: its repository is the old one");
        assert_gits_view(world, 2);
    }
}

#[test]
fn a_submodule_whose_kept_objects_are_lost_is_cloned_again() {
    for layout in LAYOUTS {
        let family = Family::new(layout);
        let world = &family.world;
        let _running = start(&family);
        let modules = world.find("objects");
        let modules = modules
            .iter()
            .filter(|dir| dir.parent().unwrap().ends_with("sub"));
        for objects in modules {
            fs::remove_dir_all(objects).unwrap();
        }
        let child = family.child.commit().write("file", "2").push();
        let commit = world.repo.commit().submodule("a dir/sub", &child).push();
        world.eventually_published(&commit);
        assert_eq!(world.read("a dir/sub/file").as_deref(), Some("2"));
        assert_gits_view(world, 2);
    }
}

#[test]
fn many_commits_of_a_submodule_leave_few_packs() {
    for layout in LAYOUTS {
        let family = Family::new(layout);
        let world = &family.world;
        let _running = world
            .syncer_of(&family.server.url("site.git"))
            .flag("link-trees", "true")
            // Otherwise git unpacks the few objects of a commit.
            .flag("git-config", "fetch.unpackLimit:1")
            .start(&world.path("log"));
        for n in 0..12 {
            let child = family.child.commit().write("file", n.to_string()).push();
            let commit = world.repo.commit().submodule("a dir/sub", &child).push();
            world.eventually_published(&commit);
        }
        let mut counts = BTreeMap::new();
        for pack in world.find("*.pack") {
            *counts.entry(pack.parent().unwrap().to_owned()).or_insert(0) += 1;
        }
        let of_sub = |dir: &&PathBuf| dir.ends_with("modules/a dir/sub/objects/pack");
        assert!(counts.keys().any(|dir| of_sub(&dir)), "{counts:?}");
        assert!(counts.values().all(|packs| *packs <= 10), "{counts:?}");
    }
}
