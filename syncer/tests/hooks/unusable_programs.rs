//! Files that cannot run as hooks, and their error messages.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::world::World;
use crate::world::programs::write_program;

#[test]
fn a_file_that_does_not_start_is_reported_with_its_cause() {
    for (text, mode, words) in [
        ("echo\n", 0o755, "neither a binary nor a script"),
        ("#!/bin/sh\r\necho\r\n", 0o755, "must not end with CR"),
        ("#!/bin/sh\necho\n", 0o644, "it is not executable"),
    ] {
        let world = World::new("link");
        world.repo.commit().write("a", "1").push();
        let hook = world.path("hook");
        write_program(&hook, text);
        fs::set_permissions(&hook, fs::Permissions::from_mode(mode)).unwrap();
        let syncer = world.syncer().flag("one-time", "true");
        let run = syncer.flag("exechook-command", &hook).finish();
        run.assert_code(1);
        assert!(run.log.contains(words), "{words}: {}", run.log);
    }
}

#[test]
fn a_shell_command_and_a_directory_are_reported() {
    let world = World::new("link");
    world.repo.commit().write("d/a", "1").push();
    for (command, words) in [
        ("\"/bin/true\"", "quotes and variables are not expanded"),
        ("$HOME/hook", "quotes and variables are not expanded"),
        ("./d", "it is a directory"),
    ] {
        let syncer = world.syncer().flag("one-time", "true");
        let run = syncer.flag("exechook-command", command).finish();
        run.assert_code(1);
        assert!(run.log.contains(words), "{words}: {}", run.log);
    }
}
