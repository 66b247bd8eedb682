//! Invalid command lines, and their error messages.

use std::fs;

use crate::command_line::assert_refused;
use crate::command_line::good;
use crate::world::Syncer;
use crate::world::World;

#[test]
fn unknown_flags_and_malformed_values_exit_with_2_on_the_command_line_and_1_in_the_environment() {
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
            "…: expected JSON like",
        ),
    ] {
        let run = good().flag(flag, value).finish();
        assert_refused(&run, 2, &format!("--{flag}: {sentence}"));
        let run = good().env(env, value).finish();
        assert_refused(&run, 1, &format!("{env}: {sentence}"));
        // A variable is validated even if a flag overrides it.
        let run = good()
            .env(env, value)
            .flag("depth", "1")
            .flag("period", "5s")
            .finish();
        run.assert_code(1);
    }
    for (flag, sentence) in [
        ("--bogus", "unknown flag: --bogus"),
        (
            "--perod=5s",
            "unknown flag: --perod; did you mean --period?",
        ),
        ("-x", "unknown flag: -x"),
        ("---root=/x", "bad flag syntax: ---root=/x"),
        ("--depth", "--depth: expected a value"),
        ("-v", "-v: expected a value"),
    ] {
        assert_refused(&good().arg(flag).finish(), 2, sentence);
    }
    // Empty is a value too.
    let run = good().env("GIT_SYNC_DEPTH", "").finish();
    assert_refused(&run, 1, "GIT_SYNC_DEPTH: \"\": expected a whole number");
}

#[test]
fn invalid_values_exit_with_1_and_are_named_as_they_were_set() {
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
            "--username: expected an address in --repo without credentials",
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
            "--sync-on-signal: \"x\": expected a signal number or a name",
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
            "--branch and --rev: \"a\" and \"b\": expected only one of them",
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
fn a_missing_root_is_reported_before_a_missing_repository() {
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
        good().flag("repo", format!("https:/me:{secret}@x/y")),
        good().flag("repo", format!("https//me:{secret}@x/y")),
    ] {
        let run = syncer.finish();
        assert_ne!(run.status.code(), Some(0));
        assert!(!run.log.contains(secret), "{}", run.log);
    }
}

#[test]
fn a_password_in_an_address_that_is_parsed_as_a_path_is_never_shown() {
    let world = World::new("link");
    let run = world.syncer_of("//me:hunter2@x/y").flag("one-time", "true");
    let run = run.flag("max-failures", "0").finish();
    run.assert_code(1);
    assert!(!run.log.contains("hunter2"), "{}", run.log);
}

#[test]
fn a_misplaced_token_is_not_quoted() {
    let token = "glpat-0123456789abcdefghij";
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    for syncer in [
        good().env("GITSYNC_PERIOD", token),
        good().flag("depth", token),
        good().flag("layout", token),
        world.syncer().flag("one-time", "true").arg(token),
    ] {
        let run = syncer.finish();
        assert!(!run.log.contains(token), "{}", run.log);
    }
}

#[test]
fn the_error_file_contains_only_the_sentence() {
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
