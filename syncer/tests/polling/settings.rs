//! Settings that only git supports, and settings that the poller supports too.

use std::fs;

use crate::polling::POLL;
use crate::polling::Watched;
use crate::world::Syncer;
use crate::world::eventually;

/// Adds one setting to a command line.
type Setting = (&'static str, fn(&Watched, Syncer) -> Syncer);

fn git_config(syncer: Syncer, pairs: &str) -> Syncer {
    syncer.flag("git-config", pairs)
}

#[test]
fn settings_that_only_git_supports_disable_the_poller_and_are_named() {
    let settings: [Setting; 11] = [
        ("http.extraheader", |_, syncer| {
            git_config(syncer, "http.extraHeader:\"X-A: b\"")
        }),
        ("http.useragent", |_, syncer| {
            git_config(syncer, "http.userAgent:me")
        }),
        ("http.unknown", |_, syncer| {
            git_config(syncer, "http.unknown:x")
        }),
        ("url.http://x/.insteadof", |_, syncer| {
            git_config(syncer, "\"url.http://x/.insteadOf\":http://y/")
        }),
        ("credential.helper", |_, syncer| {
            git_config(syncer, "credential.helper:store")
        }),
        ("include.path", |_, syncer| {
            git_config(syncer, "include.path:/nonexistent")
        }),
        ("GIT_SSL_NO_VERIFY", |_, syncer| {
            syncer.env("GIT_SSL_NO_VERIFY", "1")
        }),
        ("GIT_ALLOW_PROTOCOL", |_, syncer| {
            syncer.env("GIT_ALLOW_PROTOCOL", "http")
        }),
        ("GIT_SOMETHING_NEW", |_, syncer| {
            syncer.env("GIT_SOMETHING_NEW", "1")
        }),
        ("~/.netrc", |watched, syncer| {
            let home = watched.world.path("home");
            fs::create_dir(&home).unwrap();
            fs::write(home.join(".netrc"), "machine x login y password z\n").unwrap();
            syncer.env("HOME", home)
        }),
        ("a cookie file", |watched, syncer| {
            let secret = watched.world.path("secret");
            fs::create_dir(&secret).unwrap();
            fs::write(secret.join("cookie_file"), "").unwrap();
            syncer.flag("secret-dir", secret)
        }),
    ];
    for (name, add) in settings {
        let watched = Watched::new("link");
        let server = watched.serve();
        let first = watched.commit("1");
        let running = watched.start(add(&watched, watched.syncer(&server)));
        watched.world.eventually_published(&first);
        watched.assert_asks_git();
        let log = running.log();
        let told = log.lines().filter(|line| line.contains("polling is off"));
        let told: Vec<&str> = told.collect();
        let setting = format!("\"setting\":\"{name}\"");
        assert!(
            told.len() == 1 && told[0].contains(&setting),
            "{name}: {told:?}"
        );
        let second = watched.commit("2");
        watched.world.eventually_published(&second);
    }
}

#[test]
fn harmless_settings_keep_the_poller_on() {
    let settings: [Setting; 8] = [
        ("GIT_TRACE", |_, syncer| syncer.env("GIT_TRACE", "0")),
        ("old names", |_, syncer| {
            syncer.env("GIT_SYNC_MAX_SYNC_FAILURES", "3")
        }),
        ("git's keys", |_, syncer| {
            git_config(
                syncer,
                "core.autocrlf:false,user.name:me,http.postBuffer:1048576",
            )
        }),
        ("SSL_CERT_FILE", |_, syncer| {
            syncer.env("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
        }),
        ("SSL_CERT_DIR", |_, syncer| {
            syncer.env("SSL_CERT_DIR", "/nonexistent:/etc/ssl/certs")
        }),
        ("a partial clone", |watched, syncer| {
            let repo = &watched.world.repo;
            repo.run(&["config", "uploadpack.allowFilter", "true"]);
            syncer.flag("filter", "blob:none")
        }),
        ("an empty proxy", |_, syncer| {
            syncer
                .env("http_proxy", "")
                .env("all_proxy", "http://127.0.0.1:1")
        }),
        ("ssh's agent", |_, syncer| {
            syncer.env("SSH_AUTH_SOCK", "/nonexistent")
        }),
    ];
    for (_, add) in settings {
        let watched = Watched::new("link");
        let server = watched.serve();
        let first = watched.commit("1");
        let _running = watched.start(add(&watched, watched.syncer(&server)));
        watched.world.eventually_published(&first);
        watched.assert_polls(&server, POLL);
    }
}

#[test]
fn a_custom_git_program_runs_in_each_pass() {
    let watched = Watched::new("link");
    let server = watched.serve();
    let first = watched.commit("1");
    let program = watched.world.path("bin/git");
    let running = watched.start(watched.syncer(&server).flag("git", program));
    watched.world.eventually_published(&first);
    watched.assert_asks_git();
    running.assert_logged("polling is off");
}

#[test]
fn the_poller_can_be_turned_off() {
    let watched = Watched::new("link");
    let server = watched.serve();
    let first = watched.commit("1");
    let _running = watched.start(watched.syncer(&server).arg("--no-poller"));
    watched.world.eventually_published(&first);
    watched.assert_asks_git();
}

#[test]
fn without_the_poller_a_pass_is_one_command() {
    let watched = Watched::new("link");
    let first = watched.commit("1");
    let _running = watched.start(watched.syncer_of(&watched.world.repo.url()));
    watched.world.eventually_published(&first);
    watched.assert_asks_git();
    let calls = watched.git_calls();
    let idle: Vec<_> = calls.iter().rev().take(5).collect();
    assert!(idle.iter().all(|call| *call == "fetch"), "{calls:?}");
}

#[test]
fn a_one_time_sync_asks_for_no_configuration() {
    let watched = Watched::new("link");
    let server = watched.serve();
    watched.commit("1");
    let syncer = watched.syncer(&server).flag("one-time", "true");
    syncer.finish().assert_code(0);
    let seen = server.seen();
    assert!(seen.iter().all(|seen| seen.line.contains("/site.git/")));
    eventually("nothing more happens", || {
        (server.seen() == seen).then_some(())
    });
}
