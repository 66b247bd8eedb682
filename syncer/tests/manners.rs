//! The start, the back-off and the end of the program.

use std::fs;
use std::process::Command;
use std::process::Stdio;

use remotes::HttpServer;

use crate::world::LAYOUTS;
use crate::world::PROGRAM;
use crate::world::SWITCHED;
use crate::world::Syncer;
use crate::world::World;
use crate::world::eventually;
use crate::world::namespaces;
use crate::world::programs::write_script;

#[test]
fn a_remote_that_vanishes_is_waited_for_and_the_last_revision_stays() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let first = world.repo.commit().write("a", "1").push();
        let mut server = HttpServer::start(world.repo.path().parent().unwrap());
        let running = world
            .syncer_of(&server.url("site.git"))
            .flag("period", "20ms")
            .start(&world.path("log"));
        world.eventually_published(&first);
        server.stop();
        let failures = |n: usize| format!("\"failCount\":{n},");
        eventually("some retries have failed", || {
            running.log().contains(&failures(6)).then_some(())
        });
        assert_eq!(world.read("a").as_deref(), Some("1"), "{layout}");
        assert_eq!(world.probe(), (true, String::new()));
        // The back-off: three retries after one period each, then doubled each time, each a fifth longer at most.
        let log = running.log();
        let waits: Vec<f64> = log
            .lines()
            .filter_map(|line| line.split_once("\"waitTime\":\"")?.1.split_once("ms\""))
            .map(|(millis, _)| millis.parse().unwrap())
            .collect();
        for (wait, expected) in waits.iter().zip([20.0, 20.0, 20.0, 40.0, 80.0, 160.0]) {
            assert!((expected..=expected * 1.21).contains(wait), "{waits:?}");
        }
        server.start_again();
        let second = world.repo.commit().write("a", "2").push();
        world.eventually_published(&second);
    }
}

#[test]
fn the_probe_waits_for_the_first_tree_and_then_trusts_the_disk() {
    for layout in SWITCHED {
        let world = World::new(layout);
        let commit = world.repo.commit().write("a", "1").push();
        let mut server = HttpServer::start(world.repo.path().parent().unwrap());
        assert_eq!(
            world.probe(),
            (false, "the first clone is still running\n".into())
        );
        server.stop();
        let url = server.url("site.git");
        let running = world.syncer_of(&url).start(&world.path("log"));
        eventually("the probe says what is wrong", || {
            let (ok, text) = world.probe();
            assert!(!ok);
            text.contains("no server answers at the host's address")
                .then_some(())
        });
        server.start_again();
        eventually("the probe is content", || world.probe().0.then_some(()));
        assert_eq!(world.published().as_deref(), Some(commit.as_str()));
        running.kill();
        server.stop();
        // Before a new process has done anything, and after it has failed.
        assert_eq!(world.probe(), (true, String::new()), "{layout}");
        let running = world.syncer_of(&url).start(&world.path("log"));
        running.eventually_logs("error syncing repo");
        assert_eq!(world.probe(), (true, String::new()), "{layout}");
        fs::remove_file(world.tree()).unwrap();
        let (ok, text) = world.probe();
        assert!(!ok && text.contains("no server answers"), "{text}");
    }
}

#[test]
fn the_probe_finds_its_state_by_the_environment() {
    let world = World::new("projected");
    world.repo.commit().write("a", "1").push();
    world
        .syncer()
        .flag("one-time", "true")
        .finish()
        .assert_code(0);
    let probe = Command::new(PROGRAM)
        .arg("probe")
        .env_clear()
        .env("GITSYNC_STATE", world.state())
        .status()
        .unwrap();
    assert!(probe.success());
}

#[test]
fn the_probe_waits_for_the_first_clone_and_not_after_a_failure() {
    let world = World::new("projected");
    let probe = || {
        let mut probe = Command::new(PROGRAM);
        probe.args(["probe", "--wait=60s", "--state"]);
        probe.arg(world.state()).stdout(Stdio::piped());
        probe.spawn().unwrap()
    };
    let waiting = probe();
    let first = world.repo.commit().write("a", "1").push();
    let running = world.syncer().start(&world.path("log"));
    assert!(waiting.wait_with_output().unwrap().status.success());
    assert_eq!(world.published(), Some(first));
    drop(running);
    // A recorded error ends the wait at once, and the probe prints it.
    let world = World::new("projected");
    let running = world.syncer_of("/absent").start(&world.path("log"));
    running.eventually_logs("\"error\"");
    let (is_published, reason) = eventually("the error is recorded", || {
        let probed = world.probe();
        (!probed.1.contains("still running")).then_some(probed)
    });
    assert!(!is_published);
    let mut waiting = Command::new(PROGRAM);
    waiting.args(["probe", "--wait=1h", "--state"]);
    let waited = waiting.arg(world.state()).output().unwrap();
    assert!(!waited.status.success());
    assert_eq!(String::from_utf8_lossy(&waited.stdout), reason);
}

#[test]
fn sigterm_ends_at_once_and_leaves_no_process() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        world.repo.commit().write("a", "1").push();
        let server = HttpServer::start(world.repo.path().parent().unwrap());
        server.hang(true);
        let running = world
            .syncer_of(&server.url("site.git"))
            .start(&world.path("log"));
        eventually("git waits for an answer", || {
            (server.requests() > 0).then_some(())
        });
        assert!(!processes_of(&world).is_empty());
        assert_eq!(running.terminate().code(), Some(0));
        eventually("git is gone", || {
            processes_of(&world).is_empty().then_some(())
        });
        assert_eq!(world.published(), None);
    }
}

/// The git processes that use this world's remote.
fn processes_of(world: &World) -> Vec<String> {
    let mark = world.path("").display().to_string();
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let read = |name| fs::read(process.path().join(name)).unwrap_or_default();
        let argv = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
        let environment = read("environ");
        let environment = String::from_utf8_lossy(&environment);
        if environment.contains(&mark) && argv.contains("git") && !argv.contains("syncer") {
            // The server of this world also has its path.
            if !argv.contains("http-backend") && !argv.contains("upload-pack") {
                found.push(argv);
            }
        }
    }
    found
}

#[test]
fn the_deadline_ends_git_and_its_children() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        world.repo.commit().write("a", "1").push();
        let server = HttpServer::start(world.repo.path().parent().unwrap());
        server.hang(true);
        let run = world
            .syncer_of(&server.url("site.git"))
            .flag("sync-timeout", "500ms")
            .flag("max-failures", "0")
            .finish();
        run.assert_code(1);
        run.assert_last_error("did not finish within --sync-timeout");
        // A killed process may still be ending.
        eventually(&format!("no git is left of layout {layout}"), || {
            processes_of(&world).is_empty().then_some(())
        });
    }
}

#[test]
fn a_grandchild_that_holds_gits_output_does_not_outlive_the_deadline() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let path = path_with_git(
        &world,
        &format!(
            "case $1 in fetch) sleep 4321 & echo $! >{}; exit 0;; esac; exec /usr/bin/git \"$@\"",
            world.path("pid").display()
        ),
    );
    let run = world
        .syncer()
        .env("PATH", path)
        .flag("sync-timeout", "1s")
        .flag("max-failures", "0")
        .finish();
    run.assert_code(1);
    run.assert_last_error("did not finish within --sync-timeout");
    let pid = fs::read_to_string(world.path("pid")).unwrap();
    eventually("the grandchild is gone", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
        // Without an init that reaps orphans it stays a zombie.
        stat.map_or(true, |stat| stat.contains(") Z "))
            .then_some(())
    });
}

/// A PATH whose first `git` is this shell script.
fn path_with_git(world: &World, body: &str) -> String {
    let bin = world.path("bin");
    let git = bin.join("git");
    fs::create_dir(&bin).unwrap();
    write_script(&git, body);
    format!("{}:{}", bin.display(), crate::world::PATH)
}

#[test]
fn users_git_wrappers_see_the_subcommand_first() {
    let world = World::new("projected");
    world.repo.commit().write("a", "1").push();
    let path = path_with_git(
        &world,
        &format!(
            "echo \"$1\" >>{}; exec /usr/bin/git \"$@\"",
            world.path("seen").display()
        ),
    );
    let run = world.syncer().env("PATH", path).flag("one-time", "true");
    run.finish().assert_code(0);
    let seen = fs::read_to_string(world.path("seen")).unwrap();
    assert!(seen.lines().any(|word| word == "fetch"));
    assert!(seen.lines().all(|word| !word.starts_with('-')), "{seen}");
}

#[test]
fn the_environment_of_a_git_hook_has_no_effect() {
    let world = World::new("link");
    let commit = world.repo.commit().write("a", "1").push();
    let run = world
        .syncer()
        .env("GIT_DIR", "/nonexistent")
        .env("GIT_WORK_TREE", "/nonexistent")
        .env("GIT_INDEX_FILE", "/nonexistent")
        .env("GIT_OBJECT_DIRECTORY", "/nonexistent")
        .env("GIT_CONFIG_GLOBAL", "/nonexistent")
        .flag("one-time", "true")
        .finish();
    run.assert_code(0);
    assert_eq!(world.published(), Some(commit));
}

#[test]
fn process_1_hands_on_signals_and_the_childs_code() {
    let Some(as_process_one) = namespaces::as_process_one() else {
        return;
    };
    let world = World::new("projected");
    let commit = world.repo.commit().write("a", "1").push();
    // unshare itself does not forward SIGTERM, so the signal goes to its child, process 1.
    let mut running = world
        .syncer_under(&as_process_one)
        .start(&world.path("log"));
    world.eventually_published(&commit);
    assert!(
        running
            .log()
            .starts_with("INFO: detected pid 1, running init handler\n")
    );
    let children = format!("/proc/{0}/task/{0}/children", running.id());
    let init = fs::read_to_string(children).unwrap();
    let sent = Command::new("kill").args(["-TERM", init.trim()]).status();
    assert!(sent.unwrap().success());
    assert_eq!(running.wait().code(), Some(0), "{}", running.log());
    let failing = world
        .syncer_under(&as_process_one)
        .flag("ref", "nope")
        .flag("max-failures", "1")
        .finish();
    failing.assert_code(1);
}

#[test]
fn process_1_hands_on_the_signal_that_asks_for_a_sync() {
    let Some(as_process_one) = namespaces::as_process_one() else {
        return;
    };
    let world = World::new("link");
    let first = world.repo.commit().write("a", "1").push();
    let running = world
        .syncer_under(&as_process_one)
        .flag("period", "1h")
        .flag("sync-on-signal", "HUP")
        .start(&world.path("log"));
    world.eventually_published(&first);
    let second = world.repo.commit().write("a", "2").push();
    let children = format!("/proc/{0}/task/{0}/children", running.id());
    let init = fs::read_to_string(children).unwrap();
    let sent = Command::new("kill").args(["-HUP", init.trim()]).status();
    assert!(sent.unwrap().success());
    world.eventually_published(&second);
}

#[test]
fn process_1_reaps_orphans() {
    let Some(as_process_one) = namespaces::as_process_one() else {
        return;
    };
    let world = World::new("projected");
    let commit = world.repo.commit().write("a", "1").push();
    // Each git command leaves an orphan that ends soon.
    let path = path_with_git(&world, "(sleep 0.05 >&- 2>&- &) ; exec /usr/bin/git \"$@\"");
    let running = world
        .syncer_under(&as_process_one)
        .env("PATH", path)
        .flag("verbose", "3")
        .start(&world.path("log"));
    world.eventually_published(&commit);
    eventually("many passes have been", || {
        (running.log().matches("next sync").count() > 10).then_some(())
    });
    let zombies = Command::new("ps")
        .args(["-eo", "stat,ppid,args"])
        .output()
        .unwrap();
    let zombies = String::from_utf8(zombies.stdout).unwrap();
    let zombies = zombies
        .lines()
        .filter(|line| line.starts_with('Z') && line.contains("sleep"))
        .count();
    assert!(zombies < 5, "{zombies} zombies");
}

#[test]
fn bad_configuration_is_one_sentence_and_gits_own_code() {
    let good = || {
        let syncer = Syncer::new().flag("repo", "https://git.example/x");
        syncer.flag("root", "/nonexistent/root")
    };
    for (syncer, code, sentence) in [
        (
            Syncer::new().flag("root", "/x"),
            1,
            "--repo (or GITSYNC_REPO): required: expected https://",
        ),
        (
            good().flag("period", "5 min"),
            2,
            "--period: \"5 min\": expected a duration such as 30s",
        ),
        (
            good().env("GITSYNC_PERIOD", "5 min"),
            1,
            "GITSYNC_PERIOD: \"5 min\": expected a duration such as 30s",
        ),
        (
            good().flag("layout", "flat"),
            1,
            "--layout: \"flat\": expected link or projected",
        ),
        (
            good().flag("ref", "--upload-pack=x"),
            1,
            "--ref: \"--upload-pack=x\": expected a branch, a tag,",
        ),
        (
            good().flag("layout", "projected"),
            1,
            "--state (or GITSYNC_STATE): required",
        ),
        (good().flag("nope", "x"), 2, "--nope"),
    ] {
        let run = syncer.finish();
        run.assert_code(code);
        assert!(run.log.contains(sentence), "{sentence}: {}", run.log);
    }
    let run = Syncer::new().flag("repo", "htps://me:hunter2@x/y").finish();
    assert!(!run.log.contains("hunter2"), "{}", run.log);
}

#[test]
fn each_log_line_is_an_object_with_git_syncs_keys() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let run = world
        .syncer()
        .flag("one-time", "true")
        .flag("verbose", "9")
        .finish();
    for line in run.log.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(value["msg"].is_string(), "{line}");
        assert!(line.starts_with("{\"logger\":\"\",\"ts\":\"20"), "{line}");
    }
    let updated = run
        .log
        .lines()
        .find(|line| line.contains("updated successfully"));
    assert!(
        updated
            .unwrap()
            .contains("\"level\":0,\"msg\":\"updated successfully\",\"ref\":")
    );
}

#[test]
fn gits_threads_are_limited_and_the_user_can_override_it() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let key = |key: &str| {
        let config = fs::read_to_string(world.state().join("gitconfig")).unwrap();
        let value = config.lines().rfind(|line| line.trim().starts_with(key));
        value.map(|line| line.trim().to_owned())
    };
    world.sync_once(&[]);
    let own = std::thread::available_parallelism().unwrap().get();
    let told = key("threads").unwrap();
    let told: usize = told
        .trim_start_matches("threads = ")
        .trim_matches('"')
        .parse()
        .unwrap();
    assert!((1..=own).contains(&told), "{told}");
    world.sync_once(&[("git-config", "pack.threads:7,index.threads:7")]);
    assert_eq!(key("threads").as_deref(), Some("threads = \"7\""));
}
