use std::path::Path;
use std::time::Duration;

use super::*;

/// The repositories of a text with these flags as defaults, or the error.
fn repos_beside(text: &str, change: impl FnOnce(&mut RepoArgs)) -> Result<Vec<RepoConfig>, String> {
    let mut beside = RepoArgs::default();
    change(&mut beside);
    let process = ProcessArgs {
        config_inline: text.parse().ok(),
        ..ProcessArgs::default()
    };
    let repos = repos(&process, &beside, &Arc::default()).map_err(|error| error.to_string())?;
    Ok(repos.unwrap())
}

fn repos_of(text: &str) -> Result<Vec<RepoConfig>, String> {
    repos_beside(text, |_| {})
}

#[track_caller]
fn refused(text: &str) -> String {
    let Err(sentence) = repos_of(text) else {
        panic!("{text} is accepted");
    };
    assert_eq!(sentence.lines().count(), 1, "{sentence}");
    sentence
}

const JSON: &str = r#"{
  "repos": {
    "site": {"repo": "https://git.example/site.git", "root": "/git/site", "period": "1m30s"},
    "data": {
      "repo": "git@git.example:org/data.git", "root": "/git/data", "ref": "v1.10", "depth": 0,
      "ssh-key-file": ["/a", "/b"], "one-time": true, "max-failures": -1, "link": "now",
      "credential": [{"url": "https://x", "username": "me", "password-file": "/p"}]
    }
  }
}"#;

const YAML: &str = r"
repos:
  site:
    repo: https://git.example/site.git
    root: /git/site
    period: 1m30s
  data:
    repo: git@git.example:org/data.git
    root: /git/data
    ref: v1.10
    depth: 0
    ssh-key-file: [/a, /b]
    one-time: true
    max-failures: -1
    link: now
    credential:
      - {url: https://x, username: me, password-file: /p}
";

#[test]
fn yaml_and_json_say_the_same() {
    let json = repos_of(JSON).unwrap();
    assert_eq!(
        format!("{json:?}"),
        format!("{:?}", repos_of(YAML).unwrap())
    );
    let names: Vec<_> = json.iter().map(|repo| repo.name.as_deref()).collect();
    assert_eq!(names, [Some("data"), Some("site")]);
    assert_eq!(json[1].period, Duration::from_secs(90));
    assert_eq!(json[0].rev.as_str(), "v1.10");
    assert_eq!(json[0].access.ssh_keys, [Path::new("/a"), Path::new("/b")]);
    assert!(json[0].one_time);
}

#[test]
fn an_entry_inherits_unset_values_from_the_process_flags() {
    let text = r#"{"repos": {
        "a": {"repo": "https://git.example/x"},
        "b": {"repo": "https://git.example/x", "period": "5s", "root": "/b", "state": "/s"}
    }}"#;
    let repos = repos_beside(text, |beside| {
        beside.root = Some("/git".into());
        beside.state = Some("/state".into());
        beside.period = "20s".parse().unwrap();
        beside.max_failures = -1;
    });
    let repos = repos.unwrap();
    assert_eq!(repos[0].root, Path::new("/git/a"));
    assert_eq!(repos[0].state.as_deref(), Some(Path::new("/state/a")));
    assert_eq!(repos[0].period, Duration::from_secs(20));
    assert_eq!(repos[1].root, Path::new("/b"));
    assert_eq!(repos[1].state.as_deref(), Some(Path::new("/s")));
    assert_eq!(repos[1].period, Duration::from_secs(5));
    assert!(repos.iter().all(|repo| repo.max_failures == -1));
}

#[test]
fn an_entry_with_its_own_user_inherits_no_credentials() {
    let text = r#"{"repos": {
        "a": {"repo": "https://git.example/x", "root": "/a"},
        "b": {"repo": "https://git.example/x", "root": "/b", "username": "you", "password-file": "/p"},
        "c": {"repo": "https://it:its@git.example/x", "root": "/c"}
    }}"#;
    let repos = repos_beside(text, |beside| {
        beside.username = Some("me".to_owned());
        beside.password = "mine".parse().ok();
    });
    let access: Vec<_> = repos
        .unwrap()
        .into_iter()
        .map(|repo| (repo.access.username, repo.access.password.is_some()))
        .collect();
    let expected = [
        (Some("me".to_owned()), true),
        (Some("you".to_owned()), false),
        (None, false),
    ];
    assert_eq!(access, expected);
}

#[test]
fn every_mistake_is_named_with_its_file_its_entry_and_its_key() {
    for (entry, sentence) in [
        (
            r#""perriod": "5s""#,
            "perriod: unknown key: did you mean period?",
        ),
        (r#""wait": 30"#, "wait: a legacy name: expected period"),
        (
            r#""group-write": true"#,
            "group-write: applies to the whole process: expected as a flag, not in the file",
        ),
        (
            r#""change-permissions": 7"#,
            "change-permissions: applies to the whole process: expected as a flag, not in the file",
        ),
        (
            r#""frobnicate": 1"#,
            "frobnicate: unknown key: expected the name of a repository flag",
        ),
        (
            r#""period": "5 min""#,
            r#"period: "5 min": expected a duration such as 30s, 5m or 1h30m"#,
        ),
        (r#""period": 5"#, "period: 5: expected a text in quotes"),
        (
            r#""period": "1ms""#,
            r#"period: "1ms": expected a duration of at least 10ms, such as 30s or 5m"#,
        ),
        (r#""depth": "1""#, r#"depth: "1": expected a whole number"#),
        (
            r#""layout": "flat""#,
            r#"layout: "flat": expected link or projected or files or clone"#,
        ),
        (
            r#""depth": -1"#,
            r#"depth: "-1": expected a whole number that is not negative"#,
        ),
        (
            r#""layout": "projected""#,
            "state: required: expected a directory outside --root, which --layout=projected needs",
        ),
        (
            r#""state": "/git/state""#,
            r#"state: "/git/state": expected a directory outside --root"#,
        ),
    ] {
        let text = format!(
            r#"{{"repos": {{"site": {{"repo": "https://git.example/x", "root": "/git", {entry}}}}}}}"#
        );
        let sentence = format!("GITSYNC_CONFIG_INLINE: repos.site.{sentence}");
        assert_eq!(refused(&text), sentence, "{entry}");
    }
    for (text, sentence) in [
        (
            r#"{"repos": {"site": {"root": "/git"}}}"#,
            "repos.site.repo: required: expected https://, http://, ssh://, user@host:path, file:// or an absolute path",
        ),
        (
            r#"{"repos": {"site": {"repo": "https://git.example/x"}}}"#,
            "repos.site.root: required: expected the directory to publish in",
        ),
        (
            r#"{"repos": {"My Site": {}}}"#,
            "repos.My Site: expected a name of at most 63 lower-case letters, digits and inner hyphens",
        ),
        (
            r#"{"repos": {}}"#,
            "repos: expected at least one entry, such as repos: {site: {repo: …}}",
        ),
        (
            r#"{"repos": {"a": {}, "a": {}}}"#,
            "line 1: a is given twice",
        ),
        (
            r#"{"repos": {"a": {"repo": "https://h/x", "repo": "https://h/y"}}}"#,
            "line 1: repo is given twice",
        ),
        (
            r#"{"repositories": {}}"#,
            "repositories: expected repos as the only key",
        ),
    ] {
        assert_eq!(refused(text), format!("GITSYNC_CONFIG_INLINE: {sentence}"));
    }
}

#[test]
fn malformed_yaml_is_reported_by_line_without_its_text() {
    let sentence = refused("repos:\n  a:\n    repo: https://me:secret@h/x\n   root: /a\n");
    assert!(sentence.contains("line 4"), "{sentence}");
    assert!(!sentence.contains("secret"), "{sentence}");
    let sentence = refused("repos: {a: {repo: https://h/x}, a: {repo: https://h/y}}");
    assert!(sentence.contains("a is given twice"), "{sentence}");
}

#[test]
fn no_sentence_repeats_a_secret() {
    for entry in [
        r#""repo": "secret""#,
        r#""repo": ["secret"]"#,
        r#""credential": "secret""#,
        r#""credential": [{"url": "u", "username": "me", "password": "secret", "pass": "secret"}]"#,
        r#""password": {"secret": 1}"#,
    ] {
        let sentence = refused(&format!(r#"{{"repos": {{"a": {{{entry}}}}}}}"#));
        assert!(!sentence.contains("secret"), "{sentence}");
    }
}

#[test]
fn entries_never_share_a_path() {
    let two = |one: &str, other: &str| {
        format!(
            r#"{{"repos": {{
                "a": {{"repo": "https://h/x", "root": "/git/a", {one}}},
                "b": {{"repo": "https://h/x", "root": "/git/b", {other}}}
            }}}}"#
        )
    };
    for (one, other, sentence) in [
        (
            r#""root": "/git/./b/""#,
            r#""depth": 0"#,
            r#"repos.b.root: "/git/b" is also repos.a.root"#,
        ),
        (
            r#""link": "/pub/x""#,
            r#""link": "/pub//x""#,
            r#"repos.b.link: "/pub/x" is also repos.a.link"#,
        ),
        (
            r#""link": "/git/b""#,
            r#""depth": 0"#,
            r#"repos.b.root: "/git/b" is also repos.a.link"#,
        ),
        (
            r#""state": "/s""#,
            r#""state": "/s""#,
            r#"repos.b.state: "/s" is also repos.a.state"#,
        ),
        (
            r#""error-file": "/e""#,
            r#""error-file": "/e""#,
            r#"repos.b.error-file: "/e" is also repos.a.error-file"#,
        ),
    ] {
        let text = two(one, other).replace(r#""root": "/git/a", "root""#, r#""root""#);
        let sentence =
            format!("GITSYNC_CONFIG_INLINE: {sentence}: expected a path that no other entry uses");
        assert_eq!(refused(&text), sentence);
    }
    // Equal names below different roots do not conflict.
    let text = two(
        r#""link": "x", "error-file": "e""#,
        r#""link": "x", "error-file": "e""#,
    );
    assert!(repos_of(&text).is_ok());
}

#[test]
fn no_entry_is_within_another_one() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    fs::create_dir_all(dir.join("a/.worktrees")).unwrap();
    std::os::unix::fs::symlink(dir.join("a"), dir.join("to-a")).unwrap();
    let at = dir.display();
    for (one, other, expected) in [
        (
            "root: D/a",
            "root: D/a/.worktrees",
            Some("repos.b.root: \"D/a/.worktrees\" is inside repos.a.root"),
        ),
        (
            "root: D/a/b",
            "root: D/a",
            Some("repos.b.root: \"D/a\" contains repos.a.root"),
        ),
        (
            "root: D/a",
            "root: D/x/../a/b",
            Some("repos.b.root: \"D/x/../a/b\" is inside repos.a.root"),
        ),
        (
            "root: D/a",
            "root: D/to-a/new",
            Some("repos.b.root: \"D/to-a/new\" is inside repos.a.root"),
        ),
        (
            "root: D/a",
            "root: D/to-a",
            Some("repos.b.root: \"D/to-a\" is also repos.a.root"),
        ),
        (
            "root: D/a",
            "root: D/b, state: D/a/s",
            Some("repos.b.state: \"D/a/s\" is inside repos.a.root"),
        ),
        (
            "root: D/a, state: D/s",
            "root: D/s/b",
            Some("repos.b.root: \"D/s/b\" is inside repos.a.state"),
        ),
        (
            "root: D/a, state: D/to-a/s",
            "root: D/b",
            Some("repos.a.state: \"D/to-a/s\" is inside repos.a.root"),
        ),
        (
            "root: D/a",
            "root: D/b, link: D/to-a/link",
            Some("repos.b.link: \"D/to-a/link\" is inside repos.a.root"),
        ),
        (
            "root: D/a, link: D/b/l",
            "root: D/b",
            Some("repos.b.root: \"D/b\" contains repos.a.link"),
        ),
        (
            "root: D/a, link: D/links/a",
            "root: D/ab, link: D/links/b",
            None,
        ),
        (
            "root: D/a, error-file: D/e-a",
            "root: D/b, error-file: e",
            None,
        ),
        ("root: D/a, state: D/s/a", "root: D/b, state: D/s/b", None),
    ] {
        let text = format!(
            "repos:\n  a: {{repo: https://h/x, {one}}}\n  b: {{repo: https://h/x, {other}}}\n"
        );
        let text = text.replace("D/", &format!("{at}/"));
        match expected {
            Some(sentence) => {
                let sentence = sentence.replace("D/", &format!("{at}/"));
                let sentence = format!(
                    "GITSYNC_CONFIG_INLINE: {sentence}: expected a path that no other entry uses"
                );
                assert_eq!(refused(&text), sentence);
            }
            None => assert!(repos_of(&text).is_ok(), "{text}"),
        }
    }
}

#[test]
fn flags_of_a_single_repository_are_refused_with_a_file() {
    let repo = |beside: &mut RepoArgs| beside.repo = "https://h/x".parse().ok();
    assert_eq!(
        repos_beside(JSON, repo).unwrap_err(),
        "--repo (or GITSYNC_REPO): expected no value together with --config, whose entries set their own"
    );
    let link = |beside: &mut RepoArgs| beside.link = "x".parse().ok();
    assert!(repos_beside(JSON, link).unwrap_err().starts_with("--link"));
    // An invalid default is reported under the flag's name.
    let period = |beside: &mut RepoArgs| beside.period = "1ms".parse().unwrap();
    let text = r#"{"repos": {"a": {"repo": "https://h/x", "root": "/a"}}}"#;
    assert!(
        repos_beside(text, period)
            .unwrap_err()
            .starts_with("--period")
    );
}

#[test]
fn misplaced_values_are_named_and_never_quoted() {
    for text in [
        r#"{"repos": {"site": {"repo": "https://h/x"}, "password": "hunter2"}}"#,
        r#"{"repos": {"site": {"repo": "https://h/x"}, "password": ["hunter2"]}}"#,
        r#"{"repos": "hunter2"}"#,
        r#"{"repos": {"site": "https://me:hunter2@h/x"}}"#,
        r#""hunter2""#,
        "repos:\n  site: {repo: https://h/x}\n  password: hunter2\n",
        "repos:\n  site: {repo: https://h/x}\n  password: \"hunter2, expected a mapping\"\n",
        "repos: hunter2",
        "hunter2",
        "repos:\n  site: hunter2\n   password: x",
        r#"{"repos": {"site": {"webhook-url": 5, "repo": "https://hunter2@h/x"}}}"#,
        r#"{"repos": {"site": {"askpass-url": {"hunter2": 1}}}}"#,
        r#"{"repos": {"site": {"git-config": ["hunter2"]}}}"#,
        r#"{"repos": {"site": {"username": {"password": "hunter2"}}}}"#,
    ] {
        let sentence = refused(text);
        assert!(!sentence.contains("hunter2"), "{sentence}");
        assert!(sentence.contains("expected"), "{sentence}");
    }
    let sentence = refused(r#"{"repos": {"password": "hunter2"}}"#);
    assert!(
        sentence.starts_with("GITSYNC_CONFIG_INLINE: repos.password: expected a mapping"),
        "{sentence}"
    );
}
