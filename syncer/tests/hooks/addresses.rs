//! Webhooks, called after a tree is published.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;

use remotes::Answer;
use remotes::Asked;
use remotes::BasicAuth;
use remotes::HttpServer;
use remotes::Proxy;
use remotes::Stub;

use crate::hooks::some_passes;
use crate::world::Syncer;
use crate::world::World;
use crate::world::eventually;

/// A webhook's receiver with a configurable answer.
struct Receiver {
    stub: Stub,
    answer: Arc<Mutex<Answer>>,
    /// The status codes of its answers.
    answered: Arc<Mutex<Vec<u16>>>,
}

impl Receiver {
    fn new(start: impl Fn(Box<dyn Fn(&Asked) -> Answer + Send + Sync>) -> Stub) -> Self {
        let answer = Arc::new(Mutex::new(Answer::new(200, "")));
        let answered = Arc::new(Mutex::new(Vec::new()));
        let (now, given) = (answer.clone(), answered.clone());
        let stub = start(Box::new(move |_| {
            let answer: Answer = now.lock().unwrap().clone();
            given.lock().unwrap().push(answer.status);
            answer
        }));
        Self {
            stub,
            answer,
            answered,
        }
    }

    fn start() -> Self {
        Self::new(Stub::start)
    }

    fn answer(&self, status: u16) {
        *self.answer.lock().unwrap() = Answer::new(status, "");
    }

    fn redirect(&self, location: String) {
        let mut answer = Answer::new(307, "");
        answer.headers.push(("location", location));
        *self.answer.lock().unwrap() = answer;
    }

    fn url(&self, path: &str) -> String {
        self.stub.url(path)
    }

    fn calls(&self) -> Vec<Asked> {
        self.stub.asked()
    }

    fn answered(&self) -> Vec<u16> {
        self.answered.lock().unwrap().clone()
    }

    /// The hashes that it received.
    fn told(&self) -> Vec<String> {
        let calls = self.calls();
        let hashes = calls.iter().filter_map(|call| call.header("gitsync-hash"));
        hashes.map(str::to_owned).collect()
    }
}

fn webhook(world: &World, receiver: &Receiver) -> Syncer {
    world
        .syncer()
        .flag("webhook-url", receiver.url("/hook?x=1"))
        .flag("webhook-backoff", "1s")
        .flag("verbose", "2")
}

#[test]
fn an_address_is_called_for_each_new_tree() {
    let world = World::new("link");
    let first = world.repo.commit().write("a", "1").push();
    let receiver = Receiver::start();
    let running = webhook(&world, &receiver).start(&world.path("log"));
    eventually("the address is called", || {
        (receiver.told() == [first.clone()]).then_some(())
    });
    let second = world.repo.commit().write("a", "2").push();
    eventually("the address is called again", || {
        (receiver.told() == [first.clone(), second.clone()]).then_some(())
    });
    some_passes(&running);
    let calls = receiver.calls();
    assert_eq!(calls.len(), 2, "{calls:?}");
    for call in &calls {
        assert_eq!(call.method, "POST");
        assert_eq!(call.path, "/hook?x=1");
        assert_eq!(call.header("content-length"), Some("0"));
        assert_eq!(call.header("gitsync-repo"), Some(world.repo.url().as_str()));
    }
    assert_eq!(calls[0].header("gitsync-old-hash"), None);
    assert_eq!(calls[1].header("gitsync-old-hash"), Some(first.as_str()));
    let log = running.log();
    assert!(log.contains("{\"logger\":\"webhook\","), "{log}");
    assert!(log.contains("\"msg\":\"sending webhook\""), "{log}");
}

#[test]
fn an_address_that_answers_otherwise_is_called_again() {
    let world = World::new("link");
    let commit = world.repo.commit().write("a", "1").push();
    let receiver = Receiver::start();
    receiver.answer(500);
    let running = webhook(&world, &receiver).start(&world.path("log"));
    eventually("the address is called twice", || {
        (receiver.calls().len() >= 2).then_some(())
    });
    receiver.answer(200);
    eventually("a call was well", || {
        (receiver.answered().last() == Some(&200)).then_some(())
    });
    some_passes(&running);
    // That call was the last.
    let answered = receiver.answered();
    let well = answered.iter().filter(|status| **status == 200).count();
    assert_eq!(well, 1, "{answered:?}");
    assert_eq!(
        running.log().matches("hook failed").count(),
        answered.len() - 1
    );
    let told = receiver.told();
    assert_eq!(told.len(), answered.len(), "{told:?}");
    assert!(told.iter().all(|hash| *hash == commit));
    let sentence = "received response code 500 expected 200";
    running.assert_logged(sentence);
}

#[test]
fn a_one_time_sync_calls_once_and_its_exit_code_reports_the_result() {
    for (status, code) in [(200, 0), (404, 1)] {
        let world = World::new("link");
        let commit = world.repo.commit().write("a", "1").push();
        let receiver = Receiver::start();
        receiver.answer(status);
        let run = webhook(&world, &receiver).flag("one-time", "true").finish();
        run.assert_code(code);
        assert_eq!(receiver.told(), [commit.as_str()]);
        assert_eq!(world.published(), Some(commit));
    }
}

#[test]
fn without_an_expected_status_any_status_is_a_success() {
    for expected in ["0", "-1"] {
        let world = World::new("link");
        let commit = world.repo.commit().write("a", "1").push();
        let receiver = Receiver::start();
        receiver.answer(404);
        let running = webhook(&world, &receiver)
            .flag("webhook-success-status", expected)
            .start(&world.path("log"));
        eventually("the address is called", || {
            (!receiver.calls().is_empty()).then_some(())
        });
        some_passes(&running);
        assert_eq!(receiver.told(), [commit]);
        running.assert_not_logged("hook failed");
    }
}

#[test]
fn the_method_and_the_status_are_the_users() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let receiver = Receiver::start();
    receiver.answer(202);
    webhook(&world, &receiver)
        .flag("webhook-method", "PUT")
        .flag("webhook-success-status", "202")
        .flag("one-time", "true")
        .finish()
        .assert_code(0);
    assert_eq!(receiver.calls()[0].method, "PUT");
}

#[test]
fn a_redirect_is_followed_with_the_hash() {
    let world = World::new("link");
    let commit = world.repo.commit().write("a", "1").push();
    let (first, second) = (Receiver::start(), Receiver::start());
    first.redirect(second.url("/there"));
    webhook(&world, &first)
        .flag("one-time", "true")
        .finish()
        .assert_code(0);
    assert_eq!(second.told(), [commit]);
    assert_eq!(second.calls()[0].method, "POST");
    assert_eq!(second.calls()[0].path, "/there");
}

#[test]
fn a_call_uses_the_proxy_except_to_the_local_machine() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let (proxy, receiver) = (Proxy::start(), Receiver::start());
    let once = |url: &str| {
        let syncer = world.syncer().flag("one-time", "true");
        syncer
            .env("http_proxy", proxy.url())
            .flag("webhook-url", url)
            .finish()
    };
    once(&receiver.url("/neighbour")).assert_code(0);
    assert_eq!(receiver.calls()[0].path, "/neighbour");
    assert_eq!(proxy.asked(), [""; 0]);
    // The host does not exist, which the proxy reports.
    once("http://hooks.example/far").assert_code(1);
    assert_eq!(proxy.asked(), ["POST http://hooks.example/far HTTP/1.1"]);
}

#[test]
fn an_address_over_tls_is_trusted_by_the_secrets_authority() {
    let world = World::new("link");
    let commit = world.repo.commit().write("a", "1").push();
    let receiver = Receiver::new(Stub::start_tls);
    let once = || webhook(&world, &receiver).flag("one-time", "true");
    once().finish().assert_code(1);
    assert_eq!(receiver.told(), [""; 0]);
    fs::create_dir(world.path("secret")).unwrap();
    fs::write(world.path("secret/ca.crt"), receiver.stub.ca_pem()).unwrap();
    let run = once().flag("secret-dir", world.path("secret")).finish();
    run.assert_code(0);
    assert_eq!(receiver.told(), [commit]);
}

#[test]
fn a_call_that_takes_too_long_has_failed() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let silent = HttpServer::start(Path::new("/nonexistent"));
    silent.hang(true);
    let run = world
        .syncer()
        .flag("webhook-url", silent.url("hook"))
        .flag("webhook-timeout", "1s")
        .flag("one-time", "true")
        .finish();
    run.assert_code(1);
    assert!(run.log.contains("operation timed out"), "{}", run.log);
}

#[test]
fn no_password_of_the_repository_or_of_the_address_is_sent_or_logged() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let server = HttpServer::start(world.repo.path().parent().unwrap());
    server.require(Some(BasicAuth::Password("me".into(), "hunter2x".into())));
    let receiver = Receiver::start();
    receiver.answer(500);
    let url = server.url("site.git");
    let run = world
        .syncer_of(&url.replace("://", "://me:hunter2x@"))
        .flag(
            "webhook-url",
            receiver.url("/").replace("://", "://you:hunter3x@"),
        )
        .flag("verbose", "9")
        .flag("one-time", "true")
        .finish();
    run.assert_code(1);
    let calls = receiver.calls();
    assert_eq!(calls[0].header("gitsync-repo"), Some(url.as_str()));
    // As curl and Go do with a password in an address.
    assert_eq!(
        calls[0].header("authorization"),
        Some("Basic eW91Omh1bnRlcjN4")
    );
    assert!(!run.log.contains("hunter"), "{}", run.log);
}

#[test]
fn the_runs_of_hooks_are_counted() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let receiver = Receiver::start();
    let failing = world.script("hook", "exit 1");
    let running = webhook(&world, &receiver)
        .flag("exechook-command", failing)
        .flag("pre-publish-exechook-command", "true")
        .flag("http-bind", "127.0.0.1:0")
        .flag("http-metrics", "true")
        .start(&world.path("log"));
    for line in [
        r#"git_sync_hook_run_count_total{name="exechook",status="error"} 1"#,
        r#"git_sync_hook_run_count_total{name="pre-publish-exechook",status="success"} 1"#,
        r#"git_sync_hook_run_count_total{name="webhook",status="success"} 1"#,
    ] {
        eventually(line, || {
            let metrics = crate::world::ask(running.port(), "GET", "/metrics")?;
            metrics.lines().any(|found| found == line).then_some(())
        });
    }
}

#[test]
fn only_the_host_of_an_address_is_shown() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    // No server listens there any more.
    let gone = Receiver::start().url("/services/T0/s3cr3t?token=hunter2");
    let receiver = Receiver::start();
    receiver.answer(500);
    for url in [gone, receiver.url("/services/T0/s3cr3t?token=hunter2")] {
        let running = world
            .syncer()
            .env("GITSYNC_WEBHOOK_URL", &url)
            .flag("webhook-backoff", "1s")
            .flag("verbose", "9")
            .start(&world.path("log"));
        let log = eventually("the call fails", || {
            Some(running.log()).filter(|log| log.contains("\"msg\":\"hook failed\""))
        });
        assert!(!log.contains("s3cr3t") && !log.contains("hunter2"), "{log}");
        let host = url.split("/services").next().unwrap_or_default();
        assert!(log.contains(&format!("\"url\":\"{host}\"")), "{log}");
    }
}
