//! Failing remotes: the last revision stays published, and the syncer recovers as soon as the
//! remote does. (A full and a read-only volume: `recovery`; a rotated password: `letting_in`.)

use std::fs;

use remotes::HttpServer;
use remotes::Trouble;

use crate::world::LAYOUTS;
use crate::world::Running;
use crate::world::Syncer;
use crate::world::World;
use crate::world::eventually;

/// Large enough that half of it is a partial pack.
fn large(seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        u8::try_from(state >> 56).unwrap()
    };
    (0..100_000).map(|_| byte()).collect()
}

/// A remote over HTTP whose first revision is published.
struct Fault {
    // The first field, so that it ends first: its output is in the world.
    running: Running,
    world: World,
    server: HttpServer,
    first: String,
}

impl Fault {
    fn new(layout: &'static str, flags: impl Fn(Syncer) -> Syncer) -> Self {
        let world = World::new(layout);
        let server = HttpServer::start(world.repo.path().parent().unwrap());
        let first = world.repo.commit().write("a", "1").push();
        let syncer = flags(world.syncer_of(&server.url("site.git")));
        let running = syncer.start(&world.path("log"));
        world.eventually_published(&first);
        Self {
            world,
            server,
            running,
            first,
        }
    }

    /// Waits until an error with this text was logged this many times.
    fn eventually_told(&self, words: &str, times: usize) {
        eventually(&format!("{words:?} is logged"), || {
            (self.running.log().matches(words).count() >= times).then_some(())
        });
    }

    #[track_caller]
    fn assert_served(&self) {
        let layout = self.world.layout;
        assert_eq!(
            self.world.published().as_ref(),
            Some(&self.first),
            "{layout}"
        );
        assert_eq!(self.world.read("a").as_deref(), Some("1"), "{layout}");
        assert!(self.world.probe().0, "{layout}");
    }
}

#[test]
fn any_server_error_keeps_the_last_revision_until_the_server_recovers() {
    for layout in LAYOUTS {
        for (trouble, words) in [
            (Trouble::Status(500), "reports an internal error (5xx)"),
            (Trouble::Status(404), "no repository at this address"),
            (Trouble::Status(403), "denies this user access"),
            (Trouble::Status(429), "because of its rate limit (429)"),
            (
                Trouble::RetryAfter(429, 1),
                "because of its rate limit (429)",
            ),
            (Trouble::RetryAfter(503, 1), "503"),
            (Trouble::Garbage, "git fetch: "),
            (Trouble::TruncatedPack, "git fetch: "),
        ] {
            let fault = Fault::new(layout, |syncer| syncer);
            fault.server.trouble(Some(trouble));
            let second = fault.world.repo.commit().write("a", large(2)).push();
            fault.eventually_told(words, 2);
            fault.assert_served();
            fault.server.trouble(None);
            fault.world.eventually_published(&second);
        }
    }
}

#[test]
fn a_pack_that_never_ends_is_given_up_with_all_its_processes() {
    for layout in LAYOUTS {
        let fault = Fault::new(layout, |syncer| syncer.flag("sync-timeout", "1s"));
        fault.server.trouble(Some(Trouble::HangingPack));
        let second = fault.world.repo.commit().write("a", large(2)).push();
        fault.eventually_told("did not finish within --sync-timeout", 2);
        fault.assert_served();
        fault.server.trouble(None);
        fault.world.eventually_published(&second);
        assert_eq!(fault.world.files(), ["a"]);
        // A pass that is running now may have its own.
        eventually("what the killed commands left is gone", || {
            let parts = [fault.world.find("tmp_*"), fault.world.find("*.lock")].concat();
            parts.is_empty().then_some(())
        });
        let left = processes_of(&fault);
        assert!(left.len() <= 1, "{layout}: {left:?}");
    }
}

/// The command lines that contain the test world's path.
fn processes_of(fault: &Fault) -> Vec<String> {
    let address = fault.server.url("site.git");
    let processes = fs::read_dir("/proc").unwrap();
    let lines = processes.filter_map(|entry| {
        let line = fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    let git = |line: &String| line.contains(&address) && !line.contains("gitvolume-syncer");
    lines.filter(git).collect()
}

#[test]
fn a_certificate_that_changes_is_trusted_once_its_authority_is() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let server = HttpServer::start_tls(world.repo.path().parent().unwrap());
        let first = world.repo.commit().write("a", "1").push();
        let secret = world.path("secret");
        fs::create_dir(&secret).unwrap();
        fs::write(secret.join("ca.crt"), server.ca_pem()).unwrap();
        let running = world
            .syncer_of(&server.url("site.git"))
            .flag("secret-dir", &secret)
            .start(&world.path("log"));
        world.eventually_published(&first);
        server.change_certificate();
        let second = world.repo.commit().write("a", "2").push();
        // An open connection stays unaffected.
        eventually("the certificate is refused, or not seen", || {
            let refused = running.log().contains("certificate is not trusted");
            (refused || world.published().as_ref() == Some(&second)).then_some(())
        });
        let third = world.repo.commit().write("a", "3").push();
        eventually("the certificate is refused", || {
            let refused = running.log().contains("certificate is not trusted");
            refused.then_some(())
        });
        assert_ne!(world.published(), Some(third.clone()), "{layout}");
        assert!(world.probe().0, "{layout}");
        fs::write(secret.join("ca.crt"), server.ca_pem()).unwrap();
        world.eventually_published(&third);
    }
}

#[test]
fn a_flapping_server_is_followed() {
    for layout in LAYOUTS {
        let mut fault = Fault::new(layout, |syncer| syncer.flag("sync-timeout", "2s"));
        for n in 2..5 {
            fault.server.stop();
            let next = fault.world.repo.commit().write("a", n.to_string()).push();
            fault.eventually_told("error syncing", n - 1);
            assert_ne!(fault.world.published().as_ref(), Some(&next));
            fault.server.start_again();
            fault.world.eventually_published(&next);
        }
    }
}

/// The peak memory of a process, in MB.
fn peak_memory(running: &Running) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", running.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.unwrap().parse::<u64>().unwrap() / 1024
}

#[test]
fn a_remote_that_writes_messages_without_end_takes_no_memory() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let flood = world.script("flood", "yes 'a message of the server' >&2");
    let running = world
        .syncer()
        .flag(
            "git-config",
            format!("uploadpack.packObjectsHook:{}", flood.display()),
        )
        .flag("sync-timeout", "4s")
        .start(&world.path("log"));
    eventually("the pass is given up", || {
        running
            .log()
            .contains("did not finish within --sync-timeout")
            .then_some(())
    });
    let peak = peak_memory(&running);
    assert!(peak < 64, "{peak} MB");
}
