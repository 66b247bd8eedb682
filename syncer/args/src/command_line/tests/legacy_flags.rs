use std::collections::BTreeSet;

use super::*;
use crate::command_line::legacy_flags::MEANINGLESS_FLAGS;
use crate::command_line::legacy_flags::OLD_FLAGS;

#[test]
fn branch_and_rev_become_the_ref_as_git_sync_does_it() {
    let rev = |env: &[(&str, &str)], argv: &[&str]| repo(argv, env).rev.to_string();
    let branch = ("GIT_SYNC_BRANCH", "b");
    assert_eq!(rev(&[branch], &[]), "b");
    assert_eq!(rev(&[branch, ("GIT_SYNC_REV", "HEAD")], &[]), "b");
    assert_eq!(rev(&[branch, ("GIT_SYNC_REV", "")], &[]), "b");
    assert_eq!(
        rev(&[("GIT_SYNC_BRANCH", ""), ("GIT_SYNC_REV", "v1")], &[]),
        "v1"
    );
    assert_eq!(rev(&[("GIT_SYNC_REV", "HEAD")], &[]), "HEAD");
    // Legacy flags take precedence over present ones, in any position.
    assert_eq!(rev(&[branch], &["--ref=new"]), "b");
    assert_eq!(rev(&[branch], &["--branch=c"]), "c");
    assert_eq!(
        refused(&["--branch=a"], &[("GIT_SYNC_REV", "v1")]),
        (
            1,
            "--branch and GIT_SYNC_REV: \"a\" and \"v1\": expected only one of them; use --ref instead"
                .to_owned()
        )
    );
}

#[test]
fn each_legacy_flag_replaces_a_present_one_and_takes_precedence() {
    let period = |argv: &[&str]| repo(argv, &[]).period;
    assert_eq!(
        period(&["--wait=1.5", "--period=9s"]),
        GitDuration::from_millis(1500)
    );
    assert_eq!(
        period(&["--wait=0.0019", "--period=9s"]),
        GitDuration::from_millis(1)
    );
    assert_eq!(
        period(&["--wait=0", "--period=9s"]),
        GitDuration::from_secs(9)
    );
    let args = repo(
        &[
            "--dest=html",
            "--link=x",
            "--timeout=7",
            "--max-sync-failures=-1",
            "--sync-hook-command=/hook",
        ],
        &[],
    );
    assert_eq!(args.link.unwrap().to_string(), "html");
    assert_eq!(args.sync_timeout, GitDuration::from_secs(7));
    assert_eq!(args.max_failures, -1);
    assert_eq!(args.exechook_command, Some("/hook".into()));
    let none = repo(&["--timeout=0", "--max-sync-failures=0", "--dest="], &[]);
    assert_eq!(none.sync_timeout, GitDuration::from_secs(120));
    assert_eq!(none.link, None);
}

#[test]
fn every_old_variable_is_read() {
    let args = repo(
        &[],
        &[
            ("GIT_SYNC_BRANCH", "main"),
            ("GIT_SYNC_DEST", "html"),
            ("GIT_SYNC_WAIT", "30"),
            ("GIT_SYNC_TIMEOUT", "60"),
            ("GIT_SYNC_MAX_SYNC_FAILURES", "3"),
            ("GIT_SYNC_HOOK_COMMAND", "/hook"),
            ("GIT_SYNC_PERMISSIONS", "0"),
        ],
    );
    assert_eq!(args.rev.as_str(), "main");
    assert_eq!(args.link.unwrap().to_string(), "html");
    assert_eq!(args.period, GitDuration::from_secs(30));
    assert_eq!(args.sync_timeout, GitDuration::from_secs(60));
    assert_eq!(args.max_failures, 3);
    assert_eq!(args.exechook_command, Some("/hook".into()));
}

#[test]
fn errors_name_the_legacy_flag() {
    for (name, flag, value, sentence) in [
        (
            "GIT_SYNC_WAIT",
            "--wait",
            "x",
            "expected a number of seconds such as 30 or 0.5",
        ),
        (
            "GIT_SYNC_TIMEOUT",
            "--timeout",
            "1s",
            "expected a whole number such as 1",
        ),
    ] {
        let typed = format!("{flag}={value}");
        assert_eq!(
            refused(&[&typed], &[]),
            (2, format!("{flag}: {value:?}: {sentence}"))
        );
        assert_eq!(
            refused(&[], &[(name, value)]),
            (1, format!("{name}: {value:?}: {sentence}"))
        );
    }
    assert_eq!(
        refused(&["--timeout=-5"], &[]),
        (
            1,
            "--timeout: \"-5s\": expected a duration such as 30s, 5m or 1h30m".to_owned()
        )
    );
    let typed = typed(&["--link=new"], &[("GIT_SYNC_DEST", "old")]).unwrap();
    assert_eq!(typed.names.of("link"), "GIT_SYNC_DEST");
    assert_eq!(typed.names.of("depth"), "GIT_SYNC_DEST");
    assert_eq!(typed.names.of("period"), "--period (or GITSYNC_PERIOD)");
    assert_eq!(typed.names.of("password"), "GITSYNC_PASSWORD");
}

#[test]
fn permissions_are_no_longer_changed() {
    let sentence = "no longer supported; use --group-write";
    assert_eq!(
        refused(&["--change-permissions=0777"], &[]),
        (1, format!("--change-permissions: \"511\": {sentence}"))
    );
    assert_eq!(
        refused(&[], &[("GIT_SYNC_PERMISSIONS", "1")]),
        (1, format!("GIT_SYNC_PERMISSIONS: \"1\": {sentence}"))
    );
    assert!(typed(&["--change-permissions=0"], &[]).is_ok());
}

#[test]
fn deprecation_notices_have_git_syncs_wording() {
    let notices_of = |argv: &[&str], env: &[(&str, &str)]| {
        let mut notices = typed(argv, env).unwrap().notices;
        notices.retain(|notice| !notice.contains("the full history"));
        notices
    };
    for (flag, notice) in [
        (
            "--branch=a",
            "Flag --branch has been deprecated, use --ref instead",
        ),
        (
            "--v=1",
            "Flag --v has been deprecated, use -v or --verbose instead",
        ),
        (
            "--ssh",
            "Flag --ssh has been deprecated, the repository address selects ssh",
        ),
        (
            "--logtostderr",
            "Flag --logtostderr has been deprecated, the log goes to standard error; --verbose sets its level",
        ),
    ] {
        assert_eq!(notices_of(&[flag], &[]), [notice]);
    }
    assert_eq!(
        notices_of(
            &["--password=x", "--username=me"],
            &[("GIT_SYNC_WAIT", "5")]
        ),
        [
            "Flag --password has been deprecated, use --password-file or $GITSYNC_PASSWORD \
             instead",
            "env $GIT_SYNC_WAIT has been deprecated, use $GITSYNC_PERIOD instead",
        ]
    );
    assert_eq!(
        notices_of(&["--period=9s"], &[("GIT_SYNC_WAIT", "5")])[1],
        "--period was overridden by GIT_SYNC_WAIT"
    );
}

#[test]
fn the_log_flags_of_v3_have_no_effect() {
    let typed = typed(
        &[
            "-logtostderr",
            "-alsologtostderr=true",
            "--stderrthreshold",
            "2",
            "-log_dir=/x",
            "--log-backtrace-at",
            ":0",
            "-vmodule=x=1",
            "-v=4",
        ],
        &[],
    )
    .unwrap();
    assert_eq!(typed.sync.process.verbose, 4);
    assert!(
        typed
            .notices
            .iter()
            .all(|notice| !notice.contains("ignored"))
    );
}

#[test]
fn a_long_flag_with_one_dash_is_accepted_if_it_cannot_be_a_short_flag() {
    let Action::Sync(typed) = parse_action(
        &[
            "-ssh",
            "-repo=git@git.example:org/x.git",
            "-root",
            "/usr/share/nginx",
            "-dest=html",
            "-branch=master",
            "-depth",
            "1",
            "-one-time",
        ],
        &[],
    )
    .unwrap() else {
        panic!("a sync");
    };
    let args = &typed.sync.repo;
    assert_eq!(
        args.repo.as_ref().unwrap().reveal(),
        "git@git.example:org/x.git"
    );
    assert_eq!(args.root, Some("/usr/share/nginx".into()));
    assert_eq!(args.link.as_ref().unwrap().to_string(), "html");
    assert_eq!(args.rev.as_str(), "master");
    assert_eq!(args.depth, 1);
    assert!(args.one_time);
    assert_eq!(
        typed.notices[0],
        "flags with one dash are read as if they had two: -ssh, -repo, -root, -dest, -branch, -depth, -one-time"
    );
    assert_eq!(
        refused(&["-depth=x"], &[]).1,
        "-depth: \"x\": expected a whole number such as 1"
    );
}

#[test]
fn a_v3_manifest_has_v3s_depth() {
    let depth = |argv: &[&str], env: &[(&str, &str)]| repo(argv, env).depth;
    for argv in [
        "--dest=x",
        "--ssh",
        "-one-time",
        "--logtostderr",
        "--wait=0",
    ] {
        assert_eq!(depth(&[argv], &[]), 0, "{argv}");
        assert_eq!(depth(&[argv, "--depth=1"], &[]), 1, "{argv}");
        assert_eq!(depth(&[argv], &[("GIT_SYNC_DEPTH", "5")]), 5, "{argv}");
    }
    for name in ["GIT_SYNC_BRANCH", "GIT_SYNC_SSH"] {
        assert_eq!(depth(&[], &[(name, "yes")]), 0, "{name}");
        assert_eq!(depth(&[], &[(name, "")]), 1, "{name}");
    }
    // v4 reads these too, and only reports that they are deprecated.
    assert_eq!(depth(&[], &[("GIT_SYNC_ONE_TIME", "true")]), 1);
    let typed = typed(&["--dest=x"], &[]).unwrap();
    assert_eq!(
        typed.notices[1],
        "the full history is fetched, as in git-sync v3, because --dest is a v3 name; --depth=1 fetches only the newest commit"
    );
}

#[test]
fn manifests_from_the_field_are_parsed() {
    // v2.0.3, an init container.
    let Action::Sync(v2) = parse_action(
        &[],
        &[
            ("GITSYNC_ROOT", "/git"),
            ("GIT_SYNC_REPO", "git@git.example:org/x.git"),
            ("GIT_SYNC_BRANCH", "master"),
            ("GIT_SYNC_ROOT", "/data"),
            ("GIT_SYNC_DEST", "x"),
            ("GIT_SYNC_SSH", "yes"),
            ("GIT_SYNC_ONE_TIME", "true"),
            ("GIT_KNOWN_HOSTS", "false"),
        ],
    )
    .unwrap() else {
        panic!("a sync");
    };
    let args = v2.sync.repo;
    assert_eq!(args.root, Some("/data".into()));
    assert!(args.one_time && !args.ssh_known_hosts && !v2.is_root_the_images);
    assert_eq!((args.rev.as_str(), args.depth), ("master", 0));

    // v3.1.6, with the root that its image set.
    let Action::Sync(v3) = parse_action(
        &[
            "--repo=https://git.example/x",
            "--dest",
            "repo",
            "--webhook-url",
            "http://localhost:9300/api/v1/sync",
        ],
        &[("GITSYNC_ROOT", "/git")],
    )
    .unwrap() else {
        panic!("a sync");
    };
    assert!(v3.is_root_the_images);
    assert_eq!(v3.sync.repo.depth, 0);

    // A chart that sets both names of each flag.
    let both = repo(
        &[],
        &[
            ("GIT_SYNC_REV", "main"),
            ("GITSYNC_REF", "main"),
            ("GIT_SYNC_WAIT", "5"),
            ("GITSYNC_PERIOD", "60s"),
            ("GIT_SYNC_DEPTH", "1"),
            ("GITSYNC_DEPTH", "1"),
            ("GIT_SYNC_ADD_USER", "true"),
            ("GITSYNC_ADD_USER", "true"),
        ],
    );
    assert_eq!((both.period, both.depth), (GitDuration::from_secs(5), 1));
}

#[test]
fn a_legacy_name_differs_from_all_present_names_and_maps_to_one() {
    let mut names = BTreeSet::new();
    for flag in OLD_FLAGS.iter().chain(MEANINGLESS_FLAGS) {
        // Only `--password` is both.
        let is_free = flags::find(flag.name).is_none() || flag.name == "password";
        assert!(is_free && names.insert(flag.name), "{}", flag.name);
        let is_free = |env| FLAGS.iter().all(|flag| !flag.env.contains(&env));
        assert!(flag.env.is_none_or(is_free), "{}", flag.name);
        assert!(flag.instead.is_none_or(|name| flags::find(name).is_some()));
    }
}
