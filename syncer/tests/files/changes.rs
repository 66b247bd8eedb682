//! What a new revision changes in the tree.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;

use super::assert_equals_a_clone;
use crate::world::World;
use crate::world::eventually;

#[test]
fn the_first_sync_makes_real_files_and_nothing_of_the_syncers_is_among_them() {
    let world = World::new("files");
    let commit = world
        .repo
        .commit()
        .write("a", "1")
        .write("d/e/b", "1")
        .write_executable("run", "x")
        .symlink("d/link", "e/b")
        .push();
    world.sync_once(&[]);
    assert_equals_a_clone(&world);
    assert_eq!(world.published().as_ref(), Some(&commit));
    assert_eq!(world.probe(), (true, String::new()));
    let mut names: Vec<_> = fs::read_dir(world.root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, [".gitvolume", "tree"]);
    // The list that a program without a special case for symlinks sees.
    let find = Command::new("find")
        .current_dir(world.tree())
        .args([".", "(", "-type", "f", "-o", "-type", "l", ")"])
        .output()
        .unwrap();
    let found = String::from_utf8(find.stdout).unwrap();
    let mut found: Vec<&str> = found.lines().map(|line| &line[2..]).collect();
    found.sort_unstable();
    let listed = world.repo.run(&["ls-tree", "-r", "--name-only", &commit]);
    assert_eq!(found, listed.lines().collect::<Vec<_>>());
}

#[test]
fn each_kind_of_change_gives_the_tree_of_a_fresh_clone() {
    let world = World::new("files");
    world
        .repo
        .commit()
        .write("same", "1")
        .write("changed", "1")
        .write("mode", "1")
        .write("to-dir", "1")
        .write("dir-to-file/a/b", "1")
        .write("dir-to-link/a", "1")
        .symlink("link", "same")
        .symlink("link-to-dir", "same")
        .symlink("link-to-file", "same")
        .write("old-name/a", "content that moves")
        .write("gone/deep/er/a", "1")
        .write("half-gone/a", "1")
        .write("half-gone/b", "1")
        .write("a name with \"signs\" \u{e9}*?[", "1")
        .push();
    let first = world.repo.run(&["rev-parse", "HEAD"]);
    let running = world.syncer().start(&world.path("log"));
    world.eventually_published(&first);
    let inode = |name: &str| fs::metadata(world.tree().join(name)).unwrap().ino();
    let (same, top) = (inode("same"), inode(""));
    let second = world
        .repo
        .commit()
        .write("changed", "2")
        .write_executable("mode", "1")
        .remove("to-dir")
        .write("to-dir/a/b", "2")
        .remove("dir-to-file/a/b")
        .write("dir-to-file", "2")
        .remove("dir-to-link/a")
        .symlink("dir-to-link", "half-gone")
        .symlink("link", "changed")
        .remove("link-to-dir")
        .write("link-to-dir/a", "2")
        .write("link-to-file", "2")
        .remove("old-name/a")
        .write("new-name/a", "content that moves")
        .remove("gone/deep/er/a")
        .remove("half-gone/a")
        .remove("a name with \"signs\" \u{e9}*?[")
        .write("another \u{e9} name", "2")
        .push();
    world.eventually_published(&second);
    assert_equals_a_clone(&world);
    assert_eq!(
        (inode("same"), inode("")),
        (same, top),
        "they are unchanged"
    );
    running.assert_not_logged("\"error\"");
    drop(running);

    // Back again, by another process, which has to compare the content of all files.
    let third = world
        .repo
        .commit()
        .remove("to-dir/a/b")
        .write("to-dir", "1")
        .remove("dir-to-file")
        .write("dir-to-file/a/b", "1")
        .remove("dir-to-link")
        .write("dir-to-link/a", "1")
        .remove("link-to-dir/a")
        .symlink("link-to-dir", "same")
        .push();
    let _running = world.syncer().start(&world.path("log"));
    world.eventually_published(&third);
    assert_equals_a_clone(&world);
    assert_eq!(inode("same"), same, "it is unchanged");
}

#[test]
fn attributes_that_change_convert_files_that_do_not() {
    let world = World::new("files");
    let first = world
        .repo
        .commit()
        .write("a.txt", "1\n")
        .write("d/b.txt", "1\n")
        .write("c.bin", "1\n")
        .push();
    let _running = world.syncer().start(&world.path("log"));
    world.eventually_published(&first);
    let binary = fs::metadata(world.tree().join("c.bin")).unwrap().ino();
    let second = world
        .repo
        .commit()
        .write(".gitattributes", "*.txt text eol=crlf\n")
        .push();
    world.eventually_published(&second);
    assert_eq!(world.read("a.txt").as_deref(), Some("1\r\n"));
    assert_eq!(world.read("d/b.txt").as_deref(), Some("1\r\n"));
    assert_eq!(
        fs::metadata(world.tree().join("c.bin")).unwrap().ino(),
        binary
    );
    // A new file is converted by the attributes of its own revision.
    let third = world.repo.commit().write("d/new.txt", "1\n").push();
    world.eventually_published(&third);
    assert_eq!(world.read("d/new.txt").as_deref(), Some("1\r\n"));
    let fourth = world.repo.commit().remove(".gitattributes").push();
    world.eventually_published(&fourth);
    assert_equals_a_clone(&world);
}

#[test]
fn a_reader_never_misses_a_file_of_both_revisions_and_never_reads_a_part_of_one() {
    const SIZE: usize = 50_000;
    let content = |n: usize| format!("{n}\n").repeat(SIZE / format!("{n}\n").len());
    let world = World::new("files");
    let commit = |n: usize| {
        let commit = world.repo.commit();
        let commit = commit
            .write("one", content(n))
            .write("d/e/two", content(n))
            .write("same", "same")
            .symlink("link", ["one", "d/e/two"][n % 2])
            .write(&format!("new-{n}/a"), "x");
        match n {
            0 => commit.write("kind", "a file").push(),
            n if n % 2 == 1 => {
                let commit = commit.remove(&format!("new-{}/a", n - 1)).remove("kind");
                commit.write("kind/a", "below a directory").push()
            }
            n => {
                let commit = commit.remove(&format!("new-{}/a", n - 1)).remove("kind/a");
                commit.write("kind", "a file").push()
            }
        }
    };
    let first = commit(0);
    let _running = world
        .syncer()
        .flag("period", "10ms")
        .start(&world.path("log"));
    world.eventually_published(&first);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0;
            while !done.load(Ordering::Relaxed) {
                for name in ["one", "d/e/two", "same", "link"] {
                    let text = fs::read_to_string(world.tree().join(name));
                    let text = text.unwrap_or_else(|error| panic!("{name}: {error}"));
                    if name != "same" {
                        let n = text.lines().next().unwrap().parse().unwrap();
                        assert_eq!(text, content(n), "{name}: two revisions in one file");
                    }
                }
                let kind = fs::symlink_metadata(world.tree().join("kind"));
                assert!(kind.is_ok(), "neither the file nor the directory exists");
                reads += 1;
            }
            reads
        });
        for n in 1..=100 {
            let last = commit(n);
            if n % 3 != 0 {
                world.eventually_published(&last);
            }
            assert!(!reader.is_finished(), "the reader gave up");
        }
        let last = world.repo.run(&["rev-parse", "HEAD"]);
        world.eventually_published(&last);
        done.store(true, Ordering::Relaxed);
        let reads = reader.join().unwrap();
        assert!(reads > 100, "the reader slept: {reads}");
    });
    assert_equals_a_clone(&world);
}

#[test]
fn a_commit_that_is_no_longer_published_is_released_for_gc() {
    let world = World::new("files");
    let mut last = world.repo.commit().write("a", "0").push();
    let running = world.syncer().start(&world.path("log"));
    world.eventually_published(&last);
    for n in 1..4 {
        let next = world.repo.commit().write("a", n.to_string()).push();
        let before = std::mem::replace(&mut last, next);
        world.eventually_published(&last);
        let mut kept = Vec::new();
        eventually("the old commit is released", || {
            let mut git = remotes::git();
            let list = ["for-each-ref", "--format=%(objectname)", "refs/gitvolume"];
            let git = git.arg("-C").arg(world.state().join("repo")).args(list);
            let listed = String::from_utf8(git.output().unwrap().stdout).unwrap();
            kept = listed.lines().map(str::to_owned).collect();
            (!kept.contains(&before)).then_some(())
        });
        assert_eq!(kept, [last.clone()]);
    }
    eventually("its file is gone", || {
        let kept = fs::read_dir(world.own().join("kept")).unwrap();
        (kept.count() == 1).then_some(())
    });
    running.assert_not_logged("\"error\"");
}
