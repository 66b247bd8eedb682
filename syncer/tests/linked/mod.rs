//! Linked trees (`--link-trees`): a new tree shares the unchanged files of the previous one.

mod clones;
mod crashes;
mod differential;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use crate::world::Running;
use crate::world::SWITCHED;
use crate::world::World;
use crate::world::eventually;
use crate::world::git;

/// Enough unchanged files that links pay.
fn commit_many(world: &World) -> String {
    let mut commit = world.repo.commit().write("changed", "1");
    for n in 0..8 {
        commit = commit.write(&format!("d{n}/same"), format!("same {n}\n"));
    }
    commit.push()
}

/// A syncer with linked trees that keeps the old ones.
fn start(world: &World, flags: &[(&str, &str)]) -> Running {
    let syncer = world
        .syncer()
        .flag("link-trees", "true")
        // Submodules are local directories.
        .flag("git-config-add", "protocol.file.allow:always")
        .flag("verbose", "2")
        .flag("stale-worktree-timeout", "1h")
        .flag("period", "10ms");
    let syncer = flags
        .iter()
        .fold(syncer, |syncer, (name, value)| syncer.flag(name, value));
    syncer.start(&world.path("log"))
}

/// A world whose first commit is published, and the syncer that follows it.
fn follow(layout: &'static str, flags: &[(&str, &str)]) -> (World, Running) {
    let world = World::new(layout);
    let first = commit_many(&world);
    let running = start(&world, flags);
    world.eventually_published(&first);
    (world, running)
}

#[test]
fn an_index_that_is_not_the_previous_commits_changes_no_file() {
    for layout in SWITCHED {
        for change in ["--cacheinfo", "--force-remove"] {
            let (world, _running) = follow(layout, &[]);
            // A damaged index.
            let other = world.repo.run(&["rev-parse", "main:changed"]);
            let entry = match change {
                "--cacheinfo" => format!("100644,{other},d3/same"),
                _ => "d3/same".to_owned(),
            };
            let place = match layout {
                "link" => "worktrees",
                _ => "trees",
            };
            let is_index = |path: &PathBuf| {
                path.parent()
                    .is_some_and(|dir| dir.iter().any(|name| name == place))
            };
            let index = world.find("*index").into_iter().find(is_index);
            let git = Command::new("git")
                .arg("--git-dir")
                .arg(world.repo.path())
                .arg("--work-tree")
                .arg(world.path(""))
                .args(["update-index", change, &entry])
                .env("GIT_INDEX_FILE", index.expect("an index"))
                .status();
            assert!(git.unwrap().success());
            let commit = world.repo.commit().write("changed", "2").push();
            world.eventually_published(&commit);
            assert_eq!(world.read("d3/same").as_deref(), Some("same 3\n"));
            assert_eq!(world.read("changed").as_deref(), Some("2"));
        }
    }
}

fn inode(path: impl AsRef<Path>) -> u64 {
    let path = path.as_ref();
    let found = fs::symlink_metadata(path);
    found
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .ino()
}

#[test]
fn a_new_tree_shares_the_unchanged_files_and_has_its_own_changed_ones() {
    for layout in SWITCHED {
        let (world, _running) = follow(layout, &[]);
        let old = world.tree().canonicalize().unwrap();
        let second = world
            .repo
            .commit()
            .write("changed", "2")
            .write("new/file", "2")
            .remove("d0")
            .push();
        world.eventually_published(&second);
        let new = world.tree().canonicalize().unwrap();
        assert_ne!(old, new, "{layout}");
        assert_eq!(inode(old.join("d1/same")), inode(new.join("d1/same")));
        assert_ne!(inode(old.join("changed")), inode(new.join("changed")));
        assert_eq!(fs::read_to_string(old.join("changed")).unwrap(), "1");
        assert_eq!(world.read("changed").as_deref(), Some("2"));
        assert_eq!(world.read("new/file").as_deref(), Some("2"));
        assert!(old.join("d0/same").exists() && !new.join("d0").exists());
        // And so on from there.
        let third = world.repo.commit().write("changed", "3").push();
        world.eventually_published(&third);
        assert_eq!(
            inode(old.join("d1/same")),
            inode(world.tree().join("d1/same"))
        );
    }
}

#[test]
fn no_edit_of_a_published_file_is_carried_into_the_next_revision() {
    type Edit = (&'static str, fn(&Path));
    let edits: [Edit; 6] = [
        ("append", |file| {
            let text = fs::read_to_string(file).unwrap();
            fs::write(file, text + "more").unwrap();
        }),
        ("same size", |file| fs::write(file, "EDIT 1\n").unwrap()),
        ("chmod", |file| {
            fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
        }),
        ("replace", |file| {
            fs::remove_file(file).unwrap();
            symlink("/etc/passwd", file).unwrap();
        }),
        ("remove", |file| fs::remove_file(file).unwrap()),
        ("move the directory", |file| {
            let dir = file.parent().unwrap();
            fs::rename(dir, dir.with_extension("moved")).unwrap();
            symlink("d2", dir).unwrap();
        }),
    ];
    for layout in SWITCHED {
        for (name, edit) in edits {
            let (world, _running) = follow(layout, &[]);
            let old = world.tree().canonicalize().unwrap();
            let mode = fs::metadata(old.join("d2/same")).unwrap().mode();
            edit(&old.join("d1/same"));
            fs::write(old.join("d2/untracked"), "x").unwrap();
            let second = world.repo.commit().write("changed", "2").push();
            world.eventually_published(&second);
            let new = world.tree().canonicalize().unwrap();
            assert_ne!(old, new, "{layout}: {name}");
            let file = new.join("d1/same");
            assert_eq!(
                fs::read_to_string(&file).unwrap(),
                "same 1\n",
                "{layout}: {name}"
            );
            let found = fs::symlink_metadata(&file).unwrap();
            assert!(found.is_file(), "{layout}: {name}");
            assert_eq!(found.mode(), mode, "{layout}: {name}");
            assert!(!new.join("d2/untracked").exists() && !new.join("d1.moved").exists());
            assert_eq!(world.files().len(), 9, "{layout}: {name}");
        }
    }
}

#[test]
fn an_edited_old_tree_is_made_again_before_it_is_published_again() {
    for layout in SWITCHED {
        let (world, _running) = follow(layout, &[]);
        let first = world.published().unwrap();
        let old = world.tree().canonicalize().unwrap();
        let second = world.repo.commit().write("changed", "2").push();
        world.eventually_published(&second);
        world.repo.branch("main", &first);
        world.eventually_published(&first);
        assert_eq!(
            world.tree().canonicalize().unwrap(),
            old,
            "{layout}: it was not touched"
        );
        world.repo.branch("main", &second);
        world.eventually_published(&second);
        fs::remove_file(old.join("changed")).unwrap();
        fs::write(old.join("changed"), "edited").unwrap();
        world.repo.branch("main", &first);
        world.eventually_published(&first);
        assert_eq!(world.read("changed").as_deref(), Some("1"), "{layout}");
    }
}

#[test]
fn changed_attributes_apply_to_files_that_have_not_changed_themselves() {
    for layout in SWITCHED {
        let (world, _running) = follow(layout, &[]);
        let attributes = world
            .repo
            .commit()
            .write("d1/.gitattributes", "same text eol=crlf\n");
        let second = attributes.push();
        world.eventually_published(&second);
        assert_eq!(
            world.read("d1/same").as_deref(),
            Some("same 1\r\n"),
            "{layout}"
        );
        assert_eq!(
            world.read("d2/same").as_deref(),
            Some("same 2\n"),
            "{layout}"
        );
    }
}

#[test]
fn settings_that_convert_files_by_a_program_write_every_file() {
    for layout in SWITCHED {
        let filter = "filter.upper.smudge:tr a-z A-Z";
        let (world, _running) = follow(layout, &[("git-config", filter)]);
        let old = inode(world.tree().join("d1/same"));
        let second = world.repo.commit().write("changed", "2").push();
        world.eventually_published(&second);
        assert_ne!(inode(world.tree().join("d1/same")), old, "{layout}");
    }
}

#[test]
fn a_new_process_writes_every_file_once() {
    for layout in SWITCHED {
        let (world, running) = follow(layout, &[]);
        let old = inode(world.tree().join("d1/same"));
        running.kill();
        let second = world.repo.commit().write("changed", "2").push();
        let _running = start(&world, &[]);
        world.eventually_published(&second);
        let new = inode(world.tree().join("d1/same"));
        assert_ne!(new, old, "{layout}: another user or umask may have made it");
        let third = world.repo.commit().write("changed", "3").push();
        world.eventually_published(&third);
        assert_eq!(inode(world.tree().join("d1/same")), new, "{layout}");
    }
}

#[test]
fn a_selection_applies_to_linked_trees() {
    let everything = ["changed", "d1/same", "d2/same", "elsewhere"];
    for (flag, added, expected) in [
        (
            ("sparse-checkout", "/d1\n/d2\n/changed"),
            None,
            &everything[..3],
        ),
        (("subdir", "d1"), Some("elsewhere"), &everything[1..2]),
    ] {
        let world = World::new("projected");
        let first = commit_many(&world);
        let running = start(&world, &[flag]);
        // The link may lead into the tree.
        let published = |commit: &str| {
            let data = fs::read_link(world.root().join("..data")).unwrap_or_default();
            data.starts_with(format!("..{commit}")).then_some(())
        };
        eventually("the first commit is published", || published(&first));
        let top = |commit: &str| world.root().join(format!("..{commit}"));
        let commit = world.repo.commit().write("changed", "2");
        let second = match added {
            Some(path) => commit.write(path, "2").push(),
            None => commit.push(),
        };
        eventually("the second one is published", || published(&second));
        let [old, new] = [&first, &second].map(|commit| inode(top(commit).join("d1/same")));
        assert_eq!(old, new, "{flag:?}");
        let is_there = |path: &&&str| top(&second).join(path).exists();
        let found: Vec<&str> = everything.iter().filter(is_there).copied().collect();
        assert_eq!(found, expected, "{flag:?}");
        // After a reboot the tree is compared with its commit: it is as patterns make it.
        running.kill();
        world.reboot();
        let again = start(&world, &[flag]);
        again.eventually_logs("update not required");
        again.assert_not_logged("update required");
    }
}

#[test]
fn submodules_are_written_for_each_revision_and_all_else_is_linked() {
    for layout in SWITCHED {
        let world = World::new(layout);
        let inner = remotes::Repo::in_dir(&world.path(""), "inner.git");
        let inside = inner.commit().write("file", "inner").push();
        commit_many(&world);
        let list = format!("[submodule \"s\"]\n\tpath = s\n\turl = {}\n", inner.url());
        let commit = world.repo.commit().write(".gitmodules", list);
        let first = commit.submodule("s", &inside).push();
        let _running = start(&world, &[]);
        world.eventually_published(&first);
        let old = inode(world.tree().join("d1/same"));
        let second = world.repo.commit().write("changed", "2").push();
        world.eventually_published(&second);
        assert_eq!(inode(world.tree().join("d1/same")), old, "{layout}");
        assert_eq!(world.read("s/file").as_deref(), Some("inner"), "{layout}");
        let third = world.repo.commit().remove("s").remove(".gitmodules").push();
        world.eventually_published(&third);
        assert!(!world.tree().join("s").exists(), "{layout}");
    }
}

#[test]
fn consumers_git_finds_a_linked_tree_clean() {
    let (world, _running) = follow("link", &[]);
    let old = world.tree().canonicalize().unwrap();
    let second = world.repo.commit().write("changed", "2").push();
    world.eventually_published(&second);
    let new = world.tree().canonicalize().unwrap();
    for tree in [old, new] {
        assert_eq!(git(&tree, &["diff-files", "--name-only"]), "");
        assert_eq!(git(&tree, &["status", "--porcelain"]), "");
    }
}

#[test]
fn without_the_flag_each_tree_has_its_own_files() {
    for layout in SWITCHED {
        let (world, _running) = follow(layout, &[("link-trees", "false")]);
        let old = inode(world.tree().join("d1/same"));
        let second = world.repo.commit().write("changed", "2").push();
        world.eventually_published(&second);
        assert_ne!(inode(world.tree().join("d1/same")), old, "{layout}");
    }
}
