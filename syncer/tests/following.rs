//! The intervals of passes, the limits of failures, and the files that report the result.

use std::fs;
use std::time::SystemTime;

use nix::sys::signal::Signal;

use crate::world::LAYOUTS;
use crate::world::World;
use crate::world::eventually;

/// Longer than any test waits.
const NEVER: &str = "1h";

#[test]
fn one_failure_of_the_first_pass_is_too_many_by_default() {
    for (flags, failures) in [
        (vec!["--max-failures=0"], 1),
        (vec!["--max-failures=1"], 1),
        (vec!["--max-failures=3"], 3),
        (vec!["--max-failures=-1", "--init-max-failures=0"], 1),
        (vec!["--max-failures=-1", "--init-max-failures=2"], 2),
        (vec!["--max-failures=5", "--init-max-failures=2"], 2),
        (vec!["--max-failures=1", "--init-max-failures=4"], 4),
    ] {
        let world = World::new("link");
        let run = world
            .syncer()
            .flag("period", "10ms")
            .args(flags.iter().copied())
            .finish();
        run.assert_code(1);
        run.assert_last_error("too many failures, aborting");
        let counted = run.log.matches("failCount").count();
        assert_eq!(counted, failures, "{flags:?}: {}", run.log);
        assert_eq!(world.published(), None);
    }
}

#[test]
fn after_the_first_success_the_regular_limit_applies() {
    let world = World::new("link");
    let commit = world.repo.commit().write("a", "1").push();
    let mut running = world
        .syncer()
        .flag("init-max-failures", "-1")
        .flag("max-failures", "2")
        .start(&world.path("log"));
    world.eventually_published(&commit);
    let repo = world.repo.path();
    fs::rename(repo, repo.with_extension("gone")).unwrap();
    assert_eq!(running.wait().code(), Some(1));
    running.assert_logged("\"failCount\":2,\"maxFailures\":2");
}

#[test]
fn a_success_forgives_the_failures_before_it() {
    let world = World::new("link");
    let commit = world.repo.commit().write("a", "1").push();
    let running = world
        .syncer()
        .flag("max-failures", "10")
        .start(&world.path("log"));
    world.eventually_published(&commit);
    let repo = world.repo.path();
    let gone = repo.with_extension("gone");
    let firsts = || running.log().matches("\"failCount\":1,").count();
    for n in 1..=2 {
        fs::rename(repo, &gone).unwrap();
        eventually("a first failure is counted", || {
            (firsts() == n).then_some(())
        });
        fs::rename(&gone, repo).unwrap();
        let commit = world.repo.commit().write("a", format!("more {n}")).push();
        world.eventually_published(&commit);
    }
}

#[test]
fn the_initial_period_applies_until_the_first_success() {
    let world = World::new("link");
    let running = world
        .syncer()
        .flag("period", NEVER)
        .flag("init-period", "50ms")
        .flag("verbose", "3")
        .start(&world.path("log"));
    running.eventually_logs("\"failCount\":3,");
    let commit = world.repo.commit().write("a", "1").push();
    world.eventually_published(&commit);
    let seconds = eventually("it waits", || {
        let log = running.log();
        let line = log.lines().rfind(|line| line.contains("\"next sync\""))?;
        let wait = line.split("\"waitTime\":\"").nth(1)?;
        wait.strip_suffix("s\"}")?.parse::<f64>().ok()
    });
    // The first wait is a random part of the period, at least a tenth.
    assert!((360.0..=3600.0).contains(&seconds), "{seconds}");
}

#[test]
fn a_one_time_sync_retries_until_its_first_success() {
    let world = World::new("link");
    let mut running = world
        .syncer()
        .flag("one-time", "true")
        .start(&world.path("log"));
    running.eventually_logs("\"failCount\":1,");
    let commit = world.repo.commit().write("a", "1").push();
    assert_eq!(running.wait().code(), Some(0));
    assert_eq!(world.published(), Some(commit));
    let last = running.log().lines().last().unwrap().to_owned();
    assert!(
        last.contains("\"msg\":\"exiting after one sync\",\"status\":0"),
        "{last}"
    );
}

#[test]
fn a_signal_ends_the_wait() {
    for name in ["SIGHUP", "HUP", "1"] {
        let world = World::new("link");
        let first = world.repo.commit().write("a", "1").push();
        let running = world
            .syncer()
            .flag("period", NEVER)
            .flag("sync-on-signal", name)
            .start(&world.path("log"));
        world.eventually_published(&first);
        for n in 2..=3 {
            let next = world.repo.commit().write("a", n.to_string()).push();
            running.signal(Signal::SIGHUP);
            world.eventually_published(&next);
        }
        assert_eq!(running.terminate().code(), Some(0), "{name}");
    }
}

#[test]
fn a_signal_during_a_pass_makes_another_follow_it() {
    let world = World::new("link");
    let first = world.repo.commit().write("a", "1").push();
    // The pass after the first waits in git until the test permits it, with the remote's earlier
    // state.
    let wrapper = world.script(
        "git",
        &format!(
            "/usr/bin/git \"$@\"; code=$?; \
             if [ \"$1\" = fetch ] && [ -e {0} ]; then touch {1}; while [ -e {0} ]; do sleep 0.02; done; fi; \
             exit $code",
            world.path("hold").display(),
            world.path("held").display()
        ),
    );
    let running = world
        .syncer()
        .flag("git", &wrapper)
        .flag("no-poller", "true")
        .flag("period", NEVER)
        .flag("sync-on-signal", "USR1")
        .start(&world.path("log"));
    world.eventually_published(&first);
    fs::write(world.path("hold"), "").unwrap();
    running.signal(Signal::SIGUSR1);
    eventually("the second pass has fetched", || {
        world.path("held").exists().then_some(())
    });
    let second = world.repo.commit().write("a", "2").push();
    running.signal(Signal::SIGUSR1);
    fs::remove_file(world.path("hold")).unwrap();
    world.eventually_published(&second);
}

#[test]
fn a_signal_ends_the_wait_after_a_failure_too() {
    let world = World::new("link");
    let running = world
        .syncer()
        .flag("period", NEVER)
        .flag("sync-on-signal", "HUP")
        .start(&world.path("log"));
    running.eventually_logs("\"failCount\":1,");
    let commit = world.repo.commit().write("a", "1").push();
    running.signal(Signal::SIGHUP);
    world.eventually_published(&commit);
}

#[test]
fn a_signal_that_cannot_mean_a_sync_is_refused() {
    for name in ["TERM", "9", "0", "hup", "NOPE"] {
        let world = World::new("link");
        let run = world.syncer().flag("sync-on-signal", name).finish();
        run.assert_code(1);
        let sentence = format!(
            "--sync-on-signal: {name:?}: expected a signal number or a name such as SIGHUP or HUP that does not terminate the syncer"
        );
        assert!(run.log.contains(&sentence), "{}", run.log);
    }
}

#[test]
fn an_unconfigured_signal_ends_the_program() {
    let world = World::new("link");
    let commit = world.repo.commit().write("a", "1").push();
    let mut running = world.syncer().start(&world.path("log"));
    world.eventually_published(&commit);
    // Not SIGHUP: the test runner may ignore it, and child processes inherit that.
    running.signal(Signal::SIGUSR1);
    assert_eq!(running.wait().code(), None);
}

#[test]
fn both_signals_of_the_end_end_it_cleanly() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let world = World::new("link");
        let commit = world.repo.commit().write("a", "1").push();
        let mut running = world.syncer().start(&world.path("log"));
        world.eventually_published(&commit);
        running.signal(signal);
        assert_eq!(running.wait().code(), Some(0));
        let log = running.log();
        assert!(log.contains("shutting down"), "{log}");
    }
}

#[test]
fn a_pinned_tree_is_repaired_without_the_remote() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let commit = world.repo.commit().write("a", "1").push();
        let running = world
            .syncer()
            .flag("ref", &commit)
            .flag("max-failures", "0")
            .flag("error-file", world.path("error.json"))
            .start(&world.path("log"));
        world.eventually_published(&commit);
        running.eventually_logs("ref appears to be a git hash, no further sync needed");
        let repo = world.repo.path();
        fs::rename(repo, repo.with_extension("gone")).unwrap();
        for _ in 0..2 {
            fs::remove_dir_all(world.tree().canonicalize().unwrap()).unwrap();
            eventually("the tree is mended", || {
                (world.read("a").as_deref() == Some("1")).then_some(())
            });
        }
        running.assert_not_logged("failCount");
        assert_eq!(running.terminate().code(), Some(0));
    }
}

#[test]
fn the_error_file_has_the_error_until_the_first_success() {
    for layout in LAYOUTS {
        for is_absolute in [false, true] {
            let world = World::new(layout);
            let given = if is_absolute {
                world.path("told/error.json")
            } else {
                "sub/error.json".into()
            };
            let file = world.root().join(&given);
            let running = world
                .syncer()
                .flag("error-file", &given)
                .start(&world.path("log"));
            let error = eventually("the error is written", || fs::read_to_string(&file).ok());
            let error: serde_json::Value = serde_json::from_str(&error).unwrap();
            assert_eq!(error["Msg"], "error syncing repo, will retry");
            let words = error["Err"].as_str().unwrap();
            assert!(words.contains("couldn't find remote ref HEAD"), "{words}");
            assert!(error["Args"]["failCount"].as_i64() >= Some(1));
            let commit = world.repo.commit().write("a", "1").push();
            world.eventually_published(&commit);
            eventually("the error is gone", || (!file.exists()).then_some(()));
            let repo = world.repo.path();
            fs::rename(repo, repo.with_extension("gone")).unwrap();
            eventually("a later error is written", || file.exists().then_some(()));
            drop(running);
        }
    }
}

#[test]
fn the_error_file_remains_after_a_fatal_error() {
    let world = World::new("link");
    let file = world.path("error.json");
    let error = || {
        let text = fs::read_to_string(&file).unwrap();
        fs::remove_file(&file).unwrap();
        text
    };
    let syncer = || world.syncer().flag("error-file", &file);
    let run = syncer().flag("max-failures", "0").finish();
    run.assert_code(1);
    let text = error();
    assert!(
        text.starts_with("{\"Msg\":\"too many failures, aborting\","),
        "{text}"
    );
    assert!(
        text.ends_with("\"Args\":{\"failCount\":1,\"maxFailures\":0}}"),
        "{text}"
    );
    let run = syncer().flag("git", "no-such-git").finish();
    run.assert_code(1);
    let text = error();
    assert!(text.contains("no-such-git"), "{text}");
    assert!(
        serde_json::from_str::<serde_json::Value>(&text).is_ok(),
        "{text}"
    );
    // An error in the configuration is plain text.
    let run = syncer().flag("period", "1ms").finish();
    run.assert_code(1);
    assert!(error().starts_with("--period: \"1ms\": expected"));
}

#[test]
fn the_touch_file_is_touched_only_by_changes() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let first = world.repo.commit().write("a", "1").push();
        let file = world.path("deep/in/touched");
        let running = world
            .syncer()
            .flag("touch-file", &file)
            .flag("verbose", "2")
            .start(&world.path("log"));
        world.eventually_published(&first);
        eventually("the file is there", || file.exists().then_some(()));
        // A program that waits for the file may remove it.
        fs::remove_file(&file).unwrap();
        let passes = || running.log().matches("update not required").count();
        let before = passes();
        eventually("some passes have been", || {
            (passes() > before + 3).then_some(())
        });
        assert!(!file.exists());
        world.repo.commit().write("a", "2").push();
        eventually("the file is there again", || file.exists().then_some(()));
        assert_eq!(world.read("a").as_deref(), Some("2"));
        drop(running);
        // The first success of a process counts as a change, whatever it finds.
        let old = SystemTime::UNIX_EPOCH;
        fs::File::options()
            .append(true)
            .open(&file)
            .unwrap()
            .set_modified(old)
            .unwrap();
        let run = world
            .syncer()
            .flag("touch-file", &file)
            .flag("one-time", "true")
            .finish();
        run.assert_code(0);
        let modified = fs::metadata(&file).unwrap().modified().unwrap();
        assert!(modified > old);
    }
}

#[test]
fn a_touch_file_is_relative_to_the_root() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let run = world
        .syncer()
        .flag("touch-file", "sub/touched")
        .flag("one-time", "true")
        .finish();
    run.assert_code(0);
    assert!(world.root().join("sub/touched").exists());
}

#[test]
fn the_logs_clock_is_the_local_one() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let hour = |zone: &str| -> u32 {
        let run = world
            .syncer()
            .env("TZ", zone)
            .flag("one-time", "true")
            .finish();
        run.assert_code(0);
        let ts = run.log.split("\"ts\":\"").nth(1).unwrap();
        ts[11..13].parse().unwrap()
    };
    // A zone in POSIX notation needs no system files.
    let (utc, east) = (hour("UTC0"), hour("EAST-7"));
    assert!(
        [(utc + 7) % 24, (utc + 8) % 24].contains(&east),
        "{utc} {east}"
    );
}
