use super::*;
use proptest::prelude::*;
use serde_json::json;

fn texts(text: &str) -> Vec<String> {
    let documents = read(text).unwrap();
    documents.into_iter().map(|own| own.text).collect()
}

fn values(text: &str) -> Vec<Value> {
    let documents = read(text).unwrap();
    documents.into_iter().map(|own| own.value).collect()
}

#[test]
fn json_values_follow_each_other_in_one_text() {
    let text = "\u{feff} {\"a\": 1}\n\n[2]{}  \n";
    assert_eq!(texts(text), ["\u{feff} {\"a\": 1}", "\n\n[2]", "{}  \n"]);
    assert_eq!(values(text), [json!({"a": 1}), json!([2]), json!({})]);
    assert_eq!(read(text).unwrap()[1].line(), 1);
}

#[test]
fn a_yaml_text_may_begin_as_json_does() {
    assert_eq!(
        values("{a: 1}\n---\n[b]\n"),
        [json!({"a": 1}), json!(["b"])]
    );
    assert_eq!(values("{\"a\": 1} # c\n"), [json!({"a": 1})]);
}

#[test]
fn numbers_and_booleans_are_those_that_kubectl_reads() {
    assert_eq!(
        values("mode: 0444\non: yes\nport: 0x1F\nversion: \"0444\"\n"),
        [json!({"mode": 292, "on": true, "port": 31, "version": "0444"})]
    );
}

#[test]
fn empty_documents_do_not_count() {
    let documents = read("# c\n---\n---\na: 1\n---\n# d\n---\nb: 2\n").unwrap();
    let numbers: Vec<(usize, bool)> = documents
        .iter()
        .map(|own| (own.number(), own.value().is_null()))
        .collect();
    assert_eq!(
        numbers,
        [(0, true), (0, true), (1, false), (1, true), (2, false)]
    );
}

#[test]
fn an_error_in_yaml_has_its_line_and_quotes_nothing() {
    let error = read("a: 1\n---\nkind: Secret\npassword: 'hunter2\n").unwrap_err();
    assert_eq!(error.line, 5);
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn templates_and_foreign_yaml_are_passed_on() {
    let text = "{{- if .Values.on }}\nkind: Pod\n{{- end }}\n---\n? [a]\n: b\n---\nc: {{ .x }}\n";
    assert_eq!(texts(text).concat(), text);
    let unread: Vec<_> = read(text).unwrap().iter().map(Document::unread).collect();
    assert_eq!(
        unread,
        [
            Some(Unread::Template),
            Some(Unread::Foreign),
            Some(Unread::Foreign)
        ]
    );
}

#[test]
fn a_document_is_written_anew_between_its_own_markers() {
    let patch: Patch =
        serde_json::from_value(json!([{"op": "replace", "path": "/a", "value": [1, "yes"]}]))
            .unwrap();
    let patched = |text: &str| {
        let document = &read(text).unwrap()[0];
        document.rewritten(&{
            let mut value = document.value.clone();
            json_patch::patch(&mut value, &patch).unwrap();
            value
        })
    };
    assert_eq!(
        patched("---\n# c\na: 1\nb: {}\n...\n").unwrap(),
        "---\na:\n- 1\n- \"yes\"\nb: {}\n...\n"
    );
    assert_eq!(patched("{\"a\": 1}\n").unwrap(), "{\"a\":[1,\"yes\"]}\n");
    assert_eq!(
        patched("{\n\t\"a\": 1\n}").unwrap(),
        "{\n\t\"a\": [\n\t\t1,\n\t\t\"yes\"\n\t]\n}"
    );
}

/// Edits the first document of a text, in place.
fn patched(text: &str, patch: Value) -> String {
    let patch: Patch = serde_json::from_value(patch).unwrap();
    let patched = read(text).unwrap()[0].patched(&patch).unwrap();
    assert!(!patched.is_rewritten, "{}", patched.text);
    patched.text
}

fn add(path: &str, value: Value) -> Value {
    json!({"op": "add", "path": path, "value": value})
}

#[test]
fn comments_quotes_and_order_stay_outside_of_an_edit() {
    let text = "\
# head
z: 'q'   # why
a:
  - name: x  # about x
    v: \"1\"
  # about y
  - name: y
m: {k: v}
";
    assert_eq!(
        patched(
            text,
            json!([
                add("/a/1", json!({"v": "on", "name": "new"})),
                add("/a/0/more", json!(["l"])),
                add("/a/-", json!({"name": "end"})),
                add("/m/k2", json!(true)),
                add("/o", json!({"a/b": {}})),
            ])
        ),
        "\
# head
z: 'q'   # why
a:
  - name: x  # about x
    v: \"1\"
    more:
      - l
  - name: new
    v: \"on\"
  # about y
  - name: y
  - name: end
m: {k: v, k2: true}
o:
  a/b: {}
"
    );
}

#[test]
fn missing_lists_and_maps_are_created() {
    for (text, expected) in [
        ("a: []\n", "a:\n- x\n"),
        ("a:\n", "a:\n- x\n"),
        ("a: ~ # c\nb: 1", "a:\n- x # c\nb: 1"),
        ("b: 1", "b: 1\na:\n- x"),
        ("b:\n  c: 1\n...\n", "b:\n  c: 1\na:\n- x\n...\n"),
        ("{b: 1}\n", "{b: 1, a: [x]}\n"),
        ("--- {b: 1}\n", "--- {b: 1, a: [x]}\n"),
        ("{\"b\": 1,}\n", "{\"b\": 1, \"a\": [\"x\"],}\n"),
        (
            "{\n  \"b\": 1\n}\n",
            "{\n  \"b\": 1,\n  \"a\": [\n    \"x\"\n  ]\n}\n",
        ),
    ] {
        let edited = match read(text).unwrap()[0].value()["a"].is_array() {
            true => patched(text, json!([add("/a/-", json!("x"))])),
            false => patched(text, json!([add("/a", json!(["x"]))])),
        };
        assert_eq!(edited, expected, "{text:?}");
    }
}

#[test]
fn a_removal_leaves_the_rest_unchanged() {
    let removed = |text: &str, path: &str| patched(text, json!([{"op": "remove", "path": path}]));
    for (text, path, expected) in [
        ("- a: 1\n  b: 2\n", "/0/a", "- b: 2\n"),
        ("- b: 2\n  a:\n    c: 1\n- d\n", "/0/a", "- b: 2\n- d\n"),
        ("l:\n- 1 # one\n- 2\n- 3\n", "/l/0", "l:\n- 2\n- 3\n"),
        ("l:\n- 1\n- 2", "/l/1", "l:\n- 1"),
        ("l: [1, 2, 3]\n", "/l/2", "l: [1, 2]\n"),
        ("l: [1, 2, 3]\n", "/l/0", "l: [2, 3]\n"),
        ("l:\n- 1\n", "/l/0", "l: []\n"),
        ("m: {a: 1, b: 2}\n", "/m/b", "m: {a: 1}\n"),
        ("a: 1\nb: |\n  x\n\nc: 2\n", "/b", "a: 1\n\nc: 2\n"),
    ] {
        assert_eq!(removed(text, path), expected, "{text:?}");
    }
}

#[test]
fn line_ends_and_the_byte_order_mark_stay() {
    assert_eq!(
        patched(
            "\u{feff}a:\r\n- 1\r\nb: 2\r\n",
            json!([add("/a/-", json!({"x": [1]})), add("/c", json!("y"))])
        ),
        "\u{feff}a:\r\n- 1\r\n- x:\r\n  - 1\r\nb: 2\r\nc: \"y\"\r\n"
    );
}

#[test]
fn block_scalars_anchors_and_aliases_beside_an_edit_stay() {
    let text =
        "a: &x\n  k: v\nb: *x\nc: |\n  # no comment\n\n  text\nd:\n- e: >-\n    folded\n    text\n";
    assert_eq!(
        patched(
            text,
            json!([
                add("/d/-", json!(1)),
                add("/d/0/f", json!(2)),
                add("/g", json!(3))
            ])
        ),
        format!("{text}  f: 2\n- 1\ng: 3\n")
    );
}

#[test]
fn a_document_that_cannot_be_edited_in_place_is_rewritten_correctly() {
    // Editing the target of an alias would change both.
    let patch: Patch = serde_json::from_value(json!([add("/a/n", json!(1))])).unwrap();
    let patched = read("# c\na: &x {k: v}\nb: *x\n").unwrap()[0]
        .patched(&patch)
        .unwrap();
    assert!(patched.is_rewritten);
    assert_eq!(
        values(&patched.text),
        [json!({"a": {"k": "v", "n": 1}, "b": {"k": "v"}})]
    );
    // Replacing the alias itself would not.
    let patch: Patch = serde_json::from_value(json!([add("/b/o", json!(1))])).unwrap();
    let patched = read("a: &x {k: v}\nb: *x # c\n").unwrap()[0]
        .patched(&patch)
        .unwrap();
    assert_eq!(patched.text, "a: &x {k: v}\nb:\n  k: v\n  o: 1 # c\n");
}

#[test]
fn a_list_may_exceed_the_default_limit_of_the_library() {
    // The library's default limit is 250,000 nodes.
    let text = "- [0, 0, 0, 0, 0, 0, 0, 0, 0]\n".repeat(30_000);
    assert_eq!(values(&text)[0].as_array().map(Vec::len), Some(30_000));
}

/// Random maps and lists like those in manifests, often with names, and strings with special
/// characters of YAML.
fn any_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof!["[a-c]", "[ -~\n]{0,9}", "\\PC{0,4}", Just("0o7".to_owned())];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i16>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let named = ("[a-d]", "[a-c]", inner.clone());
        let named = named.prop_map(|(name, key, value)| json!({"name": name, key: value}));
        let key = prop_oneof!["[a-d]", text.clone()];
        prop_oneof![
            prop::collection::vec(named, 0..4).prop_map(Value::from),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// The value of the only document with content.
fn single_value(text: &str) -> Value {
    let mut values = values(text).into_iter();
    values.find(|value| !value.is_null()).unwrap_or_default()
}

proptest! {
    #[test]
    fn an_edited_text_has_the_new_value(
        old in any_value(),
        new in any_value(),
        style in 0..6u8,
    ) {
        let (old, new) = (json!({"a": old, "z": [old, 1]}), json!({"a": new, "b": new, "z": [old, new, 1]}));
        let yaml = |indents: bool| {
            let options = serde_saphyr::ser_options! { compact_list_indent: !indents };
            serde_saphyr::to_string_with_options(&old, options).unwrap()
        };
        let text = match style {
            0 => old.to_string(),
            1 => format!("{old:#}\n"),
            2 => format!("---\n{old:#}\n...\n"),
            3 => yaml(true),
            4 => format!("# c\n---\n{}# c\n", yaml(false)),
            _ => yaml(false).replace('\n', "\r\n"),
        };
        let documents = read(&text).unwrap();
        let document = documents.iter().find(|own| own.number() == 1).unwrap();
        let patch: Patch =
            serde_json::from_value(json!([{"op": "replace", "path": "", "value": new}])).unwrap();
        let patched = document.patched(&patch).unwrap();        prop_assert_eq!(single_value(&patched.text), new, "{}", patched.text);
    }

    #[test]
    fn every_text_is_its_documents(text in "(---|\\.\\.\\.|%|#|[a-b:{}\\[\\]'|>&*!?,\" -]|\r?\n|\\PC){0,60}") {
        if let Ok(documents) = read(&text) {
            let all: String = documents.iter().map(Document::text).collect();
            prop_assert_eq!(all, text);
        }
    }
}
