//! Properties of every Pod.

use inject::ANNOTATIONS;
use inject::Namespace;
use inject::Outcome;
use inject::PREFIX;
use inject::Review;
use inject::Role;
use inject::SkipReason;
use inject::answer;
use proptest::prelude::*;
use proptest::sample::subsequence;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::generated::any_json;
use crate::generated::asking;
use crate::generated::pod;
use crate::mutators::MUTATORS;
use crate::pods::ask;
use crate::pods::patched;
use crate::pods::settings;

/// Collects the paths where `after` has additions to `before`; panics where anything is missing or
/// changed. A null list or map may become one.
fn additions(before: &Value, after: &Value, at: &str, found: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for (key, value) in before {
                let at = format!("{at}/{key}");
                let after = after.get(key).unwrap_or_else(|| panic!("{at} is gone"));
                additions(value, after, &at, found);
            }
            let new = after.keys().filter(|key| !before.contains_key(*key));
            found.extend(new.map(|key| format!("{at}/{key}")));
        }
        (Value::Array(before), Value::Array(after)) => {
            for (index, value) in before.iter().enumerate() {
                additions(value, &after[index], &format!("{at}/{index}"), found);
            }
            found.extend((before.len()..after.len()).map(|index| format!("{at}/{index}")));
        }
        (Value::Null, Value::Array(_) | Value::Object(_)) => found.push(at.to_owned()),
        _ => assert_eq!(before, after, "{at}"),
    }
}

/// Whether the webhook may add something at this path.
fn is_ours(path: &str) -> bool {
    const EVICTABLE: [&str; 2] = [
        "cluster-autoscaler.kubernetes.io",
        "safe-to-evict-local-volumes",
    ];
    let names: Vec<&str> = path.split('/').skip(1).collect();
    match &names[..] {
        ["metadata", "annotations"] | ["spec", "volumes"] | ["spec", "volumes", _] => true,
        ["metadata", "annotations", rest @ ..] => {
            let is_written = ["injected", "status"].map(|key| ["gitvolume.dev", key]);
            is_written.iter().any(|own| rest == own) || *rest == EVICTABLE
        }
        [
            "spec",
            "containers" | "initContainers",
            _,
            "volumeMounts" | "env",
            rest @ ..,
        ] => rest.len() < 2,
        _ => false,
    }
}

/// The Pod without the injected init containers.
fn without_ours(before: &Value, after: &Value) -> Value {
    let mut after = after.clone();
    let ours = Role::ALL.map(Role::container);
    if let Some(inits) = after["spec"]["initContainers"].as_array_mut() {
        let all = inits.len();
        inits.retain(|own| !ours.contains(&own["name"].as_str().unwrap_or_default()));
        assert!(inits.len() < all, "no injected container");
    }
    if after["spec"]["initContainers"] == json!([]) {
        match before["spec"].get("initContainers") {
            Some(own) => after["spec"]["initContainers"] = own.clone(),
            None => {
                let spec = after["spec"].as_object_mut().unwrap();
                spec.remove("initContainers");
            }
        }
    }
    after
}

/// The Pod with its gitRepo volumes converted.
fn converted(pod: &Value) -> Value {
    let mut pod = pod.clone();
    for volume in pod["spec"]["volumes"].as_array_mut().into_iter().flatten() {
        let members = volume.as_object_mut().unwrap();
        if members.remove("gitRepo").is_some() {
            // Annotations set its size and medium.
            members.insert("emptyDir".to_owned(), json!({}));
        }
    }
    pod
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn only_the_injection_changes_and_a_second_call_changes_nothing(pod in asking()) {
        let settings = settings();
        let answer = ask(&pod, &settings);
        prop_assert!(matches!(answer.outcome, Outcome::Inject(_)), "{:?}", answer.outcome);
        let after = patched(&pod, &answer);

        let mut found = Vec::new();
        additions(&converted(&pod), &without_ours(&pod, &after), "", &mut found);
        let is_size = |path: &String| path.contains("/emptyDir/");
        prop_assert!(found.iter().all(|path| is_ours(path) || is_size(path)), "{found:?}");
        prop_assert!(found.len() >= 2, "{found:?}");

        let again = ask(&after, &settings);
        prop_assert_eq!(again.outcome, Outcome::Skip(SkipReason::AlreadyInjected));
        prop_assert_eq!(again.patch, None);
    }

    #[test]
    fn changes_between_two_calls_do_not_change_the_injection(
        pod in asking(),
        between in subsequence(MUTATORS, 1..=4).prop_shuffle(),
    ) {
        let settings = settings();
        let mut pod = patched(&pod, &ask(&pod, &settings));
        for (_, mutate) in &between {
            mutate(&mut pod);
        }
        let changes: Vec<&str> = between.iter().map(|(name, _)| *name).collect();
        let again = ask(&pod, &settings);
        prop_assert_eq!(again.outcome, Outcome::Skip(SkipReason::AlreadyInjected), "{:?}", changes);
        prop_assert_eq!(again.patch, None);
    }

    #[test]
    fn changes_before_the_first_call_do_not_prevent_the_injection(
        pod in asking(),
        before in subsequence(MUTATORS, 1..=4).prop_shuffle(),
    ) {
        let settings = settings();
        let mut pod = pod;
        for (_, mutate) in &before {
            mutate(&mut pod);
        }
        let answer = ask(&pod, &settings);
        prop_assert!(matches!(answer.outcome, Outcome::Inject(_)), "{:?}", answer.outcome);
        let again = ask(&patched(&pod, &answer), &settings);
        prop_assert_eq!(again.outcome, Outcome::Skip(SkipReason::AlreadyInjected));
    }

    /// Mistakes in a Pod itself are the API server's to report: they cause no internal error.
    #[test]
    fn mistakes_in_a_pod_itself_cause_no_internal_error(
        pod in asking(),
        names in proptest::collection::vec("[a-b]", 3),
    ) {
        let mut pod = pod;
        for list in ["containers", "initContainers", "volumes"] {
            let items = pod["spec"][list].as_array_mut();
            for (item, name) in items.into_iter().flatten().zip(&names) {
                item["name"] = json!(name);
            }
        }
        let answer = answer(&Review::of_pod(pod), &settings(), &Namespace::default());
        prop_assert!(answer.is_ok(), "{:?}", answer.err());
    }

    #[test]
    fn a_pod_without_requests_is_not_changed(pod in pod()) {
        let answer = ask(&pod, &settings());
        prop_assert_eq!(answer.outcome, Outcome::Skip(SkipReason::NotRequested));
        prop_assert!(answer.patch.is_none() && answer.warnings.is_empty());
    }

    #[test]
    fn no_annotation_causes_a_panic_and_every_answer_serializes(
        values in prop::collection::vec("\\PC{0,20}|.{0,40}", ANNOTATIONS.len()),
        key in "\\PC{0,80}",
    ) {
        let keys = ANNOTATIONS.iter().map(|row| row.key.as_str()).chain([key.as_str()]);
        let annotations: Map<String, Value> = keys
            .zip(values.iter().chain(values.first()))
            .map(|(key, value)| (format!("{PREFIX}{key}"), json!(value)))
            .collect();
        let pod = json!({
            "metadata": {"annotations": annotations},
            "spec": {"containers": [{"name": "web"}]},
        });
        let answer = ask(&pod, &settings());
        for warning in &answer.warnings {
            prop_assert!(warning.chars().count() <= 256 && !warning.contains(char::is_control));
        }
        let sent: Value = serde_json::from_slice(&answer.to_json().body).unwrap();
        prop_assert_eq!(&sent["response"]["allowed"], &json!(answer.allowed));
    }

    #[test]
    fn no_document_causes_a_panic(
        metadata in any_json(),
        spec in any_json(),
        containers in any_json(),
    ) {
        let repo = json!({"annotations": {"gitvolume.dev/repo": "https://git.example/x"}});
        for pod in [
            json!({"metadata": metadata, "spec": spec}),
            json!({"metadata": repo, "spec": spec}),
            json!({"metadata": repo, "spec": {"containers": containers}}),
            json!({"metadata": repo, "spec": {"containers": [containers], "volumes": spec}}),
            spec,
        ] {
            let _ = answer(&Review::of_pod(pod), &settings(), &Namespace::default());
        }
    }
}
