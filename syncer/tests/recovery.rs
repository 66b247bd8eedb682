//! Recovery after crashes and changes by other programs: the pass that detects damage repairs it,
//! the published tree stays until then, and files that the syncer did not create stay untouched.

use std::fs;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use std::time::SystemTime;

use nix::sys::signal::Signal;
use remotes::BasicAuth;
use remotes::HttpServer;

use crate::world::LAYOUTS;
use crate::world::Running;
use crate::world::SWITCHED;
use crate::world::World;
use crate::world::eventually;
use crate::world::namespaces::run_with_own_mounts;

fn git_dir(world: &World) -> PathBuf {
    match world.layout {
        "link" => world.root().join(".git"),
        _ => world.state().join("repo"),
    }
}

/// Starts a syncer that ends at its first failure.
fn start_strict(world: &World) -> Running {
    let strict = world.syncer().flag("max-failures", "0");
    strict.start(&world.path("log"))
}

/// In one step, as git may be using it.
fn take_the_repository(world: &World) {
    fs::rename(git_dir(world), world.path("taken")).unwrap();
}

fn take_the_root(world: &World) {
    fs::rename(world.root(), world.path("taken-root")).unwrap();
}

fn find(dir: &Path, name: &str) -> Vec<PathBuf> {
    let find = Command::new("find").arg(dir).args(["-name", name]).output();
    let paths = String::from_utf8(find.unwrap().stdout).unwrap();
    paths.lines().map(PathBuf::from).collect()
}

#[test]
fn files_removed_while_the_syncer_runs_are_restored_without_a_failure() {
    type Act = fn(&World);
    let link: [(&str, Act); 7] = [
        ("the tree", |world| {
            fs::remove_dir_all(world.tree().canonicalize().unwrap()).unwrap();
        }),
        ("all trees", |world| {
            fs::remove_dir_all(world.root().join(".worktrees")).unwrap();
        }),
        ("the link", |world| fs::remove_file(world.tree()).unwrap()),
        ("the repository", take_the_repository),
        ("the root", take_the_root),
        ("the tree's git file", |world| {
            fs::remove_file(world.tree().join(".git")).unwrap();
        }),
        ("the tree's commit", |world| {
            world.git(&["reset", "--quiet", "--hard", "HEAD^"]);
        }),
    ];
    let projected: [(&str, Act); 5] = [
        ("the tree", |world| {
            fs::remove_dir_all(world.tree().canonicalize().unwrap()).unwrap();
        }),
        ("..data", |world| fs::remove_file(world.tree()).unwrap()),
        ("the root", take_the_root),
        ("an entry", |world| {
            fs::remove_file(world.root().join("a")).unwrap();
        }),
        ("the repository", take_the_repository),
    ];
    for (layout, acts) in [("link", &link[..]), ("projected", &projected[..])] {
        let world = World::new(layout);
        world.repo.commit().write("a", "0").push();
        let mut n = 1;
        world.repo.commit().write("a", "1").push();
        let mut running = world
            .syncer()
            .flag("max-failures", "0")
            .flag("depth", "2")
            .start(&world.path("log"));
        eventually("something is published", || world.read("a"));
        for (what, act) in acts {
            act(&world);
            let text = n.to_string();
            eventually(&format!("{layout}: {what} is back"), || {
                (world.read("a").as_deref() == Some(&text)).then_some(())
            });
            if layout == "link" {
                eventually(&format!("git works again after {what}"), || {
                    let output = remotes::git()
                        .arg("-C")
                        .arg(world.tree())
                        .args(["status", "--porcelain"])
                        .output()
                        .unwrap();
                    (output.status.success() && output.stdout.is_empty()).then_some(())
                });
            }
            n += 1;
            let next = world.repo.commit().write("a", n.to_string()).push();
            world.eventually_published(&next);
            assert!(!running.has_ended(), "{layout}: {what}");
        }
    }
}

#[test]
fn a_full_hash_is_fetched_again_when_its_repository_is_lost() {
    type Act = fn(&World);
    let acts: [(&str, Act); 3] = [
        ("the repository", take_the_repository),
        ("the repository and the tree", |world| {
            take_the_repository(world);
            fs::remove_dir_all(world.tree().canonicalize().unwrap()).unwrap();
        }),
        ("an object and the tree", |world| {
            damage_blobs(world);
            fs::remove_dir_all(world.tree().canonicalize().unwrap()).unwrap();
        }),
    ];
    for layout in LAYOUTS {
        for (what, act) in &acts {
            let world = World::new(layout);
            let commit = world
                .repo
                .commit()
                .write("a", "1")
                .write("b", "something longer, that is surely worth a blob")
                .push();
            let syncer = world.syncer().flag("ref", &commit).flag("verbose", "5");
            let running = syncer.start(&world.path("log"));
            eventually("it is pinned", || {
                let words = "no further sync needed";
                running.log().contains(words).then_some(())
            });
            act(&world);
            eventually(&format!("{layout}: {what} is fetched again"), || {
                (running.log().matches("\"git fetch").count() == 2).then_some(())
            });
            eventually(&format!("{layout}: it is pinned again"), || {
                let words = "no further sync needed";
                (running.log().matches(words).count() == 2).then_some(())
            });
            assert_eq!(world.published(), Some(commit));
            assert_eq!(world.files(), ["a", "b"], "{layout}: {what}");
            let log = running.log();
            assert!(!log.contains("failCount"), "{layout}: {what}: {log}");
        }
    }
}

#[test]
fn the_syncers_own_files_are_recreated() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let server = HttpServer::start(world.repo.path().parent().unwrap());
        let (user, password) = ("me".to_owned(), "secret".to_owned());
        server.require(Some(BasicAuth::Password(user, password)));
        let commit = world.repo.commit().write("a", "1").push();
        let running = world
            .syncer_of(&server.url("site.git"))
            .flag("username", "me")
            .env("GITSYNC_PASSWORD", "secret")
            .flag("max-failures", "0")
            .start(&world.path("log"));
        world.eventually_published(&commit);
        fs::rename(world.state(), world.path("away")).unwrap();
        let next = world.repo.commit().write("a", "2").push();
        world.eventually_published(&next);
        eventually("the probe is answered", || world.probe().0.then_some(()));
        drop(running);
    }
}

#[test]
fn locks_of_a_killed_git_command_are_removed_without_a_failure() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let first = world.repo.commit().write("a", "1").push();
        let mut running = start_strict(&world);
        world.eventually_published(&first);
        for (n, lock) in ["shallow.lock", "HEAD.lock", "refs/heads/git-sync.lock"]
            .into_iter()
            .enumerate()
        {
            fs::write(git_dir(&world).join(lock), "").unwrap();
            let next = world.repo.commit().write("a", format!("new {n}")).push();
            world.eventually_published(&next);
            assert!(!running.has_ended(), "{layout}: {lock}");
        }
    }
}

#[test]
fn leftovers_of_an_earlier_run_are_removed() {
    let world = World::new("link");
    let first = world.repo.commit().write("a", "1").push();
    world.sync_once(&[]);
    let elsewhere = world.path("elsewhere");
    symlink(".worktrees/x", world.root().join("tmp-link")).unwrap();
    symlink(".worktrees/x", world.root().join(".gitvolume-link-x")).unwrap();
    symlink(&elsewhere, world.root().join(".gitvolume-link-y")).unwrap();
    fs::create_dir_all(world.root().join(".worktrees/.new-x/half")).unwrap();
    let gone = "0123456789012345678901234567890123456789";
    fs::create_dir_all(git_dir(&world).join("worktrees").join(gone)).unwrap();
    fs::write(git_dir(&world).join("gc.pid"), "1 localhost").unwrap();
    let packs = git_dir(&world).join("objects/pack");
    fs::create_dir_all(&packs).unwrap();
    for name in ["pack-x.keep", ".tmp-12-pack-x.pack", "tmp_idx_x"] {
        fs::write(packs.join(name), "x").unwrap();
    }
    world.sync_once(&[]);
    assert_eq!(world.published(), Some(first));
    let mut left: Vec<String> = fs::read_dir(world.root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    let expected = [".git", ".gitvolume-link-y", ".worktrees", "current"];
    assert_eq!(left, expected, "a link to elsewhere is another's");
    for name in [".new-x", gone, "gc.pid", "*x.keep", ".tmp-12*", "tmp_idx*"] {
        assert!(find(&world.root(), name).is_empty(), "{name}");
    }
}

#[test]
fn half_a_tree_is_not_taken_for_one() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let first = world.repo.commit().write("a", "1").push();
        let half = match layout {
            "link" => world.root().join(".worktrees").join(&first),
            _ => world.root().join(format!("..{first}")),
        };
        for make in [
            |path: &Path| fs::create_dir_all(path.join("half")),
            |path: &Path| {
                fs::create_dir_all(path.parent().unwrap())?;
                fs::write(path, "not even a directory")
            },
        ] {
            make(&half).unwrap();
            world.sync_once(&[]);
            assert_eq!(world.published(), Some(first.clone()));
            assert_eq!(world.files(), ["a"], "{layout}");
            fs::remove_dir_all(world.root()).unwrap();
            fs::remove_dir_all(world.state()).unwrap();
        }
    }
}

#[test]
fn foreign_entries_among_the_trees_are_removed_by_the_pass() {
    let world = World::new("link");
    let first = world.repo.commit().write("a", "1").push();
    let mut running = start_strict(&world);
    world.eventually_published(&first);
    let trees = world.root().join(".worktrees");
    fs::write(trees.join("a file"), "x").unwrap();
    fs::create_dir_all(trees.join("a directory/deep")).unwrap();
    symlink("/nowhere", trees.join("a link")).unwrap();
    eventually("only the tree is left", || {
        (fs::read_dir(&trees).unwrap().count() == 1).then_some(())
    });
    assert!(trees.join(&first).is_dir());
    assert!(!running.has_ended());
}

/// Overwrites the blob of a file of the published commit, in whichever form git stores it.
fn damage_blobs(world: &World) {
    let git_dir = git_dir(world);
    let mut damaged = 0;
    let packs = find(&git_dir.join("objects/pack"), "*.pack");
    for pack in packs {
        fs::set_permissions(&pack, fs::Permissions::from_mode(0o644)).unwrap();
        let mut bytes = fs::read(&pack).unwrap();
        // The last object before the checksum is a blob.
        let at = bytes.len() - 24;
        bytes[at] ^= 0xff;
        bytes[at - 1] ^= 0xff;
        fs::write(&pack, bytes).unwrap();
        damaged += 1;
    }
    let hash = world.repo.run(&[
        "rev-parse",
        &format!("{}:b", world.repo.run(&["rev-parse", "main"])),
    ]);
    let loose = git_dir.join("objects").join(&hash[..2]).join(&hash[2..]);
    if loose.exists() {
        fs::set_permissions(&loose, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&loose, "no object").unwrap();
        damaged += 1;
    }
    assert_ne!(damaged, 0);
}

#[test]
fn a_damaged_object_is_fetched_again() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let commit = world
            .repo
            .commit()
            .write("a", "1")
            .write("b", "something longer, that is surely worth a blob")
            .push();
        world.sync_once(&[]);
        damage_blobs(&world);
        fs::remove_dir_all(world.tree().canonicalize().unwrap()).unwrap();
        // The damage is detected when files are written from it.
        let _running = world.syncer().start(&world.path("log"));
        eventually("the tree is whole again", || world.read("b"));
        assert_eq!(world.published(), Some(commit));
        assert_eq!(world.files(), ["a", "b"], "{layout}");
    }
}

#[test]
fn missing_objects_are_fetched_again_while_the_tree_stays_published() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let commit = world.repo.commit().write("a", "1").push();
        world.sync_once(&[]);
        let objects = git_dir(&world).join("objects");
        fs::remove_dir_all(&objects).unwrap();
        fs::create_dir_all(objects.join("pack")).unwrap();
        let away = world.path("away.git");
        fs::rename(world.repo.path(), &away).unwrap();
        let running = world.syncer().start(&world.path("log"));
        eventually("the error is logged", || {
            running.log().contains("error syncing").then_some(())
        });
        assert_eq!(world.read("a").as_deref(), Some("1"), "{layout}");
        fs::rename(&away, world.repo.path()).unwrap();
        let next = world.repo.commit().write("a", "2").push();
        world.eventually_published(&next);
        assert_ne!(commit, next);
        assert!(find(&world.root(), ".gitvolume-aside*").is_empty());
    }
}

#[test]
fn a_foreign_repository_in_the_root_is_set_aside_complete() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    fs::create_dir_all(world.root()).unwrap();
    let git = world.root().join(".git");
    let kept = || {
        let aside = find(&world.root(), ".gitvolume-aside-*");
        let git: Vec<PathBuf> = aside.iter().map(|dir| dir.join(".git")).collect();
        for dir in aside {
            fs::rename(&dir, world.path(dir.file_name().unwrap().to_str().unwrap())).unwrap();
        }
        assert_eq!(git.len(), 1);
        let name = git[0].parent().unwrap().file_name().unwrap();
        world.path(name.to_str().unwrap()).join(".git")
    };

    fs::create_dir_all(git.join("objects")).unwrap();
    fs::write(git.join("HEAD"), "ref: refs/heads/mine\n").unwrap();
    fs::write(git.join("index.lock"), "precious").unwrap();
    world.sync_once(&[]);
    let aside = kept();
    let lock = fs::read_to_string(aside.join("index.lock")).unwrap();
    assert_eq!(lock, "precious");

    fs::remove_dir_all(&git).unwrap();
    fs::write(&git, "gitdir: /nowhere\n").unwrap();
    world.sync_once(&[]);
    let text = fs::read_to_string(kept()).unwrap();
    assert_eq!(text, "gitdir: /nowhere\n");

    fs::remove_dir_all(&git).unwrap();
    symlink("/nowhere", &git).unwrap();
    world.sync_once(&[]);
    assert_eq!(fs::read_link(kept()).unwrap(), Path::new("/nowhere"));
    assert_eq!(world.read("a").as_deref(), Some("1"));
}

#[test]
fn a_foreign_repository_keeps_its_worktrees() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let gone = "0123456789012345678901234567890123456789";
    let admin = world.root().join(".git/worktrees").join(gone);
    fs::create_dir_all(&admin).unwrap();
    fs::write(world.root().join(".git/HEAD"), "ref: refs/heads/mine\n").unwrap();
    fs::write(admin.join("HEAD"), "precious").unwrap();
    world.sync_once(&[]);
    let aside = find(&world.root(), ".gitvolume-aside-*");
    let kept = aside[0].join(".git/worktrees").join(gone).join("HEAD");
    assert_eq!(fs::read_to_string(kept).unwrap(), "precious");
}

#[test]
#[ignore = "needs root to become another user; make test-cluster runs it"]
fn a_published_revision_is_a_success_whatever_comes_after_it() {
    for layout in SWITCHED {
        let world = World::new(layout);
        world.repo.commit().write("a", "1").push();
        let kept = [("stale-worktree-timeout", "1h")];
        world.sync_once(&kept);
        // The record cannot be replaced, and the old tree belongs to another user.
        let old = world.tree().canonicalize().unwrap();
        for dir in [world.root(), world.state()] {
            let mut owner = Command::new("chown");
            let owner = owner.args(["-R", "1234:1234"]).arg(dir).status();
            assert!(owner.unwrap().success());
        }
        let owner = Command::new("chown").arg("0:0").arg(&old).status();
        assert!(owner.unwrap().success());
        fs::remove_file(world.state().join("status.json")).unwrap();
        fs::create_dir_all(world.state().join("status.json/full")).unwrap();
        fs::set_permissions(world.path(""), fs::Permissions::from_mode(0o755)).unwrap();
        let commit = world.repo.commit().write("a", "2").push();
        let user = ["setpriv", "--reuid=1234", "--regid=1234", "--clear-groups"];
        let syncer = world
            .syncer_under(&user)
            .flag("one-time", "true")
            .flag("max-failures", "0")
            .flag("stale-worktree-timeout", "1h");
        let run = syncer.finish();
        run.assert_code(0);
        assert_eq!(world.published(), Some(commit), "{layout}");
        assert!(
            run.log
                .contains("cannot write the state file for the startup probe")
        );
        assert!(
            run.log
                .contains("cannot update the modification time of the old tree")
        );
    }
}

#[test]
fn the_root_may_be_anywhere() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let commit = world.repo.commit().write("a", "1").push();
        // Inside another user's repository, by a path with dots, with directories to create.
        let outer = world.path("outer");
        let init = remotes::git().args(["init", "-q"]).arg(&outer).status();
        assert!(init.unwrap().success());
        fs::create_dir_all(outer.join("x/y")).unwrap();
        let root = outer.join("x/y/../../x/./new/root");
        world.sync_once(&[("root", root.to_str().unwrap())]);
        let tree = match layout {
            "link" => outer.join("x/new/root/current"),
            "files" => outer.join("x/new/root/tree"),
            _ => outer.join("x/new/root/..data"),
        };
        assert_eq!(fs::read_to_string(tree.join("a")).unwrap(), "1");
        if layout == "link" {
            let head = remotes::git()
                .arg("-C")
                .arg(&tree)
                .args(["rev-parse", "HEAD"])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(head.stdout).unwrap().trim(), commit);
        }
        let status = remotes::git()
            .arg("-C")
            .arg(&outer)
            .args(["rev-parse", "--verify", "-q", "HEAD"])
            .output();
        assert!(!status.unwrap().status.success(), "the outer one was used");
    }
}

#[test]
fn a_file_in_the_place_of_the_link_is_reported_and_stays() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    fs::create_dir_all(world.root()).unwrap();
    fs::write(world.seen(), "precious").unwrap();
    let run = world.syncer().flag("max-failures", "0").finish();
    run.assert_code(1);
    run.assert_last_error("current is in the way: it is not a symlink");
    assert_eq!(fs::read_to_string(world.seen()).unwrap(), "precious");
}

#[test]
fn a_link_to_another_target_is_replaced_and_the_target_stays() {
    let world = World::new("link");
    let commit = world.repo.commit().write("a", "1").push();
    fs::create_dir_all(world.root().join("mine")).unwrap();
    fs::write(world.root().join("mine/file"), "precious").unwrap();
    symlink("mine", world.seen()).unwrap();
    world.sync_once(&[]);
    assert_eq!(world.published(), Some(commit));
    let kept = fs::read_to_string(world.root().join("mine/file")).unwrap();
    assert_eq!(kept, "precious");
}

#[test]
fn old_trees_go_in_their_time_across_restarts_and_a_clock_that_was_set_back() {
    for layout in SWITCHED {
        let world = World::new(layout);
        world.repo.commit().write("a", "1").push();
        let kept = [("stale-worktree-timeout", "1h")];
        world.sync_once(&kept);
        let old = world.tree().canonicalize().unwrap();
        world.repo.commit().write("a", "2").push();
        world.sync_once(&kept);
        world.sync_once(&kept);
        assert!(old.is_dir(), "{layout}: gone before its time");
        let set = |time: SystemTime| fs::File::open(&old).unwrap().set_modified(time).unwrap();
        // Its modification time is far in the future.
        set(SystemTime::now() + Duration::from_secs(1_000_000_000));
        world.sync_once(&kept);
        assert!(old.is_dir(), "{layout}: gone before its time");
        let time = fs::metadata(&old).unwrap().modified().unwrap();
        assert!(
            time <= SystemTime::now(),
            "{layout}: would stay for decades"
        );
        set(SystemTime::now() - Duration::from_secs(3601));
        world.sync_once(&kept);
        assert!(!old.exists(), "{layout}: stays for ever");
    }
}

/// A file system of two megabytes, or a read-only one; unmounted at the end of the test.
struct Mount(PathBuf);

impl Mount {
    fn small(path: &Path) -> Self {
        fs::create_dir_all(path).unwrap();
        mount(&["-t", "tmpfs", "-o", "size=2m", "tmpfs"], path);
        Self(path.to_owned())
    }

    fn read_only(path: &Path) -> Self {
        mount(&["--bind", path.to_str().unwrap()], path);
        let mounted = Self(path.to_owned());
        mount(&["-o", "remount,bind,ro"], path);
        mounted
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let umount = Command::new("umount").arg("--lazy").arg(&self.0).status();
        assert!(umount.unwrap().success());
    }
}

#[track_caller]
fn mount(args: &[&str], path: &Path) {
    let mount = Command::new("mount").args(args).arg(path).status().unwrap();
    assert!(mount.success(), "mount {args:?}");
}

/// Writes to the end of a file until its volume is full.
fn fill(file: &Path) {
    let mut file = File::options()
        .append(true)
        .create(true)
        .open(file)
        .unwrap();
    let noise = noise(10_000, 3);
    while file.write_all(&noise).is_ok() {}
}

/// Bytes that cannot be compressed.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        u8::try_from(state >> 56).unwrap()
    };
    (0..len).map(|_| byte()).collect()
}

#[test]
fn a_full_volume_keeps_the_last_revision_and_continues_when_there_is_space() {
    run_with_own_mounts(|| {
        for layout in LAYOUTS {
            let world = World::new(layout);
            let _small = Mount::small(&world.root());
            // git's own files are on the volume as well, in either layout.
            let state = world.root().join("..state");
            let first = world.repo.commit().write("a", noise(100_000, 1)).push();
            let running = match layout {
                "link" => world.syncer(),
                _ => world.syncer().flag("state", world.path("state")),
            }
            .start(&world.path("log"));
            world.eventually_published(&first);
            assert!(!state.exists());
            // The pack may fit, but not together with its files.
            world.repo.commit().write("big", noise(2_500_000, 2)).push();
            eventually("the error is logged", || {
                running.log().contains("the volume is full").then_some(())
            });
            assert_eq!(world.published(), Some(first.clone()), "{layout}");
            assert_eq!(fs::read(world.tree().join("a")).unwrap(), noise(100_000, 1));
            // A smaller revision fits as soon as the unpublished fetch is removed.
            let third = world.repo.commit().remove("big").write("b", "3").push();
            world.eventually_published(&third);
            assert_eq!(world.files(), ["a", "b"], "{layout}");
            // Another program fills the volume, and frees the space again.
            let filler = world.root().join(if layout == "link" {
                "filler"
            } else {
                "..filler"
            });
            let told = running.log().matches("the volume is full").count();
            let mut latest = third;
            let mut seed = 4;
            eventually("the error is logged again", || {
                fill(&filler);
                // The space that the syncer frees meanwhile may be enough for a commit.
                if world.published().as_ref() == Some(&latest) {
                    seed += 1;
                    latest = world.repo.commit().write("c", noise(50_000, seed)).push();
                }
                (running.log().matches("the volume is full").count() > told).then_some(())
            });
            assert_ne!(world.published(), Some(latest.clone()), "{layout}");
            fs::remove_file(&filler).unwrap();
            world.eventually_published(&latest);
            assert_eq!(world.files(), ["a", "b", "c"], "{layout}");
        }
    });
}

#[test]
fn a_read_only_root_is_reported_and_its_revision_stays() {
    run_with_own_mounts(|| {
        for layout in LAYOUTS {
            let world = World::new(layout);
            fs::create_dir_all(world.root()).unwrap();
            let first = world.repo.commit().write("a", "1").push();
            {
                let _read_only = Mount::read_only(&world.root());
                let run = world.syncer().flag("max-failures", "0").finish();
                run.assert_code(1);
                run.assert_last_error("Read-only file system");
            }
            world.sync_once(&[]);
            let second = world.repo.commit().write("a", "2").push();
            let _running = {
                let _read_only = Mount::read_only(&world.root());
                let running = world.syncer().start(&world.path("log"));
                eventually("the error is logged", || {
                    running
                        .log()
                        .contains("Read-only file system")
                        .then_some(())
                });
                assert_eq!(world.published(), Some(first), "{layout}");
                running
            };
            world.eventually_published(&second);
        }
    });
}

/// The bytes of all files below a directory.
fn size(dir: &Path) -> u64 {
    let sizes = find(dir, "*").into_iter();
    sizes
        .filter_map(|path| fs::symlink_metadata(path).ok())
        .filter(fs::Metadata::is_file)
        .map(|found| found.len())
        .sum()
}

#[test]
fn many_moves_of_the_ref_do_not_fill_the_volume() {
    const FILE: usize = 2_000_000;
    // With `always`, less than this is not collected.
    const SMALL: usize = 10 << 20;
    for (layout, depth, gc, garbage) in [
        ("link", "1", "always", SMALL),
        ("link", "0", "always", SMALL),
        ("link", "1", "aggressive", 0),
        ("projected", "1", "always", SMALL),
        ("projected", "0", "aggressive", 0),
    ] {
        let world = World::new(layout);
        let base = world.repo.commit().write("base", "x").push();
        let _running = world
            .syncer()
            .flag("depth", depth)
            .flag("git-gc", gc)
            .start(&world.path("log"));
        let mut last = String::new();
        for n in 1..=10 {
            // Each force push replaces the previous commit.
            let commit = world.repo.commit().on("next").from(&base);
            last = commit.write("a", noise(FILE, n)).push();
            world.repo.branch("main", &last);
            world.eventually_published(&last);
        }
        let (root, state) = (world.root(), world.state());
        eventually(&format!("{layout}, {gc}: what is left is small"), || {
            let left = size(&root) + size(&state);
            (left < (4 * FILE + garbage) as u64).then_some(())
        });
        assert_eq!(world.published(), Some(last));
        assert_eq!(world.files(), ["a", "base"]);
    }
}

#[test]
fn unpublished_fetches_do_not_fill_the_volume() {
    const FILE: usize = 100_000;
    for layout in LAYOUTS {
        let world = World::new(layout);
        let first = world.repo.commit().write("a", "1").push();
        let running = world
            .syncer()
            .flag("sync-on-signal", "HUP")
            .start(&world.path("log"));
        world.eventually_published(&first);
        // A missing submodule: each commit is fetched, and none can be published.
        let server = HttpServer::start(&world.path(""));
        let list = format!(
            "[submodule \"x\"]\n\tpath = x\n\turl = {}\n",
            server.url("nowhere.git")
        );
        let lost = world.repo.commit().write(".gitmodules", list);
        lost.submodule("x", &first).push();
        for n in 1..=25 {
            let told = running.log().matches("error syncing").count();
            // Neighbouring odd and even seeds give the same noise.
            world.repo.commit().write("a", noise(FILE, 2 * n)).push();
            running.signal(Signal::SIGHUP);
            eventually("the error is logged", || {
                (running.log().matches("error syncing").count() > told).then_some(())
            });
        }
        let left = size(&git_dir(&world));
        assert!(left < 15 * FILE as u64, "{layout}: {left} bytes");
        assert_eq!(world.published(), Some(first.clone()), "{layout}");
    }
}

#[test]
fn gc_is_done_in_the_users_way() {
    for (mode, commands) in [
        // The garbage of two small commits is not worth a repack.
        ("always", &[][..]),
        ("aggressive", &["gc --quiet --aggressive"]),
        ("auto", &["gc --quiet --auto"]),
        ("off", &[]),
    ] {
        let world = World::new("link");
        let first = world.repo.commit().write("a", "1").push();
        let running = world
            .syncer()
            .flag("git-gc", mode)
            .flag("verbose", "5")
            .start(&world.path("log"));
        world.eventually_published(&first);
        let second = world.repo.commit().write("a", "2").push();
        world.eventually_published(&second);
        let third = world.repo.commit().write("a", "3").push();
        world.eventually_published(&third);
        let log = running.log();
        for command in ["repack", "gc --quiet --aggressive", "gc --quiet --auto"] {
            let is_run = log.contains(&format!("\"git {command}"));
            assert_eq!(is_run, commands.contains(&command), "{mode}: {command}");
        }
    }
}
