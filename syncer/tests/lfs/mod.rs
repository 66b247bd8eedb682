//! Git LFS: pointers are replaced by content from a server that checks the protocol.

mod differential;
mod lies;
mod resume;
mod server;
mod ssh;
mod submodules;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::sys::signal::Signal;
use remotes::BasicAuth;
use remotes::HttpServer;

use crate::lfs::server::LfsServer;
use crate::lfs::server::Lie;
use crate::lfs::server::oid;
use crate::world::LAYOUTS;
use crate::world::Running;
use crate::world::Syncer;
use crate::world::World;
use crate::world::eventually;

const ATTRIBUTES: &str = "*.bin filter=lfs diff=lfs merge=lfs -text\n";

/// A repository over http with a server of Git LFS at the same address.
struct Site {
    world: World,
    lfs: LfsServer,
    git: HttpServer,
}

impl Site {
    fn new(layout: &'static str) -> Self {
        let world = World::new(layout);
        let git = HttpServer::start(&world.path(""));
        let lfs = LfsServer::start(Some(git.address()));
        Self { world, lfs, git }
    }

    fn syncer(&self) -> Syncer {
        let url = self.lfs.url("/site.git");
        self.world.syncer_of(&url).flag("lfs", "true")
    }

    fn start(&self) -> Running {
        self.syncer().start(&self.world.path("log"))
    }

    /// Commits a file `model.bin` with this content.
    fn commit(&self, content: &[u8]) -> String {
        let commit = self.world.repo.commit();
        commit
            .write(".gitattributes", ATTRIBUTES)
            .write("model.bin", self.lfs.add(content))
            .push()
    }

    /// The published content.
    fn model(&self) -> Option<Vec<u8>> {
        fs::read(self.world.seen().join("model.bin")).ok()
    }
}

/// Some content without repetition.
fn content(seed: u8, length: usize) -> Vec<u8> {
    let mut state = u64::from(seed) + 1;
    let next = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    (0..length).map(next).collect()
}

#[test]
fn pointers_are_replaced_before_a_revision_is_published() {
    for layout in LAYOUTS {
        let site = Site::new(layout);
        let (first, tool) = (content(1, 100_000), content(2, 3000));
        let pointer = site.lfs.add(&first);
        let commit = site.world.repo.commit();
        let commit = commit
            .write(".gitattributes", ATTRIBUTES)
            .write("model.bin", &pointer)
            .write("a dir/wäre.bin", &pointer)
            .write_executable("tool.bin", site.lfs.add(&tool))
            .write("pointer.txt", &pointer)
            .write("empty.bin", site.lfs.add(b""))
            .write("plain.bin", "not a pointer")
            .symlink("link.bin", "model.bin")
            .push();
        let running = site.start();
        site.world.eventually_published(&commit);
        let read = |name: &str| fs::read(site.world.seen().join(name)).unwrap();
        assert!(read("model.bin") == first && read("a dir/wäre.bin") == first);
        assert!(read("tool.bin") == tool && read("link.bin") == first);
        assert_eq!(read("plain.bin"), b"not a pointer");
        assert_eq!(read("empty.bin"), b"");
        assert_eq!(read("pointer.txt"), pointer.as_bytes(), "it has no filter");
        let mode = |name: &str| {
            let found = fs::metadata(site.world.seen().join(name)).unwrap();
            found.permissions().mode() & 0o777
        };
        assert_eq!((mode("tool.bin"), mode("model.bin")), (0o755, 0o644));
        site.lfs.assert_protocol();
        assert_eq!(site.lfs.downloads().len(), 2, "each content once");
        // A content of an earlier revision is not downloaded again.
        let commit = site.world.repo.commit();
        let commit = commit
            .write("other.bin", &pointer)
            .write("new.bin", site.lfs.add(b"new"))
            .push();
        site.world.eventually_published(&commit);
        assert!(read("model.bin") == first && read("other.bin") == first);
        assert_eq!(read("new.bin"), b"new");
        assert_eq!(site.lfs.downloads().len(), 3);
        running.assert_not_logged("\"level\":\"error\"");
    }
}

#[test]
fn without_lfs_pointers_are_published_and_counted_in_one_line() {
    let site = Site::new("projected");
    let commit = site.commit(b"content");
    let running = site.syncer().flag("lfs", "false");
    let running = running.start(&site.world.path("log"));
    site.world.eventually_published(&commit);
    running.eventually_logs("files of this revision are Git LFS pointers");
    assert!(site.world.read("model.bin").unwrap().starts_with("version"));
    assert!(site.lfs.seen().is_empty());
}

#[test]
fn switching_lfs_on_or_off_recreates_the_tree() {
    for layout in LAYOUTS {
        let site = Site::new(layout);
        site.commit(b"content");
        for (lfs, is_content) in [("false", false), ("true", true), ("false", false)] {
            let once = site.syncer().flag("lfs", lfs).flag("one-time", "true");
            once.flag("max-failures", "0").finish().assert_code(0);
            assert_eq!(site.model().unwrap() == b"content", is_content, "{lfs}");
        }
    }
}

#[test]
fn content_is_not_damage_after_a_reboot_and_damaged_content_is_repaired() {
    for layout in LAYOUTS {
        let site = Site::new(layout);
        let expected = content(3, 5000);
        site.commit(&expected);
        let once = || {
            let once = site.syncer().flag("one-time", "true");
            once.flag("max-failures", "0").finish()
        };
        once().assert_code(0);
        let built = fs::canonicalize(site.world.tree()).unwrap();
        let stamp = |path: &std::path::Path| fs::metadata(path).unwrap().modified().unwrap();
        let before = stamp(&built.join("model.bin"));
        site.world.reboot();
        let finished = once();
        finished.assert_code(0);
        assert_eq!(fs::canonicalize(site.world.tree()).unwrap(), built);
        assert_eq!(stamp(&built.join("model.bin")), before, "{}", finished.log);
        let mut damaged = expected.clone();
        damaged[77] ^= 1;
        fs::write(built.join("model.bin"), damaged).unwrap();
        site.world.reboot();
        once().assert_code(0);
        assert!(site.model().unwrap() == expected);
        assert_eq!(site.lfs.downloads().len(), 1, "the store has it");
        // A pointer in place of its content, as after a partial restore.
        let built = fs::canonicalize(site.world.tree()).unwrap();
        fs::write(built.join("model.bin"), site.lfs.add(&expected)).unwrap();
        site.world.reboot();
        once().assert_code(0);
        assert!(site.model().unwrap() == expected);
    }
}

#[test]
fn only_checked_out_pointers_are_downloaded() {
    let site = Site::new("projected");
    let commit = site.world.repo.commit();
    let commit = commit
        .write(".gitattributes", ATTRIBUTES)
        .write("public/in.bin", site.lfs.add(b"in"))
        .write("private/out.bin", site.lfs.add(b"out"))
        .push();
    let running = site.syncer().flag("subdir", "public");
    let _running = running.start(&site.world.path("log"));
    eventually("the subdirectory is published", || {
        (site.world.read("in.bin").as_deref() == Some("in")).then_some(())
    });
    let published = fs::read_link(site.world.tree()).unwrap();
    assert!(published.starts_with(format!("..{commit}")));
    assert_eq!(site.lfs.downloads().len(), 1);
}

#[test]
fn the_repositorys_credentials_are_sent_to_its_own_server_only() {
    let site = Site::new("link");
    let media = LfsServer::start(None);
    media.add(b"content");
    site.git.require(Some(BasicAuth::Password(
        "me".to_owned(),
        "hunter2".to_owned(),
    )));
    site.lfs.require("me", "hunter2");
    site.lfs.lie(Lie::Href(media.url("")));
    let commit = site.commit(b"content");
    let start = |password: &str| {
        let syncer = site.syncer().flag("username", "me");
        let syncer = syncer
            .env("GITSYNC_PASSWORD", password)
            .flag("verbose", "9");
        let allowed = media.address().to_string();
        let syncer = syncer.flag("lfs-allowed-hosts", allowed);
        syncer.start(&site.world.path("log"))
    };
    let running = start("hunter2");
    site.world.eventually_published(&commit);
    site.lfs.assert_protocol();
    let downloads = media.downloads();
    assert_eq!(downloads.len(), 1);
    assert_eq!(downloads[0].header("authorization"), None);
    assert!(downloads[0].header("x-media-token").is_some());
    running.assert_not_logged("hunter2");
    drop(running);
    // The server of Git LFS rejects credentials that git accepts.
    site.lfs.require("me", "other");
    let other = site.commit(b"other");
    let running = start("hunter2");
    running.eventually_logs(
        "the server answers 401 Unauthorized: check the repository's credentials (Credentials needed)",
    );
    assert_ne!(site.world.published(), Some(other));
    assert!(
        site.model().unwrap() == b"content",
        "the old revision stays"
    );
}

#[test]
fn content_that_no_kept_tree_needs_is_dropped() {
    for layout in LAYOUTS {
        let site = Site::new(layout);
        let shared = site.lfs.add(b"shared");
        let first = site.world.repo.commit();
        first.write("shared.bin", &shared).push();
        site.commit(b"first");
        let running = site.syncer().flag("stale-worktree-timeout", "0s");
        let running = running.start(&site.world.path("log"));
        let objects = || {
            let objects = site.world.find("objects");
            let lfs = objects.iter().find(|dir| dir.ends_with("lfs/objects"));
            let mut found = Vec::new();
            let mut dirs: Vec<_> = lfs.into_iter().cloned().collect();
            while let Some(dir) = dirs.pop() {
                for entry in fs::read_dir(dir).into_iter().flatten() {
                    let path = entry.unwrap().path();
                    match path.is_dir() {
                        true => dirs.push(path),
                        false => found.push(fs::read_to_string(path).unwrap()),
                    }
                }
            }
            found.sort();
            found
        };
        eventually("the first revision is published", || {
            (site.model()? == b"first").then_some(())
        });
        assert_eq!(objects(), ["first", "shared"]);
        let commit = site.commit(b"second");
        site.world.eventually_published(&commit);
        eventually("unneeded content is dropped", || {
            (objects() == ["second", "shared"]).then_some(())
        });
        assert_eq!(site.world.read("shared.bin").as_deref(), Some("shared"));
        running.signal(Signal::SIGTERM);
    }
}

#[test]
fn linked_trees_and_the_store_have_each_content_once_and_damage_is_repaired() {
    let site = Site::new("link");
    let kept = content(4, 9000);
    let commit = site.world.repo.commit();
    let commit = (0..5).fold(commit, |commit, n| commit.write(&format!("plain-{n}"), "x"));
    commit
        .write("kept.bin", site.lfs.add(&kept))
        .write_executable("tool.bin", site.lfs.add(b"tool"))
        .push();
    let first = site.commit(b"first");
    let syncer = || site.syncer().flag("link-trees", "true");
    let running = syncer().flag("stale-worktree-timeout", "0s");
    let running = running.start(&site.world.path("log"));
    site.world.eventually_published(&first);
    let object = |content: &[u8]| {
        let oid = oid(content);
        let objects = site.world.root().join(".git/lfs/objects");
        objects.join(&oid[..2]).join(&oid[2..4]).join(oid)
    };
    let second = site.commit(b"second");
    site.world.eventually_published(&second);
    eventually("unneeded content is dropped", || {
        (!object(b"first").exists()).then_some(())
    });
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    let tree = site.world.root().join(".worktrees").join(&second);
    for (name, content) in [("kept.bin", &kept[..]), ("model.bin", b"second")] {
        assert!(fs::read(tree.join(name)).unwrap() == content, "{name}");
        assert_eq!(inode(&tree.join(name)), inode(&object(content)), "{name}");
    }
    assert_ne!(inode(&tree.join("tool.bin")), inode(&object(b"tool")));
    assert_eq!(site.lfs.downloads().len(), 4);
    running.assert_not_logged("\"level\":\"error\"");
    drop(running);
    // An edit in the tree is one in the store.
    let mut damaged = kept.clone();
    damaged[8] ^= 1;
    fs::write(tree.join("kept.bin"), damaged).unwrap();
    site.world.reboot();
    let once = syncer().flag("one-time", "true");
    once.flag("max-failures", "0").finish().assert_code(0);
    let seen = fs::read(site.world.seen().join("kept.bin"));
    assert!(seen.unwrap() == kept);
    assert_eq!(site.lfs.downloads().len(), 5);
    site.lfs.assert_protocol();
}
