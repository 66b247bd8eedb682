//! The content of a publication, and updates when the ref moves.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::world::LAYOUTS;
use crate::world::SWITCHED;
use crate::world::World;
use crate::world::eventually;
use crate::world::sha256_commit;

#[test]
fn a_one_time_sync_publishes_the_remotes_head() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let commit = world
            .repo
            .commit()
            .write("index.html", "one")
            .write("d/e", "deep")
            .write_executable("run", "#!/bin/sh\n")
            .symlink("link", "index.html")
            .push();
        let run = world.syncer().flag("one-time", "true").finish();
        run.assert_code(0);
        assert_eq!(world.published(), Some(commit), "{layout}");
        assert_eq!(world.read("index.html").as_deref(), Some("one"));
        assert_eq!(world.read("d/e").as_deref(), Some("deep"));
        assert_eq!(world.read("link").as_deref(), Some("one"));
        assert_eq!(world.probe(), (true, String::new()));
    }
}

#[test]
fn the_link_layout_is_git_syncs_and_its_git_works() {
    let world = World::new("link");
    let commit = world.repo.commit().write("a", "1").push();
    world
        .syncer()
        .flag("one-time", "true")
        .finish()
        .assert_code(0);
    let target = fs::read_link(world.seen()).unwrap();
    assert_eq!(
        target.to_str(),
        Some(format!(".worktrees/{commit}").as_str())
    );
    let gitlink = fs::read_to_string(world.seen().join(".git")).unwrap();
    assert_eq!(gitlink, format!("gitdir: ../../.git/worktrees/{commit}\n"));
    let git = |args: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(world.seen())
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(git(&["rev-parse", "HEAD"]), commit);
    assert_eq!(git(&["status", "--porcelain"]), "");
    assert_eq!(git(&["rev-list", "--count", "HEAD"]), "1");
    assert_eq!(git(&["remote", "get-url", "origin"]), world.repo.url());
}

#[test]
fn the_link_may_be_deep_below_the_root_or_outside_it() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let outside = world.path("outside/here");
    for link in ["x/y/current".into(), outside.clone()] {
        let run = crate::world::Syncer::new()
            .flag("repo", world.repo.url())
            .flag("root", world.root())
            .flag("link", &link)
            .flag("one-time", "true")
            .finish();
        run.assert_code(0);
        let content = fs::read_to_string(world.root().join(&link).join("a"));
        assert_eq!(content.unwrap(), "1");
        assert!(
            fs::read_link(world.root().join(link))
                .unwrap()
                .is_relative()
        );
    }
}

#[test]
fn a_root_that_is_reached_through_a_symlink_is_published_in() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    fs::create_dir_all(world.path("real/deep/root")).unwrap();
    symlink(world.path("real/deep/root"), world.root()).unwrap();
    world
        .syncer()
        .flag("one-time", "true")
        .finish()
        .assert_code(0);
    assert_eq!(world.read("a").as_deref(), Some("1"));
}

#[test]
fn nothing_of_git_is_in_a_projected_root() {
    let world = World::new("projected");
    world
        .repo
        .commit()
        .write("a", "1")
        .write(".hidden", "2")
        .push();
    world
        .syncer()
        .flag("one-time", "true")
        .finish()
        .assert_code(0);
    assert_eq!(world.read(".hidden").as_deref(), Some("2"));
    let found = Command::new("find")
        .arg(world.root())
        .args(["-name", ".git*"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(found.stdout).unwrap(), "");
    assert_eq!(
        fs::read_link(world.root().join("a")).unwrap().to_str(),
        Some("..data/a")
    );
}

#[test]
fn a_ref_is_a_branch_a_tag_or_a_commit() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let first = world.repo.commit().write("a", "1").push();
        let second = world.repo.commit().write("a", "2").push();
        world.repo.branch("old", &first);
        world.repo.branch("deep/name", &second);
        world.repo.tag("v1", &first);
        world.repo.annotated_tag("v2", &second);
        for (rev, commit) in [
            ("main", &second),
            ("old", &first),
            ("deep/name", &second),
            ("refs/heads/old", &first),
            ("v1", &first),
            ("v2", &second),
            (first.as_str(), &first),
            ("HEAD", &second),
        ] {
            let run = world.syncer().flag("ref", rev).flag("one-time", "true");
            run.finish().assert_code(0);
            assert_eq!(world.published().as_ref(), Some(commit), "{layout} {rev}");
        }
    }
}

#[test]
fn a_moving_ref_is_followed_forward_and_back() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let first = world
            .repo
            .commit()
            .write("a", "1")
            .write("gone", "x")
            .push();
        let running = world.syncer().start(&world.path("log"));
        world.eventually_published(&first);
        let second = world
            .repo
            .commit()
            .write("a", "2")
            .write("new", "y")
            .remove("gone")
            .push();
        world.eventually_published(&second);
        assert_eq!(world.read("a").as_deref(), Some("2"));
        assert_eq!(world.read("new").as_deref(), Some("y"));
        eventually("a removed file is gone", || {
            (!world.seen().join("gone").is_symlink() && world.read("gone").is_none()).then_some(())
        });
        world.repo.branch("main", &first);
        world.eventually_published(&first);
        assert_eq!(world.read("gone").as_deref(), Some("x"));
        let log = running.log();
        let moved =
            format!("\"local\":\"{first}\",\"remote\":\"{second}\",\"why\":\"the ref has moved\"");
        assert!(log.contains(&moved), "{log}");
    }
}

#[test]
fn a_moving_annotated_tag_is_followed() {
    let world = World::new("projected");
    let first = world.repo.commit().write("a", "1").push();
    world.repo.annotated_tag("v", &first);
    let _running = world.syncer().flag("ref", "v").start(&world.path("log"));
    world.eventually_published(&first);
    let second = world.repo.commit().write("a", "2").push();
    world.repo.annotated_tag("v", &second);
    world.eventually_published(&second);
}

#[test]
fn a_published_full_hash_is_not_polled() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let commit = world.repo.commit().write("a", "1").push();
        let running = world
            .syncer()
            .flag("ref", &commit)
            .flag("verbose", "5")
            .start(&world.path("log"));
        world.eventually_published(&commit);
        let passes = || running.log().matches("next sync").count();
        eventually("some passes have been", || (passes() >= 5).then_some(()));
        assert_eq!(running.log().matches("git fetch").count(), 1);
        assert_eq!(running.terminate().code(), Some(0));
    }
}

#[test]
fn an_unchanged_pass_is_one_command() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        world.repo.commit().write("a", "1").push();
        let running = world
            .syncer()
            .flag("verbose", "5")
            .start(&world.path("log"));
        let passes = || running.log().matches("next sync").count();
        eventually("some passes have been", || (passes() >= 5).then_some(()));
        let log = running.log();
        let second = log.split("next sync").nth(2).unwrap();
        let commands: Vec<&str> = second
            .lines()
            .filter(|line| line.contains("\"cmd\""))
            .collect();
        assert!(
            matches!(commands[..], [fetch] if fetch.contains("git fetch")),
            "{commands:?}"
        );
    }
}

#[test]
fn the_depth_of_the_history_follows_the_flag() {
    let world = World::new("link");
    for n in 0..4 {
        world.repo.commit().write("a", n.to_string()).push();
    }
    let count = || {
        let output = Command::new("git")
            .arg("-C")
            .arg(world.seen())
            .args(["rev-list", "--count", "HEAD"])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    for (depth, expected) in [("1", "1"), ("2", "2"), ("0", "4")] {
        let run = world.syncer().flag("depth", depth).flag("one-time", "true");
        run.finish().assert_code(0);
        assert_eq!(count(), expected, "--depth={depth}");
    }
}

#[test]
fn an_old_tree_stays_for_its_grace_period() {
    for layout in SWITCHED {
        let world = World::new(layout);
        world.repo.commit().write("a", "1").push();
        let running = world
            .syncer()
            .flag("stale-worktree-timeout", "2s")
            .start(&world.path("log"));
        let first = eventually("something is published", || world.published());
        let old = world.tree().canonicalize().unwrap();
        let second = world.repo.commit().write("a", "2").push();
        world.eventually_published(&second);
        assert!(
            old.join("a").exists(),
            "{layout}: {first} went with its publication"
        );
        eventually("the old tree is removed", || (!old.exists()).then_some(()));
        assert_eq!(world.read("a").as_deref(), Some("2"));
        drop(running);
    }
}

#[test]
fn another_repository_on_the_same_root_replaces_it() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        world.repo.commit().write("a", "1").push();
        world
            .syncer()
            .flag("one-time", "true")
            .finish()
            .assert_code(0);
        let other = remotes::Repo::new();
        let commit = other.commit().write("b", "2").push();
        let run = world.syncer_of(&other.url()).flag("one-time", "true");
        run.finish().assert_code(0);
        assert_eq!(world.published(), Some(commit));
        assert_eq!(world.read("a"), None);
        assert_eq!(world.read("b").as_deref(), Some("2"));
    }
}

#[test]
fn an_empty_repository_a_missing_default_branch_and_a_missing_ref_have_sentences_of_their_own() {
    let world = World::new("link");
    let server = remotes::HttpServer::start(&world.path(""));
    let fails = |name: &str, sentence: &str| {
        for url in [world.repo.url(), server.url("site.git")] {
            let syncer = world.syncer_of(&url).flag("one-time", "true");
            let syncer = syncer.flag("ref", name).flag("max-failures", "0");
            let run = syncer.finish();
            run.assert_code(1);
            run.assert_last_error(sentence);
        }
    };
    fails("HEAD", "the repository is empty: it has no commit yet");
    fails("main", "the repository is empty: it has no commit yet");
    world.repo.commit().on("trunk").write("a", "1").push();
    fails(
        "HEAD",
        r#"the repository's default branch \"main\" does not exist"#,
    );
    fails("v1.0", r#"the repository has no branch or tag \"v1.0\""#);
    let hash = "0123456789012345678901234567890123456789";
    fails(hash, "the repository has no such branch, tag or commit");
}

#[test]
fn a_repository_with_sha256_names_is_followed_in_each_layout_and_by_each_kind_of_ref() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let dir = world.path("new");
        let server = remotes::HttpServer::start(&world.path(""));
        let first = sha256_commit(&dir, "1");
        assert_eq!(first.len(), 64);
        for url in [format!("file://{}", dir.display()), server.url("new/.git")] {
            let syncer = world.syncer_of(&url).flag("max-failures", "0");
            let running = syncer.start(&world.path("log"));
            let here = world.repo.path().with_file_name("new");
            let next = sha256_commit(&here, &url);
            world.eventually_published(&next);
            let last = sha256_commit(&here, &format!("{url} again"));
            world.eventually_published(&last);
            running.assert_not_logged("failCount");
            drop(running);
            let pinned = world.syncer_of(&url).flag("ref", &last);
            pinned.flag("one-time", "true").finish().assert_code(0);
            assert_eq!(world.published(), Some(last), "{layout}");
            world.reboot();
            let again = world.syncer_of(&url).flag("one-time", "true").finish();
            again.assert_code(0);
            assert!(!again.log.contains("damaged"), "{}", again.log);
            assert!(!again.log.contains("creating a new one"), "{}", again.log);
        }
        let empty = world.path("empty");
        let pinned = world
            .syncer()
            .flag("repo", format!("file://{}", dir.display()));
        let pinned = pinned.flag("ref", world.published().unwrap());
        let pinned = pinned
            .flag("root", &empty)
            .flag("state", world.path("state of it"));
        let run = pinned
            .flag("one-time", "true")
            .flag("max-failures", "0")
            .finish();
        // Without a retry: git takes a longer hash for the name of a branch.
        run.assert_code(0);
        // The address now has another repository, with SHA-1 hashes.
        let commit = world.repo.commit().write("b", "2").push();
        world.sync_once(&[]);
        assert_eq!(world.published(), Some(commit), "{layout}");
    }
}
