use super::*;
use crate::ANNOTATIONS;
use serde_json::json;

pub(crate) fn git_volume(name: &str, spec: Value) -> GitVolume {
    GitVolume::read(&json!({
        "apiVersion": "gitvolume.dev/v1alpha1",
        "kind": "GitVolume",
        "metadata": {"name": name, "namespace": "shop", "uid": "u", "generation": 3},
        "spec": spec,
    }))
}

pub(crate) fn cluster(name: &str, spec: Value) -> GitVolume {
    GitVolume::read(&json!({
        "apiVersion": "gitvolume.dev/v1alpha1",
        "kind": "ClusterGitVolume",
        "metadata": {"name": name},
        "spec": spec,
    }))
}

fn sentences(object: &GitVolume) -> Vec<String> {
    let refusal = object.accepted(&Settings::new("syncer:1")).err();
    let mistakes = refusal.iter().flat_map(Refusal::mistakes);
    mistakes.map(ToString::to_string).collect()
}

#[test]
fn an_object_has_kind_namespace_name_and_uid() {
    let object = git_volume(
        "site",
        json!({"repo": "https://git.example/x", "priority": -7}),
    );
    assert_eq!(object.to_string(), "GitVolume shop/site");
    assert_eq!(
        (object.kind(), object.namespace()),
        (Kind::GitVolume, Some("shop"))
    );
    assert_eq!((object.name(), object.uid()), ("site", Some("u")));
    assert_eq!((object.generation(), object.priority()), (Some(3), -7));
    assert_eq!(sentences(&object), [""; 0]);
    let object = cluster("site", json!({}));
    assert_eq!(object.to_string(), "ClusterGitVolume site");
    assert_eq!(
        (object.kind(), object.namespace()),
        (Kind::ClusterGitVolume, None)
    );
}

#[test]
fn an_object_without_a_kind_is_classified_by_its_namespace() {
    let of = |metadata: Value| GitVolume::read(&json!({"metadata": metadata})).to_string();
    assert_eq!(of(json!({"name": "a", "namespace": "b"})), "GitVolume b/a");
    assert_eq!(of(json!({"name": "a"})), "ClusterGitVolume a");
}

#[test]
fn every_example_of_an_annotation_is_accepted_as_a_field() {
    for row in ANNOTATIONS {
        let Some(field) = spec::field(row.key) else {
            continue;
        };
        let value = if spec::is_list(row.key) {
            json!(row.example.split(',').collect::<Vec<_>>())
        } else {
            json!(row.example)
        };
        let spec = nested(&field, value);
        let object = git_volume("site", spec.clone());
        assert_eq!(sentences(&object), [""; 0], "{spec}");
        assert_eq!(object.warnings(), [""; 0], "{spec}");
        assert_eq!(object.said, [(row.key, row.example.to_owned())]);
    }
}

#[test]
fn a_field_is_refused_with_the_message_of_its_annotation() {
    for row in ANNOTATIONS {
        let Some(field) = spec::field(row.key) else {
            continue;
        };
        let value = if spec::is_list(row.key) {
            json!([""])
        } else {
            json!("")
        };
        let object = git_volume("site", nested(&field, value));
        let expected = format!(
            "GitVolume shop/site: spec.{field}: \"\": expected {}",
            row.grammar
        );
        assert_eq!(sentences(&object), [expected]);
    }
}

/// A value under a path of fields.
fn nested(field: &str, value: Value) -> Value {
    let mut parts: Vec<&str> = field.split('.').collect();
    let mut all = value;
    while let Some(part) = parts.pop() {
        all = json!({part: all});
    }
    all
}

#[test]
fn numbers_and_booleans_are_written_as_such() {
    let object = git_volume(
        "site",
        json!({"depth": 5, "readOnly": false, "user": 1000, "metricsPort": 9300,
               "resources": {"limits": {"cpu": 1}}}),
    );
    assert_eq!(sentences(&object), [""; 0]);
    let said: Vec<&str> = object.said.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(said, ["5", "false", "1000", "1", "9300"]);
}

#[test]
fn all_mistakes_are_reported_at_once_with_their_fields() {
    let object = git_volume(
        "Ref",
        json!({
            "depth": {}, "containers": "web", "priority": 1.5, "resources": 1,
            "link": "a", "subdir": "b",
            "podSelector": {"matchLabels": {"a": "b c"}},
        }),
    );
    assert_eq!(
        sentences(&object),
        [
            "GitVolume shop/Ref: metadata.name: \"Ref\": expected a name of at most 40 lowercase letters, digits and inner hyphens, such as site, that is not itself an annotation key",
            "GitVolume shop/Ref: spec.depth: {}: expected a string",
            "GitVolume shop/Ref: spec.containers: \"web\": expected a list of names",
            "GitVolume shop/Ref: spec.subdir: \"b\": expected no spec.link together with it: the whole repository is below the link, including this directory",
            "GitVolume shop/Ref: spec.priority: 1.5: expected a whole number such as 10 or -10",
            "GitVolume shop/Ref: spec.podSelector.matchLabels[a]: \"b c\": expected the value of \
             a label such as web, of at most 63 letters, digits, hyphens, underscores and dots",
            "GitVolume shop/Ref: spec.resources: 1: expected requests, limits or both, of cpu, \
             memory and ephemeral-storage",
        ]
    );
    assert!(!object.selects(None), "nobody knows whom it is for");
}

#[test]
fn a_request_above_its_limit_is_refused_as_for_a_pod() {
    let amounts = |request: &str, limit: &str| {
        json!({"resources": {"requests": {"ephemeral-storage": request},
                             "limits": {"ephemeral-storage": limit, "cpu": 1}}})
    };
    assert_eq!(
        sentences(&git_volume("site", amounts("2Gi", "1Gi"))),
        [
            "GitVolume shop/site: spec.resources.requests.ephemeral-storage: the request 2Gi is \
             above the limit 1Gi; expected a limit that is at least the request"
        ]
    );
    for (request, limit) in [("1Gi", "1024Mi"), ("1Gi", "2Gi")] {
        assert_eq!(
            sentences(&git_volume("site", amounts(request, limit))),
            [""; 0]
        );
    }
}

#[test]
fn unknown_fields_are_warnings_without_effect() {
    let object = git_volume(
        "site",
        json!({"mountpath": "/x", "namespaceSelector": {}, "resources": {"claims": [],
               "limits": {"gpu": 1}}}),
    );
    assert_eq!(sentences(&object), [""; 0]);
    let paths = [
        "mountpath",
        "namespaceSelector",
        "resources.claims",
        "resources.limits.gpu",
    ];
    for path in paths {
        let syncer_config = format!("GitVolume shop/site: spec.{path}: unknown field, ignored");
        assert!(
            object.warnings().contains(&syncer_config),
            "{:?}",
            object.warnings()
        );
    }
    assert_eq!(object.warnings().len(), paths.len());
    assert_eq!(
        cluster("site", json!({"namespaceSelector": {}})).warnings(),
        [""; 0]
    );
}

#[test]
fn a_field_that_is_not_allowed_is_refused_only_in_a_gitvolume() {
    let spec = json!({"repo": "https://git.example/x", "mountPath": "/x",
                      "resources": {"limits": {"cpu": "1"}}});
    let refused = |object: &GitVolume, allowed: Value| -> Vec<String> {
        let settings = json!({"image": "syncer:1", "allowedAnnotations": allowed});
        let settings: Settings = serde_json::from_value(settings).unwrap();
        let refusal = object.accepted(&settings).err();
        let mistakes = refusal.iter().flat_map(Refusal::mistakes);
        mistakes.map(ToString::to_string).collect()
    };
    let own = git_volume("site", spec.clone());
    let allowed = "not allowed by the cluster's gitvolume settings; allowed keys:";
    assert_eq!(refused(&own, json!([])), [""; 0]);
    let some = json!(["repo", "mount-path", "resources.*"]);
    assert_eq!(refused(&own, some), [""; 0]);
    assert_eq!(
        refused(&own, json!(["mount-*", "use", "resources.limits.*"])),
        [format!(
            "GitVolume shop/site: spec.repo: {allowed} mount*, resources.limits.*"
        )]
    );
    let none = refused(&own, json!(["use"]));
    assert_eq!(none.len(), 3);
    assert_eq!(
        none[0],
        format!("GitVolume shop/site: spec.repo: {allowed} none")
    );
    assert_eq!(refused(&cluster("site", spec), json!(["use"])), [""; 0]);
}

#[test]
fn an_object_applies_to_its_own_namespace_or_to_selected_ones() {
    let labels = |team: &str| BTreeMap::from([("team".to_owned(), team.to_owned())]);
    let own = git_volume("site", json!({}));
    assert!(own.covers("shop", &labels("a")) && !own.covers("bank", &labels("a")));
    let all = cluster("site", json!({}));
    assert!(all.covers("shop", &labels("a")) && all.covers("bank", &BTreeMap::new()));
    let some = json!({"namespaceSelector": {"matchLabels": {"team": "a"}}});
    let some = cluster("site", some);
    assert!(some.covers("shop", &labels("a")) && !some.covers("shop", &labels("b")));
    assert!(!some.covers("shop", &BTreeMap::new()));
    let wrong = cluster("site", json!({"namespaceSelector": "team=a"}));
    assert!(!wrong.covers("shop", &labels("a")));
}

#[test]
fn fields_overridden_by_an_object_of_the_same_name_are_shadowed() {
    let own = git_volume(
        "site",
        json!({"repo": "https://git.example/x", "ref": "v2"}),
    );
    let other = git_volume("rules", json!({"period": "1m"}));
    let wrong = git_volume("site", json!({"period": "x"}));
    let lower = cluster(
        "site",
        json!({"repo": "https://git.example/y", "period": "1m"}),
    );
    let settings = Settings::new("syncer:1");
    let shadowed = lower.shadowed([&own, &other, &wrong, &lower], &settings);
    assert_eq!(
        shadowed,
        [Shadowed {
            field: "repo".to_owned(),
            by: "GitVolume shop/site".to_owned()
        }]
    );
    assert_eq!(own.shadowed([&own, &lower], &settings), []);
}
