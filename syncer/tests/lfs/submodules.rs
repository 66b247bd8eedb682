//! Submodules: each has its own server, credentials and `.lfsconfig`, and all share one store.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nix::sys::signal::Signal;
use remotes::BasicAuth;
use remotes::HttpServer;
use remotes::Repo;

use crate::lfs::ATTRIBUTES;
use crate::lfs::Site;
use crate::lfs::content;
use crate::lfs::server::LfsServer;
use crate::lfs::server::Lie;
use crate::lfs::server::oid;
use crate::world::LAYOUTS;
use crate::world::Running;
use crate::world::SWITCHED;
use crate::world::Syncer;
use crate::world::eventually;

/// A repository with a submodule on its own server, in which is another one on another server.
pub(super) struct Family {
    pub(super) site: Site,
    pub(super) child: Repo,
    pub(super) inner: Repo,
    pub(super) other: LfsServer,
    other_git: HttpServer,
}

impl Family {
    pub(super) fn new(layout: &'static str) -> Self {
        let site = Site::new(layout);
        let dir = site.world.path("");
        let other_git = HttpServer::start(&dir);
        Self {
            child: Repo::in_dir(&dir, "child.git"),
            inner: Repo::in_dir(&dir, "inner.git"),
            other: LfsServer::start(Some(other_git.address())),
            other_git,
            site,
        }
    }

    pub(super) fn syncer(&self) -> Syncer {
        self.site.syncer()
    }

    fn start(&self) -> Running {
        self.syncer().start(&self.site.world.path("log"))
    }

    #[track_caller]
    fn sync_once(&self, flags: &[(&str, &str)]) {
        let once = self.syncer().flag("one-time", "true");
        let once = once.flag("max-failures", "0");
        let with = |syncer: Syncer, &(name, value): &(&str, &str)| syncer.flag(name, value);
        flags.iter().fold(once, with).finish().assert_code(0);
    }

    /// Commits a file of the inner submodule with this content.
    fn commit_inner(&self, content: &[u8]) -> String {
        let commit = self.inner.commit().write(".gitattributes", ATTRIBUTES);
        commit.write("deep.bin", self.other.add(content)).push()
    }

    /// Commits a file of the submodule with this content.
    fn commit_child(&self, content: &[u8], inner: &str) -> String {
        let commit = self.child.commit().write(".gitattributes", ATTRIBUTES);
        let commit = commit.write("a dir/model.bin", self.site.lfs.add(content));
        let list = list("inner", &self.other.url("/inner.git"));
        let commit = commit.write(".gitmodules", list);
        commit.submodule("inner", inner).push()
    }

    /// Commits the submodule.
    fn commit(&self, child: &str) -> String {
        let commit = self.site.world.repo.commit();
        let commit = commit.write(".gitmodules", list("lib/child", "../child.git"));
        commit.submodule("lib/child", child).push()
    }

    /// Commits all three with these contents.
    fn commit_all(&self, [child, inner]: [&[u8]; 2]) -> String {
        self.commit(&self.commit_child(child, &self.commit_inner(inner)))
    }

    fn read(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.site.world.seen().join(name)).ok()
    }

    /// The published contents of the two submodules.
    fn models(&self) -> [Option<Vec<u8>>; 2] {
        [CHILD, INNER].map(|name| self.read(name))
    }

    /// The number of requests at both servers.
    fn requests(&self) -> [usize; 2] {
        [&self.site.lfs, &self.other].map(|server| server.seen().len())
    }
}

const CHILD: &str = "lib/child/a dir/model.bin";
const INNER: &str = "lib/child/inner/deep.bin";

pub(super) fn list(path: &str, url: &str) -> String {
    format!("[submodule \"{path}\"]\n\tpath = {path}\n\turl = {url}\n")
}

fn models(child: &[u8], inner: &[u8]) -> [Option<Vec<u8>>; 2] {
    [child, inner].map(|content| Some(content.to_vec()))
}

/// The paths of the batch requests, each once.
fn asked(server: &LfsServer) -> Vec<String> {
    let seen = server.seen().into_iter();
    let batches = seen.filter(|request| request.is_batch());
    let mut lines: Vec<String> = batches.map(|request| request.line).collect();
    lines.sort();
    lines.dedup();
    lines
}

#[test]
fn each_submodules_content_comes_from_its_own_server_and_an_unchanged_one_costs_no_request() {
    for layout in LAYOUTS {
        let family = Family::new(layout);
        let world = &family.site.world;
        family.site.commit(b"own");
        let commit = family.commit_all([b"child", b"inner"]);
        let running = family.start();
        world.eventually_published(&commit);
        assert_eq!(family.models(), models(b"child", b"inner"), "{layout}");
        assert_eq!(family.site.model().as_deref(), Some(&b"own"[..]));
        let batch = |path: &str| format!("POST {path}/info/lfs/objects/batch HTTP/1.1");
        let own = ["/child.git", "/site.git"].map(batch);
        assert_eq!(asked(&family.site.lfs), own);
        assert_eq!(asked(&family.other), [batch("/inner.git")]);
        running.assert_logged("\"submodule\":\"lib/child/inner\"");
        for n in 0..2 {
            let before = family.requests();
            let commit = world.repo.commit().write("top", n.to_string()).push();
            world.eventually_published(&commit);
            assert_eq!(family.models(), models(b"child", b"inner"));
            assert_eq!(family.requests(), before, "{layout}");
        }
        // The content is known from the other submodule.
        let inner = family.commit_inner(b"changed");
        let commit = family.commit(&family.commit_child(b"inner", &inner));
        world.eventually_published(&commit);
        assert_eq!(family.models(), models(b"inner", b"changed"), "{layout}");
        assert_eq!(family.site.lfs.downloads().len(), 2);
        assert_eq!(family.other.downloads().len(), 2);
        for server in [&family.site.lfs, &family.other] {
            server.assert_protocol();
        }
        running.assert_not_logged("are Git LFS pointers");
        running.assert_not_logged("\"level\":\"error\"");
    }
}

#[test]
fn a_submodules_server_gets_the_credentials_of_its_own_address_only() {
    let family = Family::new("projected");
    let Family { site, other, .. } = &family;
    let password = |user: &str, word: &str| BasicAuth::Password(user.into(), word.into());
    site.git.require(Some(password("me", "hunter2")));
    site.lfs.require("me", "hunter2");
    let first = family.commit_all([b"child", b"inner"]);
    let syncer = || {
        let syncer = family.syncer().flag("username", "me");
        let syncer = syncer.env("GITSYNC_PASSWORD", "hunter2");
        syncer.flag("verbose", "9")
    };
    let running = syncer().start(&site.world.path("log"));
    site.world.eventually_published(&first);
    let seen = other.seen();
    assert!(
        seen.iter()
            .all(|seen| seen.header("authorization").is_none())
    );
    assert_eq!(seen.len(), 2);
    // Its server of Git LFS has a password, and its git has none.
    other.require("you", "swordfish");
    let second = family.commit_all([b"child", b"second"]);
    running.eventually_logs(&format!(
        "cannot request the Git LFS content of {INNER} from {}: the server answers 401 Unauthorized",
        other.url("")
    ));
    assert_eq!(site.world.published(), Some(first));
    running.assert_not_logged("hunter2");
    drop(running);
    family.other_git.require(Some(password("you", "swordfish")));
    let file = site.world.path("password");
    fs::write(&file, "swordfish\n").unwrap();
    let credential = serde_json::json!({
        "url": other.url(""), "username": "you", "password-file": file,
    });
    let syncer = syncer().flag("credential", credential.to_string());
    let running = syncer.start(&site.world.path("log"));
    site.world.eventually_published(&second);
    assert_eq!(family.models(), models(b"child", b"second"));
    let sent = |user: &str| format!("Basic {}", STANDARD.encode(user));
    for (server, expected) in [
        (&site.lfs, sent("me:hunter2")),
        (other, sent("you:swordfish")),
    ] {
        let seen = server.seen().into_iter();
        let sent = seen.filter_map(|seen| seen.header("authorization").map(str::to_owned));
        let mut sent: Vec<String> = sent.collect();
        sent.dedup();
        assert_eq!(sent, [expected]);
    }
    for secret in ["hunter2", "swordfish"] {
        running.assert_not_logged(secret);
    }
}

#[test]
fn hosts_other_than_a_submodules_own_must_be_allowed() {
    for layout in SWITCHED {
        let family = Family::new(layout);
        let world = &family.site.world;
        let first = world.repo.commit().write("top", "1").push();
        let once = |allowed: &str| {
            let once = family.syncer().flag("one-time", "true");
            let once = once.flag("max-failures", "0");
            once.flag("lfs-allowed-hosts", allowed).finish()
        };
        once("").assert_code(0);
        let foreign = "which is neither the repository's host nor in --lfs-allowed-hosts";
        // The address in the submodule's .lfsconfig.
        let third = LfsServer::start(None);
        let config = format!("[lfs]\n\turl = {}\n", third.url("/x/info/lfs"));
        let pointer = third.add(b"third");
        let child = family.child.commit().write(".gitattributes", ATTRIBUTES);
        let child = child.write(".lfsconfig", config).write("a.bin", pointer);
        let second = family.commit(&child.push());
        let refused = once("");
        refused.assert_code(1);
        refused.assert_last_error(&format!("the answer names {}, {foreign}", third.url("")));
        refused.assert_last_error("lib/child/a.bin");
        assert!(third.seen().is_empty());
        assert_eq!(world.published(), Some(first), "{layout}");
        once(&third.address().to_string()).assert_code(0);
        assert_eq!(world.published(), Some(second), "{layout}");
        assert_eq!(world.read("lib/child/a.bin").as_deref(), Some("third"));
        // The repository's server is not that of a submodule on another one.
        let own = &family.site.lfs;
        own.add(b"inner");
        family.other.lie(Lie::Href(own.url("")));
        let inner = family.commit_inner(b"inner");
        let list = list("inner", &family.other.url("/inner.git"));
        let commit = world.repo.commit().remove("lib").write(".gitmodules", list);
        let third = commit.submodule("inner", &inner).push();
        let refused = once("");
        refused.assert_last_error(&format!("the answer names {}, {foreign}", own.url("")));
        assert!(own.downloads().is_empty());
        once(&own.address().to_string()).assert_code(0);
        assert_eq!(world.published(), Some(third), "{layout}");
    }
}

#[test]
fn a_submodule_without_a_server_is_named() {
    let family = Family::new("projected");
    let inner = family.commit_inner(b"inner");
    let list = list("lib/x", &family.inner.url());
    let commit = family.site.world.repo.commit().write(".gitmodules", list);
    let commit = commit.submodule("lib/x", &inner).push();
    let syncer = || {
        let syncer = family.syncer();
        syncer.flag("git-config-add", "protocol.file.allow:always")
    };
    let running = syncer().start(&family.site.world.path("log"));
    running.eventually_logs(
        "cannot find the Git LFS server of the submodule lib/x: the repository's address has no \
         Git LFS server",
    );
    drop(running);
    // git fetches from the rewritten address, and so does the syncer.
    let rewritten = format!(
        "\"url.{}.insteadOf\":{}",
        family.other.url("/"),
        family.inner.url().replace("inner.git", "")
    );
    let running = syncer().flag("git-config-add", rewritten);
    let _running = running.start(&family.site.world.path("log"));
    family.site.world.eventually_published(&commit);
    assert_eq!(family.read("lib/x/deep.bin").unwrap(), b"inner");
}

#[test]
fn a_pause_that_a_submodules_server_requests_is_not_one_of_the_repositorys() {
    let family = Family::new("projected");
    let commit = family.commit_all([b"child", b"inner"]);
    family.other.lie(Lie::Batch(503));
    let running = family.start();
    running.eventually_logs("the server answers 503 Service Unavailable");
    family.other.lie(Lie::None);
    family.site.world.eventually_published(&commit);
    running.assert_not_logged("the server requests a pause (Retry-After)");
}

#[test]
fn only_content_in_the_published_subdirectory_is_downloaded() {
    for layout in ["projected", "files"] {
        let family = Family::new(layout);
        let world = &family.site.world;
        let (lfs, inner) = (&family.site.lfs, family.commit_inner(b"inner"));
        let child = family.child.commit().write(".gitattributes", ATTRIBUTES);
        let child = child.write("public/in.bin", lfs.add(b"in"));
        let child = child.write("private/out.bin", lfs.add(b"out"));
        let child = child.write(
            ".gitmodules",
            list("inner", &family.other.url("/inner.git")),
        );
        family.commit(&child.submodule("inner", &inner).push());
        let flags = [("subdir", "lib/child/public")];
        family.sync_once(&flags);
        assert_eq!(
            family.read("in.bin").as_deref(),
            Some(&b"in"[..]),
            "{layout}"
        );
        assert_eq!((lfs.downloads().len(), family.other.seen().len()), (1, 0));
        // The pointers outside of it are no damage.
        let before = world.tree().canonicalize().unwrap();
        world.reboot();
        let running = family.syncer().flag("subdir", flags[0].1);
        let running = running.start(&world.path("log"));
        eventually("the tree is trusted", || world.probe().0.then_some(()));
        assert_eq!(world.tree().canonicalize().unwrap(), before);
        running.assert_not_logged("are Git LFS pointers");
    }
}

#[test]
fn without_lfs_the_pointers_of_submodules_are_counted() {
    for layout in LAYOUTS {
        let family = Family::new(layout);
        let commit = family.commit_all([b"child", b"inner"]);
        let running = family.syncer().flag("lfs", "false");
        let running = running.start(&family.site.world.path("log"));
        family.site.world.eventually_published(&commit);
        let words = "files of this revision are Git LFS pointers";
        running.eventually_logs(words);
        let log = running.log();
        let line = log.lines().find(|line| line.contains(words)).unwrap();
        assert!(line.contains("\"files\":2,"), "{layout}: {line}");
        assert_eq!(family.requests(), [0, 0]);
    }
}

#[test]
fn the_levels_of_submodules_are_those_of_the_flag() {
    for layout in LAYOUTS {
        let family = Family::new(layout);
        family.commit_all([b"child", b"inner"]);
        for (submodules, expected) in [
            ("off", [None, None]),
            ("shallow", [Some(b"child".to_vec()), None]),
            ("recursive", models(b"child", b"inner")),
        ] {
            family.sync_once(&[("submodules", submodules)]);
            assert_eq!(family.models(), expected, "{layout} {submodules}");
        }
    }
}

#[test]
fn content_in_a_submodule_is_verified_after_a_reboot_and_repaired_from_the_store() {
    for layout in LAYOUTS {
        let family = Family::new(layout);
        let world = &family.site.world;
        let inner = content(3, 5000);
        family.commit_all([b"child", &inner]);
        family.sync_once(&[]);
        let published = || {
            let tree = world.tree().canonicalize().unwrap();
            let inode = fs::metadata(tree.join(INNER)).unwrap().ino();
            (tree, inode)
        };
        let before = published();
        let requests = family.requests();
        world.reboot();
        family.sync_once(&[]);
        assert_eq!(published(), before, "{layout}: written again");
        let mut damaged = inner.clone();
        damaged[77] ^= 1;
        for wrong in [damaged, family.other.add(&inner).into_bytes()] {
            fs::write(world.tree().join(INNER), wrong).unwrap();
            world.reboot();
            family.sync_once(&[]);
            assert_eq!(family.models(), models(b"child", &inner), "{layout}");
        }
        assert_eq!(family.requests(), requests, "{layout}: the store has it");
    }
}

#[test]
fn a_killed_download_of_a_submodule_is_continued() {
    for layout in LAYOUTS {
        let family = Family::new(layout);
        let inner = content(5, 3_000_000);
        let commit = family.commit_all([b"child", &inner]);
        family.other.lie(Lie::Hang(1_000_000));
        let running = family.start();
        eventually("a part is on the disk", || {
            let parts = family.site.world.find(&oid(&inner));
            let part = parts.iter().find(|path| path.is_file())?;
            (fs::metadata(part).unwrap().len() == 1_000_000).then_some(())
        });
        running.signal(Signal::SIGKILL);
        drop(running);
        assert_eq!(family.site.world.published(), None);
        family.other.lie(Lie::None);
        let _running = family.start();
        family.site.world.eventually_published(&commit);
        assert_eq!(family.models(), models(b"child", &inner));
        let downloads = family.other.downloads();
        assert_eq!(downloads[1].header("range"), Some("bytes=1000000-"));
        assert_eq!((downloads.len(), family.site.lfs.downloads().len()), (2, 1));
    }
}

#[test]
fn linked_trees_have_a_submodules_content_once_and_it_is_dropped_with_the_submodule() {
    let family = Family::new("link");
    let world = &family.site.world;
    let mut commit = world.repo.commit();
    for n in 0..5 {
        commit = commit.write(&format!("plain-{n}"), "x");
    }
    commit.push();
    family.site.commit(b"own");
    let first = family.commit_all([b"child", b"inner"]);
    let syncer = family.syncer().flag("link-trees", "true");
    let running = syncer.flag("stale-worktree-timeout", "0s");
    let running = running.start(&world.path("log"));
    world.eventually_published(&first);
    let object = |content: &[u8]| -> PathBuf {
        let oid = oid(content);
        let objects = world.root().join(".git/lfs/objects");
        objects.join(&oid[..2]).join(&oid[2..4]).join(oid)
    };
    let inode = |path: PathBuf| fs::metadata(path).ok().map(|found| found.ino());
    for n in 0..2 {
        let commit = world.repo.commit().write("top", n.to_string()).push();
        world.eventually_published(&commit);
        for (name, content) in [
            (CHILD, &b"child"[..]),
            (INNER, b"inner"),
            ("model.bin", b"own"),
        ] {
            let found = inode(world.tree().join(name));
            assert!(found.is_some() && found == inode(object(content)), "{name}");
        }
    }
    let child = family
        .child
        .commit()
        .remove("inner")
        .remove(".gitmodules")
        .push();
    let commit = family.commit(&child);
    world.eventually_published(&commit);
    eventually("the content of the removed submodule is dropped", || {
        (!object(b"inner").exists()).then_some(())
    });
    assert!(object(b"child").exists() && object(b"own").exists());
    assert_eq!(family.read(CHILD).as_deref(), Some(&b"child"[..]));
    assert_eq!(family.site.lfs.downloads().len(), 2);
    running.assert_not_logged("\"level\":\"error\"");
}

#[test]
fn a_kill_at_a_step_leaves_the_submodules_of_a_complete_revision() {
    let family = Family::new("projected");
    let world = &family.site.world;
    let content = |n: usize| format!("{n} {}", "x".repeat(5000)).into_bytes();
    let run = |step: i64| {
        let run = family.syncer().flag("one-time", "true");
        let run = run.flag("max-failures", "0");
        run.env("GITVOLUME_CRASH_AT", step.to_string()).finish()
    };
    let inner = family.commit_inner(b"inner");
    let commit = |n: usize| family.commit(&family.commit_child(&content(n), &inner));
    let mut commits = vec![commit(0)];
    run(-1).assert_code(0);
    // Every third one: most of them are git's commands.
    for step in (0..).step_by(3) {
        commits.push(commit(commits.len()));
        let finished = run(step);
        let published = world.published().unwrap();
        let at = commits.iter().position(|commit| *commit == published);
        let expected = content(at.unwrap());
        assert_eq!(family.models(), models(&expected, b"inner"), "{step}");
        if finished.status.success() {
            assert!(step > 20, "the steps are not there");
            break;
        }
    }
    assert_eq!(world.published(), commits.last().cloned());
    for server in [&family.site.lfs, &family.other] {
        server.assert_protocol();
    }
}
