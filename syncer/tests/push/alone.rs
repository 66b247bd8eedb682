//! The syncer alone: `POST /push` beside `/livez`.

use std::fs;

use remotes::HttpServer;
use remotes::Repo;
use serde_json::json;

use crate::push::Delivery;
use crate::push::SECRET;
use crate::world::Running;
use crate::world::Syncer;
use crate::world::World;
use crate::world::ask;
use crate::world::eventually;
use crate::world::write_secret;

const LONG: &str = "10m";
const REQUESTED: &str = "a sync is requested";

/// A syncer of a repository at a git host, which polls every ten minutes and accepts pushes.
struct Pushed {
    running: Running,
    port: u16,
    server: HttpServer,
    world: World,
}

impl Pushed {
    fn start(layout: &'static str) -> Self {
        let world = World::new(layout);
        let first = world.repo.commit().write("a", "1").push();
        let server = HttpServer::start(world.repo.path().parent().unwrap());
        write_secret(&world.path("secret"), "push", SECRET);
        let running = with_push(world.syncer_of(&server.url("site.git")), &world)
            .flag("period", LONG)
            .start(&world.path("log"));
        world.eventually_published(&first);
        let port = running.port();
        Self {
            running,
            port,
            server,
            world,
        }
    }

    fn delivery(&self) -> Delivery {
        Delivery::of("/push", &self.server.url("site.git"))
    }

    fn requested(&self) -> usize {
        self.running.log().matches(REQUESTED).count()
    }
}

fn with_push(syncer: Syncer, world: &World) -> Syncer {
    syncer
        .flag("http-bind", "127.0.0.1:0")
        .flag("push-secret-file", world.path("secret").join("push"))
        .flag("verbose", "1")
}

#[test]
fn a_signed_push_publishes_the_new_commit_with_a_period_of_ten_minutes() {
    for layout in ["link", "files"] {
        let pushed = Pushed::start(layout);
        for content in ["2", "3"] {
            let commit = pushed.world.repo.commit().write("a", content).push();
            pushed
                .delivery()
                .signed(SECRET)
                .assert_answered(pushed.port, 202);
            pushed.world.eventually_published(&commit);
        }
    }
}

#[test]
fn a_push_without_a_valid_signature_starts_nothing() {
    let pushed = Pushed::start("link");
    let commit = pushed.world.repo.commit().write("a", "2").push();
    for _ in 0..20 {
        pushed.delivery().assert_answered(pushed.port, 401);
        pushed
            .delivery()
            .signed("wrong")
            .assert_answered(pushed.port, 401);
    }
    let answer = ask(pushed.port, "GET", "/push").unwrap();
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    pushed
        .delivery()
        .signed(SECRET)
        .assert_answered(pushed.port, 202);
    pushed.world.eventually_published(&commit);
    assert_eq!(pushed.requested(), 1, "{}", pushed.running.log());
    // The other paths are as without the flag.
    let answer = ask(pushed.port, "POST", "/pushed").unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[test]
fn a_push_of_another_repository_starts_nothing() {
    let pushed = Pushed::start("link");
    let other = Delivery::of("/push", &pushed.server.url("another.git"));
    let (status, _, text) = other.signed(SECRET).send(pushed.port);
    assert_eq!(
        (status, text.as_str()),
        (
            200,
            "this syncer follows no repository with the address in this push\n"
        )
    );
    let commit = pushed.world.repo.commit().write("a", "2").push();
    // A payload in no known form may be about any repository.
    Delivery::to("/push", "pushed")
        .signed(SECRET)
        .assert_answered(pushed.port, 202);
    pushed.world.eventually_published(&commit);
    assert_eq!(pushed.requested(), 1, "{}", pushed.running.log());
}

#[test]
fn a_push_wakes_the_repository_that_it_names_and_no_other() {
    let world = World::new("link");
    let docs = Repo::in_dir(&world.path(""), "docs.git");
    let server = HttpServer::start(world.repo.path().parent().unwrap());
    let entry = |name: &str| {
        json!({
            "repo": server.url(&format!("{name}.git")),
            "root": world.path("roots").join(name),
            "link": "current",
            "period": LONG,
        })
    };
    world.repo.commit().write("a", "1").push();
    docs.commit().write("a", "1").push();
    let entries = json!({"repos": {"site": entry("site"), "docs": entry("docs")}});
    fs::write(world.path("repos.json"), entries.to_string()).unwrap();
    write_secret(&world.path("secret"), "push", SECRET);
    let running = with_push(Syncer::new(), &world)
        .flag("config", world.path("repos.json"))
        .start(&world.path("log"));
    let port = running.port();
    let published =
        |name: &str| fs::read_to_string(world.path("roots").join(name).join("current/a")).ok();
    let eventually_has = |name: &str, content: &str| {
        eventually(&format!("{name} has {content}"), || {
            (published(name).as_deref() == Some(content)).then_some(())
        });
    };
    eventually_has("site", "1");
    eventually_has("docs", "1");
    world.repo.commit().write("a", "2").push();
    docs.commit().write("a", "2").push();
    let delivery = Delivery::of("/push", &server.url("docs"));
    delivery.signed(SECRET).assert_answered(port, 202);
    eventually_has("docs", "2");
    let log = running.log();
    let requested: Vec<_> = log
        .lines()
        .filter(|line| line.contains(REQUESTED))
        .collect();
    assert_eq!(requested.len(), 1, "{requested:#?}");
    assert!(requested[0].contains("\"repo\":\"docs\""), "{requested:#?}");
    assert_eq!(published("site").as_deref(), Some("1"));
}

#[test]
fn a_rotated_secret_is_used_without_a_restart() {
    let pushed = Pushed::start("link");
    let is_accepted = |secret: &str| {
        let (status, ..) = pushed.delivery().signed(secret).send(pushed.port);
        status == 202
    };
    let eventually_accepts = |secret: &str, expected: bool| {
        eventually(&format!("{secret}: {expected}"), || {
            (is_accepted(secret) == expected).then_some(())
        });
    };
    write_secret(&pushed.world.path("secret"), "push", "new\nhunter2\n");
    eventually_accepts("new", true);
    assert!(is_accepted(SECRET));
    write_secret(&pushed.world.path("secret"), "push", "new\n");
    eventually_accepts(SECRET, false);
    assert!(is_accepted("new"));
    fs::remove_file(pushed.world.path("secret").join("push")).unwrap();
    eventually_accepts("new", false);
    pushed.running.assert_logged("cannot read the push secret");
    pushed.running.assert_not_logged(SECRET);
}

#[test]
fn without_the_flag_the_path_is_as_any_other() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let running = world
        .syncer()
        .flag("http-bind", "127.0.0.1:0")
        .start(&world.path("log"));
    let port = running.port();
    eventually("it has succeeded", || {
        let (status, _, body) = Delivery::of("/push", "https://git.example/x")
            .signed(SECRET)
            .send(port);
        (status == 200 && body.is_empty()).then_some(())
    });
}
