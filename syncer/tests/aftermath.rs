//! The aftermath of failures: unknown is not corrupt. No outage, refusal or unusual revision leads
//! to a check of all objects or to the loss of the local repository.
use std::fs;
use std::path::PathBuf;

use remotes::Answer;
use remotes::HttpServer;
use remotes::SshServer;
use remotes::Stub;
use remotes::Trouble;

use crate::world::LAYOUTS;
use crate::world::Running;
use crate::world::Syncer;
use crate::world::World;
use crate::world::eventually;

/// The number of failures after which a test assumes that nothing else happens.
const MANY: usize = 5;

/// A `git` that runs these lines first.
fn wrapped(world: &World, lines: &str) -> PathBuf {
    world.script("git", &format!("{lines}\nexec /usr/bin/git \"$@\""))
}

fn start(world: &World, syncer: Syncer) -> Running {
    syncer.flag("verbose", "5").start(&world.path("log"))
}

fn count(running: &Running, words: &str) -> usize {
    running.log().matches(words).count()
}

/// Waits for many failures with this message.
#[track_caller]
fn eventually_fails(running: &Running, words: &str) {
    let is_told = |line: &&str| line.contains("error syncing repo") && line.contains(words);
    eventually(&format!("passes fail with {words:?}"), || {
        (running.log().lines().filter(is_told).count() >= MANY).then_some(())
    });
}

/// Asserts that the failures had no effect on the repository.
#[track_caller]
fn assert_trusted(running: &Running, checks: usize) {
    let log = running.log();
    assert_eq!(count(running, "\"git fsck"), checks, "{log}");
    assert_eq!(count(running, "creating a new one"), 0, "{log}");
}

#[test]
fn unknown_messages_are_not_damage() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let commit = world.repo.commit().write("a", "1").push();
        let is_on = world.path("on");
        let git = wrapped(
            &world,
            &format!(
                "if [ \"$1\" = fetch ] && [ -e '{}' ]; then echo 'fatal: words of tomorrow' >&2; exit 128; fi",
                is_on.display()
            ),
        );
        let running = start(&world, world.syncer().flag("git", &git));
        world.eventually_published(&commit);
        fs::write(&is_on, "").unwrap();
        eventually_fails(&running, "words of tomorrow");
        assert_trusted(&running, 0);
        assert_eq!(world.published(), Some(commit));
        fs::remove_file(&is_on).unwrap();
        let next = world.repo.commit().write("a", "2").push();
        world.eventually_published(&next);
    }
}

#[test]
fn a_failure_that_a_check_does_not_end_is_checked_once() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let commit = world.repo.commit().write("a", "1").push();
        let is_on = world.path("on");
        let git = wrapped(
            &world,
            &format!(
                "if [ \"$1\" = fetch ] && [ -e '{}' ]; then echo 'fatal: bad object {commit}' >&2; exit 128; fi",
                is_on.display()
            ),
        );
        let running = start(&world, world.syncer().flag("git", &git));
        world.eventually_published(&commit);
        fs::write(&is_on, "").unwrap();
        eventually_fails(&running, "an object is missing or damaged");
        assert_trusted(&running, 1);
        fs::remove_file(&is_on).unwrap();
        let next = world.repo.commit().write("a", "2").push();
        world.eventually_published(&next);
    }
}

#[test]
fn failures_that_differ_each_time_are_checked_a_few_times_and_no_more() {
    let world = World::new("link");
    let commit = world.repo.commit().write("a", "1").push();
    let is_on = world.path("on");
    let git = wrapped(
        &world,
        &format!(
            "if [ \"$1\" = fetch ] && [ -e '{}' ]; then echo \"fatal: bad object $$ $(date +%N)\" >&2; exit 128; fi",
            is_on.display()
        ),
    );
    let running = start(&world, world.syncer().flag("git", &git));
    world.eventually_published(&commit);
    fs::write(&is_on, "").unwrap();
    eventually_fails(&running, "an object is missing or damaged");
    assert_trusted(&running, 3);
    fs::remove_file(&is_on).unwrap();
    let next = world.repo.commit().write("a", "2").push();
    world.eventually_published(&next);
}

#[test]
fn a_check_that_cannot_run_is_no_verdict() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let commit = world.repo.commit().write("a", "1").push();
        world.sync_once(&[]);
        for (words, code) in [
            (
                "error: cannot fork() for rev-list: Resource temporarily unavailable",
                128,
            ),
            (
                "fatal: unable to create thread: Resource temporarily unavailable",
                128,
            ),
            ("fatal: Out of memory, malloc failed", 128),
            ("fatal: words of tomorrow", 128),
            ("killed", 137),
        ] {
            let git = wrapped(
                &world,
                &format!("if [ \"$1\" = fsck ]; then echo '{words}' >&2; exit {code}; fi"),
            );
            let syncer = world.syncer().flag("git", &git).flag("one-time", "true");
            let run = syncer.flag("max-failures", "0").finish();
            run.assert_code(0);
            assert!(!run.log.contains("creating a new one"), "{}", run.log);
            assert_eq!(world.published().as_ref(), Some(&commit));
        }
    }
}

#[test]
fn whatever_a_server_or_a_proxy_answers_is_no_damage() {
    let world = World::new("link");
    let server = HttpServer::start(world.repo.path().parent().unwrap());
    let commit = world.repo.commit().write("a", "1").push();
    let running = start(&world, world.syncer_of(&server.url("site.git")));
    world.eventually_published(&commit);
    for (trouble, words) in [
        (Trouble::Status(307), "redirects to another page"),
        (Trouble::Status(407), "the proxy refuses"),
        (Trouble::Status(418), "rejects the request (4xx)"),
        (Trouble::Status(410), "no repository at this address"),
        (Trouble::Garbage, "does not speak the git protocol"),
    ] {
        server.trouble(Some(trouble));
        eventually_fails(&running, words);
        server.trouble(None);
        let next = world.repo.commit().write("a", words).push();
        world.eventually_published(&next);
    }
    assert_trusted(&running, 0);
    let log = running.log();
    assert!(!log.contains("rev-list --max-count"), "{log}");
}

#[test]
fn an_ssh_server_of_old_algorithms_is_named() {
    let mut server = SshServer::start();
    server.change_host_keys(&["rsa"]);
    for options in [
        "HostKeyAlgorithms ssh-rsa",
        "KexAlgorithms diffie-hellman-group1-sha1",
        "Ciphers aes256-cbc",
    ] {
        server.set_options(options);
        let world = World::new("link");
        server.write_secret(&world.path("secret"));
        let syncer = world.syncer_of(&server.url(world.repo.path()));
        let running = start(&world, syncer.flag("secret-dir", world.path("secret")));
        eventually_fails(
            &running,
            "the ssh server offers only algorithms that ssh no longer accepts",
        );
        assert_trusted(&running, 0);
    }
}

#[test]
fn a_sign_in_page_is_named() {
    let stub = Stub::start(|asked| {
        if asked.path.starts_with("/users/sign_in") {
            return Answer::new(200, "<html>sign in</html>");
        }
        Answer {
            headers: vec![("location", "/users/sign_in".to_owned())],
            ..Answer::new(302, "")
        }
    });
    let world = World::new("link");
    let running = start(&world, world.syncer_of(&stub.url("/group/site.git")));
    eventually_fails(
        &running,
        "redirects to another page, such as a sign-in page",
    );
    assert_trusted(&running, 0);
}

#[test]
fn a_web_page_that_answers_with_success_is_no_empty_repository() {
    let stub = Stub::start(|_| Answer {
        headers: vec![("content-type", "text/html; charset=utf-8".to_owned())],
        // Azure DevOps answers this way; git parses one line as an empty list of refs.
        ..Answer::new(203, "<html>sign in</html>")
    });
    for layout in [LAYOUTS[0], LAYOUTS[1], "clone"] {
        let world = World::new(layout);
        let running = start(&world, world.syncer_of(&stub.url("/group/site.git")));
        eventually_fails(&running, "it is a web page, such as a sign-in page");
        assert_trusted(&running, 0);
    }
}

#[test]
fn a_tag_that_names_no_commit_is_named() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let commit = world.repo.commit().write("a", "1").push();
        let tree = world.repo.run(&["rev-parse", "main^{tree}"]);
        let blob = world.repo.run(&["rev-parse", "main:a"]);
        world.repo.tag("on-tree", &tree);
        world.repo.tag("on-file", &blob);
        world.repo.annotated_tag("annotated", &tree);
        world.sync_once(&[]);
        for (name, kind) in [
            ("on-tree", "tree"),
            ("on-file", "file"),
            ("annotated", "tree"),
        ] {
            let running = start(&world, world.syncer().flag("ref", name));
            let words = format!("\\\"{name}\\\" names a {kind}, not a commit");
            eventually_fails(&running, &words);
            // The check of each start.
            assert_trusted(&running, 1);
            assert_eq!(world.published().as_ref(), Some(&commit), "{layout}");
        }
    }
}

/// Makes a commit with a time zone that `git fsck` reports as an error, as old tools wrote it.
fn disliked(world: &World) -> String {
    let tree = world.repo.run(&["rev-parse", "main^{tree}"]);
    let file = world.path("commit");
    let text = format!(
        "tree {tree}\nauthor a <a@example.com> 1000000000 +051800\n\
         committer a <a@example.com> 1000000000 +051800\n\nold\n"
    );
    fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    world
        .repo
        .run(&["hash-object", "-t", "commit", "-w", "--literally", path])
}

#[test]
fn a_history_that_fsck_dislikes_is_no_damage() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        world.repo.commit().write("a", "1").push();
        let old = disliked(&world);
        world.repo.branch("main", &old);
        let commit = world.repo.commit().write("b", "2").push();
        let running = start(&world, world.syncer().flag("depth", "0"));
        world.eventually_published(&commit);
        world.repo.commit().write(&"n".repeat(300), "x").push();
        eventually_fails(
            &running,
            "a file name that this file system does not support",
        );
        assert_eq!(world.published().as_ref(), Some(&commit), "{layout}");
        // git's message may be one that leads to a check of all contents.
        drop(running);
        let blame = wrapped(
            &world,
            "if [ \"$1\" = read-tree ]; then echo 'error: inflate: data stream error' >&2; exit 128; fi",
        );
        let syncer = world.syncer().flag("depth", "0").flag("git", &blame);
        let running = start(&world, syncer);
        eventually_fails(&running, "an object is missing or damaged");
        // One at the start, and one for the failure.
        assert_trusted(&running, 2);
        assert_eq!(count(&running, "recreating the submodules"), 0);
        drop(running);
        let _running = start(&world, world.syncer().flag("depth", "0"));
        let next = world.repo.commit().remove(&"n".repeat(300)).push();
        world.eventually_published(&next);
    }
}

#[test]
fn a_submodule_without_an_address_is_named() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let first = world.repo.commit().write("a", "1").push();
        let running = start(&world, world.syncer());
        world.eventually_published(&first);
        let list = "[submodule \"x\"]\n\tpath = x\n";
        let lost = world.repo.commit().write(".gitmodules", list);
        lost.submodule("x", &first).push();
        eventually_fails(&running, "a submodule cannot be checked out");
        assert_trusted(&running, 0);
        assert_eq!(world.published(), Some(first), "{layout}");
    }
}

#[test]
fn submodules_that_were_cloned_are_kept_while_another_ones_host_is_away() {
    let world = World::new("link");
    let server = HttpServer::start(&world.path(""));
    let near = remotes::Repo::in_dir(&world.path(""), "near.git");
    let inner = near.commit().write("file", "1").push();
    let list = format!(
        "[submodule \"a\"]\n\tpath = a\n\turl = {}\n[submodule \"b\"]\n\tpath = b\n\turl = {}\n",
        server.url("near.git"),
        server.url("away.git")
    );
    let commit = world.repo.commit().write(".gitmodules", list);
    let commit = commit.submodule("a", &inner).submodule("b", &inner).push();
    let running = start(&world, world.syncer());
    eventually_fails(&running, "no repository at this address");
    assert_eq!(count(&running, "recreating the submodules"), 0);
    fs::rename(near.path(), world.path("away.git")).unwrap();
    world.eventually_published(&commit);
    let posts = server.seen();
    let clones = posts
        .iter()
        .filter(|seen| seen.line == "POST /near.git/git-upload-pack");
    // One request for the refs, one for the pack.
    assert!(clones.count() <= 3, "{posts:?}");
}
