//! The native poller, through the program, over http, https and ssh.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod world;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use remotes::BasicAuth;
use remotes::Dialect;
use remotes::HttpServer;
use remotes::SshServer;
use remotes::Trouble;
use world::LAYOUTS;
use world::Running;
use world::Syncer;
use world::World;
use world::eventually;

/// Polls that a test waits for before it believes that nothing else happens.
const MANY: usize = 10;

/// A `git` first in `PATH` that writes down each call, and an http server.
struct Watched {
    world: World,
    server: HttpServer,
}

impl Watched {
    fn new(layout: &'static str) -> Self {
        let world = World::new(layout);
        let server = HttpServer::start(world.repo.path().parent().unwrap());
        Self { world, server }
    }

    fn tls() -> Self {
        let world = World::new("link");
        let server = HttpServer::start_tls(world.repo.path().parent().unwrap());
        Self { world, server }
    }

    fn syncer(&self) -> Syncer {
        watched(
            &self.world,
            self.world.syncer_of(&self.server.url("site.git")),
        )
    }

    fn start(&self) -> Running {
        self.syncer().start(&self.world.path("log"))
    }

    /// Waits until many polls in a row were one request each, on connections that are there, and
    /// started no process.
    #[track_caller]
    fn assert_polls(&self) {
        eventually("only polls are made", || {
            let before = (git_calls(&self.world), self.server.connections());
            let seen = self.server.seen().len();
            eventually("polls are made", || {
                (self.server.seen().len() >= seen + MANY).then_some(())
            });
            let after = (git_calls(&self.world), self.server.connections());
            let polls = self.server.seen()[seen..seen + MANY].to_vec();
            let are_polls = polls
                .iter()
                .all(|seen| seen.line == "POST /site.git/git-upload-pack");
            (before == after && are_polls).then_some(())
        });
    }

    /// Waits until git itself is asked pass by pass.
    #[track_caller]
    fn assert_asks_git(&self) {
        assert_asks_git(&self.world);
    }
}

fn watched(world: &World, syncer: Syncer) -> Syncer {
    let dir = world.path("bin");
    fs::create_dir_all(&dir).unwrap();
    let script = format!(
        "#!/bin/sh\necho \"$1\" >> '{}'\nexec /usr/bin/git \"$@\"\n",
        world.path("calls").display()
    );
    let program = dir.join("git");
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", dir.display(), world::PATH);
    syncer.env("PATH", path).flag("period", "20ms").arg("-v=2")
}

/// The subcommands that were run so far.
fn git_calls(world: &World) -> Vec<String> {
    let calls = fs::read_to_string(world.path("calls")).unwrap_or_default();
    calls.lines().map(str::to_owned).collect()
}

fn fetches(world: &World) -> usize {
    git_calls(world)
        .iter()
        .filter(|call| *call == "fetch")
        .count()
}

#[track_caller]
fn assert_asks_git(world: &World) {
    let before = fetches(world);
    eventually("git is asked again and again", || {
        (fetches(world) >= before + MANY).then_some(())
    });
}

/// Waits for idle polls of whatever kind: passes that start no process.
#[track_caller]
fn assert_idle(world: &World, running: &Running) {
    let passes = || running.log().matches("\"update not required\"").count();
    eventually("passes start no process", || {
        let (calls, before) = (git_calls(world), passes());
        eventually("passes are made", || {
            (passes() >= before + MANY).then_some(())
        });
        (calls == git_calls(world)).then_some(())
    });
}

#[test]
fn an_idle_poll_is_one_request_on_a_kept_connection_and_starts_no_process() {
    for layout in LAYOUTS {
        let watched = Watched::new(layout);
        let first = watched.world.repo.commit().write("a", "1").push();
        let running = watched.start();
        watched.world.eventually_published(&first);
        watched.assert_polls();
        let second = watched.world.repo.commit().write("a", "2").push();
        watched.world.eventually_published(&second);
        watched.assert_polls();
        running.terminate();
    }
}

#[test]
fn over_tls_the_authority_is_the_one_that_git_trusts() {
    let watched = Watched::tls();
    let ca = watched.world.path("ca.crt");
    fs::write(&ca, watched.server.ca_pem()).unwrap();
    let first = watched.world.repo.commit().write("a", "1").push();
    let _running = watched
        .syncer()
        .flag("git-config", format!("http.sslCAInfo:{}", ca.display()))
        .start(&watched.world.path("log"));
    watched.world.eventually_published(&first);
    watched.assert_polls();
}
