use super::*;
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
fn what_is_no_yaml_is_told_by_its_line_and_not_by_its_words() {
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
