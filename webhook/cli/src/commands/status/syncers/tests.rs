use super::*;
use serde_json::json;

fn names(all: &[RepositoryState]) -> Vec<(Option<&str>, &str, &str)> {
    all.iter()
        .map(|own| (own.name.as_deref(), own.repo.as_str(), own.r#ref.as_str()))
        .collect()
}

#[test]
fn a_container_requests_the_repositories_of_its_flags_or_of_its_configuration() {
    let one = json!({"args": ["--repo=https://me:secret@git.example/a$$b.git", "--ref=main"]});
    let all = requested(&one);
    let [(None, repo, "main")] = names(&all)[..] else {
        panic!("{all:?}");
    };
    assert!(repo.ends_with("git.example/a$b.git"), "{repo}");
    assert!(!repo.contains("secret"), "{repo}");
    let inline = json!({"repos": {
        "rules": {"repo": "https://git.example/rules.git", "ref": "v1"},
        "site": {"repo": "https://git.example/site.git"},
    }});
    let several = json!({
        "args": ["--ref=HEAD"],
        "env": [{"name": "GITSYNC_CONFIG_INLINE", "value": inline.to_string()}],
    });
    assert_eq!(
        names(&requested(&several)),
        [
            (Some("rules"), "https://git.example/rules.git", "v1"),
            (Some("site"), "https://git.example/site.git", "HEAD"),
        ]
    );
    assert_eq!(requested(&json!({})), []);
}

#[test]
fn files_that_were_printed_one_after_the_other_are_separate_states() {
    let text = r#"{"name":"a","repo":"x","ref":"main","published":{"commit":"1","tag":null,
        "since":"2026-01-01T00:00:00Z"},"lastError":null,"poller":"on"}{"name":"b","repo":"y"}"#;
    let found = repositories(text).unwrap();
    assert_eq!(
        names(&found),
        [(Some("a"), "x", "main"), (Some("b"), "y", "")]
    );
    assert_eq!(found[0].published.as_ref().unwrap().commit, "1");
    assert_eq!(repositories("").unwrap(), []);
    assert!(repositories("cat: no").is_err());
    let several = BTreeMap::from(["a", "c"].map(|name| (name.to_owned(), "/s".to_owned())));
    let requested = vec![RepositoryState {
        name: Some("c".to_owned()),
        repo: "z".to_owned(),
        ..RepositoryState::default()
    }];
    let all = with_all(&several, found, requested);
    assert_eq!(
        names(&all),
        [(Some("a"), "x", "main"), (Some("c"), "z", "")]
    );
}

#[test]
fn the_log_of_an_ended_container_has_the_last_published_commit() {
    let log = r#"{"level":0,"msg":"updated successfully","ref":"HEAD","remote":"1111"}
not JSON
{"level":0,"msg":"updated successfully","ref":"HEAD","remote":"2222"}
{"level":0,"msg":"updated successfully","repo":"rules","remote":"3333"}
{"level":0,"msg":"exiting after one sync","status":0}
"#;
    let named = |name: Option<&str>| RepositoryState {
        name: name.map(str::to_owned),
        ..RepositoryState::default()
    };
    let all = with_log(log, &[named(None), named(Some("rules")), named(Some("x"))]);
    let commits: Vec<Option<&str>> = all
        .iter()
        .map(|own| own.published.as_ref().map(|own| own.commit.as_str()))
        .collect();
    assert_eq!(commits, [Some("2222"), Some("3333"), None]);
}

#[test]
fn the_port_and_the_state_directory_are_those_of_the_container() {
    let container = json!({
        "ports": [{"name": "http", "containerPort": 80}, {"name": "gitvolume", "containerPort": 9300}],
        "env": [{"name": "GITSYNC_STATE", "value": "/elsewhere"}],
    });
    assert_eq!(port(&container), Some(9300));
    assert_eq!(state_dir(&container), "/elsewhere");
    assert_eq!(port(&json!({})), None);
    assert_eq!(state_dir(&json!({})), "/gitvolume/state");
}
