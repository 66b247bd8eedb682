//! Over ssh.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use remotes::SshServer;

use crate::polling::Watched;
use crate::polling::eventually_fails;
use crate::world::LAYOUTS;
use crate::world::Syncer;
use crate::world::eventually;

/// A syncer of an ssh remote, with keys and known hosts in files of its own.
struct Over {
    watched: Watched,
    server: SshServer,
}

impl Over {
    fn new(layout: &'static str) -> Self {
        Self {
            watched: Watched::new(layout),
            server: SshServer::start(),
        }
    }

    fn known_hosts(&self, text: &str) -> PathBuf {
        let path = self.watched.world.path("known_hosts");
        fs::write(&path, text).unwrap();
        path
    }

    fn key(&self, name: &str, text: &str) -> PathBuf {
        let path = self.watched.world.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn url(&self) -> String {
        self.server.url(self.watched.world.repo.path())
    }

    /// With the right key and the right host.
    fn syncer(&self) -> Syncer {
        self.watched
            .syncer_of(&self.url())
            .flag(
                "ssh-known-hosts-file",
                self.known_hosts(&self.server.known_hosts()),
            )
            .flag("ssh-key-file", self.key("key", &self.server.user_key()))
    }

    /// Waits until polls are one command each on the connection that is there.
    #[track_caller]
    fn assert_polls(&self, running: &crate::world::Running) {
        self.watched.assert_idle(running);
        let (logins, commands) = (self.server.logins(), self.server.commands());
        self.watched.assert_idle(running);
        assert_eq!(self.server.logins(), logins);
        let more = self.server.commands() - commands;
        // One may have been under way.
        assert!(
            more >= crate::polling::MANY - 1,
            "{more} {}",
            self.server.log()
        );
    }
}

#[test]
fn an_idle_poll_is_one_command_on_a_kept_connection() {
    for layout in LAYOUTS {
        for takes_protocol in [true, false] {
            let mut over = Over::new(layout);
            over.server.take_protocol(takes_protocol);
            let first = over.watched.commit("1");
            let running = over.watched.start(over.syncer());
            over.watched.world.eventually_published(&first);
            over.assert_polls(&running);
            let second = over.watched.commit("2");
            over.watched.world.eventually_published(&second);
            over.assert_polls(&running);
        }
    }
}

#[test]
fn host_keys_of_a_variable_leave_the_poller_on() {
    let over = Over::new("link");
    let first = over.watched.commit("1");
    let syncer = over.watched.syncer_of(&over.url());
    let syncer = syncer
        .flag("ssh-key-file", over.key("key", &over.server.user_key()))
        .env("GITSYNC_DEFAULT_KNOWN_HOSTS", over.server.known_hosts());
    let running = over.watched.start(syncer);
    over.watched.world.eventually_published(&first);
    over.assert_polls(&running);
    let second = over.watched.commit("2");
    over.watched.world.eventually_published(&second);
    over.assert_polls(&running);
}

#[test]
fn a_connection_that_was_cut_is_made_again_in_silence() {
    let over = Over::new("link");
    let first = over.watched.commit("1");
    let running = over.watched.start(over.syncer().flag("period", "1s"));
    over.watched.world.eventually_published(&first);
    let passes = || running.log().matches("update not required").count();
    eventually("a poll is made", || (passes() > 0).then_some(()));
    let calls = over.watched.git_calls();
    let (logins, first) = (over.server.logins(), passes());
    over.server.cut();
    eventually("the next polls are made", || {
        (passes() > first + 1).then_some(())
    });
    assert_eq!(over.watched.git_calls(), calls);
    assert_eq!(over.server.logins(), logins + 1);
    assert!(!running.log().contains("error"), "{}", running.log());
}

#[test]
fn every_kind_of_key_lets_us_in_and_the_first_that_does_counts() {
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let over = Over::new("link");
        let first = over.watched.commit("1");
        let known_hosts = over.known_hosts(&over.server.known_hosts());
        let unknown = over.key("unknown", &over.server.unknown_key());
        let key = over.key("key", &over.server.another_key(kind, ""));
        let running = over.watched.start(
            over.watched
                .syncer_of(&over.url())
                .flag("ssh-known-hosts-file", known_hosts)
                .flag("ssh-key-file", unknown)
                .flag("ssh-key-file", key),
        );
        over.watched.world.eventually_published(&first);
        over.assert_polls(&running);
    }
}

#[test]
fn a_key_with_a_passphrase_is_left_to_ssh() {
    let over = Over::new("link");
    let first = over.watched.commit("1");
    let locked = over.key("locked", &over.server.another_key("ed25519", "secret"));
    let key = over.key("key2", &over.server.user_key());
    let running = over.watched.start(
        over.watched
            .syncer_of(&over.url())
            .flag(
                "ssh-known-hosts-file",
                over.known_hosts(&over.server.known_hosts()),
            )
            .flag("ssh-key-file", locked)
            .flag("ssh-key-file", key),
    );
    over.watched.world.eventually_published(&first);
    over.watched.assert_asks_git();
    assert!(
        running.log().contains("an ssh key is encrypted"),
        "{}",
        running.log()
    );
}

#[test]
fn a_host_is_known_however_it_is_written_down() {
    // By its port, by its name alone, hashed, and by a key that is not the one it would show first.
    for way in ["port", "name", "hashed", "kind"] {
        let mut over = Over::new("link");
        over.server.change_host_keys(&["ed25519", "ecdsa", "rsa"]);
        let first = over.watched.commit("1");
        let text = match way {
            "port" => over.server.known_hosts(),
            "kind" => over.server.known_hosts_of("rsa"),
            "name" => {
                let port = format!("]:{}", over.server.address().port());
                over.server
                    .known_hosts()
                    .replace('[', "")
                    .replace(&port, "")
            }
            _ => {
                let path = over.known_hosts(&over.server.known_hosts());
                let hashed = Command::new("ssh-keygen")
                    .arg("-H")
                    .arg("-f")
                    .arg(&path)
                    .output();
                assert!(hashed.unwrap().status.success());
                fs::read_to_string(path).unwrap()
            }
        };
        let running = over.watched.start(
            over.watched
                .syncer_of(&over.url())
                .flag("ssh-known-hosts-file", over.known_hosts(&text))
                .flag("ssh-key-file", over.key("key", &over.server.user_key())),
        );
        over.watched.world.eventually_published(&first);
        over.assert_polls(&running);
    }
}

#[test]
fn a_host_with_another_key_is_refused_and_git_says_so() {
    let mut over = Over::new("link");
    let first = over.watched.commit("1");
    let running = over.watched.start(over.syncer());
    over.watched.world.eventually_published(&first);
    over.assert_polls(&running);
    over.server.change_host_keys(&["ed25519"]);
    over.watched.commit("2");
    eventually_fails(&running, "not the one in known_hosts");
    assert_eq!(over.watched.world.published(), Some(first));
    // The new key is written down.
    over.known_hosts(&over.server.known_hosts());
    let third = over.watched.commit("3");
    over.watched.world.eventually_published(&third);
    over.assert_polls(&running);
}

#[test]
fn a_host_may_be_anybody_where_the_user_says_so() {
    let over = Over::new("link");
    let first = over.watched.commit("1");
    let running = over.watched.start(
        over.watched
            .syncer_of(&over.url())
            .flag("ssh-known-hosts", "false")
            .flag("ssh-key-file", over.key("key", &over.server.user_key())),
    );
    over.watched.world.eventually_published(&first);
    over.assert_polls(&running);
}

#[test]
fn a_key_that_is_rotated_needs_no_restart() {
    let over = Over::new("link");
    let first = over.watched.commit("1");
    let running = over.watched.start(over.syncer());
    over.watched.world.eventually_published(&first);
    over.assert_polls(&running);
    over.key("key", &over.server.unknown_key());
    eventually_fails(&running, "not accepted by the server");
    over.key("key", &over.server.another_key("ecdsa", ""));
    let second = over.watched.commit("2");
    over.watched.world.eventually_published(&second);
    over.assert_polls(&running);
}

#[test]
fn the_short_form_of_an_address_is_polled_too() {
    let over = Over::new("link");
    let first = over.watched.commit("1");
    let url = over.url();
    let (user, _) = url.trim_start_matches("ssh://").split_once('@').unwrap();
    let path = over.watched.world.repo.path().display();
    let url = format!("{user}@[{}]:{path}", over.server.address());
    let syncer = over
        .watched
        .syncer_of(&url)
        .flag(
            "ssh-known-hosts-file",
            over.known_hosts(&over.server.known_hosts()),
        )
        .flag("ssh-key-file", over.key("key", &over.server.user_key()));
    let running = over.watched.start(syncer);
    over.watched.world.eventually_published(&first);
    over.assert_polls(&running);
}

#[test]
fn what_only_ssh_knows_is_left_to_ssh_and_named() {
    type Setting = (&'static str, fn(&Over, Syncer) -> Syncer);
    let settings: [Setting; 5] = [
        ("SSH_AUTH_SOCK", |_, syncer| {
            syncer.env("SSH_AUTH_SOCK", "/nonexistent")
        }),
        ("GIT_SSH_COMMAND", |_, syncer| {
            syncer.env("GIT_SSH_COMMAND", "ssh -4")
        }),
        ("hostname in ", |over, syncer| {
            let home = over.watched.world.path("home");
            fs::create_dir_all(home.join(".ssh")).unwrap();
            fs::write(home.join(".ssh/config"), "Host x\n HostName y\n").unwrap();
            syncer.env("HOME", home)
        }),
        ("a line with a marker", |over, syncer| {
            let ca = over.server.known_hosts();
            let text = format!(
                "{ca}@cert-authority *.example {}",
                ca.split_once(' ').unwrap().1
            );
            syncer.flag("ssh-known-hosts-file", over.known_hosts(&text))
        }),
        ("core.sshcommand", |_, syncer| {
            syncer.flag("git-config", "core.sshCommand:ssh")
        }),
    ];
    for (name, add) in settings {
        let over = Over::new("link");
        let first = over.watched.commit("1");
        let running = over.watched.start(add(&over, over.syncer()));
        over.watched.world.eventually_published(&first);
        over.watched.assert_asks_git();
        assert!(running.log().contains(name), "{name}: {}", running.log());
    }
}
