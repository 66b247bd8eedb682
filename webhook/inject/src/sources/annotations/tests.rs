use super::*;
use crate::ANNOTATIONS;
use crate::Annotation;
use crate::Mode;
use crate::Request;
use crate::model::request::PodOptions;
use proptest::prelude::*;
use serde_json::json;

/// The requests of annotations, in a Pod without gitRepo volumes.
#[derive(Debug)]
struct All {
    requests: Vec<Request>,
    pod: PodOptions,
    warnings: Vec<String>,
    mistakes: Vec<Mistake>,
}

fn requested(annotations: Value) -> All {
    let mut requested = read(annotations.as_object(), Choice::default());
    let (requests, _) = requested.requests(&[]);
    All {
        requests,
        pod: requested.pod,
        warnings: requested.warnings,
        mistakes: requested.mistakes,
    }
}

fn sentences(requested: &All) -> Vec<String> {
    requested.mistakes.iter().map(Mistake::to_string).collect()
}

/// One value for each row, in one Pod.
fn with(row: &Annotation, value: &str) -> All {
    let mut annotations = json!({"gitvolume.dev/repo": "https://git.example/x"});
    annotations[format!("{PREFIX}{}", row.key)] = json!(value);
    requested(annotations)
}

#[test]
fn a_repository_is_the_only_required_annotation() {
    let requested = requested(json!({"gitvolume.dev/repo": "https://git.example/x", "other": "y"}));
    let [request] = &requested.requests[..] else {
        panic!("{requested:?}");
    };
    assert_eq!(request.repo.to_string(), "https://git.example/x");
    assert_eq!(request.mount_path.as_str(), "/git");
    assert_eq!(request.mode, Mode::Sync);
    assert!(requested.warnings.is_empty() && requested.mistakes.is_empty());
}

#[test]
fn every_example_is_accepted_and_changes_something() {
    let plain = with(&ANNOTATIONS[0], "https://git.example/x");
    for row in ANNOTATIONS {
        let requested = with(row, row.example);
        assert_eq!(sentences(&requested), [""; 0], "{}", row.key);
        let same = requested.requests == plain.requests && requested.pod == plain.pod;
        assert_eq!(same, row.scope == Scope::Status, "{}", row.key);
    }
}

#[test]
fn every_default_in_the_table_is_the_actual_default() {
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
        // The empty string is the one value that every key refuses.
        let expected = format!("{PREFIX}{}: \"\": expected {}", row.key, row.grammar);
        assert_eq!(sentences, [expected]);
    }
}

#[test]
fn each_key_has_a_row_that_fits_a_table() {
    for row in ANNOTATIONS {
        assert_eq!(row.key.row().key, row.key);
        assert_eq!(Key::parse(row.key.as_str()), Some(row.key));
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
fn a_missing_repository_is_reported_first() {
    let requested = requested(json!({
        "gitvolume.dev/period": "5 min",
        "gitvolume.dev/mount-path": "html",
    }));
    assert_eq!(
        sentences(&requested),
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
fn a_status_and_unknown_keys_request_nothing() {
    let requested = requested(json!({
        "gitvolume.dev/status": "{}",
        "gitvolume.dev/mountpath": "/x",
        "gitvolume.dev/repository": "x",
        "gitvolume.dev/zzz": "x",
        "gitvolume.dev/": "x",
    }));
    assert!(requested.requests.is_empty() && requested.mistakes.is_empty());
    assert_eq!(
        requested.warnings,
        [
            "gitvolume.dev/: unknown annotation; `gitvolume explain` lists all annotations",
            "gitvolume.dev/mountpath: unknown annotation; did you mean gitvolume.dev/mount-path?",
            "gitvolume.dev/repository: unknown annotation; did you mean gitvolume.dev/repo?",
            "gitvolume.dev/zzz: unknown annotation; `gitvolume explain` lists all annotations",
        ]
    );
}

#[test]
fn annotations_without_the_prefix_are_ignored() {
    let other = json!({"gitvolume.devious/repo": "x"});
    for annotations in [None, other.as_object()] {
        let requested = read(annotations, Choice::default());
        assert!(requested.groups.is_empty() && requested.pod_key.is_none());
        assert!(requested.warnings.is_empty() && requested.mistakes.is_empty());
    }
}

#[test]
fn a_value_that_is_no_text_is_refused() {
    let requested = requested(json!({"gitvolume.dev/repo": 7}));
    let sentence = &sentences(&requested)[0];
    assert!(
        sentence.starts_with("gitvolume.dev/repo: 7: expected a string"),
        "{sentence}"
    );
}

proptest! {
    #[test]
    fn no_value_makes_parsing_panic(
        values in prop::collection::vec(".*", ANNOTATIONS.len()),
        key in "\\PC{0,20}",
    ) {
        let keys = ANNOTATIONS.iter().map(|row| row.key.as_str()).chain([key.as_str()]);
        let annotations: Map<String, Value> = keys
            .zip(values.iter().chain(values.first()))
            .map(|(key, value)| (format!("{PREFIX}{key}"), json!(value)))
            .collect();
        let _ = read(Some(&annotations), Choice::default()).requests(&[]);
    }
}

#[test]
fn each_name_is_a_separate_repository() {
    let requested = requested(json!({
        "gitvolume.dev/rules.repo": "https://git.example/rules",
        "gitvolume.dev/rules.period": "1m",
        "gitvolume.dev/a.repo": "https://git.example/a",
        "gitvolume.dev/a.mount-path": "/a",
        "gitvolume.dev/repo": "https://git.example/x",
    }));
    let seen: Vec<(Option<&str>, String, &str)> = requested
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
    assert!(requested.mistakes.is_empty() && requested.warnings.is_empty());
}

#[test]
fn invalid_names_and_pod_keys_with_a_name_are_refused() {
    let requested = requested(json!({
        "gitvolume.dev/Site.repo": "https://git.example/x",
        "gitvolume.dev/ref.repo": "https://git.example/x",
        "gitvolume.dev/site.containers": "web",
        "gitvolume.dev/site.perod": "1m",
        "gitvolume.dev/site.ref": "main",
    }));
    assert_eq!(
        sentences(&requested),
        [
            "gitvolume.dev/site.repo: missing, but gitvolume.dev/site.ref is set; expected the \
             address of a remote repository: https://, http://, ssh:// or user@host:path",
            "gitvolume.dev/Site.repo: before .repo, expected a name of at most 40 lowercase letters, digits and inner hyphens, such as site, that is not itself an annotation key",
            "gitvolume.dev/ref.repo: before .repo, expected a name of at most 40 lowercase letters, digits and inner hyphens, such as site, that is not itself an annotation key",
        ]
    );
    assert_eq!(
        requested.warnings,
        [
            "gitvolume.dev/site.containers: unknown annotation; did you mean gitvolume.dev/containers?",
            "gitvolume.dev/site.perod: unknown annotation; did you mean gitvolume.dev/site.period?",
        ]
    );
}
