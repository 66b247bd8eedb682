//! Programs that run before a tree is published.

use std::fs;

use crate::hooks::eventually_told;
use crate::hooks::note;
use crate::hooks::some_passes;
use crate::world::SWITCHED;
use crate::world::Syncer;
use crate::world::World;

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
fn a_program_before_publication_runs_for_each_change_in_the_new_tree() {
    for layout in SWITCHED {
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
fn a_program_before_publication_does_not_delay_it() {
    for layout in SWITCHED {
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
        assert_eq!(world.lines("told"), [commit.as_str()]);
        assert_eq!(world.published(), Some(commit));
    }
}

#[test]
fn a_program_before_publication_does_not_run_for_the_published_tree() {
    for layout in SWITCHED {
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
