//! `--askpass-url`: the address that the syncer requests at each sync.

use std::fs;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use remotes::Answer;
use remotes::Proxy;
use remotes::ReservedPort;
use remotes::Stub;

use crate::access::PASSWORD;
use crate::access::USER;
use crate::access::metrics;
use crate::access::once;
use crate::access::server_for;
use crate::access::world;
use crate::world::Syncer;
use crate::world::World;
use crate::world::eventually;

fn lines(password: &str) -> Answer {
    Answer::new(200, format!("username={USER}\npassword={password}\n"))
}

fn asking(world: &World, url: &str, askpass: &str) -> Syncer {
    world.syncer_of(url).flag("askpass-url", askpass)
}

#[test]
fn the_requested_password_authenticates() {
    let world = world();
    let server = server_for(&world, USER, PASSWORD);
    let stub = Stub::start(|_| lines(PASSWORD));
    let url = server.url("site.git");
    let askpass = stub.url("/git_askpass");
    let run = once(asking(&world, &url, &askpass))
        .flag("verbose", "9")
        .finish();
    run.assert_code(0);
    assert!(!run.log.contains(PASSWORD), "{}", run.log);
    let asked = stub.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        (&*asked[0].method, &*asked[0].path),
        ("GET", "/git_askpass")
    );
}

#[test]
fn a_wrong_password_does_not() {
    let world = world();
    let server = server_for(&world, USER, PASSWORD);
    let stub = Stub::start(|_| lines("wrong-password"));
    let run = once(asking(&world, &server.url("site.git"), &stub.url("/"))).finish();
    run.assert_code(1);
    run.assert_last_error("the server rejects the user name and password");
    assert_eq!(world.published(), None);
}

#[test]
fn a_password_that_changes_is_followed_at_each_sync() {
    let world = world();
    let server = server_for(&world, USER, PASSWORD);
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = calls.clone();
    let stub = Stub::start(move |_| match seen.fetch_add(1, Ordering::Relaxed) % 2 {
        0 => lines(PASSWORD),
        _ => lines("wrong-password"),
    });
    let running = asking(&world, &server.url("site.git"), &stub.url("/"))
        .flag("http-bind", "127.0.0.1:0")
        .flag("http-metrics", "true")
        .start(&world.path("log"));
    eventually("it is published", || world.published());
    let second = world.repo.commit().write("a", "2").push();
    world.eventually_published(&second);
    eventually("both passwords were tried", || {
        let log = running.log();
        (calls.load(Ordering::Relaxed) > 3 && log.contains("rejects the user name")).then_some(())
    });
    let text = metrics(&running);
    assert!(
        text.contains("git_sync_askpass_calls{status=\"success\"}"),
        "{text}"
    );
    assert!(
        !text.contains("git_sync_askpass_calls{status=\"error\"}"),
        "{text}"
    );
}

#[test]
fn a_failing_askpass_address_fails_the_pass_and_is_retried() {
    let world = world();
    let server = server_for(&world, USER, PASSWORD);
    let answer = Arc::new(Mutex::new(Answer::new(503, "later")));
    let given = answer.clone();
    let stub = Stub::start(move |_| given.lock().unwrap().clone());
    let running = asking(&world, &server.url("site.git"), &stub.url("/?key=sesame"))
        .flag("http-bind", "127.0.0.1:0")
        .flag("http-metrics", "true")
        .start(&world.path("log"));
    running.eventually_logs("(--askpass-url) answers 503 Service Unavailable: expected 200");
    // A redirect could lead to any server.
    let mut elsewhere = Answer::new(302, "");
    elsewhere.headers = vec![("location", "/else".into())];
    *answer.lock().unwrap() = elsewhere;
    running.eventually_logs("answers 302 Found: expected 200");
    *answer.lock().unwrap() = Answer::new(200, "no such lines");
    running.eventually_logs(
        "does not return credentials: expected the lines username=… and password=…",
    );
    let text = metrics(&running);
    assert!(
        text.contains("git_sync_askpass_calls{status=\"error\"}"),
        "{text}"
    );
    *answer.lock().unwrap() = lines(PASSWORD);
    eventually("it is published", || world.published());
    running.assert_not_logged("sesame");
}

#[test]
fn an_address_that_is_not_there_yet_is_waited_for() {
    let world = world();
    let server = server_for(&world, USER, PASSWORD);
    let port = ReservedPort::new();
    let address = port.address();
    let running = asking(
        &world,
        &server.url("site.git"),
        &format!("http://{address}/"),
    )
    .start(&world.path("log"));
    running.eventually_logs(&format!(
        "cannot ask http://{address}/ for the user name and password"
    ));
    let _stub = Stub::start_at(address, |_| lines(PASSWORD));
    eventually("it is published", || world.published());
}

#[test]
fn a_local_askpass_address_bypasses_the_proxy_and_others_use_it() {
    let world = world();
    let stub = Stub::start(|_| lines(PASSWORD));
    let proxy = Proxy::leading_to(stub.address());
    let run = |askpass: &str| {
        once(asking(&world, &world.repo.url(), askpass))
            .env("http_proxy", proxy.url())
            .finish()
            .assert_code(0);
    };
    for host in ["localhost", "127.0.0.1"] {
        run(&format!("http://{host}:{}/", stub.address().port()));
    }
    assert_eq!(proxy.asked(), [""; 0]);
    run("http://passwords.example/");
    assert_eq!(proxy.asked(), ["GET http://passwords.example/ HTTP/1.1"]);
}

#[test]
fn a_wrapped_git_gets_the_answer_by_git_credential_fill() {
    let world = world();
    let stub = Stub::start(|_| lines(PASSWORD));
    // git runs its helpers itself only for http; a wrapper may request any address.
    let filled = world.path("filled");
    let wrapper = world.script("git-wrapper",
        &format!(
            "if [ \"$1\" = fetch ]; then echo url={} | git credential fill >{}; fi\nexec git \"$@\"",
            world.repo.url(),
            filled.display()
        ),
    );
    once(asking(&world, &world.repo.url(), &stub.url("/")))
        .flag("git", wrapper)
        .finish()
        .assert_code(0);
    let filled = fs::read_to_string(filled).unwrap();
    for line in [format!("username={USER}"), format!("password={PASSWORD}")] {
        assert!(filled.lines().any(|found| found == line), "{filled}");
    }
}

#[test]
fn a_malformed_address_is_refused_with_an_explanation() {
    let world = world();
    let run = once(asking(&world, &world.repo.url(), "nonsense")).finish();
    run.assert_code(1);
    assert!(
        run.log.contains("--askpass-url: expected an address"),
        "{}",
        run.log
    );
}
