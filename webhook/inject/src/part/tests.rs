use super::*;
use json_patch::AddOperation;
use json_patch::PatchOperation;
use json_patch::RemoveOperation;
use json_patch::ReplaceOperation;
use json_patch::jsonptr::PointerBuf;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

fn patch(operations: Value) -> Patch {
    serde_json::from_value(operations).unwrap()
}

#[test]
fn the_part_has_what_is_on_a_path_and_what_is_judged_beside_it() {
    let document = json!({
        "kind": "Pod",
        "metadata": {"name": "web", "annotations": {"a/b": "x", "c": "y"}},
        "spec": {
            "hostNetwork": true,
            "volumes": [{"name": "v"}, {"name": "w", "gitRepo": {}, "secret": {}}],
            "containers": [
                {"name": "web", "image": "x", "env": [{"name": "A"}], "volumeMounts": [{"name": "v"}]},
                {"name": "other", "image": "x"},
            ],
        },
    });
    let patched = Patched::new(
        &document,
        &patch(json!([
            {"op": "replace", "path": "/metadata/annotations/a~1b", "value": "z"},
            {"op": "remove", "path": "/spec/volumes/1/gitRepo"},
            {"op": "add", "path": "/spec/volumes/-", "value": {"name": "new"}},
            {"op": "add", "path": "/spec/containers/0/env/-", "value": {"name": "B"}},
        ])),
    );
    let patched = patched.unwrap();
    assert_eq!(patched.untouched, [vec![0], vec![], vec![1]]);
    assert_eq!(
        patched.part,
        json!({
            "metadata": {"annotations": {"a/b": "z"}},
            "spec": {
                "volumes": [0, {"name": "w"}, {"name": "new"}],
                "containers": [
                    {"name": "web", "env": [{"name": "A"}, {"name": "B"}], "volumeMounts": [{"name": "v"}]},
                    1,
                ],
            },
        })
    );
}

/// Few names and short lists, so that paths meet.
fn documents() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(json!(null)), Just(json!("text")), Just(json!(true))];
    let inner = leaf.prop_recursive(3, 24, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::Array),
            vec((select(vec!["name", "a", "b/c"]), inner), 0..3)
                .prop_map(|members| members.into_iter().collect()),
        ]
    });
    (inner.clone(), inner.clone(), inner).prop_map(|(metadata, volumes, containers)| {
        json!({"metadata": metadata, "spec": {"volumes": volumes, "containers": containers}})
    })
}

fn operations() -> impl Strategy<Value = PatchOperation> {
    let tokens = vec![
        "metadata",
        "spec",
        "volumes",
        "containers",
        "name",
        "a",
        "b/c",
        "0",
        "1",
        "-",
    ];
    let free = vec(select(tokens.clone()), 1..4);
    let item = (
        select(vec!["volumes", "containers"]),
        vec(select(tokens), 0..3),
    )
        .prop_map(|(list, rest)| [vec!["spec", list], rest].concat());
    let value = prop_oneof![
        Just(json!({"name": "new"})),
        Just(json!([])),
        Just(json!({}))
    ];
    (prop_oneof![free, item], value, 0..3).prop_map(|(tokens, value, kind)| {
        let path = PointerBuf::from_tokens(tokens);
        match kind {
            0 => PatchOperation::Add(AddOperation { path, value }),
            1 => PatchOperation::Remove(RemoveOperation { path }),
            _ => PatchOperation::Replace(ReplaceOperation { path, value }),
        }
    })
}

/// Tells whether a part is one of this document, where numbers stand for items of that one's lists.
fn agrees(part: &Value, whole: &Value, before: Option<&Value>) -> bool {
    match (part, whole) {
        (Value::Object(some), Value::Object(all)) => some.iter().all(|(key, part)| {
            let before = before.and_then(|before| before.get(key));
            all.get(key)
                .is_some_and(|whole| agrees(part, whole, before))
        }),
        (Value::Array(some), Value::Array(all)) => {
            let item = |(part, whole): (&Value, &Value)| match part.as_u64() {
                Some(number) => {
                    before.and_then(|before| before.get(number as usize)) == Some(whole)
                }
                // What it was before is not known by its place any more.
                None => agrees(part, whole, None),
            };
            some.len() == all.len() && some.iter().zip(all).all(item)
        }
        _ => part == whole,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn an_operation_can_be_made_on_the_part_only_if_it_can_on_the_whole_and_does_the_same(
        document in documents(),
        operations in vec(operations(), 1..5),
    ) {
        let patch = Patch(operations);
        let mut whole = document.clone();
        let outcome = json_patch::patch(&mut whole, &patch);
        match Patched::new(&document, &patch) {
            Ok(patched) => {
                prop_assert!(outcome.is_ok(), "{outcome:?}");
                let part = patched.part;
                prop_assert!(agrees(&part, &whole, Some(&document)), "{part} of {whole}");
            }
            Err(_) => {
                // One operation has nothing before it that moves anything.
                prop_assert!(outcome.is_err() || patch.len() > 1);
            }
        }
    }
}
