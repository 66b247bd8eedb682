//! Trees are complete or absent: for consumers at every moment, and whenever the syncer is killed.

use std::fs;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::fcntl::open;
use nix::fcntl::openat;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;

use crate::world::LAYOUTS;
use crate::world::SWITCHED;
use crate::world::World;
use crate::world::eventually;
use crate::world::namespaces;

/// Long enough that a partial write is noticed.
const FILE_SIZE: usize = 50_000;

fn content(n: usize) -> String {
    let line = format!("{n}\n");
    line.repeat(FILE_SIZE / line.len())
}

/// The repeated number that is a file's content.
#[track_caller]
fn number(text: &str) -> usize {
    let n: usize = text.lines().next().unwrap().parse().unwrap();
    assert_eq!(text, content(n), "a torn file");
    n
}

fn read_below(dir: &impl AsFd, name: &str) -> String {
    let fd = openat(dir, name, OFlag::O_RDONLY, Mode::empty()).unwrap();
    let mut text = String::new();
    File::from(fd).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn readers_never_see_a_mixed_a_torn_or_a_missing_file() {
    for layout in SWITCHED {
        let world = World::new(layout);
        let first = commit(&world, 0);
        let _running = world
            .syncer()
            .flag("period", "10ms")
            .flag("stale-worktree-timeout", "5s")
            .start(&world.path("log"));
        world.eventually_published(&first);
        let done = AtomicBool::new(false);
        let reads = AtomicUsize::new(0);
        thread::scope(|scope| {
            let by_directory = scope.spawn(|| {
                let mut revisions = 0;
                let mut last = None;
                while !done.load(Ordering::Relaxed) {
                    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
                    let dir = open(&world.tree(), flags, Mode::empty()).unwrap();
                    let one = number(&read_below(&dir, "one"));
                    thread::yield_now();
                    let two = number(&read_below(&dir, "d/two"));
                    assert_eq!(one, two, "{layout}: two revisions in one directory");
                    revisions += usize::from(last.replace(one) != Some(one));
                    reads.fetch_add(1, Ordering::Relaxed);
                }
                revisions
            });
            let by_path = scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    for name in ["one", "d/two", "same"] {
                        let path = world.seen().join(name);
                        let text = fs::read_to_string(&path)
                            .unwrap_or_else(|error| panic!("{layout}: {name}: {error}"));
                        assert!(name == "same" || number(&text) <= 100);
                    }
                }
            });
            for n in 1..=100 {
                let last = commit(&world, n);
                // Not all are waited for: revisions may also be skipped.
                if n % 3 != 0 {
                    world.eventually_published(&last);
                }
                let broken = by_directory.is_finished() || by_path.is_finished();
                assert!(!broken, "{layout}: a reader gave up");
            }
            done.store(true, Ordering::Relaxed);
            let revisions = by_directory.join().unwrap();
            by_path.join().unwrap();
            println!("{layout}: {revisions} revisions seen in {reads:?} reads");
            assert!(revisions > 10, "{layout}: the reader slept");
        });
        assert_eq!(world.read("new-100").as_deref(), Some("x"));
        assert_eq!(world.read("new-99"), None);
    }
}

/// Changes two files together, adds one and removes one.
fn commit(world: &World, n: usize) -> String {
    let commit = world
        .repo
        .commit()
        .write("one", content(n))
        .write("d/two", content(n))
        .write("same", "same")
        .write(&format!("new-{n}"), "x");
    match n {
        0 => commit.push(),
        n => commit.remove(&format!("new-{}", n - 1)).push(),
    }
}

/// Asserts that consumers now see all files of one commit and nothing else.
#[track_caller]
fn assert_whole(world: &World) {
    let Some(published) = world.published() else {
        return;
    };
    let expected: Vec<String> = world
        .repo
        .run(&["ls-tree", "-r", "--name-only", &published])
        .lines()
        .map(str::to_owned)
        .collect();
    let tree = world.tree().canonicalize().unwrap();
    let mut found = Vec::new();
    walk(&tree, &tree, &mut found);
    found.sort();
    assert_eq!(found, expected, "{published}");
    for name in &expected {
        let theirs = world
            .repo
            .run(&["rev-parse", &format!("{published}:{name}")]);
        let ours = world.repo.run(&[
            "hash-object",
            "--no-filters",
            tree.join(name).to_str().unwrap(),
        ]);
        assert_eq!(ours, theirs, "{name}");
        // Two revisions may meet here, as for any consumer that resolves a path twice.
        assert!(world.seen().join(name).exists(), "{name} is not linked");
    }
}

fn walk(dir: &Path, top: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(top).unwrap().to_str().unwrap();
        match path.is_dir() {
            true => walk(&path, top, found),
            false if name == ".git" => {}
            false => found.push(name.to_owned()),
        }
    }
}

#[test]
fn a_kill_at_any_moment_leaves_a_complete_tree_and_the_next_run_continues() {
    let Some(as_process_one) = namespaces::as_process_one() else {
        return;
    };
    for layout in SWITCHED {
        let world = World::new(layout);
        let mut wanted = commit(&world, 0);
        let mut published = None;
        for n in 1..=50u64 {
            // In many rounds the next run must continue with the same commit.
            if n % 3 == 0 {
                wanted = commit(&world, usize::try_from(n / 3).unwrap());
            }
            // A separate PID namespace, whose end ends every process in it, as in a container.
            let running = world
                .syncer_under(&as_process_one)
                .flag("period", "10ms")
                .start(&world.path("log"));
            // Distributed over start, fetch, checkout, publication and clean-up, differently each
            // time.
            thread::sleep(Duration::from_millis(n * 37 % 150));
            running.kill();
            assert_whole(&world);
            if published.is_some() {
                assert!(
                    world.published().is_some(),
                    "{layout}: the publication is gone"
                );
            }
            published = world.published().or(published);
            if n % 10 == 0 {
                world
                    .syncer()
                    .flag("one-time", "true")
                    .finish()
                    .assert_code(0);
                assert_eq!(world.published().as_ref(), Some(&wanted), "{layout}");
                assert_whole(&world);
            }
        }
        world
            .syncer()
            .flag("one-time", "true")
            .finish()
            .assert_code(0);
        let left: Vec<_> = fs::read_dir(world.root())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains("tmp") || name.starts_with(".gitvolume"))
            .collect();
        assert_eq!(left, [""; 0], "{layout}");
    }
}

#[test]
fn a_damaged_tree_is_noticed_after_a_reboot_and_repaired_without_the_remote() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let commit = commit(&world, 7);
        world
            .syncer()
            .flag("one-time", "true")
            .finish()
            .assert_code(0);
        assert!(world.probe().0);
        // Files that were never flushed before a reboot, and another boot id.
        fs::write(world.tree().join("one"), "").unwrap();
        world.reboot();
        assert!(!world.probe().0, "{layout}: trusted without a look");
        let away = world.path("away.git");
        fs::rename(world.repo.path(), &away).unwrap();
        let running = world.syncer().start(&world.path("log"));
        eventually("the tree is whole again", || world.probe().0.then_some(()));
        assert_eq!(number(&world.read("one").unwrap()), 7);
        assert_eq!(world.published(), Some(commit));
        fs::rename(&away, world.repo.path()).unwrap();
        drop(running);
    }
}

#[test]
fn an_undamaged_tree_is_trusted_again_after_a_reboot_without_the_remote() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        commit(&world, 7);
        world
            .syncer()
            .flag("one-time", "true")
            .finish()
            .assert_code(0);
        let before = world.tree().canonicalize().unwrap();
        world.reboot();
        fs::rename(world.repo.path(), world.path("away.git")).unwrap();
        let _running = world.syncer().start(&world.path("log"));
        eventually("the tree is trusted", || world.probe().0.then_some(()));
        assert_eq!(world.tree().canonicalize().unwrap(), before, "{layout}");
    }
}

#[test]
fn files_that_attributes_convert_are_trusted_again_after_a_reboot_and_their_damage_is_seen() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        world
            .repo
            .commit()
            .write(
                ".gitattributes",
                "* text=auto\n*.bat text eol=crlf\nversion.txt ident\n",
            )
            .write("d/win.bat", "echo a\r\necho b\r\n")
            .write("notes.txt", "a\r\nb\r\n")
            .write("version.txt", "$Id$\n")
            .symlink("link", "notes.txt")
            .push();
        world.sync_once(&[]);
        let before = world.tree().canonicalize().unwrap();
        let inode = fs::metadata(&before).unwrap().ino();
        world.reboot();
        let running = world.syncer().start(&world.path("log"));
        eventually("the tree is trusted", || world.probe().0.then_some(()));
        running.assert_not_logged("damaged");
        drop(running);
        assert_eq!(fs::metadata(&before).unwrap().ino(), inode, "{layout}");
        assert!(world.find("*written").is_empty() && world.find("*compare").is_empty());
        fs::write(before.join("d/win.bat"), "echo a\r\necho c\r\n").unwrap();
        world.reboot();
        let running = world.syncer().start(&world.path("log"));
        eventually("the damage is mended", || {
            (world.read("d/win.bat").as_deref() == Some("echo a\r\necho b\r\n")).then_some(())
        });
        running.assert_logged("damaged");
    }
}

#[test]
fn a_removed_or_emptied_tree_is_built_again() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let commit = commit(&world, 1);
        let _running = world.syncer().start(&world.path("log"));
        world.eventually_published(&commit);
        fs::remove_dir_all(world.tree().canonicalize().unwrap()).unwrap();
        eventually("the tree is back", || world.read("one"));
        assert_whole(&world);
    }
}

#[test]
fn stale_locks_of_killed_git_commands_do_not_stop_the_next_run() {
    for layout in SWITCHED {
        let world = World::new(layout);
        let first = commit(&world, 1);
        world
            .syncer()
            .flag("one-time", "true")
            .finish()
            .assert_code(0);
        let git_dir = match layout {
            "link" => world.root().join(".git"),
            _ => world.state().join("repo"),
        };
        let mut locks = vec![
            "HEAD.lock".to_owned(),
            "config.lock".to_owned(),
            "index.lock".to_owned(),
            "packed-refs.lock".to_owned(),
            "shallow.lock".to_owned(),
            "refs/heads/git-sync.lock".to_owned(),
        ];
        if layout == "link" {
            locks.push(format!("worktrees/{first}/index.lock"));
            locks.push(format!("worktrees/{first}/HEAD.lock"));
        }
        fs::create_dir_all(git_dir.join("refs/heads")).unwrap();
        // git's name for a pack that is being received.
        let part = git_dir.join("objects/pack/tmp_pack_AbCdEf");
        fs::create_dir_all(part.parent().unwrap()).unwrap();
        fs::write(&part, "PACK").unwrap();
        for lock in &locks {
            fs::write(git_dir.join(lock), "").unwrap();
        }
        let second = commit(&world, 2);
        if layout == "projected" {
            let lock = world.state().join(format!("trees/{second}.index.lock"));
            fs::write(lock, "").unwrap();
        }
        world
            .syncer()
            .flag("one-time", "true")
            .finish()
            .assert_code(0);
        assert_eq!(world.published(), Some(second), "{layout}");
        assert!(!git_dir.join("index.lock").exists());
        assert!(
            !part.exists(),
            "{layout}: parts of packs would fill the volume"
        );
    }
}

#[test]
fn foreign_files_in_the_root_stay() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        commit(&world, 1);
        fs::create_dir_all(world.root().join("mine/deep")).unwrap();
        fs::write(world.root().join("mine/deep/file"), "precious").unwrap();
        fs::create_dir_all(world.root().join("lost+found")).unwrap();
        // Another user's repository, which is set aside and not deleted.
        let init = remotes::git()
            .args(["init", "-q"])
            .arg(world.root())
            .status();
        assert!(init.unwrap().success());
        fs::write(world.root().join(".git/mine"), "precious").unwrap();
        world
            .syncer()
            .flag("one-time", "true")
            .finish()
            .assert_code(0);
        let kept = fs::read_to_string(world.root().join("mine/deep/file"));
        assert_eq!(kept.unwrap(), "precious", "{layout}");
        let found = Command::new("find")
            .arg(world.root())
            .args(["-path", "*.git/mine"])
            .output()
            .unwrap();
        let found = String::from_utf8(found.stdout).unwrap();
        assert_eq!(
            fs::read_to_string(found.trim()).unwrap(),
            "precious",
            "{layout}"
        );
        assert_whole(&world);
    }
}

#[test]
fn a_file_in_the_place_of_an_entry_is_reported() {
    let world = World::new("projected");
    commit(&world, 1);
    fs::create_dir_all(world.root()).unwrap();
    fs::write(world.root().join("one"), "precious").unwrap();
    let run = world.syncer().flag("max-failures", "0").finish();
    run.assert_code(1);
    run.assert_last_error("/one is in the way: it was not created by the syncer");
    assert_eq!(world.read("one").as_deref(), Some("precious"));
    assert!(!world.root().join("d").is_symlink(), "half published");
}

#[test]
fn a_directory_in_the_place_of_the_link_is_reported() {
    let world = World::new("link");
    commit(&world, 1);
    fs::create_dir_all(world.root().join("current/mine")).unwrap();
    let run = world.syncer().flag("max-failures", "0").finish();
    run.assert_code(1);
    run.assert_last_error("current is in the way: it is not a symlink");
    assert!(world.root().join("current/mine").exists());
}

#[test]
fn an_entry_that_begins_with_two_dots_is_refused_and_the_old_revision_stays() {
    let world = World::new("projected");
    let first = commit(&world, 1);
    let running = world.syncer().start(&world.path("log"));
    world.eventually_published(&first);
    world.repo.commit().write("..data", "x").push();
    eventually("the error is logged", || {
        let told = running.log().contains("begins with two dots");
        told.then_some(())
    });
    assert_eq!(world.published(), Some(first));
    assert_whole(&world);
    assert!(world.probe().0);
    running.signal(Signal::SIGTERM);
}
