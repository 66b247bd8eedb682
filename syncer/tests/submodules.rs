//! Submodules, by the values of `--submodules`, in both layouts.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use remotes::HttpServer;
use remotes::Repo;

use crate::world::LAYOUTS;
use crate::world::SWITCHED;
use crate::world::World;
use crate::world::eventually;

/// A repository with a nested submodule, over HTTP, since git does not trust file addresses of
/// submodules by default.
pub(crate) struct Family {
    pub(crate) world: World,
    pub(crate) server: HttpServer,
    pub(crate) child: Repo,
    pub(crate) grandchild: Repo,
}

impl Family {
    pub(crate) fn new(layout: &'static str) -> Self {
        let world = World::new(layout);
        let server = HttpServer::start(&world.path(""));
        let child = Repo::in_dir(&world.path(""), "child.git");
        let grandchild = Repo::in_dir(&world.path(""), "grandchild.git");
        let family = Self {
            world,
            server,
            child,
            grandchild,
        };
        let deep = family.grandchild.commit().write("deep", "1").push();
        let child = family
            .child
            .commit()
            .write("file", "1")
            .write(".gitmodules", family.list("inner", "grandchild.git"))
            .submodule("inner", &deep)
            .push();
        family
            .world
            .repo
            .commit()
            .write("top", "1")
            .write(".gitmodules", family.list("a dir/sub", "child.git"))
            .submodule("a dir/sub", &child)
            .push();
        family
    }

    pub(crate) fn list(&self, path: &str, repo: &str) -> String {
        list(path, &self.server.url(repo))
    }

    fn sync_once(&self, flags: &[(&str, &str)]) {
        let url = self.server.url("site.git");
        let flags = [&[("repo", url.as_str())], flags].concat();
        self.world.sync_once(&flags);
    }
}

fn list(path: &str, url: &str) -> String {
    format!("[submodule \"{path}\"]\n\tpath = {path}\n\turl = {url}\n")
}

/// Asserts that a consumer's git finds all submodules in the published tree, at their commits.
#[track_caller]
pub(crate) fn assert_gits_view(world: &World, submodules: usize) {
    match world.layout {
        "link" => {
            let status = world.git(&["submodule", "status", "--recursive"]);
            let lines: Vec<&str> = status.lines().collect();
            assert_eq!(lines.len(), submodules, "{status}");
            assert!(lines.iter().all(|line| line.starts_with(' ')), "{status}");
            assert_eq!(world.git(&["status", "--porcelain"]), "");
        }
        _ => assert_no_git(&world.tree().canonicalize().unwrap()),
    }
}

fn assert_no_git(dir: &Path) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        assert!(!path.ends_with(".git"), "{}", path.display());
        if path.is_dir() {
            assert_no_git(&path);
        }
    }
}

const ALL: [&str; 5] = [
    ".gitmodules",
    "a dir/sub/.gitmodules",
    "a dir/sub/file",
    "a dir/sub/inner/deep",
    "top",
];

#[test]
fn submodules_come_with_theirs_by_default() {
    for layout in LAYOUTS {
        let family = Family::new(layout);
        family.sync_once(&[]);
        assert_eq!(family.world.files(), ALL, "{layout}");
        assert_gits_view(&family.world, 2);
    }
}

#[test]
fn shallow_checks_out_one_level_and_off_none() {
    for layout in LAYOUTS {
        let family = Family::new(layout);
        family.sync_once(&[("submodules", "shallow")]);
        let one_level = [
            ".gitmodules",
            "a dir/sub/.gitmodules",
            "a dir/sub/file",
            "top",
        ];
        assert_eq!(family.world.files(), one_level, "{layout}");
        // The same commit: the trees differ only by the flag.
        family.sync_once(&[("submodules", "off")]);
        assert_eq!(family.world.files(), [".gitmodules", "top"], "{layout}");
        if layout == "link" {
            assert_eq!(family.world.git(&["status", "--porcelain"]), "");
        }
        family.sync_once(&[]);
        assert_eq!(family.world.files(), ALL, "{layout}");
        assert_gits_view(&family.world, 2);
    }
}

#[test]
fn the_depth_is_passed_on() {
    for (depth, expected) in [("1", "1"), ("0", "2")] {
        let family = Family::new("link");
        let deep = family.grandchild.run(&["rev-parse", "main"]);
        let child = family
            .child
            .commit()
            .write("file", "2")
            .submodule("inner", &deep)
            .push();
        family
            .world
            .repo
            .commit()
            .submodule("a dir/sub", &child)
            .push();
        family.sync_once(&[("depth", depth)]);
        let count = |dir: &str| {
            family
                .world
                .git(&["-C", dir, "rev-list", "--count", "HEAD"])
        };
        assert_eq!(count("."), expected);
        assert_eq!(count("a dir/sub"), expected);
    }
}

#[test]
fn submodules_are_added_updated_moved_and_removed_with_their_commits() {
    for layout in LAYOUTS {
        let family = Family::new(layout);
        let world = &family.world;
        let second = Repo::in_dir(&world.path(""), "second.git");
        let in_second = second.commit().write("second", "1").push();
        let _running = world
            .syncer_of(&family.server.url("site.git"))
            .start(&world.path("log"));
        eventually("all is published", || world.read("a dir/sub/inner/deep"));

        let deep = family.grandchild.commit().write("deep", "2").push();
        let child = family
            .child
            .commit()
            .write("file", "2")
            .submodule("inner", &deep)
            .push();
        let one = family.list("a dir/sub", "child.git");
        let two = family.list("second", "second.git");
        let commit = world
            .repo
            .commit()
            .write(".gitmodules", format!("{one}{two}"))
            .submodule("a dir/sub", &child)
            .submodule("second", &in_second)
            .push();
        world.eventually_published(&commit);
        assert_eq!(world.read("a dir/sub/file").as_deref(), Some("2"));
        assert_eq!(world.read("a dir/sub/inner/deep").as_deref(), Some("2"));
        assert_eq!(world.read("second/second").as_deref(), Some("1"));
        assert_gits_view(world, 3);

        // The nested one is removed, and the other is another repository under the same name.
        let child = family
            .child
            .commit()
            .remove("inner")
            .remove(".gitmodules")
            .push();
        let other = Repo::in_dir(&world.path(""), "other.git");
        let in_other = other.commit().write("other", "1").push();
        let commit = world
            .repo
            .commit()
            .write(
                ".gitmodules",
                format!("{one}{}", family.list("second", "other.git")),
            )
            .submodule("a dir/sub", &child)
            .submodule("second", &in_other)
            .push();
        world.eventually_published(&commit);
        assert_eq!(world.read("a dir/sub/inner/deep"), None);
        assert_eq!(world.read("second/second"), None);
        assert_eq!(world.read("second/other").as_deref(), Some("1"));
        assert_gits_view(world, 2);

        let commit = world
            .repo
            .commit()
            .remove("a dir")
            .remove("second")
            .remove(".gitmodules")
            .push();
        world.eventually_published(&commit);
        assert_eq!(world.files(), ["top"], "{layout}");
        assert_gits_view(world, 0);
    }
}

#[test]
fn relative_addresses_begin_at_the_repositorys_own() {
    for layout in LAYOUTS {
        let family = Family::new(layout);
        let child = family
            .child
            .commit()
            .remove("inner")
            .write(".gitmodules", "")
            .push();
        family
            .world
            .repo
            .commit()
            .write(".gitmodules", list("a dir/sub", "../child.git"))
            .submodule("a dir/sub", &child)
            .push();
        family.sync_once(&[]);
        assert_eq!(family.world.read("a dir/sub/file").as_deref(), Some("1"));
        assert_gits_view(&family.world, 1);
    }
}

#[test]
fn an_unreachable_submodule_keeps_the_last_revision_published() {
    for layout in LAYOUTS {
        let family = Family::new(layout);
        let world = &family.world;
        let running = world
            .syncer_of(&family.server.url("site.git"))
            .start(&world.path("log"));
        eventually("all is published", || world.read("a dir/sub/inner/deep"));
        let first = world.published();
        let child = family.child.commit().write("file", "2").push();
        let later = world.path("later");
        fs::rename(family.child.path(), &later).unwrap();
        let second = world.repo.commit().submodule("a dir/sub", &child);
        let second = second.write("top", "2").push();
        running.eventually_logs("child.git");
        assert_eq!(world.published(), first, "{layout}");
        assert_eq!(world.files(), ALL);
        fs::rename(&later, family.child.path()).unwrap();
        world.eventually_published(&second);
        assert_eq!(world.files(), ALL);
        assert_gits_view(world, 2);
    }
}

#[test]
fn a_damaged_submodule_is_noticed_after_a_reboot_and_repaired_without_the_remote() {
    for layout in LAYOUTS {
        let mut family = Family::new(layout);
        family.sync_once(&[]);
        let world = &family.world;
        fs::write(world.tree().join("a dir/sub/inner/deep"), "").unwrap();
        world.reboot();
        assert!(!world.probe().0, "{layout}: trusted without a look");
        family.server.stop();
        let _running = world
            .syncer_of(&family.server.url("site.git"))
            .start(&world.path("log"));
        eventually("the tree is whole again", || world.probe().0.then_some(()));
        assert_eq!(world.read("a dir/sub/inner/deep").as_deref(), Some("1"));
        assert_gits_view(world, 2);
    }
}

#[test]
fn undamaged_submodules_are_trusted_again_after_a_reboot() {
    for layout in LAYOUTS {
        let mut family = Family::new(layout);
        family.sync_once(&[]);
        let world = &family.world;
        let before = world.tree().canonicalize().unwrap();
        let inode = fs::metadata(&before).unwrap();
        world.reboot();
        family.server.stop();
        let _running = world
            .syncer_of(&family.server.url("site.git"))
            .start(&world.path("log"));
        eventually("the tree is trusted", || world.probe().0.then_some(()));
        assert_eq!(world.tree().canonicalize().unwrap(), before, "{layout}");
        let after = fs::metadata(&before).unwrap();
        assert_eq!(after.ino(), inode.ino(), "{layout}: made again");
    }
}

#[test]
fn a_repair_that_waits_for_a_submodules_host_leaves_time_for_the_fetch() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let server = HttpServer::start(&world.path(""));
        let child = Repo::in_dir(&world.path(""), "child.git");
        let inner = child.commit().write("file", "1").push();
        let list = list("sub", &server.url("child.git"));
        let first = world.repo.commit().write(".gitmodules", list);
        first.submodule("sub", &inner).push();
        world.sync_once(&[]);
        fs::remove_dir_all(world.tree().canonicalize().unwrap()).unwrap();
        for modules in world.find("modules") {
            fs::remove_dir_all(modules).unwrap();
        }
        server.hang(true);
        let next = world.repo.commit().remove("sub").remove(".gitmodules");
        let next = next.write("a", "2").push();
        let syncer = world.syncer().flag("sync-timeout", "3s");
        let _running = syncer.start(&world.path("log"));
        world.eventually_published(&next);
    }
}

#[test]
fn a_submodule_that_is_not_to_be_updated_is_no_damage() {
    for layout in LAYOUTS {
        for (in_list, flags) in [
            ("\tupdate = none\n", &[][..]),
            ("", &[("git-config", "submodule.left.update:none")][..]),
        ] {
            let family = Family::new(layout);
            let world = &family.world;
            let deep = family.grandchild.run(&["rev-parse", "main"]);
            let lists = family.list("kept", "grandchild.git")
                + &list("left", &family.server.url("grandchild.git"))
                + in_list;
            let commit = world.repo.commit().write(".gitmodules", lists);
            let commit = commit.remove("a dir").submodule("kept", &deep);
            commit.submodule("left", &deep).push();
            family.sync_once(flags);
            assert_eq!(world.read("kept/deep").as_deref(), Some("1"));
            assert_eq!(world.read("left/deep"), None);
            world.reboot();
            let syncer = world.syncer_of(&family.server.url("site.git"));
            let with = |syncer: crate::world::Syncer, (name, value): &(&str, &str)| {
                syncer.flag(name, value)
            };
            let syncer = flags.iter().fold(syncer, with);
            let running = syncer.start(&world.path("log"));
            eventually("the tree is trusted", || world.probe().0.then_some(()));
            running.assert_not_logged("damaged");
        }
    }
}

#[test]
fn submodules_at_file_addresses_require_the_users_configuration() {
    for layout in SWITCHED {
        let world = World::new(layout);
        let child = Repo::in_dir(&world.path(""), "child.git");
        let commit = child.commit().write("file", "1").push();
        let first = world.repo.commit().write("top", "1").push();
        world.sync_once(&[]);
        world
            .repo
            .commit()
            .write(".gitmodules", list("sub", &child.url()))
            .submodule("sub", &commit)
            .push();
        let run = world
            .syncer()
            .flag("one-time", "true")
            .flag("max-failures", "0")
            .finish();
        run.assert_code(1);
        run.assert_last_error("set --git-config=protocol.file.allow:always");
        assert_eq!(world.published(), Some(first), "{layout}");
        world.sync_once(&[("git-config", "protocol.file.allow:always")]);
        assert_eq!(world.read("sub/file").as_deref(), Some("1"), "{layout}");
        assert_gits_view(&world, 1);
    }
}

#[test]
fn a_token_in_a_submodules_address_is_never_shown() {
    let world = World::new("link");
    let first = world.repo.commit().write("a", "1").push();
    let running = world
        .syncer()
        .flag("http-bind", "127.0.0.1:0")
        .flag("error-file", world.path("error"))
        .flag("verbose", "6")
        .start(&world.path("log"));
    world.eventually_published(&first);
    // No server listens there.
    let list = "[submodule \"m\"]\n\tpath = m\n\turl = http://hunter2@127.0.0.1:1/m.git\n";
    world
        .repo
        .commit()
        .write(".gitmodules", list)
        .submodule("m", &first)
        .push();
    let error = eventually("the failure is logged", || {
        fs::read_to_string(world.path("error"))
            .ok()
            .filter(|error| error.contains("127.0.0.1:1"))
    });
    let status = crate::world::ask(running.port(), "GET", "/status").unwrap();
    let state = fs::read_to_string(world.state().join("status.json")).unwrap();
    for text in [error, status, state, running.log()] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}
