//! Pods that nobody wrote: fields newer than our types at every level, lists that are absent, null
//! or empty, and annotations of any text.

use inject::ANNOTATIONS;
use inject::Namespace;
use inject::Outcome;
use inject::PREFIX;
use inject::Review;
use inject::SkipReason;
use inject::answer;
use proptest::prelude::*;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::pods::ask;
use crate::pods::patched;
use crate::pods::settings;

/// Any JSON, not too deep.
pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1.0e6..1.0e6).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from);
        let map = prop::collection::btree_map(".{0,6}", inner, 0..4);
        prop_oneof![
            list,
            map.prop_map(|map| Value::Object(map.into_iter().collect()))
        ]
    })
}

/// Fields that no version of Kubernetes has; the last one, since it is known to newer ones only.
fn unknown_fields() -> impl Strategy<Value = Map<String, Value>> {
    let key = prop_oneof!["x[A-Za-z/~]{0,6}", Just("restartPolicyRules".to_owned())];
    prop::collection::btree_map(key, any_json(), 0..3).prop_map(|map| map.into_iter().collect())
}

/// An object with some unknown fields in it.
fn object(known: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    (known, unknown_fields()).prop_map(|(mut known, unknown)| {
        known.as_object_mut().unwrap().extend(unknown);
        known
    })
}

/// A list under `key`, with items or empty, null or not there at all; names made unique.
fn list(
    key: &'static str,
    item: impl Strategy<Value = Value> + 'static,
) -> impl Strategy<Value = Value> {
    let items = prop::collection::vec(item, 0..4).prop_map(|mut items| {
        for (index, item) in items.iter_mut().enumerate() {
            if let Some(name) = item.get("name").and_then(Value::as_str) {
                item["name"] = json!(format!("{name}-{index}"));
            }
        }
        Value::from(items)
    });
    prop_oneof![
        items.prop_map(move |items| json!({key: items})),
        Just(json!({key: null})),
        Just(json!({})),
    ]
}

/// Its name is its volume's; `list` makes that one unique too, and the API server would mind, but
/// we do not judge what is not ours.
fn mount() -> impl Strategy<Value = Value> {
    object("/[a-z]{3,9}".prop_map(|path| json!({"mountPath": path, "name": "v"})))
}

fn container() -> impl Strategy<Value = Value> {
    let resources = prop_oneof![
        Just(json!({})),
        Just(json!({"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}})),
        Just(json!({"resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}})),
    ];
    let user = prop::option::of(0..3i64);
    let known =
        (list("volumeMounts", mount()), resources, user).prop_map(|(mounts, resources, user)| {
            let mut container = json!({"name": "c", "image": "x"});
            let fields = container.as_object_mut().unwrap();
            fields.extend(mounts.as_object().unwrap().clone());
            fields.extend(resources.as_object().unwrap().clone());
            if let Some(user) = user {
                container["securityContext"] = json!({"runAsUser": user});
            }
            container
        });
    object(known)
}

pub(crate) fn pod() -> impl Strategy<Value = Value> {
    let volume = object(Just(json!({"name": "v", "emptyDir": {}})));
    let spec = (
        prop::collection::vec(container(), 1..4),
        list("initContainers", container()),
        list("volumes", volume),
        unknown_fields(),
    )
        .prop_map(|(mut containers, inits, volumes, unknown)| {
            for (index, container) in containers.iter_mut().enumerate() {
                container["name"] = json!(format!("app-{index}"));
            }
            let mut spec = json!({"containers": containers});
            for part in [&inits, &volumes] {
                spec.as_object_mut()
                    .unwrap()
                    .extend(part.as_object().unwrap().clone());
            }
            spec.as_object_mut().unwrap().extend(unknown);
            spec
        });
    let metadata = object(Just(json!({"annotations": {
        "gitvolume.dev/repo": "https://git.example/site.git",
        "gitvolume.dev/mount-path": "/a-path-of-its-own",
        "example.com/a~b/c": "x",
    }})));
    object((metadata, spec).prop_map(|(metadata, spec)| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    }))
}

/// Says where `after` has more than `before`; panics where it has anything less or otherwise. A
/// list that is null may become one.
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
        (Value::Null, Value::Array(_)) => found.push(at.to_owned()),
        _ => assert_eq!(before, after, "{at}"),
    }
}

/// The only places we have any business in.
fn is_ours(path: &str) -> bool {
    let names: Vec<&str> = path.split('/').skip(1).collect();
    matches!(
        names[..],
        ["metadata", "annotations", "gitvolume.dev", "status"]
            | [
                "metadata",
                "annotations",
                "cluster-autoscaler.kubernetes.io",
                "safe-to-evict-local-volumes"
            ]
            | ["spec", "volumes" | "initContainers"]
            | ["spec", "volumes" | "initContainers", _]
            | ["spec", "containers", _, "volumeMounts"]
            | ["spec", "containers", _, "volumeMounts", _]
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn all_else_is_left_as_it_is_and_twice_is_once(pod in pod()) {
        let settings = settings();
        let answer = ask(&pod, &settings);
        prop_assert!(matches!(answer.outcome, Outcome::Inject(_)), "{:?}", answer.outcome);
        let after = patched(&pod, &answer);

        let mut found = Vec::new();
        additions(&pod, &after, "", &mut found);
        prop_assert!(found.iter().all(|path| is_ours(path)), "{found:?}");
        prop_assert!(found.len() >= 4, "{found:?}");

        let again = ask(&after, &settings);
        prop_assert_eq!(again.outcome, Outcome::Skip(SkipReason::AlreadyInjected));
        prop_assert_eq!(again.patch, None);
    }

    #[test]
    fn no_annotation_makes_us_panic_and_every_answer_can_be_sent(
        values in prop::collection::vec("\\PC{0,40}|.{0,200}", ANNOTATIONS.len()),
        key in "\\PC{0,80}",
    ) {
        let keys = ANNOTATIONS.iter().map(|row| row.key).chain([key.as_str()]);
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
            prop_assert!(warning.chars().count() <= 120 && !warning.contains(char::is_control));
        }
        let sent: Value = serde_json::from_slice(&answer.to_json().body).unwrap();
        prop_assert_eq!(&sent["response"]["allowed"], &json!(answer.allowed));
    }

    #[test]
    fn no_document_makes_us_panic(
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
