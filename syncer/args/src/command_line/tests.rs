use super::*;
use crate::GarbageCollection;
use crate::GitDuration;
use crate::Password;
use crate::ProcessArgs;
use crate::RepoArgs;
use crate::flags::FLAGS;

mod legacy_flags;
mod lists;

/// The action for a command line, split at spaces, and an environment.
fn parse_action(argv: &[&str], env: &[(&str, &str)]) -> Result<Action, UsageError> {
    let env = env.iter().map(|(name, value)| (name.into(), value.into()));
    read(argv.iter().map(Into::into), env)
}

/// The same for a sync with repository and root.
fn typed(argv: &[&str], env: &[(&str, &str)]) -> Result<ParsedSync, (u8, String)> {
    let argv = [&["--repo=https://git.example/x", "--root=/x"], argv].concat();
    match parse_action(&argv, env) {
        Ok(Action::Sync(typed)) => Ok(*typed),
        Ok(other) => panic!("{other:?}"),
        Err(refusal) => Err((refusal.code, refusal.message)),
    }
}

#[track_caller]
fn repo(argv: &[&str], env: &[(&str, &str)]) -> RepoArgs {
    typed(argv, env).unwrap().sync.repo
}

#[track_caller]
fn refused(argv: &[&str], env: &[(&str, &str)]) -> (u8, String) {
    typed(argv, env).map(|typed| typed.sync).unwrap_err()
}

#[test]
fn the_command_line_wins_over_the_environment_and_that_over_the_default() {
    let env = [("GITSYNC_DEPTH", "3")];
    assert_eq!(repo(&[], &[]).depth, 1);
    assert_eq!(repo(&[], &env).depth, 3);
    assert_eq!(repo(&["--depth=2"], &env).depth, 2);
    assert_eq!(repo(&["--depth=2", "--depth", "5"], &env).depth, 5);
}

#[test]
fn an_old_variable_wins_over_the_present_one_and_the_last_over_all() {
    let old = ("GIT_SYNC_SSH_KEY_FILE", "/old");
    let older = ("GIT_SSH_KEY_FILE", "/older:/oldest");
    let present = ("GITSYNC_SSH_KEY_FILE", "/present");
    let keys = |env: &[(&str, &str)]| typed(&[], env).unwrap();
    assert_eq!(
        keys(&[present]).sync.repo.ssh_key_file,
        [PathBuf::from("/present")]
    );
    assert_eq!(
        keys(&[present, old]).sync.repo.ssh_key_file,
        [PathBuf::from("/old")]
    );
    let all = keys(&[present, old, older]);
    let expected = ["/older", "/oldest"].map(PathBuf::from);
    assert_eq!(all.sync.repo.ssh_key_file, expected);
    assert_eq!(
        all.notices,
        [
            "env $GIT_SYNC_SSH_KEY_FILE has been deprecated, use $GITSYNC_SSH_KEY_FILE instead",
            "env $GIT_SSH_KEY_FILE has been deprecated, use $GITSYNC_SSH_KEY_FILE instead",
            "env $GITSYNC_SSH_KEY_FILE was overridden by $GIT_SSH_KEY_FILE",
            "env $GIT_SYNC_SSH_KEY_FILE was overridden by $GIT_SSH_KEY_FILE",
        ]
    );
}

#[test]
fn every_legacy_variable_is_read_with_a_notice() {
    let value = |kind| match kind {
        Kind::Bool => "true",
        Kind::Duration => "7s",
        Kind::Int => "7",
        _ => "/x",
    };
    for flag in FLAGS.iter() {
        for old in flag.old_variables().iter().filter(|_| flag.name != "repo") {
            // Choices, and flags that require another flag, are rejected, but under this name.
            match typed(&[], &[(old, value(flag.kind))]) {
                Ok(typed) => {
                    assert_eq!(
                        typed.names.of(flag.name),
                        if flag.name == "root" { "--root" } else { old }
                    );
                    assert!(
                        typed.notices[0].starts_with(&format!("env ${old} has")),
                        "{old}"
                    );
                }
                Err((code, message)) => {
                    assert_eq!(code, 1, "{message}");
                    assert!(message.starts_with(&format!("{old}: ")), "{message}");
                }
            }
        }
    }
}

#[test]
fn a_variable_that_is_set_to_nothing_is_set() {
    assert_eq!(
        refused(&[], &[("GIT_SYNC_DEPTH", "")]),
        (
            1,
            "GIT_SYNC_DEPTH: \"\": expected a whole number such as 1".to_owned()
        )
    );
    // Even if it is overridden.
    assert_eq!(refused(&["--depth=1"], &[("GITSYNC_DEPTH", "")]).0, 1);
    let env = [("GITSYNC_LINK", "a"), ("GIT_SYNC_LINK", "")];
    assert_eq!(repo(&[], &env).link, None);
    assert_eq!(repo(&["--link="], &[("GITSYNC_LINK", "a")]).link, None);
    assert_eq!(refused(&["--ref="], &[]).0, 1);
    assert_eq!(
        repo(&["--ssh-key-file="], &[]).ssh_key_file,
        RepoArgs::default().ssh_key_file
    );
}

#[test]
fn values_are_in_gos_notation() {
    assert_eq!(repo(&["--depth=0x10"], &[]).depth, 16);
    assert!(repo(&["--one-time=T"], &[]).one_time);
    assert!(!repo(&["--one-time=0"], &[("GITSYNC_ONE_TIME", "1")]).one_time);
    assert_eq!(
        repo(&["--period=+1m30s"], &[]).period,
        GitDuration::from_secs(90)
    );
    assert_eq!(refused(&[], &[("GIT_SYNC_ONE_TIME", "yes")]).0, 1);
    assert_eq!(refused(&["--one-time=yes"], &[]).0, 2);
}

#[test]
fn flags_have_pflags_syntax() {
    let process = |argv: &[&str]| typed(argv, &[]).unwrap().sync.process;
    for argv in [
        ["-v", "2"].as_slice(),
        &["-v=2"],
        &["-v2"],
        &["--verbose", "2"],
        &["--v=2"],
        &["--verbose=5", "--v", "2"],
        &["--v=-1", "-v2"],
    ] {
        assert_eq!(process(argv).verbose, 2, "{argv:?}");
    }
    assert_eq!(process(&["-v=99999"]).verbose, u8::MAX);
    assert_eq!(process(&["-v=-1"]).verbose, 0);
    assert_eq!(
        repo(&["--filter", "--depth"], &[]).filter.unwrap(),
        "--depth"
    );
    assert_eq!(
        repo(&["--filter", ""], &[("GITSYNC_FILTER", "a")]).filter,
        None
    );
    assert_eq!(repo(&["--filter=a=b"], &[]).filter.unwrap(), "a=b");
    assert!(!repo(&["--", "--one-time"], &[]).one_time);
    assert!(repo(&["stray", "-", "--one-time"], &[]).one_time);
    for (argv, sentence) in [
        (["--bogus"].as_slice(), "unknown flag: --bogus"),
        (
            &["--perod=secret"],
            "unknown flag: --perod; did you mean --period?",
        ),
        (
            &["-perod=secret"],
            "unknown flag: -perod; did you mean --period?",
        ),
        (&["-x"], "unknown flag: -x"),
        (&["---x"], "bad flag syntax: ---x"),
        (&["--=x"], "bad flag syntax: --=x"),
        (&["--depth"], "--depth: expected a value"),
        (&["-v"], "-v: expected a value"),
        (&["-vx"], "-v: \"x\": expected a whole number such as 1"),
        (&["-v="], "-v: \"\": expected a whole number such as 1"),
        (
            &["--depth=x", "--depth=1"],
            "--depth: \"x\": expected a whole number such as 1",
        ),
        (
            &["--period=5"],
            "--period: \"5\": expected a duration such as 30s, 5m or 1h30m",
        ),
        (
            &["--one-time=maybe"],
            "--one-time: \"maybe\": expected true or false",
        ),
        (
            &["--github-app-private-key=x"],
            "unknown flag: --github-app-private-key; only $GITSYNC_GITHUB_APP_PRIVATE_KEY sets it",
        ),
    ] {
        assert_eq!(refused(argv, &[]), (2, sentence.to_owned()));
    }
}

#[test]
fn a_stray_word_is_ignored_with_a_notice() {
    let typed = typed(&["--one-time", "false", "stray", "--", "--x"], &[]).unwrap();
    assert!(typed.sync.repo.one_time);
    assert_eq!(
        typed.notices,
        [
            "argument \"false\" is not a flag and is ignored; did you mean --one-time=false?",
            "argument \"stray\" is not a flag and is ignored",
            "argument \"--x\" is not a flag and is ignored",
        ]
    );
}

#[test]
fn help_version_and_manual_are_printed_in_that_order_and_before_all_else() {
    let text = |argv: &[&str]| match parse_action(argv, &[("GITSYNC_DEPTH", "x")]) {
        Ok(Action::Print(text)) => text,
        other => panic!("{other:?}"),
    };
    assert!(text(&["--version"]).starts_with("gitvolume-syncer "));
    assert_eq!(
        text(&["--man", "--help", "--version"]),
        text(&["--version"])
    );
    assert_eq!(text(&["--man", "--help"]), text(&["-h"]));
    assert_eq!(text(&["-?"]), text(&["-h"]));
    assert_eq!(text(&["-help"]), text(&["-h"]));
    assert!(text(&["--man"]).contains("\nNAME\n"));
    assert!(parse_action(&["--help", "--bogus"], &[]).is_err());
    assert_eq!(parse_action(&["--help=false"], &[]).unwrap_err().code, 1);
}

#[test]
fn a_value_with_a_wrong_meaning_is_not_a_usage_error() {
    for (flag, env, value, sentence) in [
        (
            "--submodules",
            "GIT_SYNC_SUBMODULES",
            "x",
            "\"x\": expected recursive or shallow or off",
        ),
        (
            "--depth",
            "GIT_SYNC_DEPTH",
            "-1",
            "\"-1\": expected a whole number that is not negative",
        ),
        (
            "--depth",
            "GIT_SYNC_DEPTH",
            "4294967296",
            "\"4294967296\": expected a smaller number",
        ),
        (
            "--period",
            "GIT_SYNC_PERIOD",
            "-1s",
            "\"-1s\": expected a duration such as 30s, 5m or 1h30m",
        ),
        (
            "--ref",
            "GITSYNC_REF",
            "-x",
            "\"-x\": expected a branch, a tag, a full commit hash or a range of version tags such as main, v1.2.0, refs/heads/main or semver:^1.2",
        ),
    ] {
        let typed = format!("{flag}={value}");
        assert_eq!(refused(&[&typed], &[]), (1, format!("{flag}: {sentence}")));
        assert_eq!(
            refused(&[], &[(env, value)]),
            (1, format!("{env}: {sentence}"))
        );
    }
    let (code, message) = refused(&["--repo=htps://me:hunter2@x/y"], &[]);
    assert_eq!(code, 1);
    assert!(
        message.starts_with("--repo: …: expected https://"),
        "{message}"
    );
}

#[test]
fn a_missing_root_is_reported_before_any_other_error() {
    for argv in [[].as_slice(), &["--root="], &["--submodules=x"]] {
        let refusal = parse_action(argv, &[]).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "--root (or GITSYNC_ROOT): required: expected the directory to publish in"
        );
        assert_eq!(refusal.code, 1);
    }
    assert!(parse_action(&["--config=/file"], &[]).is_ok());
    assert!(parse_action(&[], &[("GITSYNC_CONFIG_INLINE", "{}")]).is_ok());
}

#[test]
fn a_refusal_contains_the_path_of_the_error_file() {
    let file =
        |argv: &[&str], env: &[(&str, &str)]| parse_action(argv, env).unwrap_err().error_file;
    let bad = ("GITSYNC_DEPTH", "x");
    assert_eq!(
        file(&["--root=/r", "--error-file=e"], &[bad]),
        Some("/r/e".into())
    );
    let env = [bad, ("GIT_SYNC_ROOT", "/r"), ("GITSYNC_ERROR_FILE", "e")];
    assert_eq!(file(&[], &env), Some("/r/e".into()));
    assert_eq!(file(&["--error-file=/e"], &[]), Some("/e".into()));
    assert_eq!(file(&["--error-file=e"], &[]), None);
    assert_eq!(file(&["--root=/r"], &[bad]), None);
}

#[test]
fn the_root_of_the_image_is_distinguished_from_a_users() {
    let is_images = |argv: &[&str], env: &[(&str, &str)]| match parse_action(argv, env).unwrap() {
        Action::Sync(typed) => typed.is_root_the_images,
        other => panic!("{other:?}"),
    };
    let image = ("GITSYNC_ROOT", "/git");
    assert!(is_images(&[], &[image]));
    assert!(!is_images(&["--root=/git"], &[image]));
    assert!(!is_images(&[], &[image, ("GIT_SYNC_ROOT", "/git")]));
    assert!(!is_images(&[], &[("GITSYNC_ROOT", "/data")]));
}

#[test]
fn subcommands_have_their_own_flags() {
    let state = |argv: &[&str], env: &[(&str, &str)]| match parse_action(argv, env).unwrap() {
        Action::Probe(args) => args.state,
        other => panic!("{other:?}"),
    };
    let env = [("GITSYNC_STATE", "/env"), ("GITSYNC_DEPTH", "x")];
    assert_eq!(state(&["probe"], &[]), PathBuf::from(paths::STATE));
    assert_eq!(state(&["probe"], &env), PathBuf::from("/env"));
    assert_eq!(
        state(&["probe", "--state=/flag"], &env),
        PathBuf::from("/flag")
    );
    assert!(matches!(
        parse_action(&["probe", "--help"], &[]),
        Ok(Action::Print(_))
    ));
    assert_eq!(
        parse_action(&["probe", "--bogus"], &[]).unwrap_err().code,
        2
    );
    // In any other position it is a stray word.
    assert!(typed(&["probe"], &[]).is_ok());
}

#[test]
fn defaults_are_git_syncs() {
    let typed = typed(&[], &[]).unwrap();
    let expected = RepoArgs::new("https://git.example/x".parse().unwrap(), "/x");
    assert_eq!(typed.sync.repo, expected);
    assert_eq!(typed.sync.process, ProcessArgs::default());
    assert_eq!(typed.sync.repo.git_gc, GarbageCollection::Always);
    assert!(typed.notices.is_empty());
}
