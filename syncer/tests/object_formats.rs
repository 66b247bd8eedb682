//! Repositories with SHA-256 names, over each transport and in each layout.

use std::fs;
use std::path::Path;

use remotes::Dialect;
use remotes::HttpServer;
use remotes::SshServer;

use crate::world::LAYOUTS;
use crate::world::Syncer;
use crate::world::World;
use crate::world::git;
use crate::world::sha256_commit;

/// How the remote is reached.
#[derive(Clone, Copy, Debug)]
enum Transport {
    File,
    Http(Dialect),
    /// Whether the server supports protocol version 2.
    Ssh(bool),
}

const TRANSPORTS: [Transport; 5] = [
    Transport::File,
    Transport::Http(Dialect::Any),
    Transport::Http(Dialect::V0),
    Transport::Ssh(true),
    Transport::Ssh(false),
];

/// A remote with a submodule beside it, and its server.
struct Remote {
    world: World,
    url: String,
    links_trees: bool,
    http: Option<HttpServer>,
    ssh: Option<SshServer>,
}

impl Remote {
    fn new(layout: &'static str, transport: Transport) -> Self {
        let world = World::new(layout);
        let (dir, sub) = (world.path("new"), world.path("sub"));
        sha256_commit(&sub, "of the submodule");
        sha256_commit(&dir, "0");
        let add = ["submodule", "--quiet", "add", "../sub", "sub"];
        git(
            &dir,
            &[&["-c", "protocol.file.allow=always"], &add[..]].concat(),
        );
        let (mut http, mut ssh) = (None, None);
        let url = match transport {
            Transport::File => format!("file://{}", dir.display()),
            Transport::Http(dialect) => {
                let server = http.insert(HttpServer::start(&world.path("")));
                server.speak(dialect);
                server.url("new")
            }
            Transport::Ssh(takes_protocol) => {
                let server = ssh.insert(SshServer::start());
                server.take_protocol(takes_protocol);
                server.write_secret(&world.path("secret"));
                server.url(&dir)
            }
        };
        Self {
            world,
            url,
            links_trees: !matches!(
                transport,
                Transport::Http(Dialect::V0) | Transport::Ssh(false)
            ),
            http,
            ssh,
        }
    }

    fn commit(&self, content: &str) -> String {
        sha256_commit(&self.world.path("new"), content)
    }

    fn syncer(&self) -> Syncer {
        let syncer = self.world.syncer_of(&self.url);
        let syncer = syncer.flag("git-config", "protocol.file.allow:always");
        // The old servers' syncers write each file of a tree.
        let syncer = syncer.flag("link-trees", self.links_trees.to_string());
        match &self.ssh {
            Some(_) => syncer.flag("secret-dir", self.world.path("secret")),
            None => syncer,
        }
    }
}

#[track_caller]
fn assert_submodule(dir: &Path) {
    let text = fs::read_to_string(dir.join("sub/a")).unwrap();
    assert_eq!(text, "of the submodule");
}

#[test]
fn a_sha256_repository_with_submodules_is_followed_in_the_link_layout_over_each_transport() {
    is_followed_over_each_transport("link");
}

#[test]
fn a_sha256_repository_with_submodules_is_followed_in_the_projected_layout_over_each_transport() {
    is_followed_over_each_transport("projected");
}

fn is_followed_over_each_transport(layout: &'static str) {
    for transport in TRANSPORTS {
        let remote = Remote::new(layout, transport);
        let first = remote.commit("1");
        git(
            &remote.world.path("new"),
            &["tag", "-a", "-m", "x", "v1.0.0"],
        );
        let running = remote.syncer().start(&remote.world.path("log"));
        remote.world.eventually_published(&first);
        assert_submodule(&remote.world.tree());
        let second = remote.commit("2");
        remote.world.eventually_published(&second);
        assert_submodule(&remote.world.tree());
        running.assert_not_logged("failCount");
        drop(running);
        // The highest tag, by a new root.
        let (root, state) = (remote.world.path("other"), remote.world.path("other-state"));
        let once = remote.syncer().flag("ref", "semver:^1");
        let once = once.flag("root", &root).flag("state", &state);
        let once = once.flag("one-time", "true").flag("max-failures", "0");
        once.finish().assert_code(0);
        let top = if layout == "link" { "current/a" } else { "a" };
        assert_eq!(
            fs::read_to_string(root.join(top)).unwrap(),
            "1",
            "{transport:?}"
        );
        drop(remote.http);
    }
}

#[test]
fn a_sha256_repository_is_cloned_over_each_transport() {
    for transport in TRANSPORTS {
        for reference in ["main", "v1.0.0", "semver:^1"] {
            let remote = Remote::new("clone", transport);
            let first = remote.commit("1");
            git(
                &remote.world.path("new"),
                &["tag", "-a", "-m", "x", "v1.0.0"],
            );
            let second = remote.commit("2");
            let once = remote
                .syncer()
                .flag("ref", reference)
                .flag("one-time", "true");
            once.flag("max-failures", "0").finish().assert_code(0);
            let expected = if reference == "main" { second } else { first };
            let head = git(&remote.world.root(), &["rev-parse", "HEAD"]);
            assert_eq!(head, expected, "{transport:?} {reference}");
        }
    }
}

#[test]
fn the_format_of_a_new_repository_is_the_remotes_whatever_gits_default_is() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let commit = world.repo.commit().write("a", "1").push();
        let once = world.syncer().env("GIT_DEFAULT_HASH", "sha256");
        let once = once.flag("one-time", "true").flag("max-failures", "0");
        once.finish().assert_code(0);
        assert_eq!(world.published(), Some(commit), "{layout}");
    }
}

#[test]
fn an_address_that_changes_its_object_format_is_followed_through_old_servers() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let server = HttpServer::start(&world.path(""));
        server.speak(Dialect::V0);
        let old = world.repo.commit().write("a", "1").push();
        let running = world
            .syncer_of(&server.url("site.git"))
            .start(&world.path("log"));
        world.eventually_published(&old);
        let new = sha256_commit(&world.path("new"), "2");
        let move_to = |from: &str, to: &str| fs::rename(world.path(from), world.path(to)).unwrap();
        move_to("site.git", "sha1.git");
        move_to("new/.git", "site.git");
        world.eventually_published(&new);
        move_to("site.git", "new/.git");
        move_to("sha1.git", "site.git");
        world.eventually_published(&old);
        running.assert_not_logged("the remote uses another object format");
    }
}
