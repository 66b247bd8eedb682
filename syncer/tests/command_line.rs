//! The command line and the environment, as git-sync v2, v3 and v4 had them.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod world;

use std::fs;
use std::process::Command;

use world::Finished;
use world::PROGRAM;
use world::Syncer;
use world::World;

/// The program with a repository and a root that it never comes to.
fn good() -> Syncer {
    Syncer::new()
        .flag("repo", "https://git.example/x")
        .flag("root", "/nonexistent/root")
}

#[track_caller]
fn assert_refused(run: &Finished, code: i32, sentence: &str) {
    run.assert_code(code);
    let line = format!("gitvolume-syncer: {sentence}");
    let is_there = run.log.lines().any(|found| found.starts_with(&line));
    assert!(is_there, "{sentence:?} is not in {}", run.log);
    assert!(
        run.log
            .contains("\nsee --help for the flags and --man for the manual\n")
    );
}

/// The log's messages, which are in JSON lines.
fn messages(run: &Finished) -> Vec<String> {
    let message = |line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(line["msg"].as_str()?.to_owned())
    };
    run.log.lines().filter_map(message).collect()
}

#[track_caller]
fn assert_told(run: &Finished, notice: &str) {
    let messages = messages(run);
    let is_there = messages.iter().any(|message| message == notice);
    assert!(is_there, "{notice:?} is not in {messages:#?}");
}

#[test]
fn help_version_and_manual_go_to_standard_output() {
    for (flags, beginning) in [
        (["--help"].as_slice(), "Keep a directory at a revision"),
        (&["-h"], "Keep a directory at a revision"),
        (&["-?"], "Keep a directory at a revision"),
        (&["--man"], "\nGITVOLUME-SYNCER\n"),
        (&["--man", "--help"], "Keep a directory at a revision"),
        (&["--version"], "gitvolume-syncer "),
        (&["--help", "--man", "--version"], "gitvolume-syncer "),
    ] {
        let output = Command::new(PROGRAM)
            .env_clear()
            .args(flags)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{flags:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        // The manual begins with a heading, with or without a blank line before it.
        assert!(
            text.trim_start().starts_with(beginning.trim_start()),
            "{flags:?}: {text}"
        );
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{flags:?}");
    }
}

#[test]
fn what_is_no_flag_or_no_value_of_its_kind_is_code_2_on_the_command_line_and_1_in_the_environment()
{
    for (flag, env, value, sentence) in [
        (
            "depth",
            "GIT_SYNC_DEPTH",
            "x",
            "\"x\": expected a whole number",
        ),
        (
            "period",
            "GIT_SYNC_PERIOD",
            "5",
            "\"5\": expected a duration such as 30s",
        ),
        (
            "one-time",
            "GIT_SYNC_ONE_TIME",
            "yes",
            "\"yes\": expected true or false",
        ),
        (
            "wait",
            "GIT_SYNC_WAIT",
            "5s",
            "\"5s\": expected a number of seconds",
        ),
        (
            "credential",
            "GITSYNC_CREDENTIAL",
            "{",
            "…: expected JSON such as",
        ),
    ] {
        let run = good().flag(flag, value).finish();
        assert_refused(&run, 2, &format!("--{flag}: {sentence}"));
        let run = good().env(env, value).finish();
        assert_refused(&run, 1, &format!("{env}: {sentence}"));
        // A variable is read even where it loses.
        let run = good()
            .env(env, value)
            .flag("depth", "1")
            .flag("period", "5s")
            .finish();
        run.assert_code(1);
    }
    for (flag, sentence) in [
        ("--bogus", "unknown flag: --bogus"),
        ("--perod=5s", "unknown flag: --perod; is it --period?"),
        ("-x", "unknown flag: -x"),
        ("---root=/x", "bad flag syntax: ---root=/x"),
        ("--depth", "--depth: expected a value"),
        ("-v", "-v: expected a value"),
    ] {
        assert_refused(&good().arg(flag).finish(), 2, sentence);
    }
    // Empty is a value.
    let run = good().env("GIT_SYNC_DEPTH", "").finish();
    assert_refused(&run, 1, "GIT_SYNC_DEPTH: \"\": expected a whole number");
}

#[test]
fn what_cannot_be_meant_is_code_1_and_named_as_it_was_set() {
    for (flags, sentence) in [
        (
            ["--submodules=x"].as_slice(),
            "--submodules: \"x\": expected recursive or shallow or off",
        ),
        (
            &["--git-gc=x"],
            "--git-gc: \"x\": expected aggressive or always or auto or off",
        ),
        (&["--ref="], "--ref: \"\": expected a branch"),
        (
            &["--depth=-1"],
            "--depth: \"-1\": expected a whole number that is not negative",
        ),
        (
            &["--period=9ms"],
            "--period: \"9ms\": expected a duration of at least 10ms",
        ),
        (
            &["--wait=0.009"],
            "--wait: \"9ms\": expected a duration of at least 10ms",
        ),
        (
            &["--init-period=9ms"],
            "--init-period: \"9ms\": expected a duration of at least 10ms",
        ),
        (
            &["--sync-timeout=9ms"],
            "--sync-timeout: \"9ms\": expected a duration of at least 10ms",
        ),
        (
            &["--exechook-command=x", "--exechook-timeout=1ms"],
            "--exechook-timeout: \"1ms\": expected a duration of at least 1s",
        ),
        (
            &["--sync-hook-command=x", "--exechook-backoff=1ms"],
            "--exechook-backoff: \"1ms\": expected a duration of at least 1s",
        ),
        (
            &[
                "--pre-publish-exechook-command=x",
                "--pre-publish-exechook-timeout=1ms",
            ],
            "--pre-publish-exechook-timeout: \"1ms\": expected a duration of at least 1s",
        ),
        (
            &["--webhook-url=x"],
            "--webhook-url: expected an address such as http://",
        ),
        (
            &["--webhook-url=http://x/", "--webhook-success-status=-2"],
            "--webhook-success-status: \"-2\": expected an HTTP status",
        ),
        (
            &["--webhook-url=http://x/", "--webhook-backoff=1ms"],
            "--webhook-backoff: \"1ms\": expected a duration of at least 1s",
        ),
        (
            &["--username=me"],
            "--username: expected $GITSYNC_PASSWORD or --password-file to go",
        ),
        (
            &["--password=x"],
            "--password: expected a --username to go with it",
        ),
        (
            &["--password-file=/p"],
            "--password-file: expected a --username to go with it",
        ),
        (
            &[
                "--repo=https://you:x@git.example/x",
                "--username=me",
                "--password-file=/p",
            ],
            "--username: expected an address in --repo that has no credentials",
        ),
        (
            &["--github-app-client-id=x"],
            "--github-app-client-id: expected a --github-app-installation-id",
        ),
        (
            &["--github-app-installation-id=5"],
            "--github-app-installation-id: expected --github-app-application-id or",
        ),
        (
            &["--http-metrics"],
            "--http-metrics: expected an --http-bind",
        ),
        (&["--http-pprof"], "--http-pprof: expected an --http-bind"),
        (
            &["--http-bind=x"],
            "--http-bind: \"x\": expected an address",
        ),
        (
            &["--sync-on-signal=x"],
            "--sync-on-signal: \"x\": expected a number or a name",
        ),
        (
            &["--cookie-file"],
            "--cookie-file: expected a file /etc/git-secret/cookie_file",
        ),
        (&["--git-config=a"], "--git-config: "),
        (
            &["--max-git-processes=0"],
            "--max-git-processes: \"0\": expected at least 1",
        ),
        (
            &["--layout=flat"],
            "--layout: \"flat\": expected link or projected",
        ),
        (
            &["--layout=projected"],
            "--state (or GITSYNC_STATE): required",
        ),
        (
            &[r#"--credential={"url":"https://a","password":"x"}"#],
            "--credential: …: expected a credential with a username",
        ),
        (
            &["--branch=a", "--rev=b"],
            "--branch and --rev: \"a\" and \"b\": expected one of them",
        ),
        (
            &["--change-permissions=5"],
            "--change-permissions: \"5\": no longer supported",
        ),
        (&["--timeout=-1"], "--timeout: \"-1s\": expected a duration"),
    ] {
        let run = good().args(flags.iter().copied()).finish();
        assert_refused(&run, 1, sentence);
    }
    let run = good()
        .env("GIT_SYNC_WAIT", "0.001")
        .flag("period", "5s")
        .finish();
    assert_refused(
        &run,
        1,
        "GIT_SYNC_WAIT: \"1ms\": expected a duration of at least 10ms",
    );
    let run = good().env("GIT_SYNC_PASSWORD", "x").finish();
    assert_refused(
        &run,
        1,
        "GIT_SYNC_PASSWORD: expected a --username to go with it",
    );
}

#[test]
fn the_root_is_asked_for_first_and_then_the_repository() {
    let run = Syncer::new().flag("submodules", "x").finish();
    assert_refused(
        &run,
        1,
        "--root (or GITSYNC_ROOT): required: expected the directory",
    );
    let run = Syncer::new().flag("root", "/nonexistent").finish();
    assert_refused(
        &run,
        1,
        "--repo (or GITSYNC_REPO): required: expected https://",
    );
}

#[test]
fn no_refusal_shows_a_secret() {
    let secret = "hunter2";
    let json = format!(r#"{{"url":"https://a","user":"me","password":"{secret}"}}"#);
    for syncer in [
        good().flag("repo", format!("htps://me:{secret}@x/y")),
        good().flag("password", secret),
        good().env("GITSYNC_PASSWORD", secret),
        good().flag("__env__GITSYNC_PASSWORD", secret),
        good().flag("credential", &json),
        good().env("GITSYNC_CREDENTIAL", format!("[{json}]")),
        good().flag("webhook-url", format!("ftp://me:{secret}@x/")),
        good().arg(format!("-pasword={secret}")),
    ] {
        let run = syncer.finish();
        assert_ne!(run.status.code(), Some(0));
        assert!(!run.log.contains(secret), "{}", run.log);
    }
}

#[test]
fn the_error_file_has_the_sentence_alone() {
    let world = World::new("link");
    let bad_root = world.path("none/root");
    let check = |syncer: Syncer, file: &str, sentence: &str| {
        let run = syncer.finish();
        assert_ne!(run.status.code(), Some(0));
        let path = world.path(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with(sentence) && text.lines().count() == 1,
            "{text}"
        );
        fs::remove_file(path).unwrap();
    };
    let root = || {
        Syncer::new()
            .flag("root", world.root())
            .flag("error-file", "err")
    };
    check(root(), "root/err", "--repo (or GITSYNC_REPO): required");
    check(
        root().env("GIT_SYNC_DEPTH", "x"),
        "root/err",
        "GIT_SYNC_DEPTH: \"x\"",
    );
    check(
        root().flag("repo", "/x").flag("period", "1ms"),
        "root/err",
        "--period: \"1ms\"",
    );
    check(
        root().flag("repo", "/x").flag("git-gc", "x"),
        "root/err",
        "--git-gc: \"x\"",
    );
    let elsewhere = Syncer::new()
        .env("GIT_SYNC_ROOT", &bad_root)
        .env("GIT_SYNC_ERROR_FILE", world.path("err"))
        .flag("repo", "/x")
        .flag("username", "me");
    check(elsewhere, "err", "--username: expected");
    assert!(!bad_root.exists());
}

#[test]
fn an_old_variable_wins_and_is_told_of() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let run = Syncer::new()
        .env("GITSYNC_REPO", "/nonexistent")
        .env("GIT_SYNC_REPO", world.repo.url())
        .env("GITSYNC_ROOT", world.root())
        .env("GITSYNC_LINK", "new")
        .env("GIT_SYNC_DEST", "old")
        .env("GITSYNC_ONE_TIME", "1")
        .finish();
    run.assert_code(0);
    assert!(world.root().join("old/a").exists());
    assert!(!world.root().join("new").exists());
    assert_told(
        &run,
        "env $GIT_SYNC_REPO has been deprecated, use $GITSYNC_REPO instead",
    );
    assert_told(&run, "env $GITSYNC_REPO was overridden by $GIT_SYNC_REPO");
    assert_told(
        &run,
        "env $GIT_SYNC_DEST has been deprecated, use $GITSYNC_LINK instead",
    );
    assert_told(&run, "GITSYNC_LINK was overridden by GIT_SYNC_DEST");
}

#[test]
fn unknown_variables_are_told_of_with_the_nearest_but_not_those_of_kubernetes() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let run = world
        .syncer()
        .flag("one-time", "true")
        .env("GITSYNC_BRANCH", "main")
        .env("GITSYNC_PERIDO", "5s")
        .env("GIT_SYNC_SSH", "yes")
        .env("GIT_SYNC_PORT", "tcp://10.0.0.1:80")
        .env("GIT_SYNC_SERVICE_HOST", "10.0.0.1")
        .env("GIT_SYNC_PORT_80_TCP_ADDR", "10.0.0.1")
        .arg("stray")
        .finish();
    run.assert_code(0);
    assert_told(
        &run,
        "env $GITSYNC_BRANCH is unknown, and ignored; is it $GITSYNC_REF?",
    );
    assert_told(
        &run,
        "env $GITSYNC_PERIDO is unknown, and ignored; is it $GITSYNC_PERIOD?",
    );
    assert_told(
        &run,
        "env $GIT_SYNC_SSH has no meaning any more: the address says whether ssh is used",
    );
    assert_told(&run, "argument \"stray\" is no flag, and ignored");
    assert!(
        !run.log.contains("10.0.0.1") && !run.log.contains("SERVICE"),
        "{}",
        run.log
    );
}

#[test]
fn a_v2_manifest_runs_by_its_environment() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    world.repo.commit().write("a", "2").push();
    let run = Syncer::new()
        .env("GITSYNC_ROOT", "/git")
        .env("GIT_SYNC_REPO", world.repo.url())
        .env("GIT_SYNC_BRANCH", "main")
        .env("GIT_SYNC_ROOT", world.root())
        .env("GIT_SYNC_DEST", "site")
        .env("GIT_SYNC_SSH", "yes")
        .env("GIT_SYNC_ONE_TIME", "true")
        .finish();
    run.assert_code(0);
    assert_eq!(
        fs::read_to_string(world.root().join("site/a")).unwrap(),
        "2"
    );
    assert_eq!(history(&world, "site"), 2, "all history, as v2 fetched it");
}

#[test]
fn a_v3_manifest_runs_with_one_dash() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    world.repo.commit().write("a", "2").push();
    let repo = format!("-repo={}", world.repo.url());
    let root = format!("-root={}", world.root().display());
    let run = Syncer::new()
        .args([
            "-ssh",
            &repo,
            &root,
            "-dest=html",
            "-branch",
            "main",
            "-depth=1",
        ])
        .args(["-one-time", "-logtostderr", "-v=2"])
        .finish();
    run.assert_code(0);
    assert_eq!(
        fs::read_to_string(world.root().join("html/a")).unwrap(),
        "2"
    );
    assert_eq!(history(&world, "html"), 1);
    assert_told(&run, "Flag -dest has been deprecated, use --link instead");
}

/// How many commits a consumer sees that runs git in the tree.
fn history(world: &World, link: &str) -> usize {
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "rev-list", "HEAD"])
        .current_dir(world.root().join(link))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().lines().count()
}

/// v3's image published below /tmp/git. The mount is made in a namespace of its own, over a /tmp of
/// its own, so that nothing of it is left.
#[test]
fn a_v3_manifest_that_mounts_v3s_root_is_served_there() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    fs::copy(PROGRAM, world.path("syncer")).unwrap();
    let script = "set -e
        mount --bind $WORLD /mnt
        mount -t tmpfs none /tmp
        mkdir -p $WORLD /tmp/git
        mount --bind /mnt $WORLD
        mount -t tmpfs none /tmp/git
        $WORLD/syncer --repo=file://$WORLD/site.git --dest repo --one-time
        cat /tmp/git/repo/a >&2";
    let run = Syncer::program("unshare")
        .args(["--mount", "sh", "-c", script])
        .env("WORLD", world.path("."))
        .env("GITSYNC_ROOT", "/git")
        .finish();
    run.assert_code(0);
    assert!(run.log.ends_with("\n1"), "{}", run.log);
    assert_told(
        &run,
        "the root is /tmp/git, as in git-sync v3, because a volume is mounted there and none at \
         /git; --root sets it",
    );
}
