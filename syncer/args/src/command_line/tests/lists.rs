use super::*;

#[test]
fn lists_add_up() {
    let keys = repo(
        &["--ssh-key-file=/a", "--ssh-key-file", "/b:c"],
        &[("GITSYNC_SSH_KEY_FILE", "/env")],
    );
    assert_eq!(keys.ssh_key_file, ["/a", "/b:c"].map(PathBuf::from));
    let added = repo(&["--git-config-add=a.b:c", "--git-config-add=d.e:f"], &[]);
    assert_eq!(added.git_config_add, ["a.b:c", "d.e:f"]);
    let one = r#"{"url":"https://a","username":"1","password":"x"}"#;
    let two = r#"[{"url":"https://b","username":"2","password-file":"/p"},
                  {"url":"https://c","username":"3","password":"x"}]"#;
    let credentials = repo(
        &[&format!("--credential={two}"), "--credential", one],
        &[("GITSYNC_CREDENTIAL", one)],
    );
    let users: Vec<_> = credentials
        .credential
        .iter()
        .map(|c| c.username.as_str())
        .collect();
    assert_eq!(users, ["1", "2", "3", "1"]);
    assert_eq!(
        credentials.credential[1].password,
        Password::File("/p".into())
    );
}

#[test]
fn a_bad_credential_is_reported_without_its_password() {
    let unknown = r#"{"url":"https://a","user":"secret","password":"secret"}"#;
    let lacking = r#"[{"url":"https://a","password":"secret"}]"#;
    for (text, code) in [("secret", 2), (unknown, 2), (lacking, 1)] {
        let (by_flag, message) = refused(&["--credential", text], &[]);
        assert_eq!(by_flag, code, "{message}");
        assert!(
            message.starts_with("--credential: …: expected"),
            "{message}"
        );
        let (by_variable, message) = refused(&[], &[("GITSYNC_CREDENTIAL", text)]);
        assert_eq!(by_variable, 1, "{message}");
        assert!(
            message.starts_with("GITSYNC_CREDENTIAL: …: expected"),
            "{message}"
        );
        assert!(!message.contains("secret"), "{message}");
    }
}

#[test]
fn secrets_come_from_the_environment_or_in_tests_from_a_hidden_flag() {
    let password = |argv: &[&str], env: &[(&str, &str)]| {
        repo(argv, env)
            .password
            .map(|secret| secret.reveal().to_owned())
    };
    let env = [("GITSYNC_PASSWORD", "env")];
    assert_eq!(password(&[], &env).unwrap(), "env");
    assert_eq!(
        password(&["--__env__GITSYNC_PASSWORD=flag"], &env).unwrap(),
        "flag"
    );
    assert_eq!(
        password(&["--__env__GITSYNC_PASSWORD="], &env).unwrap(),
        "env"
    );
    assert_eq!(password(&["--password=old"], &env).unwrap(), "old");
    assert_eq!(password(&["--password="], &env).unwrap(), "env");
    assert_eq!(
        password(&[], &[("GIT_SYNC_PASSWORD", "old")]).unwrap(),
        "old"
    );
    let key = repo(&["--__env__GITSYNC_GITHUB_APP_PRIVATE_KEY=pem"], &[]);
    assert_eq!(key.github_app_private_key.unwrap().reveal(), "pem");
}

#[test]
fn the_log_shows_the_set_flags_without_secrets() {
    let typed = typed(
        &[
            "--repo=https://me:hunter2@git.example/x",
            "--git-config-add=a.b:c",
            "--git-config-add=d.e:f",
            r#"--credential={"url":"https://a","username":"me","password":"hunter2"}"#,
        ],
        &[("GITSYNC_PASSWORD", "hunter2"), ("GIT_SYNC_DEPTH", "0x2")],
    )
    .unwrap();
    assert_eq!(
        typed.flags,
        [
            "--credential=REDACTED",
            "--depth=2",
            "--git-config-add=REDACTED",
            "--git-config-add=REDACTED",
            "--password=REDACTED",
            "--repo=https://git.example/x",
            "--root=/x",
        ]
    );
}
