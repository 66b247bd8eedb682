//! Polls over http and https.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use remotes::Answer;
use remotes::BasicAuth;
use remotes::Dialect;
use remotes::HttpServer;
use remotes::Proxy;
use remotes::Stub;
use remotes::Trouble;

use crate::polling::BEGINNING;
use crate::polling::POLL;
use crate::polling::Watched;
use crate::polling::eventually_fails;
use crate::world::LAYOUTS;
use crate::world::eventually;
use crate::world::sha256_commit;

#[test]
fn an_idle_poll_is_one_request_on_a_kept_connection_and_starts_no_process() {
    for layout in LAYOUTS {
        let watched = Watched::new(layout);
        let server = watched.serve();
        for content in ["1", "2", "3"] {
            let commit = watched.commit(content);
            if content == "1" {
                continue;
            }
            let running = watched.start(watched.syncer(&server));
            watched.world.eventually_published(&commit);
            watched.assert_polls(&server, POLL);
            let next = watched.commit(&format!("after {content}"));
            watched.world.eventually_published(&next);
            watched.assert_polls(&server, POLL);
            running.terminate();
        }
    }
}

#[test]
fn over_tls_the_poller_trusts_the_same_cas_as_git() {
    let watched = Watched::new("link");
    let mut server = watched.serve_tls();
    let ca = watched.world.path("ca.crt");
    fs::write(&ca, server.ca_pem()).unwrap();
    let first = watched.commit("1");
    let config = format!("http.sslCAInfo:{}", ca.display());
    let running = watched.start(watched.syncer(&server).flag("git-config", config));
    watched.world.eventually_published(&first);
    watched.assert_polls(&server, POLL);
    // The connection keeps the old certificate; the next connection fails.
    server.change_certificate();
    server.start_again();
    eventually_fails(&running, "certificate");
    assert_eq!(watched.world.published(), Some(first));
    fs::write(&ca, server.ca_pem()).unwrap();
    let second = watched.commit("2");
    watched.world.eventually_published(&second);
    watched.assert_polls(&server, POLL);
}

#[test]
fn authorities_of_a_variable_leave_the_poller_on() {
    let watched = Watched::new("link");
    let server = watched.serve_tls();
    let first = watched.commit("1");
    let syncer = watched.syncer(&server);
    let _running = watched.start(syncer.env("GITSYNC_CA_BUNDLE", server.ca_pem()));
    watched.world.eventually_published(&first);
    watched.assert_polls(&server, POLL);
    let second = watched.commit("2");
    watched.world.eventually_published(&second);
    watched.assert_polls(&server, POLL);
}

#[test]
fn authorities_of_the_environment_are_trusted_by_git_and_by_the_poller() {
    for variables in [
        // Only some builds of git's curl read them.
        vec![("SSL_CERT_FILE", "ca.crt")],
        vec![("SSL_CERT_DIR", "authorities")],
        // git's own variable overrides them.
        vec![("GIT_SSL_CAINFO", "ca.crt"), ("SSL_CERT_FILE", "absent")],
        vec![("GIT_SSL_CAINFO", "ca.crt"), ("SSL_CERT_DIR", "absent")],
    ] {
        let watched = Watched::new("link");
        let server = watched.serve_tls();
        fs::write(watched.world.path("ca.crt"), server.ca_pem()).unwrap();
        let dir = watched.world.path("authorities");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("company.pem"), server.ca_pem()).unwrap();
        let first = watched.commit("1");
        let syncer = variables
            .iter()
            .fold(watched.syncer(&server), |all, (name, file)| {
                all.env(name, watched.world.path(file))
            });
        let _running = watched.start(syncer);
        watched.world.eventually_published(&first);
        watched.assert_polls(&server, POLL);
    }
}

#[test]
fn the_poller_bypasses_the_proxy_where_git_does() {
    for (list, is_direct) in [
        ("*", true),
        ("a.example 127.0.0.0/8", true),
        ("27.0.0.1", false),
    ] {
        let watched = Watched::new("link");
        let server = watched.serve();
        let proxy = Proxy::start_with_password("me", "hunter2");
        let first = watched.commit("1");
        let syncer = watched
            .syncer(&server)
            .env("http_proxy", proxy.url_with("me", "hunter2"))
            .env("no_proxy", list);
        let running = watched.start(syncer);
        watched.world.eventually_published(&first);
        watched.assert_idle(&running);
        assert_eq!(proxy.asked().is_empty(), is_direct, "{list}");
    }
}

#[test]
fn a_ref_is_resolved_as_git_does_after_any_change() {
    let watched = Watched::new("link");
    let (repo, server) = (&watched.world.repo, watched.serve());
    let first = watched.commit("1");
    let second = watched.commit("2");
    repo.branch("x", &first);
    let running = watched.start(watched.syncer(&server).flag("ref", "x"));
    let published = |commit: &str| {
        watched.world.eventually_published(commit);
        watched.assert_polls(&server, POLL);
    };
    published(&first);
    repo.branch("x", &second);
    published(&second);
    // The branch moves back.
    repo.branch("x", &first);
    published(&first);
    // A tag takes precedence over a branch, and an annotated tag means its commit.
    repo.tag("x", &second);
    published(&second);
    repo.annotated_tag("x", &first);
    published(&first);
    let fetches = watched.fetches();
    repo.run(&["-c", "user.name=other", "tag", "-fam", "again", "x", &first]);
    eventually("git looks at the new tag", || {
        (watched.fetches() > fetches).then_some(())
    });
    published(&first);
    repo.run(&["tag", "-d", "x"]);
    repo.branch("x", &second);
    published(&second);
    // A branch with the followed branch's name as a prefix.
    repo.branch("x2", &first);
    published(&second);
    // The branch is removed: git reports that.
    repo.remove_branch("x");
    eventually_fails(&running, "no such branch");
    assert_eq!(watched.world.published().as_ref(), Some(&second));
    repo.branch("x", &first);
    published(&first);
}

#[test]
fn the_remotes_head_is_followed_to_another_branch() {
    let watched = Watched::new("link");
    let (repo, server) = (&watched.world.repo, watched.serve());
    let first = watched.commit("1");
    let other = repo.commit().on("other").write("a", "2").push();
    let _running = watched.start(watched.syncer(&server));
    watched.world.eventually_published(&first);
    watched.assert_polls(&server, POLL);
    repo.set_head("other");
    watched.world.eventually_published(&other);
    watched.assert_polls(&server, POLL);
}

#[test]
fn after_an_outage_the_poller_continues_without_git() {
    let watched = Watched::new("link");
    let mut server = watched.serve();
    let commit = watched.commit("1");
    let running = watched.start(watched.syncer(&server).flag("period", "2s"));
    watched.world.eventually_published(&commit);
    eventually("a poll is made", || {
        server
            .seen()
            .iter()
            .any(|seen| seen.line == POLL)
            .then_some(())
    });
    let before = (watched.git_calls(), server.connections());
    let passes = || running.log().matches("update not required").count();
    let first = passes();
    server.start_again();
    eventually("the next passes are made", || {
        (passes() > first + 1).then_some(())
    });
    assert_eq!(watched.git_calls(), before.0);
    assert_eq!(server.connections(), before.1 + 1);
    running.assert_not_logged("error");
}

#[test]
fn a_password_is_sent_after_a_challenge_and_rotates() {
    let watched = Watched::new("link");
    let server = watched.serve();
    let file = watched.world.path("password");
    fs::write(&file, "secret one").unwrap();
    server.require(Some(BasicAuth::PasswordFile("me".into(), file.clone())));
    let first = watched.commit("1");
    let running = watched.start(
        watched
            .syncer(&server)
            .flag("username", "me")
            .flag("password-file", &file),
    );
    watched.world.eventually_published(&first);
    watched.assert_polls(&server, POLL);
    assert!(server.seen().last().unwrap().has_password);
    fs::write(&file, "secret two, longer").unwrap();
    let second = watched.commit("2");
    watched.world.eventually_published(&second);
    watched.assert_polls(&server, POLL);
    // Only the server has another password: git reports that.
    server.require(Some(BasicAuth::Password("me".into(), "three".into())));
    eventually_fails(&running, "rejects the user name and password");
    server.require(None);
    watched.assert_polls(&server, POLL);
    running.assert_not_logged("secret");
}

#[test]
fn a_poll_that_fails_is_no_failure() {
    for trouble in [
        Trouble::Garbage,
        Trouble::Status(401),
        Trouble::Status(403),
        Trouble::Status(404),
        Trouble::Status(429),
        Trouble::Status(500),
    ] {
        let watched = Watched::new("link");
        let server = watched.serve();
        let first = watched.commit("1");
        let running = watched.start(watched.syncer(&server).flag("max-failures", "0"));
        watched.world.eventually_published(&first);
        watched.assert_polls(&server, POLL);
        server.trouble_for("gitvolume", trouble);
        watched.assert_asks_git();
        let second = watched.commit("2");
        watched.world.eventually_published(&second);
        server.trouble(None);
        watched.assert_polls(&server, POLL);
        assert!(
            !running.log().contains("\"error\""),
            "{trouble:?}: {}",
            running.log()
        );
    }
}

#[test]
fn after_a_pause_requested_by_the_server_the_next_pass_polls() {
    let watched = Watched::new("link");
    let server = watched.serve();
    let first = watched.commit("1");
    let running = watched.start(watched.syncer(&server));
    watched.world.eventually_published(&first);
    watched.assert_polls(&server, POLL);
    let fetches = watched.fetches();
    // A failure of the poller alone, one of git as well, and an outage that is over.
    for (agent, trouble) in [
        ("gitvolume", Trouble::RetryAfter(429, 1)),
        ("", Trouble::RetryAfter(503, 1)),
    ] {
        let asked = || {
            running
                .log()
                .matches("the server requests a pause (Retry-After)")
                .count()
        };
        let before = asked();
        server.trouble_for(agent, trouble);
        eventually("the wait is noted", || (asked() > before).then_some(()));
        server.trouble(None);
        watched.assert_polls(&server, POLL);
        assert_eq!(watched.fetches(), fetches, "{agent:?}");
    }
    let second = watched.commit("2");
    watched.world.eventually_published(&second);
}

#[test]
fn after_an_outage_the_next_look_is_a_poll() {
    let watched = Watched::new("link");
    let server = watched.serve();
    let first = watched.commit("1");
    let running = watched.start(watched.syncer(&server));
    watched.world.eventually_published(&first);
    watched.assert_polls(&server, POLL);
    server.trouble(Some(Trouble::Status(500)));
    eventually_fails(&running, "5xx");
    server.trouble(None);
    watched.assert_polls(&server, POLL);
    let seen = server.seen();
    let starts = seen.iter().filter(|seen| seen.line == BEGINNING).count();
    assert!(starts > 0);
}

#[test]
fn after_credentials_could_not_be_had_the_next_look_is_a_poll() {
    let is_away = Arc::new(AtomicBool::new(false));
    let rule = is_away.clone();
    let askpass = Stub::start(move |_| match rule.load(Ordering::Relaxed) {
        true => Answer::new(500, "not now"),
        false => Answer::new(200, "username=me\npassword=secret"),
    });
    let watched = Watched::new("link");
    let server = watched.serve();
    server.require(Some(BasicAuth::Password(
        "me".to_owned(),
        "secret".to_owned(),
    )));
    let first = watched.commit("1");
    let syncer = watched.syncer(&server);
    let running = watched.start(syncer.flag("askpass-url", askpass.url("/")));
    watched.world.eventually_published(&first);
    watched.assert_idle(&running);
    let fetches = watched.fetches();
    is_away.store(true, Ordering::Relaxed);
    eventually_fails(&running, "(--askpass-url)");
    is_away.store(false, Ordering::Relaxed);
    watched.assert_idle(&running);
    assert_eq!(watched.fetches(), fetches);
    let second = watched.commit("2");
    watched.world.eventually_published(&second);
}

#[test]
fn a_poll_failure_that_git_shares_is_a_failure() {
    for (trouble, words) in [
        (Trouble::Garbage, ""),
        (Trouble::Status(403), "403"),
        (Trouble::Status(500), "5xx"),
    ] {
        let watched = Watched::new("link");
        let server = watched.serve();
        let first = watched.commit("1");
        let running = watched.start(watched.syncer(&server));
        watched.world.eventually_published(&first);
        watched.assert_polls(&server, POLL);
        server.trouble(Some(trouble));
        eventually_fails(&running, words);
        assert_eq!(watched.world.published(), Some(first));
        server.trouble(None);
        let second = watched.commit("2");
        watched.world.eventually_published(&second);
        watched.assert_polls(&server, POLL);
    }
}

#[test]
fn a_server_that_hangs_is_given_up_in_time() {
    let watched = Watched::new("link");
    let server = watched.serve();
    let first = watched.commit("1");
    let running = watched.start(watched.syncer(&server).flag("sync-timeout", "2s"));
    watched.world.eventually_published(&first);
    watched.assert_polls(&server, POLL);
    server.hang(true);
    eventually("the poll is given up", || {
        running
            .log()
            .contains("did not answer in time")
            .then_some(())
    });
    eventually_fails(&running, "--sync-timeout");
    server.hang(false);
    let second = watched.commit("2");
    watched.world.eventually_published(&second);
    watched.assert_polls(&server, POLL);
}

#[test]
fn a_redirect_is_followed_as_git_does_and_gets_no_password() {
    let watched = Watched::new("link");
    let (front, server) = (watched.serve(), watched.serve());
    front.redirect_to(Some(server.url("").trim_end_matches('/').to_owned()));
    let first = watched.commit("1");
    let url = front
        .url("site.git")
        .replace("http://", "http://me:secret@");
    let running = watched.start(watched.syncer_of(&url));
    watched.world.eventually_published(&first);
    watched.assert_polls(&server, POLL);
    let second = watched.commit("2");
    watched.world.eventually_published(&second);
    // A redirect may lead elsewhere, to a server that requires a password of its own.
    assert!(server.seen().iter().all(|seen| !seen.has_password));
    server.require(Some(BasicAuth::Password("me".into(), "secret".into())));
    eventually_fails(&running, "");
    assert!(server.seen().iter().all(|seen| !seen.has_password));
    front.redirect_to(None);
    let third = watched.commit("3");
    watched.world.eventually_published(&third);
    watched.assert_polls(&front, POLL);
}

#[test]
fn a_server_of_old_lists_its_refs_at_each_poll() {
    let watched = Watched::new("link");
    let server = watched.serve();
    server.speak(Dialect::V0);
    let first = watched.commit("1");
    let running = watched.start(watched.syncer(&server));
    watched.world.eventually_published(&first);
    watched.assert_polls(&server, BEGINNING);
    let second = watched.commit("2");
    watched.world.eventually_published(&second);
    watched.assert_polls(&server, BEGINNING);
    // The server is replaced by a newer one, and back.
    server.speak(Dialect::Any);
    watched.assert_polls(&server, POLL);
    server.speak(Dialect::V0);
    watched.assert_idle(&running);
    let third = watched.commit("3");
    watched.world.eventually_published(&third);
}

#[test]
fn a_server_that_gives_files_is_left_to_git() {
    let watched = Watched::new("link");
    let server = watched.serve();
    server.speak(Dialect::Dumb);
    let first = watched.commit("1");
    let syncer = watched.syncer(&server).flag("depth", "0");
    let running = watched.start(syncer);
    watched.world.eventually_published(&first);
    watched.assert_asks_git();
    running.assert_logged("dumb HTTP protocol");
    let second = watched.commit("2");
    watched.world.eventually_published(&second);
}

#[test]
fn a_proxy_is_used_where_git_uses_it() {
    for is_tls in [false, true] {
        let watched = Watched::new("link");
        let server = if is_tls {
            watched.serve_tls()
        } else {
            watched.serve()
        };
        let ca = watched.world.path("ca.crt");
        fs::write(&ca, server.ca_pem()).unwrap();
        let first = watched.commit("1");
        let proxy = Proxy::start_with_password("me", "hunter2");
        let mut syncer = watched
            .syncer(&server)
            .env("http_proxy", proxy.url_with("me", "hunter2"))
            .env("https_proxy", proxy.url_with("me", "hunter2"));
        if is_tls {
            syncer = syncer.flag("git-config", format!("http.sslCAInfo:{}", ca.display()));
        }
        let running = watched.start(syncer);
        watched.world.eventually_published(&first);
        watched.assert_idle(&running);
        let asked = proxy.asked().last().cloned().unwrap();
        assert!(
            asked.starts_with(if is_tls { "CONNECT " } else { "GET http://" }),
            "{asked}"
        );
        let second = watched.commit("2");
        watched.world.eventually_published(&second);
        running.assert_not_logged("hunter2");
    }
}

#[test]
fn a_host_without_proxy_is_reached_directly() {
    let watched = Watched::new("link");
    let server = watched.serve();
    let first = watched.commit("1");
    let proxy = Proxy::start();
    let _running = watched.start(
        watched
            .syncer(&server)
            .env("http_proxy", proxy.url())
            .env("no_proxy", "127.0.0.1"),
    );
    watched.world.eventually_published(&first);
    watched.assert_polls(&server, POLL);
    assert_eq!(proxy.asked(), Vec::<String>::new());
}

#[test]
fn a_repository_with_sha256_names_is_polled() {
    let watched = Watched::new("projected");
    let server = watched.serve();
    let dir = watched.world.path("new");
    let first = sha256_commit(&dir, "1");
    let running = watched.start(watched.syncer_of(&server.url("new/.git")));
    watched.world.eventually_published(&first);
    watched.assert_polls(&server, "POST /new/.git/git-upload-pack");
    let second = sha256_commit(&dir, "2");
    watched.world.eventually_published(&second);
    watched.assert_idle(&running);
}

#[test]
fn metrics_count_as_git_sync_does() {
    let watched = Watched::new("link");
    let server: HttpServer = watched.serve();
    let first = watched.commit("1");
    let running = watched.start(
        watched
            .syncer(&server)
            .flag("http-bind", "127.0.0.1:0")
            .arg("--http-metrics"),
    );
    watched.world.eventually_published(&first);
    watched.assert_idle(&running);
    let second = watched.commit("2");
    watched.world.eventually_published(&second);
    watched.assert_idle(&running);
    let figures = crate::world::ask(running.port(), "GET", "/metrics").unwrap();
    for line in [
        "git_sync_count_total{status=\"success\"} 2",
        "git_fetch_count_total 2",
    ] {
        assert!(
            figures.lines().any(|found| found == line),
            "{line}\n{figures}"
        );
    }
    let noops = "git_sync_count_total{status=\"noop\"} ";
    let noops = figures.lines().find_map(|line| line.strip_prefix(noops));
    assert!(noops.unwrap().parse::<usize>().unwrap() >= 2 * crate::polling::MANY);
}
