//! The HTTP answers and the metrics.

use std::fs;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;

use remotes::HttpServer;
use serde_json::Value;

use crate::world::LAYOUTS;
use crate::world::Running;
use crate::world::World;
use crate::world::ask;
use crate::world::eventually;

/// A syncer with an HTTP server.
struct Served {
    port: u16,
    running: Running,
    world: World,
}

impl Served {
    fn start(world: World, flags: &[&str]) -> Self {
        let running = world
            .syncer()
            .flag("http-bind", "127.0.0.1:0")
            .args(flags.iter().copied())
            .start(&world.path("log"));
        Self {
            port: running.port(),
            running,
            world,
        }
    }

    fn get(&self, path: &str) -> String {
        ask(self.port, "GET", path).unwrap()
    }

    fn status(&self, path: &str) -> u16 {
        status(&self.get(path))
    }

    /// Waits until the metrics contain a line.
    #[track_caller]
    fn eventually_counted(&self, line: &str) {
        eventually(line, || {
            let metrics = self.get("/metrics");
            metrics.lines().any(|found| found == line).then_some(())
        });
    }

    fn figure(&self, name: &str) -> Option<f64> {
        let metrics = self.get("/metrics");
        let value = metrics
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        Some(value.parse().unwrap())
    }

    fn eventually_ready(&self) {
        eventually("it is ready", || (self.status("/") == 200).then_some(()));
    }
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn every_path_answers_503_until_the_first_success_and_200_afterwards() {
    for layout in LAYOUTS {
        let served = Served::start(World::new(layout), &[]);
        for (method, path) in [("GET", "/"), ("POST", "/any"), ("DELETE", "/metrics")] {
            let answer = ask(served.port, method, path).unwrap();
            assert_eq!(status(&answer), 503, "{method} {path}: {answer}");
            assert!(answer.ends_with("\r\n\r\nrepo is not ready\n"), "{answer}");
        }
        served.world.repo.commit().write("a", "1").push();
        served.eventually_ready();
        let answer = ask(served.port, "PUT", "/any").unwrap();
        assert_eq!(status(&answer), 200);
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
        let repo = served.world.repo.path();
        fs::rename(repo, repo.with_extension("gone")).unwrap();
        eventually("a pass has failed", || {
            let log = served.running.log();
            log.contains("\"failCount\":2,").then_some(())
        });
        assert_eq!(served.status("/"), 200, "{layout}");
    }
}

#[test]
fn a_restart_is_unready_until_its_own_first_success() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let mut server = HttpServer::start(world.repo.path().parent().unwrap());
    let url = server.url("site.git");
    let run = world.syncer_of(&url).flag("one-time", "true").finish();
    run.assert_code(0);
    server.stop();
    let running = world
        .syncer_of(&url)
        .flag("http-bind", "127.0.0.1:0")
        .start(&world.path("log"));
    let port = running.port();
    let answer = ask(port, "GET", "/").unwrap();
    assert_eq!(status(&answer), 503);
    server.start_again();
    eventually("it is ready", || {
        (status(&ask(port, "GET", "/")?) == 200).then_some(())
    });
}

#[test]
fn metrics_and_profiles_are_served_if_enabled() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let served = Served::start(world, &[]);
    served.eventually_ready();
    // Like any other path.
    for path in ["/metrics", "/debug/pprof/", "/debug/pprof/cmdline"] {
        assert!(served.get(path).ends_with("\r\n\r\n"), "{path}");
    }
    let world = World::new("link");
    let served = Served::start(world, &["--http-metrics", "--http-pprof"]);
    let metrics = served.get("/metrics");
    assert!(
        metrics.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"),
        "{metrics}"
    );
    let page = served.get("/debug/pprof/");
    assert_eq!(status(&page), 200, "{page}");
    assert!(page.contains("not written in Go"), "{page}");
    assert_eq!(served.status("/debug/pprof/heap"), 404);
}

#[test]
fn livez_always_succeeds_and_readyz_reports_the_reason() {
    let served = Served::start(World::new("link"), &[]);
    assert_eq!(served.status("/livez"), 200);
    let answer = served.get("/readyz");
    assert_eq!(status(&answer), 503);
    assert!(
        answer.ends_with("\r\n\r\nrepo is not ready: no sync has succeeded yet\n"),
        "{answer}"
    );
    served.world.repo.commit().write("a", "1").push();
    eventually("it is ready", || {
        (served.status("/readyz") == 200).then_some(())
    });
}

#[test]
fn readyz_turns_when_the_last_success_is_too_old_and_back_with_the_next() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let served = Served::start(world, &["--stale-after=1s"]);
    eventually("it is ready", || {
        (served.status("/readyz") == 200).then_some(())
    });
    let repo = served.world.repo.path();
    let gone = repo.with_extension("gone");
    fs::rename(repo, &gone).unwrap();
    let answer = eventually("it is unready", || {
        let answer = served.get("/readyz");
        (status(&answer) == 503).then_some(answer)
    });
    assert!(
        answer.contains("the last successful sync was 1s ago, and --stale-after allows 1s"),
        "{answer}"
    );
    assert_eq!(served.status("/"), 200, "git-sync's never turns");
    assert_eq!(served.status("/livez"), 200);
    fs::rename(&gone, repo).unwrap();
    eventually("it is ready again", || {
        (served.status("/readyz") == 200).then_some(())
    });
}

#[test]
fn an_address_that_is_taken_ends_the_program() {
    let world = World::new("link");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let run = world
        .syncer()
        .flag("http-bind", taken.local_addr().unwrap().to_string())
        .flag("error-file", world.path("error.json"))
        .finish();
    run.assert_code(1);
    run.assert_last_error("cannot serve HTTP: Address already in use");
    let error = fs::read_to_string(world.path("error.json")).unwrap();
    assert!(error.contains("cannot serve HTTP"), "{error}");
}

#[test]
fn a_head_that_never_ends_is_refused_and_others_are_served() {
    let world = World::new("link");
    let served = Served::start(world, &[]);
    let long = format!("/{}", "x".repeat(20_000));
    // Refused with an answer, or closed while the request is still being sent.
    let answer = ask(served.port, "GET", &long).unwrap_or_default();
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    let idle: Vec<_> = (0..50)
        .map(|_| std::net::TcpStream::connect(("127.0.0.1", served.port)).unwrap())
        .collect();
    assert_eq!(served.status("/livez"), 200);
    drop(idle);
}

#[test]
fn syncs_and_fetches_are_counted_as_git_sync_counts_them() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        world.repo.commit().write("a", "1").push();
        let served = Served::start(world, &["--http-metrics"]);
        served.eventually_counted("git_sync_count_total{status=\"success\"} 1");
        served.eventually_counted("git_sync_count_total{status=\"noop\"} 3");
        served.eventually_counted("git_fetch_count_total 1");
        served.eventually_counted("git_sync_duration_seconds_count{status=\"success\"} 1");
        served.world.repo.commit().write("a", "2").push();
        served.eventually_counted("git_sync_count_total{status=\"success\"} 2");
        served.eventually_counted("git_fetch_count_total 2");
        // A recreated tree is a change, although the process's first fetch brought nothing new.
        fs::remove_dir_all(served.world.tree().canonicalize().unwrap()).unwrap();
        served.eventually_counted("git_sync_count_total{status=\"success\"} 3");
        let repo = served.world.repo.path();
        fs::rename(repo, repo.with_extension("gone")).unwrap();
        served.eventually_counted("git_sync_count_total{status=\"error\"} 2");
        assert!(
            served
                .get("/metrics")
                .contains("# TYPE git_sync_duration_seconds summary\n")
        );
    }
}

#[test]
fn the_first_success_of_a_process_counts_as_a_change() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    world
        .syncer()
        .flag("one-time", "true")
        .finish()
        .assert_code(0);
    let served = Served::start(world, &["--http-metrics"]);
    served.eventually_counted("git_sync_count_total{status=\"success\"} 1");
    served.eventually_counted("git_fetch_count_total 1");
    served.eventually_counted("git_sync_count_total{status=\"noop\"} 2");
}

#[test]
fn the_metrics_report_the_published_commit_and_its_time() {
    let world = World::new("link");
    let first = world.repo.commit().write("a", "1").push();
    let served = Served::start(world, &["--http-metrics"]);
    served.eventually_counted(&format!(
        "gitvolume_published_commit_info{{commit=\"{first}\"}} 1"
    ));
    let second = served.world.repo.commit().write("a", "2").push();
    served.eventually_counted(&format!(
        "gitvolume_published_commit_info{{commit=\"{second}\"}} 1"
    ));
    assert!(!served.get("/metrics").contains(&first));
    let published = served
        .figure("gitvolume_published_timestamp_seconds")
        .unwrap();
    // The repository's clock starts in 2023 and advances by a second with each commit.
    let lag = served.figure("gitvolume_publish_lag_seconds").unwrap();
    assert!(
        (published - lag - 1_700_000_001.0).abs() < 1.0,
        "{published} {lag}"
    );
    let last = || served.figure("gitvolume_last_success_timestamp_seconds");
    let before = eventually("a pass is noted", last);
    assert!(before >= published - 1.0, "{before} {published}");
    eventually("a later pass is noted", || (last()? > before).then_some(()));
    for name in [
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_start_time_seconds",
    ] {
        assert!(
            served.figure(name).is_some_and(|value| value > 0.0),
            "{name}"
        );
    }
}

#[test]
fn a_tree_that_was_found_published_has_no_lag() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    world
        .syncer()
        .flag("one-time", "true")
        .finish()
        .assert_code(0);
    let served = Served::start(world, &["--http-metrics"]);
    served.eventually_counted("git_sync_count_total{status=\"noop\"} 2");
    assert_eq!(served.figure("gitvolume_publish_lag_seconds"), None);
}

#[test]
fn the_bytes_of_polls_are_counted() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let server = HttpServer::start(world.repo.path().parent().unwrap());
    let repo = format!("--repo={}", server.url("site.git"));
    let served = Served::start(world, &["--http-metrics", &repo]);
    eventually("it polls", || {
        (served.figure("gitvolume_polls_total")? >= 3.0).then_some(())
    });
    let received = served
        .figure("gitvolume_poll_received_bytes_total")
        .unwrap();
    assert!(received >= 50.0, "{received}");
}

/// The answer to a browser's request for the status page.
fn browse(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let head =
        format!("GET /status HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_browser_gets_the_status_as_a_table_and_a_program_as_json() {
    let served = Served::start(World::new("projected"), &[]);
    let commit = served.world.repo.commit().write("a", "1").push();
    served.eventually_ready();
    let page = browse(served.port);
    assert_eq!(status(&page), 200);
    for part in [
        "content-type: text/html; charset=utf-8\r\n",
        "content-security-policy: default-src 'none'; style-src 'unsafe-inline'\r\n",
        "vary: accept\r\n",
        "<th>Last error</th>",
        " s ago</time>",
        &format!("<code>{commit}</code>"),
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    // Nothing is loaded: no script, no style sheet, no image, and no link to follow.
    for tag in ["<script", "<link", "<img", "<a ", "src=", "href="] {
        assert!(!page.contains(tag), "{tag}: {page}");
    }
    let json = served.get("/status");
    assert!(
        json.contains("content-type: application/json\r\n"),
        "{json}"
    );
    assert!(json.contains("\r\n\r\n{\"repos\":["), "{json}");
}

/// What `gitvolume status` reads where no HTTP is served.
#[test]
fn the_state_directory_has_the_published_commit_and_the_last_error() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let first = world.repo.commit().write("a", "1").push();
        let running = world.syncer().start(&world.path("log"));
        let eventually_health = |what: &str, is_it: &dyn Fn(&Value) -> bool| {
            eventually(what, || world.health().filter(is_it));
        };
        eventually_health("the first commit", &|own| {
            own["published"]["commit"] == *first
        });
        let second = world.repo.commit().write("a", "2").push();
        eventually_health("the next commit", &|own| {
            own["published"]["commit"] == *second
        });
        let repo = world.repo.path();
        fs::rename(repo, repo.with_extension("gone")).unwrap();
        eventually_health("the error", &|own| {
            own["lastError"].is_string() && own["published"]["commit"] == *second
        });
        drop(running);
        // The next process keeps the commit although it cannot reach the remote.
        let _running = world.syncer().start(&world.path("log-2"));
        eventually("it has failed", || {
            let log = fs::read_to_string(world.path("log-2")).ok()?;
            log.contains("failCount").then_some(())
        });
        assert_eq!(
            world.health().unwrap()["published"]["commit"],
            *second,
            "{layout}"
        );
    }
}
