//! Random Pods: fields newer than the typed structs at every level, lists that are absent, null or
//! empty, and everything that can be requested, by the grammar of each annotation.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::sample::subsequence;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

/// Any JSON of limited depth.
pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1.0e6..1.0e6).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let list = vec(inner.clone(), 0..4).prop_map(Value::from);
        let map = prop::collection::btree_map(".{0,6}", inner, 0..4);
        prop_oneof![
            list,
            map.prop_map(|map| Value::Object(map.into_iter().collect()))
        ]
    })
}

/// Fields that no version of Kubernetes has, and one that only newer versions have.
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

/// A list under `key`: with items of unique names, empty, null or absent.
fn list(
    key: &'static str,
    item: impl Strategy<Value = Value> + 'static,
) -> impl Strategy<Value = Value> {
    let items = vec(item, 0..4).prop_map(|mut items| {
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

/// A mount; its name is its volume's. `list` makes it unique too; the API server would refuse that,
/// but the webhook checks only what it adds.
fn mount() -> impl Strategy<Value = Value> {
    object("/[a-z]{3,9}".prop_map(|path| json!({"mountPath": path, "name": "v"})))
}

fn container() -> impl Strategy<Value = Value> {
    let resources = prop_oneof![
        Just(json!({})),
        Just(json!({"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}})),
        Just(json!({"resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}})),
    ];
    let user = option::of(0..3i64);
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

/// A Pod without gitvolume annotations.
pub(crate) fn pod() -> impl Strategy<Value = Value> {
    let volume = object(Just(json!({"name": "v", "emptyDir": {}})));
    let spec = (
        vec(container(), 1..4),
        list("initContainers", container()),
        list("volumes", volume),
        option::of(select(&["Always", "OnFailure", "Never"][..])),
        option::of(any::<bool>()),
        option::of((option::of(0..3i64), option::of(0..3i64))),
        unknown_fields(),
    )
        .prop_map(
            |(mut containers, inits, volumes, restart, network, security, unknown)| {
                for (index, container) in containers.iter_mut().enumerate() {
                    container["name"] = json!(format!("app-{index}"));
                }
                let mut spec = json!({"containers": containers});
                for part in [&inits, &volumes] {
                    let part = part.as_object().unwrap().clone();
                    spec.as_object_mut().unwrap().extend(part);
                }
                spec.as_object_mut().unwrap().extend(unknown);
                if let Some(restart) = restart {
                    spec["restartPolicy"] = json!(restart);
                }
                if let Some(network) = network {
                    spec["hostNetwork"] = json!(network);
                }
                if let Some((user, group)) = security {
                    spec["securityContext"] = json!({"runAsUser": user, "fsGroup": group});
                }
                spec
            },
        );
    let metadata = object(prop_oneof![
        Just(json!({"annotations": {"example.com/a~b/c": "x"}})),
        Just(json!({"annotations": null, "name": "web"})),
        Just(json!({"generateName": "web-"})),
    ]);
    object((metadata, spec).prop_map(|(metadata, spec)| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    }))
}

/// Some of these keys, each with one of its values.
fn some_of(
    keys: &'static [(&'static str, &'static [&'static str])],
) -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    let chosen = subsequence(keys, 0..=keys.len());
    (chosen, any::<prop::sample::Index>()).prop_map(|(keys, index)| {
        let value = |(key, values): (&'static str, &'static [&'static str])| {
            (key, values[index.index(values.len())])
        };
        keys.into_iter().map(value).collect()
    })
}

/// The keys of one repository, without its address and its path.
const REPOSITORY: &[(&str, &[&str])] = &[
    (
        "ref",
        &[
            "main",
            "v1.2",
            "refs/heads/x$(y)",
            "4c1b0f2f6a0b6ff2c9b1e6f0d8a7c3e5b4a39281",
        ],
    ),
    ("mode", &["once", "sync"]),
    ("period", &["10ms", "1h30m"]),
    ("depth", &["0", "50"]),
    ("secret", &["git", "a.b"]),
    ("sparse-checkout", &["/docs/", "  /a/\n\n!/a/b $$\n"]),
    ("filter", &["blob:none", "tree:0"]),
    ("submodules", &["off", "shallow"]),
    ("lfs", &["true", "false"]),
    ("timeout", &["30m"]),
    ("max-staleness", &["1h", "90s"]),
    ("read-only", &["true", "false"]),
    ("notify", &["http://hook.example:9300/reload?a=$x"]),
    ("size-limit", &["500Mi", "2e9"]),
    ("medium", &["memory", "disk"]),
];

/// The link, or the layout and the subdirectory; never both.
const TREE: &[&[(&str, &str)]] = &[
    &[],
    &[("link", "current")],
    &[("subdir", "a/b")],
    &[("layout", "projected")],
    &[("layout", "files"), ("subdir", "a/b")],
];

const POD: &[(&str, &[&str])] = &[
    ("containers", &["app-0"]),
    ("position", &["first", "last"]),
    ("user", &["7", "1000:2000"]),
    ("resources.requests.cpu", &["1m"]),
    ("resources.limits.memory", &["1Gi", "16Mi"]),
    ("resources.limits.ephemeral-storage", &["2Gi"]),
    ("metrics-port", &["9300"]),
    ("gitrepo", &["convert", "follow"]),
    ("safe-directory", &["true"]),
    ("inject", &["true"]),
];

/// Annotations that request one to four repositories.
pub(crate) fn annotations() -> impl Strategy<Value = Map<String, Value>> {
    let repository = (some_of(REPOSITORY), select(TREE));
    let names = subsequence(&["", "a.", "rules.", "x-1."][..], 1..=4);
    (names, vec(repository, 4), some_of(POD)).prop_map(|(names, repositories, pod)| {
        let mut all = Map::new();
        let mut set = |key: String, value: &str| all.insert(key, json!(value));
        for (name, (keys, tree)) in names.iter().zip(&repositories) {
            let prefix = format!("{}{name}", inject::PREFIX);
            set(
                format!("{prefix}repo"),
                &format!("https://git.example/{name}x.git"),
            );
            set(
                format!("{prefix}mount-path"),
                &format!("/own path/at-{name}"),
            );
            for (key, value) in keys.iter().chain(tree.iter()) {
                set(format!("{prefix}{key}"), value);
            }
        }
        for (key, value) in pod {
            set(format!("{}{key}", inject::PREFIX), value);
        }
        all
    })
}

/// A gitRepo volume, by the kubelet's rules; its name is added later.
fn git_repo() -> impl Strategy<Value = Value> {
    let source = (
        select(&["https://git.example/site.git", "http://git.example/a/b"][..]),
        option::of(select(
            &["", "main", "v1", "4c1b0f2f6a0b6ff2c9b1e6f0d8a7c3e5b4a39281"][..],
        )),
        option::of(select(&["", ".", "a"][..])),
    );
    object(source.prop_map(|(repository, revision, directory)| {
        let mut source = json!({"repository": repository});
        if let Some(revision) = revision {
            source["revision"] = json!(revision);
        }
        if let Some(directory) = directory {
            source["directory"] = json!(directory);
        }
        json!({"gitRepo": source})
    }))
}

/// A Pod that requests a repository: by annotations, by gitRepo volumes that some containers mount,
/// or by both.
pub(crate) fn asking() -> impl Strategy<Value = Value> {
    let asked = prop_oneof![
        3 => (annotations(), vec(git_repo(), 0..3)),
        1 => (Just(Map::new()), vec(git_repo(), 1..3)),
    ];
    (pod(), asked, any::<u8>()).prop_map(|(mut pod, (annotations, volumes), mounted)| {
        if !annotations.is_empty() {
            if !pod["metadata"]["annotations"].is_object() {
                pod["metadata"]["annotations"] = json!({});
            }
            let own = pod["metadata"]["annotations"].as_object_mut().unwrap();
            own.extend(annotations);
        }
        let places = ["/spec/containers/0", "/spec/initContainers/0"];
        for (index, mut volume) in volumes.into_iter().enumerate() {
            let name = format!("git-repo-{index}");
            volume["name"] = json!(name);
            push(&mut pod["spec"], "volumes", volume);
            for (bit, place) in places.iter().enumerate() {
                if mounted >> (2 * index + bit) & 1 == 1
                    && let Some(container) = pod.pointer_mut(place)
                {
                    let mount = json!({"name": name, "mountPath": format!("/of/{name}")});
                    push(container, "volumeMounts", mount);
                }
            }
        }
        pod
    })
}

/// Appends an item to a list, which is created where there is none.
pub(crate) fn push(map: &mut Value, key: &str, item: Value) {
    if !map[key].is_array() {
        map[key] = json!([]);
    }
    map[key].as_array_mut().unwrap().push(item);
}
