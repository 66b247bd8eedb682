//! What is not touched stays as it is, to the byte; what is touched, as much of it as can.

use proptest::prelude::*;
use serde_json::Value;
use serde_json::json;

use crate::cli::POD;
use crate::cli::run;
use crate::cli::written;

#[test]
fn comments_quotes_and_indentation_stay_in_what_is_injected() {
    let injected = written(&["inject"], POD);
    let lines: Vec<&str> = injected.lines().collect();
    let mut rest = lines.iter();
    for line in POD.lines() {
        assert!(rest.any(|own| *own == line), "{line:?} in {injected}");
    }
    assert!(
        injected.contains("\n    - name: gitvolume\n      image: "),
        "{injected}"
    );
    assert_eq!(written(&["inject"], &injected), injected);
    assert_eq!(written(&["uninject"], &injected), POD);
}

#[test]
fn documents_beside_an_injected_one_are_the_same_bytes() {
    let before = "\u{feff}# licence\r\n---\r\n%not: a directive\r\n";
    let before = before.replace("%not", "not");
    let after =
        "--- # odd\nkind:   ConfigMap\ndata: {a: 'b',\n  c: \"\\x41\"}\n...\n---\n---\n# end";
    let text = format!("{before}---\n{POD}{after}");
    let injected = written(&["inject"], &text);
    assert!(
        injected.starts_with(&format!("{before}---\n# Served")),
        "{injected}"
    );
    assert!(injected.ends_with(after), "{injected}");
    assert_eq!(written(&["uninject"], &injected), text);
}

#[test]
fn line_ends_of_a_file_from_windows_stay() {
    let text = POD.replace('\n', "\r\n");
    let injected = written(&["inject"], &text);
    assert_eq!(injected.replace("\r\n", "").find('\n'), None);
    assert!(injected.len() > text.len());
    assert_eq!(written(&["uninject"], &injected), text);
}

#[test]
fn a_file_without_a_last_line_end_gets_none() {
    let text = POD.trim_end();
    let injected = written(&["inject"], text);
    assert!(!injected.ends_with('\n'), "{injected}");
    assert_eq!(written(&["uninject"], &injected), text);
}

#[test]
fn json_stays_json_as_it_was_written() {
    let pod = json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {"name": "web", "annotations": {"gitvolume.dev/repo": "https://git.example/a"}},
        "spec": {"containers": [{"name": "nginx"}]},
    });
    for text in [
        format!("{pod}\n"),
        format!("{pod:#}"),
        format!("{pod}\n{pod:#}\n\n"),
        format!(
            "{:#}\n",
            json!({"kind": "List", "apiVersion": "v1", "items": [pod, {"kind": "Other"}]})
        ),
        format!("{:#}\n", json!([pod, pod])).replace("  ", "\t"),
    ] {
        let injected = written(&["inject"], &text);
        let values = serde_json::Deserializer::from_str(&injected).into_iter::<Value>();
        let values: Vec<Value> = values.map(Result::unwrap).collect();
        assert!(
            values[0].to_string().contains("/gitvolume-syncer"),
            "{injected}"
        );
        assert_eq!(written(&["uninject"], &injected), text);
    }
}

/// Any JSON, not too deep; texts with what is special in YAML.
fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "[a-z]{0,5}",
        "[ -~\n\t]{0,9}",
        "\\PC{0,5}",
        Just("0o7".to_owned())
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, move |inner| {
        let list = prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from);
        let map = prop::collection::btree_map(text.clone(), inner, 0..4);
        prop_oneof![
            list,
            map.prop_map(|map| Value::Object(map.into_iter().collect()))
        ]
    })
}

/// A document in one of the styles that people and programs write.
fn document() -> impl Strategy<Value = String> {
    let style = (any::<u8>(), prop::sample::select(vec!["\n", "\r\n"]));
    (any_json(), style).prop_map(|(value, (style, line_end))| {
        let text = match style % 4 {
            0 => format!("{value}\n"),
            1 => format!("{value:#}\n"),
            _ => {
                serde_saphyr::to_string(&value).unwrap() + if style & 8 == 0 { "" } else { "# c\n" }
            }
        };
        text.replace('\n', line_end)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_text_that_asks_for_nothing_comes_out_as_it_went_in(
        documents in prop::collection::vec(document(), 1..40),
        separator in prop::sample::select(vec!["---\n", "--- # c\r\n", "...\n---\n", "---\n---\n"]),
    ) {
        let text = documents.join(separator);
        for command in ["inject", "uninject"] {
            let ran = run(&[command], &text);
            prop_assert_eq!(ran.code, 0, "{} {:?}", ran.err, text);
            prop_assert_eq!(&ran.out, &text);
        }
        let ran = run(&["diff"], &text);
        prop_assert_eq!((ran.code, ran.out), (0, String::new()));
    }
}

/// What an author does not get back is named by its lines.
#[test]
fn what_a_round_trip_loses_is_named() {
    let pod =
        |rest: &str| format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec:\n{rest}");
    let mounts =
        "  containers: [{name: a, image: a, volumeMounts: [{name: src, mountPath: /a}]}]\n";
    let plain = pod(&format!(
        "{mounts}  volumes:\n    - name: src # kept\n      gitRepo:\n        repository: https://git.example/a.git\n"
    ));
    let quoted = plain.replace(
        "repository: https://git.example/a.git",
        "repository: 'https://git.example/a.git' # it",
    );
    let ran = crate::run(&["inject"], &quoted);
    assert!(
        ran.err.ends_with(
            "note: -:document 1: line 9: not given back by uninject as it is: comments, quotes, or a \
             list or map that says nothing\n"
        ),
        "{}",
        ran.err
    );
    assert!(
        !crate::run(&["inject"], &plain)
            .err
            .contains("not given back")
    );
    let back = crate::run(&["uninject"], &ran.out).out;
    assert!(
        back.contains("repository: https://git.example/a.git\n"),
        "{back}"
    );
    let ran = crate::run(&["convert"], &quoted);
    assert!(
        ran.err
            .contains("note: -:document 1: lines 7, 9: lost with what the comments stand in\n"),
        "{}",
        ran.err
    );
    let annotated = "  annotations: {gitvolume.dev/repo: 'https://git.example/a.git'}\n";
    for empty in [
        "  volumes: []\n",
        "  initContainers: null\n",
        "  imagePullSecrets: ~\n",
    ] {
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n{annotated}spec:\n{empty}  containers: [{{name: a, image: a}}]\n"
        );
        let ran = crate::run(&["inject"], &text);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let back = crate::run(&["uninject"], &ran.out).out;
        let is_named = ran.err.contains("not given back by uninject");
        assert_eq!(back != text, is_named, "{empty}{}{back}", ran.err);
    }
}
