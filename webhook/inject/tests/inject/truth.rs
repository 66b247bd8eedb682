//! The precedence of sources with objects: the table of `docs/auto-injection.md`, every row tested.
//! `make goldens` writes the page's tables from the rows here.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use inject::Answer;
use inject::Namespace;
use inject::Outcome;
use proptest::prelude::*;
use serde_json::Value;
use serde_json::json;

use crate::generated;
use crate::pods::ask_in;
use crate::pods::is_update;
use crate::pods::patched;
use crate::pods::settings;

/// The result for a Pod.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Gets {
    Object,
    Merged,
    Own,
    Both,
    Nothing,
    Refused,
}

use Gets::Both;
use Gets::Merged;
use Gets::Nothing;
use Gets::Object;
use Gets::Own;
use Gets::Refused;

impl Gets {
    fn words(self) -> &'static str {
        match self {
            Object => "the object's repository",
            Merged => "the object's repository, merged with the Pod's annotations",
            Own => "the Pod's own repository alone",
            Both => "both repositories",
            Nothing => "nothing",
            Refused => "refused: `site.repo` is missing",
        }
    }
}

/// The Pod, in words and as annotations, and the results where the namespace is labelled and the
/// Pod's labels are selected, where only the namespace is labelled, and where it is not.
type Row = (
    &'static str,
    &'static [(&'static str, &'static str)],
    [Gets; 3],
);

/// The address in the Pod's annotation; the object has another one.
const OWN: &str = "https://git.example/own.git";

/// Every row; the object's name is `site`.
const ROWS: &[Row] = &[
    ("nothing", &[], [Object, Nothing, Nothing]),
    (
        "`site.ref`",
        &[("site.ref", "pods")],
        [Merged, Refused, Refused],
    ),
    ("`site.repo`", &[("site.repo", OWN)], [Merged, Own, Own]),
    (
        "`repo`, at another path",
        &[("repo", OWN), ("mount-path", "/own")],
        [Both, Own, Own],
    ),
    ("`use: site`", &[("use", "site")], [Object, Object, Object]),
    (
        "`use: site` and `site.ref`",
        &[("use", "site"), ("site.ref", "pods")],
        [Merged, Merged, Merged],
    ),
    (
        "`inject: \"false\"`, with any other annotation",
        &[("inject", "false"), ("use", "site"), ("repo", OWN)],
        [Nothing, Nothing, Nothing],
    ),
];

fn object(kind: &str, name: &str, spec: Value) -> Value {
    let mut object = json!({
        "apiVersion": "gitvolume.dev/v1alpha1", "kind": kind,
        "metadata": {"name": name}, "spec": spec,
    });
    if kind == "GitVolume" {
        object["metadata"]["namespace"] = json!("shop");
    }
    object
}

fn namespace(is_auto_injected: bool, objects: &[Value]) -> Namespace {
    let mut objects = objects.to_vec();
    let label = if is_auto_injected {
        "enabled"
    } else {
        "disabled"
    };
    objects.push(json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "shop", "labels": {"gitvolume.dev/auto-inject": label}},
    }));
    Namespace::of_manifests("shop", &objects)
}

fn pod(annotations: &[(&str, &str)], is_selected: bool) -> Value {
    let app = if is_selected { "web" } else { "other" };
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web", "labels": {"app": app}},
        "spec": {"containers": [{"name": "web", "image": "nginx"}]},
    });
    for (key, value) in annotations {
        pod["metadata"]["annotations"][format!("gitvolume.dev/{key}")] = json!(value);
    }
    pod
}

/// The result by the repositories in the Pod, not by the answer's own record.
fn got(answer: &Answer) -> Gets {
    let plan = match &answer.outcome {
        Outcome::Skip(_) => return Nothing,
        Outcome::Deny(refusal) => {
            let sentence = refusal.to_string();
            let start = "gitvolume.dev/site.repo: missing, but gitvolume.dev/site.ref is set";
            assert!(sentence.starts_with(start), "{sentence}");
            return Refused;
        }
        Outcome::Inject(plan) => plan,
    };
    let is_pods = |repo: &str, rev: &str| repo == OWN || rev == "pods";
    let seen: Vec<(bool, bool)> = plan
        .requests
        .iter()
        .map(|request| {
            let by_pod = is_pods(&request.repo.to_string(), &request.rev.to_string());
            (by_pod, request.mount_path.as_str() == "/objects")
        })
        .collect();
    match seen[..] {
        [(false, true)] => Object,
        [(true, true)] => Merged,
        [(true, false)] => Own,
        [(true, false), (false, true)] => Both,
        _ => panic!("{seen:?}"),
    }
}

#[test]
fn every_row_of_the_truth_table_holds_for_both_kinds_and_a_second_call_changes_nothing() {
    let mut tried = 0;
    for kind in ["GitVolume", "ClusterGitVolume"] {
        let site = object(
            kind,
            "site",
            json!({
                "repo": "https://git.example/site.git", "ref": "objects", "mountPath": "/objects",
                "podSelector": {"matchLabels": {"app": "web"}},
            }),
        );
        for (says, annotations, [selected, unselected, uncovered]) in ROWS {
            for (is_auto_injected, is_selected, expected) in [
                (true, true, selected),
                (true, false, unselected),
                (false, true, uncovered),
                (false, false, uncovered),
            ] {
                let namespace = namespace(is_auto_injected, std::slice::from_ref(&site));
                let pod = pod(annotations, is_selected);
                let answer = ask_in(&namespace, &pod, &settings());
                let row =
                    format!("{kind}, {says}, covered {is_auto_injected}, selected {is_selected}");
                assert_eq!(got(&answer), *expected, "{row}");
                tried += 1;
                check_second_call(&pod, &answer, &namespace, &row);
            }
        }
    }
    assert_eq!(tried, 2 * 4 * ROWS.len());
}

/// An injection stays, even if the objects have changed, been deleted or been created since.
fn check_second_call(pod: &Value, answer: &Answer, namespace: &Namespace, row: &str) {
    let after = patched(pod, answer);
    let other = object(
        "GitVolume",
        "site",
        json!({"repo": "https://git.example/other.git", "mountPath": "/x", "user": "7"}),
    );
    let more = object(
        "GitVolume",
        "more",
        json!({"repo": "https://git.example/more.git"}),
    );
    let worse = object("GitVolume", "site", json!({"period": "never"}));
    for now in [
        namespace.clone(),
        self::namespace(true, &[other]),
        self::namespace(true, &[more]),
        self::namespace(true, &[worse]),
        self::namespace(false, &[]),
    ] {
        if answer.patch.is_none() {
            continue;
        }
        let again = ask_in(&now, &after, &settings());
        assert_eq!(again.patch, None, "{row}: {:?}", again.outcome);
        assert_eq!(again.reason(), "already-injected", "{row}");
    }
}

/// Mistakes in an object, the result where it selects the Pod, and the result where the Pod names
/// it.
const WRONG: &[(&str, Option<&str>, &str, &str)] = &[
    (
        "it is not accepted",
        Some(r#"{"repo": "https://git.example/site.git", "period": "5 min"}"#),
        "nothing, with a warning",
        "refused, with the object's message",
    ),
    (
        "no source sets its `repo`",
        Some(r#"{"ref": "v1"}"#),
        "nothing, with a warning",
        "refused, with the object's message",
    ),
    ("it does not exist", None, "nothing", "refused"),
];

#[test]
fn an_invalid_object_is_ignored_unless_a_pod_names_it() {
    for (what, spec, selects, named) in WRONG {
        let spec = spec.map(|spec| serde_json::from_str(spec).unwrap());
        let objects: Vec<Value> = spec
            .into_iter()
            .map(|spec| object("GitVolume", "site", spec))
            .collect();
        let namespace = namespace(true, &objects);
        let answer = ask_in(&namespace, &pod(&[], true), &settings());
        assert_eq!(got(&answer), Nothing, "{what}");
        let is_warned = answer
            .warnings
            .iter()
            .any(|own| own.contains("GitVolume shop/site"));
        assert_eq!(selects.contains("warning"), is_warned, "{what}");
        let answer = ask_in(&namespace, &pod(&[("use", "site")], true), &settings());
        let Outcome::Deny(refusal) = &answer.outcome else {
            panic!("{what}: {:?}", answer.outcome);
        };
        let sentence = refusal.to_string();
        assert!(
            sentence.starts_with("gitvolume.dev/use: \"site\": "),
            "{sentence}"
        );
        let has_objects = sentence.contains("GitVolume shop/site: spec.");
        assert_eq!(named.contains("object's"), has_objects, "{sentence}");
    }
}

/// The sources that set a field of the repository `site`, and the one that takes precedence.
const FIELDS: &[(&[&str], &str)] = &[
    (&["Pod", "GitVolume", "ClusterGitVolume"], "Pod"),
    (&["Pod", "GitVolume"], "Pod"),
    (&["Pod", "ClusterGitVolume"], "Pod"),
    (&["Pod"], "Pod"),
    (&["GitVolume", "ClusterGitVolume"], "GitVolume"),
    (&["GitVolume"], "GitVolume"),
    (&["ClusterGitVolume"], "ClusterGitVolume"),
    (&[], "the default"),
];

#[test]
fn the_source_of_highest_precedence_sets_a_field() {
    for (says, effective) in FIELDS {
        let spec = |kind: &str| {
            let mut spec = json!({"repo": "https://git.example/site.git"});
            if says.contains(&kind) {
                spec["ref"] = json!(kind);
            }
            object(kind, "site", spec)
        };
        // The order of the objects has no effect.
        let objects = [spec("ClusterGitVolume"), spec("GitVolume")];
        let own = [("site.ref", "Pod")];
        let own = if says.contains(&"Pod") { &own[..] } else { &[] };
        let answer = ask_in(&namespace(true, &objects), &pod(own, true), &settings());
        let Outcome::Inject(plan) = &answer.outcome else {
            panic!("{says:?}: {:?}", answer.outcome);
        };
        let rev = plan.requests[0].rev.to_string();
        let expected = if *effective == "the default" {
            "HEAD"
        } else {
            effective
        };
        assert_eq!(
            (plan.requests.len(), rev.as_str()),
            (1, expected),
            "{says:?}"
        );
    }
}

/// Two objects of different names that set an option of the whole Pod: kind, name and priority of
/// each.
const WIDE: &[[(&str, &str, i32); 2]] = &[
    // The first one takes precedence.
    [("GitVolume", "a", 0), ("GitVolume", "b", 0)],
    [("GitVolume", "b", 1), ("GitVolume", "a", 0)],
    [("GitVolume", "b", 0), ("GitVolume", "a", -1)],
    [("ClusterGitVolume", "b", 1), ("ClusterGitVolume", "a", 0)],
    [("GitVolume", "b", 0), ("ClusterGitVolume", "a", 9)],
];

#[test]
fn the_highest_object_sets_pod_options_and_overridden_ones_are_warned_about() {
    for [first, second] in WIDE {
        let spec = |(kind, name, priority): (&str, &str, i32), user: i32| {
            let repo = format!("https://git.example/{name}.git");
            object(
                kind,
                name,
                json!({"repo": repo, "priority": priority, "user": user}),
            )
        };
        let objects = [spec(*second, 2), spec(*first, 1)];
        let namespace = namespace(true, &objects);
        for (annotations, expected) in [(&[][..], 1), (&[("user", "3")][..], 3)] {
            let answer = ask_in(&namespace, &pod(annotations, true), &settings());
            let Outcome::Inject(plan) = &answer.outcome else {
                panic!("{first:?}: {:?}", answer.outcome);
            };
            assert_eq!(plan.syncers[0].user.unwrap().uid, expected, "{first:?}");
            // No warning where the Pod itself sets the option.
            let told = answer
                .warnings
                .iter()
                .any(|own| own.contains("overrides it"));
            assert_eq!(told, expected == 1, "{:?}", answer.warnings);
        }
    }
}

#[test]
fn the_page_about_auto_injection_has_the_tables() {
    let mut tables = String::from(
        "| the Pod sets | covered, selected | covered, not selected | not covered |\n\
         |---|---|---|---|\n",
    );
    for (says, _, gets) in ROWS {
        let [one, two, three] = gets.map(Gets::words);
        let _ = writeln!(tables, "| {says} | {one} | {two} | {three} |");
    }
    tables.push_str(
        "\n| the object | it selects the Pod | the Pod names it with `use` |\n|---|---|---|\n",
    );
    for (what, _, selects, named) in WRONG {
        let _ = writeln!(tables, "| {what} | {selects} | {named} |");
    }
    tables.push_str("\n| a field of `site` is set by | effective source |\n|---|---|\n");
    for (says, effective) in FIELDS {
        let says = match says.is_empty() {
            true => "no source".to_owned(),
            false => says.join(", "),
        };
        let _ = writeln!(tables, "| {says} | {effective} |");
    }
    tables.push_str(
        "\n| an option of the whole Pod is set by | and by | effective source |\n|---|---|---|\n",
    );
    for objects in WIDE {
        let [one, two] =
            objects.map(|(kind, name, priority)| format!("{kind} `{name}`, priority {priority}"));
        let _ = writeln!(tables, "| {two} | {one} | `{}` |", objects[0].1);
    }
    const START: &str = "<!-- the truth table: written by `make goldens` -->\n";
    const END: &str = "<!-- /the truth table -->";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/auto-injection.md");
    let page = fs::read_to_string(&file).unwrap();
    let (before, rest) = page
        .split_once(START)
        .expect("the page has the start's mark");
    let (_, after) = rest.split_once(END).expect("the page has the end's mark");
    let expected = format!("{before}{START}{tables}{END}{after}");
    if is_update() {
        fs::write(&file, &expected).unwrap();
    }
    assert!(
        fs::read_to_string(&file).unwrap() == expected,
        "docs/auto-injection.md is old (make goldens writes it)"
    );
}

/// The field of an annotation's key.
fn field(key: &str) -> String {
    let mut words = key.split('-');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |all, word| {
        let (first, rest) = word.split_at(1);
        all + &first.to_ascii_uppercase() + rest
    })
}

/// Moves the annotations of named repositories from a Pod to objects, alternating between both
/// kinds.
fn taken_off(pod: &mut Value) -> Vec<Value> {
    let mut objects: Vec<Value> = Vec::new();
    let annotations = pod.pointer_mut("/metadata/annotations");
    let Some(annotations) = annotations.and_then(Value::as_object_mut) else {
        return objects;
    };
    for name in ["a", "rules", "x-1"] {
        let prefix = format!("gitvolume.dev/{name}.");
        let mut spec = json!({});
        annotations.retain(|key, value| match key.strip_prefix(&prefix) {
            Some(key) => {
                spec[field(key)] = value.clone();
                false
            }
            None => true,
        });
        let kind = ["GitVolume", "ClusterGitVolume"][objects.len() % 2];
        if spec != json!({}) {
            objects.push(object(kind, name, spec));
        }
    }
    objects
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn objects_have_the_same_effect_as_annotations(pod in generated::asking()) {
        let said = patched(&pod, &ask_in(&Namespace::default(), &pod, &settings()));
        let mut bare = pod.clone();
        let objects = taken_off(&mut bare);
        let namespace = namespace(true, &objects);
        let answer = ask_in(&namespace, &bare, &settings());
        let given = patched(&bare, &answer);
        prop_assert_eq!(&given["spec"], &said["spec"]);
        check_second_call(&bare, &answer, &namespace, "by objects");
    }
}
