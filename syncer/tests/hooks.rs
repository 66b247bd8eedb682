//! What is told of each new tree: programs and an address.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod world;

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
use world::LAYOUTS;
use world::Syncer;
use world::World;
use world::eventually;

/// A shell command that appends a line to a file of the world.
fn note(world: &World, line: &str) -> String {
    format!("echo \"{line}\" >>{}", world.path("told").display())
}

/// Waits until the hooks have left these lines.
#[track_caller]
fn eventually_told(world: &World, lines: &[&str]) {
    eventually(&format!("the hook has said {lines:?}"), || {
        (world.lines("told") == lines).then_some(())
    });
}

/// Waits until some further passes have found nothing to do.
fn some_passes(running: &world::Running) {
    let passes = || running.log().matches("update not required").count();
    let before = passes();
    eventually("some passes have been", || {
        (passes() > before + 3).then_some(())
    });
}

fn exec(world: &World, syncer: Syncer, body: &str) -> Syncer {
    syncer
        .flag("exechook-command", world.script("hook", body))
        .flag("exechook-backoff", "1s")
}

#[test]
fn a_program_runs_in_each_new_tree_with_its_hash_and_the_one_before() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let first = world.repo.commit().write("a", "1").push();
        let said = "$GITSYNC_HASH ${GITSYNC_OLD_HASH-unset} $# $(cat a) $(cat)";
        let running = exec(&world, world.syncer(), &note(&world, said))
            .flag("verbose", "2")
            .start(&world.path("log"));
        let one = format!("{first}  0 1 ");
        eventually_told(&world, &[&one]);
        let second = world.repo.commit().write("a", "2").push();
        let two = format!("{second} {first} 0 2 ");
        eventually_told(&world, &[&one, &two]);
        some_passes(&running);
        eventually_told(&world, &[&one, &two]);
    }
}

#[test]
fn the_tree_is_published_before_the_program_runs() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let commit = world.repo.commit().write("a", "1").push();
        let body = note(
            &world,
            &format!("$(readlink -f {})", world.tree().display()),
        );
        exec(
            &world,
            world.syncer(),
            &format!("{body}; {}", note(&world, "$PWD")),
        )
        .flag("one-time", "true")
        .finish()
        .assert_code(0);
        let tree = world.tree().canonicalize().unwrap().display().to_string();
        assert!(tree.contains(&commit), "{tree}");
        assert_eq!(world.lines("told"), [tree.clone(), tree], "{layout}");
    }
}

#[test]
fn a_program_that_fails_is_run_again_until_it_succeeds() {
    let world = World::new("link");
    let commit = world.repo.commit().write("a", "1").push();
    let body = format!(
        "{}; echo out; echo err >&2; test $(wc -l <{}) = 3",
        note(&world, "$GITSYNC_HASH"),
        world.path("told").display()
    );
    let running = exec(&world, world.syncer(), &body)
        .flag("verbose", "2")
        .start(&world.path("log"));
    eventually_told(&world, &[commit.as_str(); 3]);
    some_passes(&running);
    eventually_told(&world, &[commit.as_str(); 3]);
    let log = running.log();
    let failures: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("\"msg\":\"hook failed\""))
        .collect();
    assert_eq!(failures.len(), 2, "{log}");
    assert!(
        failures[0].starts_with("{\"logger\":\"exechook\","),
        "{log}"
    );
    assert!(failures[0].contains("exit status: 1"), "{log}");
    assert!(
        failures[0].contains(r#"{ stdout: \"out\", stderr: \"err\" }"#),
        "{log}"
    );
    assert!(failures[0].contains(&format!("\"hash\":\"{commit}\",\"retry\":\"1s\"")));
    let success = r#""level":1,"msg":"exechook succeeded""#;
    assert!(log.contains(success), "{log}");
    assert!(log.contains(r#""stdout":"out","stderr":"err""#), "{log}");
}

#[test]
fn a_one_time_sync_waits_for_its_program() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let commit = world.repo.commit().write("a", "1").push();
        let body = format!("sleep 0.5; {}", note(&world, "$GITSYNC_HASH"));
        exec(&world, world.syncer(), &body)
            .flag("one-time", "true")
            .finish()
            .assert_code(0);
        assert_eq!(world.lines("told"), [commit], "{layout}");
    }
}

#[test]
fn a_one_time_sync_whose_program_fails_ends_with_1_and_has_published() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let commit = world.repo.commit().write("a", "1").push();
        let body = format!("{}; exit 7", note(&world, "$GITSYNC_HASH"));
        let run = exec(&world, world.syncer(), &body)
            .flag("one-time", "true")
            .flag("error-file", world.path("error.json"))
            .finish();
        run.assert_code(1);
        assert_eq!(world.lines("told"), [commit.clone()], "tried once");
        assert_eq!(world.published(), Some(commit), "{layout}");
        // The sync itself was well.
        assert!(!world.path("error.json").exists());
    }
}

#[test]
fn a_program_is_told_again_after_a_start_even_of_the_same_hash() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let commit = world.repo.commit().write("a", "1").push();
        let line = format!("{commit} ");
        for starts in 1..=2 {
            let syncer = exec(
                &world,
                world.syncer(),
                &note(&world, "$GITSYNC_HASH $GITSYNC_OLD_HASH"),
            );
            let running = syncer.flag("verbose", "2").start(&world.path("log"));
            eventually_told(&world, &vec![line.as_str(); starts]);
            some_passes(&running);
            eventually_told(&world, &vec![line.as_str(); starts]);
        }
    }
}

#[test]
fn what_was_published_before_a_start_is_the_old_hash() {
    let world = World::new("link");
    let first = world.repo.commit().write("a", "1").push();
    let run = world.syncer().flag("one-time", "true").finish();
    run.assert_code(0);
    let second = world.repo.commit().write("a", "2").push();
    let body = note(&world, "$GITSYNC_HASH $GITSYNC_OLD_HASH");
    let run = exec(&world, world.syncer(), &body).flag("one-time", "true");
    run.finish().assert_code(0);
    assert_eq!(world.lines("told"), [format!("{second} {first}")]);
}

#[test]
fn a_slow_program_is_told_of_the_newest_tree_and_not_of_each() {
    let world = World::new("link");
    let first = world.repo.commit().write("a", "1").push();
    let go = world.path("go");
    let body = format!(
        "{}; while [ ! -e {} ]; do sleep 0.02; done",
        note(&world, "$GITSYNC_HASH $GITSYNC_OLD_HASH"),
        go.display()
    );
    let _running = exec(&world, world.syncer(), &body).start(&world.path("log"));
    eventually_told(&world, &[&format!("{first} ")]);
    let mut newest = String::new();
    for n in 2..=4 {
        newest = world.repo.commit().write("a", n.to_string()).push();
        world.eventually_published(&newest);
    }
    fs::write(go, "").unwrap();
    eventually_told(
        &world,
        &[&format!("{first} "), &format!("{newest} {first}")],
    );
}

#[test]
fn a_repaired_tree_of_the_same_hash_is_not_told_again() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let commit = world.repo.commit().write("a", "1").push();
        let body = note(&world, "$GITSYNC_HASH");
        let running = exec(&world, world.syncer(), &body)
            .flag("verbose", "2")
            .start(&world.path("log"));
        eventually_told(&world, &[&commit]);
        fs::remove_dir_all(world.tree().canonicalize().unwrap()).unwrap();
        eventually("the tree is repaired", || {
            (world.read("a").as_deref() == Some("1")).then_some(())
        });
        some_passes(&running);
        eventually_told(&world, &[&commit]);
    }
}

#[test]
fn a_program_that_takes_too_long_is_killed_with_its_children() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let body = format!(
        "sleep 4321 & echo $! >{}; echo begun; wait",
        world.path("pid").display()
    );
    let run = exec(&world, world.syncer(), &body)
        .flag("exechook-timeout", "1s")
        .flag("one-time", "true")
        .finish();
    run.assert_code(1);
    let killed = r#"did not end in 1s, and was killed: { stdout: \"begun\""#;
    assert!(run.log.contains(killed), "{}", run.log);
    let pid = fs::read_to_string(world.path("pid")).unwrap();
    eventually_gone(pid.trim());
}

fn eventually_gone(pid: &str) {
    eventually("the process is gone", || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
        // Where nobody reaps orphans it stays as a zombie.
        let is_gone = stat.map_or(true, |stat| stat.contains(") Z "));
        is_gone.then_some(())
    });
}

#[test]
fn a_program_that_leaves_someone_in_the_background_has_succeeded() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let body = format!(
        "sleep 4321 & echo $! >{}; echo begun",
        world.path("pid").display()
    );
    let run = exec(&world, world.syncer(), &body)
        .flag("one-time", "true")
        .flag("verbose", "1")
        .finish();
    run.assert_code(0);
    assert!(run.log.contains(r#""stdout":"begun""#), "{}", run.log);
    let pid = fs::read_to_string(world.path("pid")).unwrap();
    let killed = std::process::Command::new("kill").arg(pid.trim()).status();
    assert!(killed.unwrap().success(), "it was still there");
}

#[test]
fn the_end_of_the_syncer_is_the_end_of_its_program() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let body = format!(
        "sleep 4321 & echo $! >{0}.new; mv {0}.new {0}; wait",
        world.path("pid").display()
    );
    let running = exec(&world, world.syncer(), &body).start(&world.path("log"));
    let pid = eventually("the program runs", || {
        fs::read_to_string(world.path("pid")).ok()
    });
    assert_eq!(running.terminate().code(), Some(0));
    eventually_gone(pid.trim());
}

#[test]
fn git_works_in_a_program_that_asks_for_an_archive() {
    let world = World::new("link");
    let commit = world.repo.commit().write("d/a", "1").push();
    let body = format!(
        "git archive --format=tar HEAD | tar -xf - -O d/a >{0}; git config --get-all safe.directory >>{0}",
        world.path("archived").display()
    );
    exec(&world, world.syncer(), &body)
        .flag("one-time", "true")
        .finish()
        .assert_code(0);
    let archived = fs::read_to_string(world.path("archived")).unwrap();
    assert_eq!(archived, "1*\n", "{commit}");
}

#[test]
fn a_program_inherits_our_environment_and_git_syncs_variables() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let body = note(
        &world,
        "$MINE $GIT_CONFIG_NOSYSTEM ${GIT_CONFIG_GLOBAL:+set} ${GIT_TERMINAL_PROMPT-unset} ${LC_ALL-unset}",
    );
    exec(&world, world.syncer(), &body)
        .env("MINE", "yours")
        .flag("one-time", "true")
        .finish()
        .assert_code(0);
    assert_eq!(world.lines("told"), ["yours true set unset unset"]);
}

#[test]
fn a_path_is_taken_from_the_tree_and_a_name_from_path_alone() {
    let world = World::new("link");
    let in_tree = note(&world, "from the tree");
    world
        .repo
        .commit()
        .write_executable("bin/hook", format!("#!/bin/sh\n{in_tree}\n"))
        .write_executable("named", format!("#!/bin/sh\n{in_tree}\n"))
        .push();
    let once = |command: &str| {
        let syncer = world.syncer().flag("one-time", "true");
        // The relative parts of PATH would be in the tree, or wherever we are.
        let path = format!("sub:.:bin:{}:{}", world.path("").display(), world::PATH);
        syncer
            .in_dir(&world.path("here"))
            .env("PATH", path)
            .flag("exechook-command", command)
            .finish()
    };
    fs::create_dir_all(world.path("here/sub")).unwrap();
    world.script("here/sub/named", &note(&world, "from here"));
    once("./bin/hook").assert_code(0);
    once("bin/hook").assert_code(0);
    assert_eq!(world.lines("told"), ["from the tree"; 2]);
    let run = once("named");
    run.assert_code(1);
    let sentence = r#"\"named\" is not an executable file in PATH"#;
    assert!(run.log.contains(sentence), "{}", run.log);
    world.script("named", &note(&world, "from PATH"));
    once("named").assert_code(0);
    assert_eq!(world.lines("told").last().unwrap(), "from PATH");
    // No shell reads it.
    let run = once("./bin/hook with arguments");
    run.assert_code(1);
    assert!(
        run.log.contains("cannot run ./bin/hook with"),
        "{}",
        run.log
    );
}

fn pre_publish(world: &World, body: &str) -> Syncer {
    let syncer = world.syncer().flag("verbose", "2");
    syncer
        .flag(
            "pre-publish-exechook-command",
            world.script("pre-hook", body),
        )
        .flag("pre-publish-exechook-backoff", "1s")
}

#[test]
fn a_program_before_publication_is_told_of_each_change_in_the_new_tree() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let first = world.repo.commit().write("a", "1").push();
        let said = "$GITSYNC_HASH $GITSYNC_OLD_HASH $(cat a)";
        let running = pre_publish(&world, &note(&world, said)).start(&world.path("log"));
        let one = format!("{first}  1");
        eventually_told(&world, &[&one]);
        let second = world.repo.commit().write("a", "2").push();
        let two = format!("{second} {first} 2");
        eventually_told(&world, &[&one, &two]);
        some_passes(&running);
        eventually_told(&world, &[&one, &two]);
        let log = running.log();
        assert!(
            log.contains("{\"logger\":\"pre-publish-exechook\","),
            "{log}"
        );
    }
}

#[test]
fn a_program_before_publication_does_not_hold_it_up() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let commit = world.repo.commit().write("a", "1").push();
        let body = format!(
            "{}; while [ ! -e {} ]; do sleep 0.02; done; {}",
            note(&world, "begin"),
            world.path("go").display(),
            note(&world, "end")
        );
        let _running = pre_publish(&world, &body).start(&world.path("log"));
        world.eventually_published(&commit);
        eventually_told(&world, &["begin"]);
        fs::write(world.path("go"), "").unwrap();
        eventually_told(&world, &["begin", "end"]);
    }
}

#[test]
fn a_program_before_publication_that_fails_prevents_nothing_and_is_run_again() {
    let world = World::new("link");
    let commit = world.repo.commit().write("a", "1").push();
    let body = format!(
        "{}; test $(wc -l <{}) = 2",
        note(&world, "$GITSYNC_HASH"),
        world.path("told").display()
    );
    let _running = pre_publish(&world, &body).start(&world.path("log"));
    world.eventually_published(&commit);
    eventually_told(&world, &[commit.as_str(); 2]);
}

#[test]
fn a_one_time_sync_waits_for_the_program_before_publication_and_fails_with_it() {
    for (code, exit) in [(0, "exit 0"), (1, "exit 3")] {
        let world = World::new("link");
        let commit = world.repo.commit().write("a", "1").push();
        let body = format!("sleep 0.3; {}; {exit}", note(&world, "$GITSYNC_HASH"));
        let run = pre_publish(&world, &body).flag("one-time", "true").finish();
        run.assert_code(code);
        assert_eq!(world.lines("told"), [commit.clone()]);
        assert_eq!(world.published(), Some(commit));
    }
}

#[test]
fn a_program_before_publication_is_not_told_of_what_is_published_already() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        world.repo.commit().write("a", "1").push();
        let once = || {
            let syncer = pre_publish(&world, &note(&world, "$GITSYNC_HASH"));
            syncer.flag("one-time", "true").finish().assert_code(0);
            world.lines("told").len()
        };
        assert_eq!((once(), once()), (1, 1), "{layout}");
    }
}

/// An address that is called; what it answers can change.
struct Receiver {
    stub: Stub,
    answer: Arc<Mutex<Answer>>,
}

impl Receiver {
    fn new(start: impl Fn(Box<dyn Fn(&Asked) -> Answer + Send + Sync>) -> Stub) -> Self {
        let answer = Arc::new(Mutex::new(Answer::new(200, "")));
        let now = answer.clone();
        let stub = start(Box::new(move |_| now.lock().unwrap().clone()));
        Self { stub, answer }
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

    /// The hashes that were told.
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
    let failures = || running.log().matches("hook failed").count();
    eventually("the last call was well", || {
        (receiver.calls().len() == failures() + 1).then_some(())
    });
    some_passes(&running);
    let told = receiver.told();
    assert_eq!(told.len(), failures() + 1, "{told:?}");
    assert!(told.iter().all(|hash| *hash == commit));
    let sentence = "received response code 500 expected 200";
    assert!(running.log().contains(sentence), "{}", running.log());
}

#[test]
fn a_one_time_sync_calls_once_and_its_code_says_how_that_was() {
    for (status, code) in [(200, 0), (404, 1)] {
        let world = World::new("link");
        let commit = world.repo.commit().write("a", "1").push();
        let receiver = Receiver::start();
        receiver.answer(status);
        let run = webhook(&world, &receiver).flag("one-time", "true").finish();
        run.assert_code(code);
        assert_eq!(receiver.told(), [commit.clone()]);
        assert_eq!(world.published(), Some(commit));
    }
}

#[test]
fn where_no_status_is_expected_any_will_do() {
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
        assert!(!running.log().contains("hook failed"), "{}", running.log());
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
fn a_call_goes_through_the_proxy_but_not_to_this_machine() {
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
    // There is no such host, which is the proxy's trouble.
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
fn no_password_of_the_repository_or_of_the_address_is_told() {
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
            let metrics = world::ask(running.port(), "GET", "/metrics")?;
            metrics.lines().any(|found| found == line).then_some(())
        });
    }
}
