//! Changes of the local files while the remote stays the same.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::polling::POLL;
use crate::polling::Watched;
use crate::world::LAYOUTS;
use crate::world::World;
use crate::world::eventually;

/// Damages a world, and checks later whether it is repaired.
type Damage = (fn(&World), fn(&World) -> bool);

fn worktree(world: &World) -> PathBuf {
    fs::canonicalize(world.tree()).unwrap()
}

fn pack(world: &World) -> PathBuf {
    let mut found = world.find("pack");
    let mut packs = found.drain(..).flat_map(|dir| fs::read_dir(dir).unwrap());
    let pack = packs.find_map(|entry| {
        let path = entry.unwrap().path();
        path.extension()
            .is_some_and(|end| end == "pack")
            .then_some(path)
    });
    pack.unwrap()
}

#[test]
fn damage_to_the_published_tree_is_repaired_in_the_next_pass() {
    let anywhere: [Damage; 2] = [
        (
            |world| fs::remove_file(world.tree()).unwrap(),
            |world| world.read("a").is_some(),
        ),
        (
            |world| fs::remove_dir_all(worktree(world)).unwrap(),
            |world| world.read("a").is_some(),
        ),
    ];
    let in_link: [Damage; 4] = [
        (
            |world| {
                fs::remove_file(world.tree()).unwrap();
                symlink("elsewhere", world.tree()).unwrap();
            },
            |world| world.read("a").is_some(),
        ),
        (
            |world| {
                let head = worktree(world).file_name().unwrap().to_owned();
                let head = world.root().join(".git/worktrees").join(head).join("HEAD");
                fs::write(head, "0000000000000000000000000000000000000000\n").unwrap();
            },
            |world| world.git(&["rev-parse", "HEAD"]) == world.published().unwrap(),
        ),
        (
            |world| fs::remove_file(worktree(world).join(".git")).unwrap(),
            |world| worktree(world).join(".git").is_file(),
        ),
        (
            |world| fs::write(world.root().join(".worktrees/stray"), "").unwrap(),
            |world| !world.root().join(".worktrees/stray").exists(),
        ),
    ];
    let in_projected: [Damage; 1] = [(
        |world| fs::remove_file(world.root().join("a")).unwrap(),
        |world| world.read("a").is_some(),
    )];
    for layout in LAYOUTS {
        let watched = Watched::new(layout);
        let server = watched.serve();
        let commit = watched.commit("1");
        let _running = watched.start(watched.syncer(&server));
        watched.world.eventually_published(&commit);
        let (anywhere, own) = match layout {
            "link" => (&anywhere[..], &in_link[..]),
            "projected" => (&anywhere[..], &in_projected[..]),
            // There is no link.
            _ => (&anywhere[1..], &[][..]),
        };
        for (number, (damage, is_mended)) in anywhere.iter().chain(own).enumerate() {
            watched.assert_polls(&server, POLL);
            damage(&watched.world);
            eventually(&format!("{layout}: damage {number} is mended"), || {
                is_mended(&watched.world).then_some(())
            });
        }
        watched.assert_polls(&server, POLL);
    }
}

#[test]
fn a_pack_that_is_cut_is_noticed_without_the_remote_changing() {
    let watched = Watched::new("link");
    let server = watched.serve();
    // More objects than git leaves loose.
    let files = (0..200).fold(watched.world.repo.commit(), |commit, n| {
        commit.write(&format!("f{n}"), n.to_string())
    });
    let commit = files.push();
    let _running = watched.start(watched.syncer(&server));
    watched.world.eventually_published(&commit);
    watched.assert_polls(&server, POLL);
    let fetches = watched.fetches();
    fs::remove_file(pack(&watched.world)).unwrap();
    eventually("git looks", || (watched.fetches() > fetches).then_some(()));
    assert_eq!(watched.world.read("f7").as_deref(), Some("7"));
}

#[test]
fn an_old_tree_is_removed_after_its_grace_period_without_a_change() {
    let watched = Watched::new("link");
    let server = watched.serve();
    let first = watched.commit("1");
    let syncer = watched.syncer(&server).flag("stale-worktree-timeout", "1s");
    let _running = watched.start(syncer);
    watched.world.eventually_published(&first);
    let old = worktree(&watched.world);
    let second = watched.commit("2");
    watched.world.eventually_published(&second);
    assert!(old.is_dir());
    eventually("the old tree goes", || (!old.exists()).then_some(()));
    watched.assert_polls(&server, POLL);
}
