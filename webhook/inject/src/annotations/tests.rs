use super::*;
use crate::Mode;
use proptest::prelude::*;
use serde_json::json;

/// What annotations ask for, in a Pod without gitRepo volumes.
#[derive(Debug)]
struct All {
    requests: Vec<Request>,
    pod: PodWide,
    warnings: Vec<String>,
    mistakes: Vec<Mistake>,
}

fn asked(annotations: Value) -> All {
    let mut asked = read(annotations.as_object(), Choice::default());
    let (requests, _) = asked.requests(&[]);
    All {
        requests,
        pod: asked.pod,
        warnings: asked.warnings,
        mistakes: asked.mistakes,
    }
}

fn sentences(asked: &All) -> Vec<String> {
    asked.mistakes.iter().map(Mistake::to_string).collect()
}

/// One value for each row, in one Pod.
fn with(row: &Annotation, value: &str) -> All {
    let mut annotations = json!({"gitvolume.dev/repo": "https://git.example/x"});
    annotations[format!("{PREFIX}{}", row.key)] = json!(value);
    asked(annotations)
}

#[test]
fn a_repository_is_all_it_takes() {
    let asked = asked(json!({"gitvolume.dev/repo": "https://git.example/x", "other": "y"}));
    let [request] = &asked.requests[..] else {
        panic!("{asked:?}");
    };
    assert_eq!(request.repo.to_string(), "https://git.example/x");
    assert_eq!(request.mount_path.as_str(), "/git");
    assert_eq!(request.mode, Mode::Sync);
    assert!(asked.warnings.is_empty() && asked.mistakes.is_empty());
}

#[test]
fn every_example_is_accepted_and_changes_something() {
    let plain = with(&ANNOTATIONS[0], "https://git.example/x");
    for row in ANNOTATIONS {
        let asked = with(row, row.example);
        assert_eq!(sentences(&asked), [""; 0], "{}", row.key);
        let same = asked.requests == plain.requests && asked.pod == plain.pod;
        assert_eq!(same, row.scope == Scope::Status, "{}", row.key);
    }
}

#[test]
fn every_default_is_what_holds_without_the_key() {
    let plain = with(&ANNOTATIONS[0], "https://git.example/x");
    for row in ANNOTATIONS {
        if let Some(default) = row.default {
            assert_eq!(with(row, default).requests, plain.requests, "{}", row.key);
        }
    }
}

#[test]
fn every_refusal_names_key_value_and_accepted_form() {
    for row in ANNOTATIONS.iter().filter(|row| row.scope != Scope::Status) {
        let sentences = sentences(&with(row, ""));
        // The empty text is the one value that is wrong everywhere.
        let expected = format!("{PREFIX}{}: \"\": expected {}", row.key, row.grammar);
        assert_eq!(sentences, [expected]);
    }
}

#[test]
fn keys_are_unique_and_fit_a_table() {
    for (index, row) in ANNOTATIONS.iter().enumerate() {
        assert!(
            ANNOTATIONS[..index]
                .iter()
                .all(|other| other.key != row.key),
            "{}",
            row.key
        );
        for text in [row.grammar, row.example, row.meaning] {
            assert!(
                !text.is_empty() && !text.contains(['|', '\n']),
                "{}",
                row.key
            );
        }
    }
}

#[test]
fn a_missing_repository_is_said_first() {
    let asked = asked(json!({
        "gitvolume.dev/period": "5 min",
        "gitvolume.dev/mount-path": "html",
    }));
    assert_eq!(
        sentences(&asked),
        [
            "gitvolume.dev/repo: missing, but gitvolume.dev/mount-path is set; expected the \
             address of a remote repository: https://, http://, ssh:// or user@host:path",
            "gitvolume.dev/mount-path: \"html\": expected an absolute path such as \
             /usr/share/nginx/html, without .., // or a colon; write \"/html\"",
            "gitvolume.dev/period: \"5 min\": expected a duration such as 30s, 5m or 1h30m; write \
             \"5m\"",
        ]
    );
}

#[test]
fn a_status_and_unknown_keys_ask_for_nothing() {
    let asked = asked(json!({
        "gitvolume.dev/status": "{}",
        "gitvolume.dev/mountpath": "/x",
        "gitvolume.dev/repository": "x",
        "gitvolume.dev/zzz": "x",
        "gitvolume.dev/": "x",
    }));
    assert!(asked.requests.is_empty() && asked.mistakes.is_empty());
    assert_eq!(
        asked.warnings,
        [
            "gitvolume.dev/: unknown; `gitvolume explain` lists the known keys",
            "gitvolume.dev/mountpath: unknown; did you mean gitvolume.dev/mount-path?",
            "gitvolume.dev/repository: unknown; did you mean gitvolume.dev/repo?",
            "gitvolume.dev/zzz: unknown; `gitvolume explain` lists the known keys",
        ]
    );
}

#[test]
fn without_our_prefix_there_is_nothing_to_read() {
    let other = json!({"gitvolume.devious/repo": "x"});
    for annotations in [None, other.as_object()] {
        let asked = read(annotations, Choice::default());
        assert!(asked.groups.is_empty() && asked.pod_key.is_none());
        assert!(asked.warnings.is_empty() && asked.mistakes.is_empty());
    }
}

#[test]
fn a_value_that_is_no_text_is_refused() {
    let asked = asked(json!({"gitvolume.dev/repo": 7}));
    let sentence = &sentences(&asked)[0];
    assert!(
        sentence.starts_with("gitvolume.dev/repo: 7: expected a text"),
        "{sentence}"
    );
}

proptest! {
    #[test]
    fn no_text_makes_reading_panic(
        values in prop::collection::vec(".*", ANNOTATIONS.len()),
        key in "\\PC{0,20}",
    ) {
        let keys = ANNOTATIONS.iter().map(|row| row.key).chain([key.as_str()]);
        let annotations: Map<String, Value> = keys
            .zip(values.iter().chain(values.first()))
            .map(|(key, value)| (format!("{PREFIX}{key}"), json!(value)))
            .collect();
        let _ = read(Some(&annotations), Choice::default()).requests(&[]);
    }
}

#[test]
fn each_name_is_a_repository_of_its_own() {
    let asked = asked(json!({
        "gitvolume.dev/rules.repo": "https://git.example/rules",
        "gitvolume.dev/rules.period": "1m",
        "gitvolume.dev/a.repo": "https://git.example/a",
        "gitvolume.dev/a.mount-path": "/a",
        "gitvolume.dev/repo": "https://git.example/x",
    }));
    let seen: Vec<(Option<&str>, String, &str)> = asked
        .requests
        .iter()
        .map(|request| {
            let name = request.name.as_ref().map(Name::as_str);
            (name, request.repo.to_string(), request.mount_path.as_str())
        })
        .collect();
    assert_eq!(
        seen,
        [
            (None, "https://git.example/x".to_owned(), "/git"),
            (Some("a"), "https://git.example/a".to_owned(), "/a"),
            (
                Some("rules"),
                "https://git.example/rules".to_owned(),
                "/git/rules"
            ),
        ]
    );
    assert!(asked.mistakes.is_empty() && asked.warnings.is_empty());
}

#[test]
fn a_name_that_is_none_and_a_key_that_is_the_pods_are_not_taken_for_one() {
    let asked = asked(json!({
        "gitvolume.dev/Site.repo": "https://git.example/x",
        "gitvolume.dev/ref.repo": "https://git.example/x",
        "gitvolume.dev/site.containers": "web",
        "gitvolume.dev/site.perod": "1m",
        "gitvolume.dev/site.ref": "main",
    }));
    assert_eq!(
        sentences(&asked),
        [
            "gitvolume.dev/site.repo: missing, but gitvolume.dev/site.ref is set; expected the \
             address of a remote repository: https://, http://, ssh:// or user@host:path",
            "gitvolume.dev/Site.repo: before .repo, expected a name of at most 40 small letters, \
             digits and inner hyphens, such as site, and no key",
            "gitvolume.dev/ref.repo: before .repo, expected a name of at most 40 small letters, \
             digits and inner hyphens, such as site, and no key",
        ]
    );
    assert_eq!(
        asked.warnings,
        [
            "gitvolume.dev/site.containers: unknown; did you mean gitvolume.dev/containers?",
            "gitvolume.dev/site.perod: unknown; did you mean gitvolume.dev/site.period?",
        ]
    );
}
