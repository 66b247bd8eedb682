//! Injections can be removed from every Pod.

use std::fs;
use std::path::Path;

use inject::Outcome;
use inject::uninject;
use proptest::prelude::*;
use serde_json::Value;

use crate::generated;
use crate::pods::ask;
use crate::pods::patched;
use crate::pods::settings;

/// The Pod after the injection is removed.
fn undone(pod: &Value) -> Value {
    let mut pod = pod.clone();
    if let Some(patch) = uninject(&pod).unwrap() {
        json_patch::patch(&mut pod, &patch).unwrap();
    }
    pod
}

/// The document without empty lists, empty maps and nulls.
fn bare(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(bare).collect(),
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|(key, value)| (key.clone(), bare(value)));
            let says = |value: &Value| match value {
                Value::Null => false,
                Value::Array(items) => !items.is_empty(),
                Value::Object(members) => !members.is_empty(),
                _ => true,
            };
            Value::Object(members.filter(|(_, value)| says(value)).collect())
        }
        other => other.clone(),
    }
}

#[test]
fn uninject_restores_every_golden_pod() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/inject");
    let mut seen = 0;
    for case in fs::read_dir(cases).unwrap() {
        let file = case.unwrap().path().join("pod.yaml");
        let mut pod: Value = serde_saphyr::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let answer = ask(&pod, &settings());
        let Outcome::Inject(_) = answer.outcome else {
            continue;
        };
        let after = patched(&pod, &answer);
        // The webhook owns these annotations, even if the author wrote them.
        let annotations = pod.pointer_mut("/metadata/annotations");
        if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
            for key in ["gitvolume.dev/injected", "gitvolume.dev/status"] {
                annotations.remove(key);
            }
        }
        assert_eq!(bare(&undone(&after)), bare(&pod), "{}", file.display());
        seen += 1;
    }
    assert!(seen >= 20, "{seen}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn uninject_restores_every_random_pod(pod in generated::asking()) {
        let after = patched(&pod, &ask(&pod, &settings()));
        prop_assert_ne!(&after, &pod);
        prop_assert_eq!(bare(&undone(&after)), bare(&pod));
        prop_assert_eq!(uninject(&pod).unwrap(), None);
    }

    #[test]
    fn no_document_causes_a_panic(status in ".{0,60}", inits in generated::any_json(), spec in generated::any_json()) {
        let metadata = serde_json::json!({"annotations": {"gitvolume.dev/status": status}});
        for pod in [
            serde_json::json!({"metadata": metadata, "spec": {"containers": [], "initContainers": inits}}),
            serde_json::json!({"metadata": metadata, "spec": spec}),
            spec,
        ] {
            let _ = uninject(&pod);
        }
    }
}
