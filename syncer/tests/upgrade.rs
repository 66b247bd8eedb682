//! The syncer adopts a root of git-sync, and git-sync adopts the syncer's. git-sync's part is
//! simulated by the git commands that it runs.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::world::World;
use crate::world::eventually;
use crate::world::git;

/// Creates the files of git-sync v4's first sync; returns the commit.
fn v4_root(world: &World) -> String {
    let root = world.root();
    fs::create_dir_all(&root).unwrap();
    let url = world.repo.url();
    git(&root, &["init", "-q", "-b", "git-sync"]);
    git(&root, &["remote", "add", "origin", &url]);
    git(
        &root,
        &[
            "fetch",
            &url,
            "HEAD",
            "-q",
            "--prune",
            "--no-auto-gc",
            "--depth",
            "1",
        ],
    );
    let hash = git(&root, &["rev-parse", "FETCH_HEAD^{}"]);
    git(&root, &["reset", "-q", "--soft", &hash, "--"]);
    let tree = root.join(".worktrees").join(&hash);
    let path = tree.to_str().unwrap();
    git(
        &root,
        &[
            "worktree",
            "add",
            "-q",
            "--force",
            "--detach",
            path,
            &hash,
            "--no-checkout",
        ],
    );
    let gitlink = format!("gitdir: ../../.git/worktrees/{hash}\n");
    fs::write(tree.join(".git"), gitlink).unwrap();
    git(&tree, &["reset", "-q", "--hard", &hash, "--"]);
    symlink(Path::new(".worktrees").join(&hash), world.seen()).unwrap();
    hash
}

/// Creates the files of git-sync v3, whose trees are in the root itself; the prefix existed until
/// v3.2.
fn v3_root(world: &World, prefix: &str) -> String {
    let root = world.root();
    fs::create_dir_all(&root).unwrap();
    let url = world.repo.url();
    git(
        &root,
        &["clone", "-q", "--no-checkout", "-b", "main", &url, "."],
    );
    let hash = git(&root, &["rev-parse", "origin/main"]);
    let name = format!("{prefix}{hash}");
    let tree = root.join(&name);
    let path = tree.to_str().unwrap();
    git(
        &root,
        &[
            "worktree",
            "add",
            "-q",
            "-f",
            path,
            "origin/main",
            "--no-checkout",
        ],
    );
    fs::write(
        tree.join(".git"),
        format!("gitdir: ../.git/worktrees/{name}\n"),
    )
    .unwrap();
    git(&tree, &["reset", "-q", "--hard", &hash]);
    symlink(&name, world.seen()).unwrap();
    hash
}

#[test]
fn git_syncs_tree_is_taken_over_and_not_built_again() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let first = v4_root(&world);
    let inode = || fs::metadata(world.tree().join("a")).unwrap().ino();
    let before = inode();
    // It collects any garbage, however small.
    let syncer = world.syncer().flag("git-gc", "aggressive");
    let _running = syncer.start(&world.path("log"));
    eventually("the tree is trusted", || world.probe().0.then_some(()));
    assert_eq!(inode(), before, "made again");
    assert_eq!(world.published(), Some(first.clone()));
    let second = world.repo.commit().write("a", "2").push();
    world.eventually_published(&second);
    eventually("git-sync's tree is gone", || {
        let tree = world.root().join(".worktrees").join(&first);
        (!tree.exists()).then_some(())
    });
    assert_eq!(world.git(&["status", "--porcelain"]), "");
    // The reflogs would keep every commit for ninety days.
    eventually("git has forgotten the old commit", || {
        let old = world.git(&["cat-file", "--batch-check", "--batch-all-objects"]);
        (!old.contains(&first)).then_some(())
    });
}

#[test]
fn git_syncs_damaged_tree_is_built_again() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let first = v4_root(&world);
    fs::write(world.tree().join("a"), "x").unwrap();
    world.sync_once(&[]);
    assert_eq!(world.published(), Some(first));
    assert_eq!(world.read("a").as_deref(), Some("1"));
}

#[test]
fn git_syncs_leftovers_are_cleared() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let first = v4_root(&world);
    symlink("x", world.root().join("tmp-link")).unwrap();
    let admin = world.root().join(".git/worktrees").join(&first);
    fs::write(admin.join("index.lock"), "").unwrap();
    fs::write(world.root().join(".git/shallow.lock"), "").unwrap();
    let second = world.repo.commit().write("a", "2").push();
    world.sync_once(&[]);
    assert_eq!(world.published(), Some(second));
    assert!(!world.root().join("tmp-link").is_symlink());
}

#[test]
fn trees_of_git_sync_v3_stay_published_until_the_syncer_replaces_them() {
    for prefix in ["rev-", ""] {
        for moved in [true, false] {
            let world = World::new("link");
            world.repo.commit().write("a", "1").push();
            let first = v3_root(&world, prefix);
            let old = world.root().join(format!("{prefix}{first}"));
            // Another user's files, one of them with a name like git-sync's.
            let other = "0123456789012345678901234567890123456789";
            fs::write(world.root().join(other), "precious").unwrap();
            let wanted = match moved {
                true => world.repo.commit().write("a", "2").push(),
                false => first.clone(),
            };

            let away = world.path("away.git");
            fs::rename(world.repo.path(), &away).unwrap();
            let running = world.syncer().start(&world.path("log"));
            running.eventually_logs("error syncing");
            assert_eq!(world.read("a").as_deref(), Some("1"), "{prefix}");
            assert_eq!(git(&old, &["rev-parse", "HEAD"]), first);
            fs::rename(&away, world.repo.path()).unwrap();

            eventually("our tree is published", || {
                let target = fs::read_link(world.seen()).unwrap();
                (target == Path::new(".worktrees").join(&wanted)).then_some(())
            });
            eventually("the old tree is gone", || (!old.exists()).then_some(()));
            let text = if moved { "2" } else { "1" };
            assert_eq!(world.read("a").as_deref(), Some(text), "{prefix}");
            assert_eq!(world.git(&["rev-parse", "HEAD"]), wanted);
            assert_eq!(world.git(&["status", "--porcelain"]), "");
            let kept = fs::read_to_string(world.root().join(other)).unwrap();
            assert_eq!(kept, "precious");
            let aside = Command::new("find")
                .arg(world.root())
                .args(["-name", ".gitvolume-aside*"])
                .output();
            assert!(aside.unwrap().stdout.is_empty(), "v3's objects are of use");
            // Once more, as after a restart.
            drop(running);
            world.sync_once(&[]);
            assert_eq!(world.published(), Some(wanted));
        }
    }
}

#[test]
fn git_sync_finds_all_that_it_looks_for_in_our_root() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    world.sync_once(&[]);
    let first = world.published().unwrap();
    let second = world.repo.commit().write("a", "2").push();
    let root = world.root().canonicalize().unwrap();
    // git-sync's checks.
    let top = git(&root, &["rev-parse", "--show-toplevel"]);
    assert_eq!(Path::new(&top), root);
    git(&root, &["fsck", "--no-progress", "--connectivity-only"]);
    let tree = world.tree().canonicalize().unwrap();
    assert_eq!(tree.file_name().unwrap().to_str(), Some(first.as_str()));
    assert_eq!(git(&tree, &["rev-parse", "HEAD"]), first);
    git(&tree, &["fsck", "--no-progress", "--connectivity-only"]);
    let url = world.repo.url();
    assert_eq!(git(&root, &["remote", "get-url", "origin"]), url);
    // git-sync's next sync and clean-up.
    let fetch = [
        "fetch",
        &url,
        "HEAD",
        "-q",
        "--prune",
        "--no-auto-gc",
        "--depth",
        "1",
    ];
    git(&root, &fetch);
    git(&root, &["reset", "-q", "--soft", &second, "--"]);
    let new = root.join(".worktrees").join(&second);
    let path = new.to_str().unwrap();
    git(
        &root,
        &[
            "worktree",
            "add",
            "-q",
            "--force",
            "--detach",
            path,
            &second,
            "--no-checkout",
        ],
    );
    git(&new, &["reset", "-q", "--hard", &second, "--"]);
    git(&root, &["worktree", "list"]);
    fs::remove_dir_all(&tree).unwrap();
    git(&root, &["worktree", "prune"]);
    git(&root, &["gc", "-q"]);
    // The syncer again: the link still points to the last published tree.
    world.sync_once(&[]);
    assert_eq!(world.published(), Some(second));
    assert_eq!(world.read("a").as_deref(), Some("2"));
}
