//! The native poller, through the program, over http, https and ssh.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test may panic, its helpers too"
)]

mod certificates;
mod damage;
mod http;
mod later_settings;
mod settings;
mod ssh;
mod versions;
use std::fs;

use remotes::HttpServer;

use crate::world::Running;
use crate::world::Syncer;
use crate::world::World;
use crate::world::eventually;
use crate::world::programs::write_script;

/// The number of passes after which a test assumes that nothing else happens.
const MANY: usize = 5;

/// The request of one poll once the server's capabilities are known.
const POLL: &str = "POST /site.git/git-upload-pack";

/// The first request to a server, and the only one to an old server.
const BEGINNING: &str = "GET /site.git/info/refs?service=git-upload-pack";

/// A world whose syncers find a `git` first in `PATH` that records each call. By its name it is
/// still the default one.
struct Watched {
    world: World,
}

impl Watched {
    fn new(layout: &'static str) -> Self {
        let world = World::new(layout);
        fs::create_dir(world.path("bin")).unwrap();
        let program = world.path("bin/git");
        let calls = world.path("calls");
        let body = format!(
            "echo \"$1\" >> '{}'\nexec /usr/bin/git \"$@\"",
            calls.display()
        );
        write_script(&program, &body);
        Self { world }
    }

    fn commit(&self, content: &str) -> String {
        self.world.repo.commit().write("a", content).push()
    }

    fn serve(&self) -> HttpServer {
        HttpServer::start(self.world.repo.path().parent().unwrap())
    }

    fn serve_tls(&self) -> HttpServer {
        HttpServer::start_tls(self.world.repo.path().parent().unwrap())
    }

    fn syncer_of(&self, url: &str) -> Syncer {
        let path = format!(
            "{}:{}",
            self.world.path("bin").display(),
            crate::world::PATH
        );
        let syncer = self.world.syncer_of(url);
        syncer.env("PATH", path).flag("period", "20ms").arg("-v=2")
    }

    fn syncer(&self, server: &HttpServer) -> Syncer {
        self.syncer_of(&server.url("site.git"))
    }

    fn start(&self, syncer: Syncer) -> Running {
        syncer.start(&self.world.path("log"))
    }

    /// The subcommands that have run so far.
    fn git_calls(&self) -> Vec<String> {
        self.world.lines("calls")
    }

    fn fetches(&self) -> usize {
        let calls = self.git_calls();
        calls.iter().filter(|call| *call == "fetch").count()
    }

    /// Waits for consecutive successful passes that start no process.
    #[track_caller]
    fn assert_idle(&self, running: &Running) {
        let passes = || running.log().matches("\"update not required\"").count();
        eventually("passes start no process", || {
            let (calls, before) = (self.git_calls(), passes());
            eventually("passes are made", || {
                (passes() >= before + MANY).then_some(())
            });
            (calls == self.git_calls()).then_some(())
        });
    }

    /// Waits for passes that send one such request each on the existing connection and start no
    /// process.
    #[track_caller]
    fn assert_polls(&self, server: &HttpServer, line: &str) {
        eventually("polls are all that happens", || {
            let before = (self.git_calls(), server.connections());
            let first = server.seen().len();
            eventually("polls are made", || {
                (server.seen().len() >= first + MANY).then_some(())
            });
            let after = (self.git_calls(), server.connections());
            let seen = &server.seen()[first..first + MANY];
            (before == after && seen.iter().all(|seen| seen.line == line)).then_some(())
        });
    }

    /// Waits for consecutive passes that run git.
    #[track_caller]
    fn assert_asks_git(&self) {
        let before = self.fetches();
        eventually("git is asked again and again", || {
            (self.fetches() >= before + MANY).then_some(())
        });
    }
}

/// Waits for a failure with this error message.
#[track_caller]
fn eventually_fails(running: &Running, words: &str) {
    eventually(&format!("a pass fails with {words:?}"), || {
        let log = running.log();
        let mut lines = log.lines();
        lines
            .any(|line| line.contains("error syncing repo") && line.contains(words))
            .then_some(())
    });
}
