//! The objects in a document, and the Pods in them.

use inject::pod_template;
use serde_json::Value;

/// An object of a document: the document itself, or an item of a list in it.
#[derive(Clone, Debug)]
pub struct Object<'a> {
    /// Where it is, a JSON pointer from the document's root.
    pub at: String,
    /// The object.
    pub value: &'a Value,
    /// Where its Pod is, a JSON pointer from the object; `None` where it makes none.
    pub pod: Option<&'static str>,
}

/// Finds the objects of a document, in order: itself, or what is in it where it is a List of any
/// kind or a JSON array, however deep.
pub fn objects(document: &Value) -> Vec<Object<'_>> {
    let mut objects = Vec::new();
    collect(document, String::new(), &mut objects);
    objects
}

fn collect<'a>(value: &'a Value, at: String, objects: &mut Vec<Object<'a>>) {
    let (items, prefix) = match value {
        Value::Array(items) => (Some(items), at.clone()),
        Value::Object(members) => {
            let kind = members.get("kind").and_then(Value::as_str);
            let is_list = kind.is_some_and(|kind| kind.ends_with("List"));
            let items = members.get("items").filter(|_| is_list);
            (items.and_then(Value::as_array), format!("{at}/items"))
        }
        _ => return,
    };
    match items {
        Some(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, format!("{prefix}/{index}"), objects);
            }
        }
        None => objects.push(Object {
            at,
            pod: pod_template(value),
            value,
        }),
    }
}

impl Object<'_> {
    /// Where the object's Pod is, a JSON pointer from the document's root.
    pub fn pod_pointer(&self) -> Option<String> {
        self.pod.map(|pod| format!("{}{pod}", self.at))
    }

    /// The object's namespace, where it says one.
    pub fn namespace(&self) -> Option<&str> {
        self.metadata("namespace")
    }

    /// How a person calls it: `Kind namespace/name`.
    pub fn name(&self) -> String {
        let kind = self.value.get("kind").and_then(Value::as_str);
        let name = self.metadata("name").or(self.metadata("generateName"));
        let mut called = kind.unwrap_or("object").to_owned();
        called.push(' ');
        if let Some(namespace) = self.namespace() {
            called.push_str(namespace);
            called.push('/');
        }
        called.push_str(name.unwrap_or("without a name"));
        called
    }

    fn metadata(&self, key: &str) -> Option<&str> {
        let text = self.value.get("metadata")?.get(key)?.as_str()?;
        Some(text).filter(|text| !text.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_may_hold_anything_and_each_other() {
        let pod = |name: &str| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "shop"}});
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"generateName": "j-"},
            "spec": {"template": {"spec": {}}},
        });
        let list = json!([
            {"apiVersion": "v1", "kind": "List", "items": [pod("a"), job]},
            {"apiVersion": "v1", "kind": "PodList", "items": [pod("b")]},
            {"apiVersion": "v1", "kind": "ConfigMap", "items": [pod("c")]},
        ]);
        let found: Vec<(String, Option<String>)> = objects(&list)
            .iter()
            .map(|object| (object.name(), object.pod_pointer()))
            .collect();
        let at = |at: &str| Some(at.to_owned());
        assert_eq!(
            found,
            [
                ("Pod shop/a".to_owned(), at("/0/items/0")),
                ("Job j-".to_owned(), at("/0/items/1/spec/template")),
                ("Pod shop/b".to_owned(), at("/1/items/0")),
                ("ConfigMap without a name".to_owned(), None),
            ]
        );
        assert!(objects(&json!("text")).is_empty());
    }
}
