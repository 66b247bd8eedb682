//! Programs that run after a tree is published.

use std::fs;

use crate::hooks::eventually_told;
use crate::hooks::note;
use crate::hooks::some_passes;
use crate::world::LAYOUTS;
use crate::world::SWITCHED;
use crate::world::Syncer;
use crate::world::World;
use crate::world::eventually;

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
    for layout in SWITCHED {
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
        assert_eq!(world.lines("told"), [commit.as_str()], "tried once");
        assert_eq!(world.published(), Some(commit), "{layout}");
        // The sync itself succeeded.
        assert!(!world.path("error.json").exists());
    }
}

#[test]
fn a_program_runs_again_after_a_restart_even_for_the_same_hash() {
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
fn the_tree_published_before_a_restart_is_the_old_hash() {
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
fn a_slow_program_runs_for_the_newest_tree_and_not_for_each() {
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
fn a_program_does_not_run_again_for_a_repaired_tree_of_the_same_hash() {
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
    let killed = r#"did not finish within 1s, and was killed: { stdout: \"begun\""#;
    assert!(run.log.contains(killed), "{}", run.log);
    let pid = fs::read_to_string(world.path("pid")).unwrap();
    eventually_gone(pid.trim());
}

fn eventually_gone(pid: &str) {
    eventually("the process is gone", || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
        // Without an init that reaps orphans it stays a zombie.
        let is_gone = stat.map_or(true, |stat| stat.contains(") Z "));
        is_gone.then_some(())
    });
}

#[test]
fn a_program_that_leaves_a_background_process_has_succeeded() {
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
fn a_path_is_relative_to_the_tree_and_a_name_is_looked_up_in_path() {
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
        // The relative parts of PATH would be in the tree, or in the current directory.
        let path = format!(
            "sub:.:bin:{}:{}",
            world.path("").display(),
            crate::world::PATH
        );
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
    // No shell interprets it.
    let run = once("./bin/hook with arguments");
    run.assert_code(1);
    assert!(
        run.log.contains("expected one program without arguments"),
        "{}",
        run.log
    );
}

#[test]
fn a_command_with_arguments_is_refused_in_a_sentence_unless_a_program_has_that_name() {
    for flag in ["exechook-command", "pre-publish-exechook-command"] {
        for command in ["/bin/sh -c 'kill -HUP 1'", "touch /tmp/x"] {
            let world = World::new("link");
            world.repo.commit().write("a", "1").push();
            let syncer = world.syncer().flag("one-time", "true");
            let run = syncer.flag(flag, command).finish();
            let sentence = format!(
                "--{flag}: \\\"{command}\\\": expected one program without arguments: put the \
                 command into a script"
            );
            assert!(run.log.contains(&sentence), "{}", run.log);
        }
        let world = World::new("link");
        world.repo.commit().write("a", "1").push();
        fs::create_dir_all(world.path("my hooks")).unwrap();
        let program = world.script("my hooks/run me", &note(&world, "ran"));
        let syncer = world.syncer().flag("one-time", "true");
        syncer.flag(flag, program).finish().assert_code(0);
        assert_eq!(world.lines("told"), ["ran"]);
    }
}

#[test]
fn a_secret_that_a_program_prints_is_redacted_whatever_is_in_it() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let secret = "it's \"a\\ secret\tö:/";
    let body = "printf '<%s>\\n' \"$GITSYNC_PASSWORD\"; \
                printf %s \"git:$GITSYNC_PASSWORD\" | base64 -w0 >&2; exit 1";
    let running = exec(&world, world.syncer(), body)
        .env("GITSYNC_USERNAME", "me")
        .env("GITSYNC_PASSWORD", secret)
        .flag("verbose", "6")
        .start(&world.path("log"));
    let log = eventually("the program fails", || {
        Some(running.log()).filter(|log| log.contains("\"msg\":\"hook failed\""))
    });
    let failed = log.lines().find(|line| line.contains("hook failed"));
    let failed = failed.unwrap_or_default();
    assert!(failed.contains("<REDACTED>"), "{failed}");
    assert!(!log.contains("secret"), "{log}");
    assert!(
        !log.contains("c2VjcmV0") && !log.contains("IHNlY3"),
        "{log}"
    );
}

#[test]
fn a_program_inherits_neither_an_apps_key_nor_other_repositories_passwords() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let said = "key=${GITSYNC_GITHUB_APP_PRIVATE_KEY-unset} user=$GITSYNC_USERNAME";
    exec(&world, world.syncer(), &note(&world, said))
        .env("GITSYNC_GITHUB_APP_PRIVATE_KEY", "hunter2")
        .env("GITSYNC_USERNAME", "me")
        .env("GITSYNC_PASSWORD", "hunter3")
        .flag("one-time", "true")
        .finish()
        .assert_code(0);
    assert_eq!(world.lines("told"), ["key=unset user=me"]);
}
