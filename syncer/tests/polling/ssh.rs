//! Polls over ssh.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal;
use remotes::SshServer;

use crate::polling::Watched;
use crate::polling::eventually_fails;
use crate::world::LAYOUTS;
use crate::world::PROGRAM;
use crate::world::Syncer;
use crate::world::eventually;
use crate::world::git;
use crate::world::sha256_commit;

/// A syncer of an ssh remote, with keys and known hosts in its own files.
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
        self.syncer_of(&self.url())
    }

    fn syncer_of(&self, url: &str) -> Syncer {
        self.watched
            .syncer_of(url)
            .flag(
                "ssh-known-hosts-file",
                self.known_hosts(&self.server.known_hosts()),
            )
            .flag("ssh-key-file", self.key("key", &self.server.user_key()))
    }

    /// Waits for polls with one command each on the existing connection.
    #[track_caller]
    fn assert_polls(&self, running: &crate::world::Running) {
        self.watched.assert_idle(running);
        let (logins, commands) = (self.server.logins(), self.server.commands());
        self.watched.assert_idle(running);
        assert_eq!(self.server.logins(), logins);
        let more = self.server.commands() - commands;
        // One may have been in progress.
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
fn a_new_commit_is_fetched_over_the_connection_of_the_poll() {
    for takes_protocol in [true, false] {
        let mut over = Over::new("projected");
        over.server.take_protocol(takes_protocol);
        let first = over.watched.commit("1");
        let running = over.watched.start(over.syncer());
        over.watched.world.eventually_published(&first);
        over.watched.assert_idle(&running);
        let logins = over.server.logins();
        // More than what fits into the windows and pipes between the server and git.
        let large: String = std::iter::repeat_with(fastrand::alphanumeric)
            .take(8 << 20)
            .collect();
        for content in ["2", "3", large.as_str()] {
            let next = over.watched.commit(content);
            over.watched.world.eventually_published(&next);
        }
        assert_eq!(over.server.logins(), logins, "{}", over.server.log());
        running.assert_not_logged("running ssh");
    }
}

#[test]
fn a_poll_on_a_connection_that_is_not_kept_lends_it_to_the_fetch() {
    let over = Over::new("link");
    let first = over.watched.commit("1");
    let syncer = over.syncer().flag("period", "10m");
    let running = over.watched.start(syncer.flag("sync-on-signal", "HUP"));
    over.watched.world.eventually_published(&first);
    for n in 2..=3 {
        let logins = over.server.logins();
        let next = over.watched.commit(&n.to_string());
        running.signal(Signal::SIGHUP);
        over.watched.world.eventually_published(&next);
        assert_eq!(over.server.logins(), logins + 1, "{}", over.server.log());
    }
}

#[test]
fn a_server_that_takes_one_command_per_connection_is_followed_too() {
    let mut over = Over::new("link");
    over.server.set_options("MaxSessions 1");
    let first = over.watched.commit("1");
    let running = over.watched.start(over.syncer());
    over.watched.world.eventually_published(&first);
    for n in 2..=4 {
        let next = over.watched.commit(&n.to_string());
        over.watched.world.eventually_published(&next);
    }
    running.assert_not_logged("failCount");
}

#[test]
fn git_gets_the_ssh_program_if_there_is_no_connection_of_a_poll() {
    let output = Command::new(PROGRAM)
        .args(["ssh", "--", "-p", "22", "git@host", "git-upload-pack 'a b'"])
        .env("GITVOLUME_SSH_SOCKET", "/nowhere/ssh.sock")
        .env("GITVOLUME_SSH_COMMAND", "X=1 printf '<%s>'")
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "<-p><22><git@host><git-upload-pack 'a b'>",
        "{output:?}"
    );
}

#[test]
fn a_range_of_versions_and_a_repository_with_sha256_names_are_polled() {
    for takes_protocol in [true, false] {
        let mut over = Over::new("projected");
        over.server.take_protocol(takes_protocol);
        let dir = over.watched.world.path("new");
        let first = sha256_commit(&dir, "1");
        git(&dir, &["tag", "v1.0.0"]);
        let url = over.server.url(&dir.join(".git"));
        let syncer = over.syncer_of(&url).flag("ref", "semver:^1");
        let running = over.watched.start(syncer);
        over.watched.world.eventually_published(&first);
        over.assert_polls(&running);
        let second = sha256_commit(&dir, "2");
        git(&dir, &["tag", "--annotate", "--message=x", "v1.1.0"]);
        over.watched.world.eventually_published(&second);
        over.assert_polls(&running);
        running.assert_not_logged("failCount");
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
    running.assert_not_logged("error");
}

#[test]
fn every_kind_of_key_authenticates_and_the_first_accepted_one_is_used() {
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
    running.assert_logged("an ssh key is encrypted");
}

#[test]
fn a_host_is_known_however_it_is_written_down() {
    // By its port, by its name alone, hashed, and by a key that is not the first one it offers.
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
fn a_host_with_another_key_is_refused_and_git_reports_it() {
    let mut over = Over::new("link");
    let first = over.watched.commit("1");
    let running = over.watched.start(over.syncer());
    over.watched.world.eventually_published(&first);
    over.assert_polls(&running);
    over.server.change_host_keys(&["ed25519"]);
    over.watched.commit("2");
    eventually_fails(&running, "ssh host key does not match known_hosts");
    assert_eq!(over.watched.world.published(), Some(first));
    // The new key is added to the known hosts.
    over.known_hosts(&over.server.known_hosts());
    let third = over.watched.commit("3");
    over.watched.world.eventually_published(&third);
    over.assert_polls(&running);
}

#[test]
fn any_host_key_is_accepted_if_the_check_is_disabled() {
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
    eventually_fails(&running, "the server rejects the ssh key");
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
fn settings_that_only_ssh_supports_disable_the_poller_and_are_named() {
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
        running.assert_logged(name);
    }
}

#[test]
fn a_configuration_of_ssh_that_is_written_later_turns_the_poller_off() {
    let over = Over::new("link");
    let first = over.watched.commit("1");
    let home = over.watched.world.path("home");
    fs::create_dir_all(home.join(".ssh")).unwrap();
    let running = over.watched.start(over.syncer().env("HOME", &home));
    over.watched.world.eventually_published(&first);
    over.watched.assert_idle(&running);
    fs::write(home.join(".ssh/config"), "Host x\n HostName y\n").unwrap();
    over.watched.assert_asks_git();
    running.assert_logged("hostname in ");
}
