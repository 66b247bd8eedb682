//! The selection of commits and files: refs that move, depth, sparse checkout and partial clones.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

use remotes::BasicAuth;
use remotes::HttpServer;

use crate::world::LAYOUTS;
use crate::world::SWITCHED;
use crate::world::World;
use crate::world::eventually;

/// A repository of six files, three of them named `a`.
fn six_files(world: &World) -> String {
    let mut commit = world.repo.commit();
    for path in ["a", "b", "d/a", "d/b", "e/f/a", "e/f/b"] {
        commit = commit.write(path, path);
    }
    commit.push()
}

/// Writes patterns to a file and returns its path.
fn patterns(world: &World, lines: &[&str]) -> PathBuf {
    let path = world.path("patterns");
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    path
}

fn flag(path: &Path) -> (&'static str, &str) {
    ("sparse-checkout-file", path.to_str().unwrap())
}

#[test]
fn patterns_choose_the_files_of_a_sparse_checkout() {
    for layout in LAYOUTS {
        for (lines, expected) in [
            (&["!/*", "!/*/", "a"][..], &["a", "d/a", "e/f/a"][..]),
            (&["/*", "!/d/"], &["a", "b", "e/f/a", "e/f/b"]),
            (&["/d/", "/e/f/b"], &["d/a", "d/b", "e/f/b"]),
            // Cone mode would take this for the whole directory.
            (&["/*", "!/*/", "/d/a"], &["a", "b", "d/a"]),
        ] {
            let world = World::new(layout);
            six_files(&world);
            let file = patterns(&world, lines);
            world.sync_once(&[flag(&file)]);
            assert_eq!(world.files(), expected, "{layout}: {lines:?}");
            if layout == "link" {
                assert_eq!(world.git(&["status", "--porcelain"]), "");
                let kept = world.git(&["rev-parse", "--git-path", "info/sparse-checkout"]);
                let kept = fs::read_to_string(world.tree().join(kept)).unwrap();
                assert_eq!(kept, fs::read_to_string(&file).unwrap());
            }
        }
    }
}

#[test]
fn a_sparse_checkout_follows_the_ref() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        six_files(&world);
        let file = patterns(&world, &["/d/"]);
        let _running = world
            .syncer()
            .flag("sparse-checkout-file", &file)
            .start(&world.path("log"));
        eventually("the first commit is published", || world.read("d/a"));
        let second = world
            .repo
            .commit()
            .write("d/a", "2")
            .write("d/new", "2")
            .write("new", "2")
            .push();
        world.eventually_published(&second);
        assert_eq!(world.files(), ["d/a", "d/b", "d/new"], "{layout}");
        assert_eq!(world.read("d/a").as_deref(), Some("2"));
    }
}

#[test]
fn other_patterns_at_the_same_commit_are_another_tree() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        six_files(&world);
        world.sync_once(&[]);
        assert_eq!(world.files().len(), 6);
        let file = patterns(&world, &["/d/"]);
        let running = world
            .syncer()
            .flag("sparse-checkout-file", &file)
            .start(&world.path("log"));
        eventually("the patterns count", || {
            (world.files() == ["d/a", "d/b"]).then_some(())
        });
        // The file itself changes, as a ConfigMap's does.
        patterns(&world, &["/e/"]);
        eventually("the new patterns count", || {
            (world.files() == ["e/f/a", "e/f/b"]).then_some(())
        });
        drop(running);
        world.sync_once(&[]);
        assert_eq!(world.files().len(), 6, "{layout}");
    }
}

#[test]
fn inline_patterns_equal_a_file_of_patterns() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        six_files(&world);
        let text = "!/*\n!/*/\na\n";
        world.sync_once(&[("sparse-checkout", text)]);
        assert_eq!(world.files(), ["a", "d/a", "e/f/a"], "{layout}");
        let inode = || fs::metadata(world.tree()).unwrap().ino();
        let before = inode();
        let file = patterns(&world, &["!/*", "!/*/", "a"]);
        world.sync_once(&[flag(&file)]);
        assert_eq!(inode(), before, "{layout}: made again");
        world.sync_once(&[("sparse-checkout", "/d/\n/e/f/b")]);
        assert_eq!(world.files(), ["d/a", "d/b", "e/f/b"], "{layout}");
        // An empty value means none, as of an unset variable.
        world.sync_once(&[("sparse-checkout", "")]);
        assert_eq!(world.files().len(), 6, "{layout}");
    }
}

#[test]
fn a_sparse_tree_is_verified_after_a_reboot_or_repaired_from_local_objects() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        six_files(&world);
        let file = patterns(&world, &["/d/"]);
        world.sync_once(&[flag(&file)]);
        let inode = || fs::metadata(world.tree()).unwrap().ino();
        let before = inode();
        world.reboot();
        world.sync_once(&[flag(&file)]);
        assert_eq!(inode(), before, "{layout}: made again");
        for damage in [
            |tree: &Path| fs::write(tree.join("d/a"), "x"),
            |tree: &Path| fs::remove_file(tree.join("d/a")),
        ] {
            damage(&world.tree()).unwrap();
            world.reboot();
            world.sync_once(&[flag(&file)]);
            assert_eq!(world.read("d/a").as_deref(), Some("d/a"), "{layout}");
            assert_eq!(world.files(), ["d/a", "d/b"], "{layout}");
        }
    }
}

#[test]
fn a_missing_file_of_patterns_is_named() {
    let world = World::new("link");
    six_files(&world);
    let run = world
        .syncer()
        .flag("sparse-checkout-file", world.path("nowhere"))
        .flag("max-failures", "0")
        .finish();
    run.assert_code(1);
    run.assert_last_error("nowhere (--sparse-checkout-file)");
    assert_eq!(world.published(), None);
}

/// Lets clients omit objects, as the large hosts do.
fn allow_filters(world: &World) {
    for key in ["uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"] {
        world.repo.run(&["config", key, "true"]);
    }
}

/// Counts the objects that a commit names and that are missing locally.
fn missing_objects(world: &World) -> usize {
    let git_dir = match world.layout {
        "link" => world.root().join(".git"),
        _ => world.state().join("repo"),
    };
    let listed = remotes::git()
        .env("GIT_DIR", git_dir)
        .args(["rev-list", "--objects", "--missing=print"])
        .arg(world.published().unwrap())
        .output()
        .unwrap();
    assert!(listed.status.success(), "{listed:?}");
    let listed = String::from_utf8(listed.stdout).unwrap();
    listed.lines().filter(|line| line.starts_with('?')).count()
}

#[test]
fn a_filter_omits_unused_objects() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        allow_filters(&world);
        six_files(&world);
        let file = patterns(&world, &["/d/"]);
        let _running = world
            .syncer()
            .flag("filter", "blob:none")
            .flag("sparse-checkout-file", &file)
            .start(&world.path("log"));
        eventually("the first commit is published", || world.read("d/a"));
        assert_eq!(world.files(), ["d/a", "d/b"]);
        assert_eq!(missing_objects(&world), 4, "{layout}");
        let second = world
            .repo
            .commit()
            .write("d/a", "2")
            .write("new", "3")
            .push();
        world.eventually_published(&second);
        assert_eq!(world.read("d/a").as_deref(), Some("2"));
        assert_eq!(missing_objects(&world), 5, "{layout}");
        if layout == "link" {
            let common = world.git(&["rev-parse", "--path-format=absolute", "--git-common-dir"]);
            let packs = fs::read_dir(Path::new(&common).join("objects/pack")).unwrap();
            let is_promised = |name: &str| name.ends_with(".promisor");
            let promised = packs
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| is_promised(name));
            assert_ne!(promised.count(), 0, "no pack is a promisor's");
        }
    }
}

#[test]
fn objects_omitted_by_a_filter_are_fetched_with_the_syncers_credentials() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        allow_filters(&world);
        six_files(&world);
        let server = HttpServer::start(world.repo.path().parent().unwrap());
        let me = BasicAuth::Password("me".into(), "correct-horse".into());
        server.require(Some(me));
        let secret = world.path("secret");
        fs::create_dir(&secret).unwrap();
        fs::write(secret.join("username"), "me").unwrap();
        fs::write(secret.join("password"), "correct-horse").unwrap();
        let _running = world
            .syncer_of(&server.url("site.git"))
            .flag("secret-dir", &secret)
            .flag("filter", "blob:none")
            .start(&world.path("log"));
        eventually("the first commit is published", || world.read("d/a"));
        assert_eq!(world.files().len(), 6, "{layout}");
        let second = world.repo.commit().write("a", "2").push();
        world.eventually_published(&second);
        assert_eq!(world.read("a").as_deref(), Some("2"), "{layout}");
    }
}

#[test]
fn a_filter_without_patterns_publishes_all_files_also_after_a_restart() {
    for layout in SWITCHED {
        let world = World::new(layout);
        allow_filters(&world);
        six_files(&world);
        world.sync_once(&[("filter", "blob:none")]);
        assert_eq!(world.files().len(), 6);
        let second = world.repo.commit().write("a", "2").push();
        world.sync_once(&[("filter", "blob:none")]);
        assert_eq!(world.published(), Some(second));
        assert_eq!(world.read("a").as_deref(), Some("2"));
        // Without the filter again: git fetches missing objects when it needs them.
        let third = world.repo.commit().write("b", "3").push();
        world.sync_once(&[("depth", "0")]);
        assert_eq!(world.published(), Some(third));
        assert_eq!(world.files().len(), 6, "{layout}");
    }
}

#[test]
fn the_depth_changes_with_the_flag_down_and_up_again() {
    let world = World::new("link");
    for n in 0..4 {
        world.repo.commit().write("a", n.to_string()).push();
    }
    for (depth, expected) in [("1", "1"), ("2", "2"), ("1", "1"), ("0", "4"), ("3", "3")] {
        world.sync_once(&[("depth", depth)]);
        let count = world.git(&["rev-list", "--count", "HEAD"]);
        assert_eq!(count, expected, "--depth={depth}");
    }
}

#[test]
fn the_depth_stays_as_the_ref_moves() {
    for (depth, expected) in [("1", "1"), ("2", "2"), ("0", "7")] {
        let world = World::new("link");
        for n in 0..3 {
            world.repo.commit().write("a", n.to_string()).push();
        }
        let _running = world
            .syncer()
            .flag("depth", depth)
            .start(&world.path("log"));
        for n in 3..7 {
            let commit = world.repo.commit().write("a", n.to_string()).push();
            world.eventually_published(&commit);
        }
        assert_eq!(world.git(&["rev-list", "--count", "HEAD"]), expected);
    }
}

#[test]
fn a_branch_may_be_changed_for_another_one() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let base = world.repo.commit().write("a", "main").push();
        let other = world
            .repo
            .commit()
            .on("other")
            .from(&base)
            .write("a", "other")
            .push();
        for _ in 0..2 {
            world.sync_once(&[("ref", "other")]);
            assert_eq!(world.published(), Some(other.clone()), "{layout}");
            assert_eq!(world.read("a").as_deref(), Some("other"));
            world.sync_once(&[("ref", "main")]);
            assert_eq!(world.published(), Some(base.clone()), "{layout}");
        }
    }
}

#[test]
fn a_commit_may_be_named_that_no_branch_ends_in() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        world
            .repo
            .run(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
        let old = world.repo.commit().write("a", "1").push();
        let new = world.repo.commit().write("a", "2").push();
        world.sync_once(&[]);
        assert_eq!(world.published(), Some(new.clone()));
        world.sync_once(&[("ref", &old)]);
        assert_eq!(world.published(), Some(old), "{layout}");
        assert_eq!(world.read("a").as_deref(), Some("1"));
        world.sync_once(&[("ref", &new)]);
        assert_eq!(world.published(), Some(new));
    }
}

#[test]
fn a_missing_commit_is_reported_and_nothing_is_published() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let run = world
        .syncer()
        .flag("ref", "0123456789012345678901234567890123456789")
        .flag("max-failures", "0")
        .finish();
    run.assert_code(1);
    run.assert_last_error("no such branch, tag or commit");
    assert_eq!(world.published(), None);
}

#[test]
fn the_default_branch_may_have_any_name_and_may_change() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        world.repo.set_head("feature/odd.name_1");
        let first = world
            .repo
            .commit()
            .on("feature/odd.name_1")
            .write("a", "1")
            .push();
        let _running = world.syncer().start(&world.path("log"));
        world.eventually_published(&first);
        let other = world.repo.commit().on("other").write("a", "2").push();
        world.repo.set_head("other");
        world.eventually_published(&other);
        assert_eq!(world.read("a").as_deref(), Some("2"), "{layout}");
    }
}

#[test]
fn a_file_in_the_root_that_is_named_like_the_commit_stays() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let first = world.repo.commit().write("a", "1").push();
        fs::create_dir_all(world.root()).unwrap();
        fs::write(world.root().join(&first), "precious").unwrap();
        let _running = world.syncer().start(&world.path("log"));
        world.eventually_published(&first);
        let second = world.repo.commit().write("a", "2").push();
        world.eventually_published(&second);
        let kept = fs::read_to_string(world.root().join(&first)).unwrap();
        assert_eq!(kept, "precious", "{layout}");
    }
}

#[test]
fn going_back_to_a_kept_tree_needs_no_second_checkout() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let first = world.repo.commit().write("a", "1").push();
        let second = world.repo.commit().write("a", "2").push();
        world.repo.branch("main", &first);
        let _running = world
            .syncer()
            .flag("stale-worktree-timeout", "1h")
            .start(&world.path("log"));
        world.eventually_published(&first);
        let inode = fs::metadata(world.tree()).unwrap().ino();
        world.repo.branch("main", &second);
        world.eventually_published(&second);
        world.repo.branch("main", &first);
        world.eventually_published(&first);
        assert_eq!(fs::metadata(world.tree()).unwrap().ino(), inode, "{layout}");
        assert_eq!(world.read("a").as_deref(), Some("1"));
    }
}

#[test]
fn unexpected_content_is_logged_once_per_revision() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n";
        let first = world
            .repo
            .commit()
            .write(
                ".gitattributes",
                "*.bin filter=lfs\n*.key filter=git-crypt\n",
            )
            .write("a/one.bin", pointer)
            .write("two.bin", pointer)
            .write("my.key", b"\0GITCRYPT\0abc")
            .push();
        let running = world.syncer().start(&world.path("log"));
        world.eventually_published(&first);
        let lines = |words: &str| -> Vec<String> {
            let log = running.log();
            let found = log.lines().filter(|line| line.contains(words));
            found.map(str::to_owned).collect()
        };
        eventually("the encrypted file is counted", || {
            (lines("are encrypted").len() == 1).then_some(())
        });
        let found = lines("are Git LFS pointers");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("\"files\":2"), "{found:?}");
        assert!(lines("are encrypted")[0].contains("\"example\":\"my.key\""));
        let second = world.repo.commit().write("b", "2").push();
        world.eventually_published(&second);
        eventually("they are counted again", || {
            (lines("are Git LFS pointers").len() == 2).then_some(())
        });
        drop(running);
        let run = world
            .syncer()
            .flag("one-time", "true")
            .flag("sparse-checkout", "/nothing/")
            .finish();
        run.assert_code(0);
        let words = "no file of this revision was checked out";
        assert_eq!(run.log.matches(words).count(), 1, "{}", run.log);
    }
}
