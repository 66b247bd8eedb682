//! Changes that were interrupted.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use super::Entries;
use super::entries;
use super::once;
use crate::world::World;

/// Makes a revision of each kind of entry, and a second one that changes each.
fn two_revisions(world: &World) -> (String, Entries, String, Entries) {
    let clone = |commit: &str| {
        let dir = world.path(commit);
        fs::create_dir(&dir).unwrap();
        let archive = world.path("archive.tar");
        let output = format!("--output={}", archive.display());
        world
            .repo
            .run(&["archive", "--format=tar", &output, commit]);
        let tar = std::process::Command::new("tar")
            .arg("-xf")
            .arg(&archive)
            .arg("-C")
            .arg(&dir)
            .status();
        assert!(tar.unwrap().success());
        entries(&dir)
    };
    let first = world
        .repo
        .commit()
        .write("same", "1")
        .write("changed", "1")
        .write("d/changed", "1")
        .write("to-dir", "1")
        .write("to-file/a", "1")
        .write("gone/deep/a", "1")
        .symlink("link", "same")
        .push();
    let second = world
        .repo
        .commit()
        .write("changed", "2")
        .write("d/changed", "2")
        .remove("to-dir")
        .write("to-dir/a", "2")
        .remove("to-file/a")
        .write("to-file", "2")
        .remove("gone/deep/a")
        .symlink("link", "changed")
        .write("new/a", "2")
        .push();
    let (old, new) = (clone(&first), clone(&second));
    (first, old, second, new)
}

fn copy(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .arg(from)
        .arg(to)
        .status();
    assert!(copied.unwrap().success());
}

#[test]
fn a_kill_before_any_step_is_finished_by_the_next_start_without_the_remote() {
    let world = World::new("files");
    let (first, old, second, new) = two_revisions(&world);
    world.repo.run(&["update-ref", "refs/heads/main", &first]);
    once(&world).finish().assert_code(0);
    assert_eq!(entries(&world.tree()), old);
    world.repo.run(&["update-ref", "refs/heads/main", &second]);
    // The syncer follows, so that it asks for the second commit.
    for dir in [world.root(), world.state()] {
        copy(&dir, &dir.with_extension("before"));
    }
    let (mut during, mut step) = (0, 0);
    loop {
        for dir in [world.root(), world.state()] {
            // A child of a killed syncer may write for a moment.
            crate::world::eventually("the directory is removed", || {
                fs::remove_dir_all(&dir)
                    .ok()
                    .or((!dir.exists()).then_some(()))
            });
            copy(&dir.with_extension("before"), &dir);
        }
        // Another request, so that the one-time run does not keep the first commit.
        fs::write(world.own().join("tree.request"), "another").unwrap();
        let run = once(&world)
            .env("GITVOLUME_CRASH_AT", step.to_string())
            .finish();
        let was_killed = run.status.signal() == Some(9) || run.status.code() == Some(128 + 9);
        if !was_killed {
            run.assert_code(0);
            assert_eq!(entries(&world.tree()), new);
            break;
        }
        let is_open = world.own().join("journal").exists();
        during += usize::from(is_open);
        if is_open {
            let (is_started, reason) = world.probe();
            assert!(!is_started, "step {step}: the tree is being changed");
            assert!(!reason.is_empty());
        } else {
            let is_either = [&old, &new].contains(&&entries(&world.tree()));
            assert!(is_either, "step {step}: a mixed tree without a journal");
        }
        // The next start, with the remote away.
        let away = world.path("away.git");
        fs::rename(world.repo.path(), &away).unwrap();
        let running = world.syncer().start(&world.path("log"));
        crate::world::eventually("the tree is complete", || world.probe().0.then_some(()));
        drop(running);
        let found = entries(&world.tree());
        match is_open {
            true => assert_eq!(found, new, "step {step}"),
            false => assert!([&old, &new].contains(&&found), "step {step}"),
        }
        fs::rename(&away, world.repo.path()).unwrap();
        step += 1;
    }
    assert!(
        during > 10,
        "only {during} of {step} steps were within the change"
    );
}

#[test]
fn a_change_that_a_reboot_interrupted_is_finished_and_compared_with_the_commit() {
    let world = World::new("files");
    let (first, _, second, new) = two_revisions(&world);
    world.repo.run(&["update-ref", "refs/heads/main", &first]);
    once(&world).finish().assert_code(0);
    world.repo.run(&["update-ref", "refs/heads/main", &second]);
    let mut step = 0;
    while !world.own().join("journal").exists() {
        fs::write(world.own().join("tree.request"), "another").unwrap();
        let run = once(&world).env("GITVOLUME_CRASH_AT", step.to_string());
        assert_ne!(
            run.finish().status.code(),
            Some(0),
            "no step is in the change"
        );
        step += 1;
    }
    // A staged file that did not reach the disk.
    let staged = world.own().join("staging/changed");
    assert_eq!(fs::read_to_string(&staged).unwrap(), "2");
    fs::write(&staged, "").unwrap();
    let journal = world.own().join("journal");
    let text = fs::read_to_string(&journal).unwrap();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    assert!(text.contains(boot.trim()));
    fs::write(&journal, text.replace(boot.trim(), "another-boot")).unwrap();
    fs::rename(world.repo.path(), world.path("away.git")).unwrap();
    let _running = world.syncer().start(&world.path("log"));
    crate::world::eventually("the tree is complete", || world.probe().0.then_some(()));
    assert_eq!(entries(&world.tree()), new);
}
