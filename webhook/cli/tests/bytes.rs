//! Edits keep the text: untouched documents stay identical to the byte, edited ones as far as
//! possible.

use proptest::prelude::*;
use serde_json::Value;
use serde_json::json;

use crate::POD;
use crate::run;
use crate::written;

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
fn documents_beside_an_injected_one_stay_identical() {
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

/// Random JSON of limited depth, with strings that contain special characters of YAML.
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

/// A random document in one of the styles that people and programs use.
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
    fn a_text_without_annotations_stays_identical(
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

/// The message names the lines that `uninject` cannot restore.
#[test]
fn lines_lost_in_a_round_trip_are_reported() {
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
            "note: -:document 1: line 9: not restored exactly by uninject: comments, quotes, or how \
             an empty list or null is written\n"
        ),
        "{}",
        ran.err
    );
    assert!(
        !crate::run(&["inject"], &plain)
            .err
            .contains("not restored exactly")
    );
    let back = crate::run(&["uninject"], &ran.out).out;
    assert!(
        back.contains("repository: https://git.example/a.git\n"),
        "{back}"
    );
    let ran = crate::run(&["convert"], &quoted);
    assert!(
        ran.err.contains(
            "note: -:document 1: lines 7, 9: lost with the part that contains the comments\n"
        ),
        "{}",
        ran.err
    );
}

/// An empty list or null is restored; another spelling of it is reported.
#[test]
fn an_empty_list_or_null_comes_back() {
    let annotated = "  annotations: {gitvolume.dev/repo: 'https://git.example/a.git'}\n";
    let settings = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(settings.path(), "imagePullSecrets: [a]\n").unwrap();
    let config = format!("--config={}", settings.path().display());
    for (lists, mounts, named) in [
        ("  volumes: [] # none\n", "volumeMounts: []", ""),
        (
            "  initContainers: null\n  volumes: null\n",
            "volumeMounts: null",
            "",
        ),
        ("  imagePullSecrets: []\n", "env: []", ""),
        ("  imagePullSecrets: ~\n", "env: []", "line 7: "),
        (
            "  volumes:\n  initContainers: [ ]\n",
            "stdin: true",
            "lines 7, 8: ",
        ),
    ] {
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n{annotated}spec:\n{lists}  containers:\n    - \
             name: a\n      {mounts}\n      image: a\n"
        );
        let ran = run(&["inject", &config], &text);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let back = run(&["uninject"], &ran.out);
        assert_eq!(back.err, "");
        match named {
            "" => assert_eq!((back.out, ran.err), (text, String::new())),
            lines => {
                let sentence = format!("{lines}not restored exactly by uninject: ");
                assert!(ran.err.contains(&sentence), "{lists}{}", ran.err);
            }
        }
        let check = run(&["inject", "--check", &config], &ran.out);
        assert_eq!(check.code, 0, "{}", ran.out);
    }
}
