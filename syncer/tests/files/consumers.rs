//! Consumers that write into the tree.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;

use super::assert_equals_a_clone;
use super::once;
use crate::world::World;

#[test]
fn a_consumers_own_files_stay_in_a_directory_that_the_revision_no_longer_has() {
    let world = World::new("files");
    let first = world
        .repo
        .commit()
        .write("a", "1")
        .write("d/e/b", "1")
        .push();
    let _running = world.syncer().start(&world.path("log"));
    world.eventually_published(&first);
    fs::write(world.tree().join("own"), "x").unwrap();
    fs::write(world.tree().join("d/own"), "x").unwrap();
    let second = world.repo.commit().write("a", "2").remove("d/e/b").push();
    world.eventually_published(&second);
    assert_eq!(world.files(), ["a", "d/own", "own"]);
    assert!(!world.tree().join("d/e").exists(), "it was empty");
    assert_eq!(world.probe(), (true, String::new()));
}

#[test]
fn edits_of_unchanged_files_end_with_the_next_revision() {
    let world = World::new("files");
    let names = [
        "content",
        "mode",
        "removed",
        "d/replaced",
        "d/link",
        "moved/a",
        "same",
    ];
    let commit = world.repo.commit();
    let first = names
        .iter()
        .fold(commit, |commit, name| commit.write(name, *name))
        .write("changed", "1")
        .push();
    let _running = world.syncer().start(&world.path("log"));
    world.eventually_published(&first);
    let path = |name: &str| world.tree().join(name);
    fs::write(path("content"), "CONTENT").unwrap();
    fs::set_permissions(path("mode"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::remove_file(path("removed")).unwrap();
    fs::write(world.path("other"), "d/replaced").unwrap();
    fs::rename(world.path("other"), path("d/replaced")).unwrap();
    fs::remove_file(path("d/link")).unwrap();
    symlink("replaced", path("d/link")).unwrap();
    // A directory that leads elsewhere: nothing there may change.
    fs::rename(path("moved"), world.path("elsewhere")).unwrap();
    symlink(world.path("elsewhere"), path("moved")).unwrap();
    let second = world.repo.commit().write("changed", "2").push();
    world.eventually_published(&second);
    assert_equals_a_clone(&world);
    let mode = fs::metadata(path("mode")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    assert!(world.path("elsewhere/a").exists());
}

#[test]
fn a_file_of_another_at_the_path_of_a_new_one_is_never_replaced() {
    let world = World::new("files");
    let first = world.repo.commit().write("a", "1").write("d/b", "1").push();
    world.sync_once(&[]);
    for (theirs, new) in [
        ("new", "new"),
        ("dir/own", "dir"),
        ("file", "file/a"),
        ("d/own", "d"),
    ] {
        let path = world.tree().join(theirs);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "theirs").unwrap();
        let commit = world.repo.commit().from(&first).remove("a");
        let commit = match new {
            "d" => commit.remove("d/b"),
            _ => commit,
        };
        commit.write(new, "2").push();
        let run = world.syncer().flag("one-time", "true").flag("ref", "main");
        let run = run.flag("max-failures", "0").finish();
        run.assert_code(1);
        run.assert_last_error("is in the way: it was not created by the syncer");
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs", "{new}");
        assert_eq!(world.read("a").as_deref(), Some("1"), "nothing was changed");
        assert_eq!(world.published().as_ref(), Some(&first));
        assert!(world.probe().0, "{new}");
        fs::remove_file(&path).unwrap();
        if theirs.starts_with("dir") {
            fs::remove_dir(path.parent().unwrap()).unwrap();
        }
    }
}

#[test]
fn a_directory_with_files_of_another_is_not_taken_for_a_tree() {
    let world = World::new("files");
    world.repo.commit().write("a", "1").write("b", "1").push();
    fs::create_dir_all(world.tree()).unwrap();
    fs::write(world.tree().join("a"), "theirs").unwrap();
    let run = once(&world).finish();
    run.assert_code(1);
    run.assert_last_error("is in the way");
    assert_eq!(world.read("a").as_deref(), Some("theirs"));
    assert_eq!(world.read("b"), None);
    // A file that is the same anyway is no reason to refuse.
    fs::write(world.tree().join("a"), "1").unwrap();
    once(&world).finish().assert_code(0);
    assert_equals_a_clone(&world);
}
