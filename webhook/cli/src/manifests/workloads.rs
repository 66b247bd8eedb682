//! The objects in a document, and the Pods in them.

use inject::is_embedded_object;
use inject::is_of_open_group;
use inject::pod_templates;
use serde_json::Value;

/// An object of a document: the document itself, or an item of a list in it.
#[derive(Clone, Debug)]
pub struct Object<'a> {
    /// The JSON pointer of the object, from the document's root.
    pub at: String,
    /// The object.
    pub value: &'a Value,
    /// The JSON pointers of its Pod templates, from the object; a Pod is its own template.
    pub pods: Vec<String>,
}

/// The objects of a document, in order: the document itself, or the items of a List of any kind or
/// of a JSON array, at any depth; and complete objects inside an object of a kind unknown to
/// Kubernetes, such as a Template of OpenShift.
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
        None => {
            let pods = pod_templates(value);
            objects.push(Object {
                at: at.clone(),
                pods,
                value,
            });
            if is_of_open_group(value) {
                embedded(value, &at, objects);
            }
        }
    }
}

fn embedded<'a>(value: &'a Value, at: &str, objects: &mut Vec<Object<'a>>) {
    let mut look = |token: &str, child: &'a Value| {
        let token = token.replace('~', "~0").replace('/', "~1");
        let at = format!("{at}/{token}");
        match is_embedded_object(child) {
            true => collect(child, at, objects),
            false => embedded(child, &at, objects),
        }
    };
    match value {
        Value::Object(members) => members.iter().for_each(|(key, child)| look(key, child)),
        Value::Array(items) => {
            for (index, child) in items.iter().enumerate() {
                look(&index.to_string(), child);
            }
        }
        _ => {}
    }
}

impl Object<'_> {
    /// The object's Pods and Pod templates, each with its JSON pointer.
    pub fn templates(&self) -> impl Iterator<Item = (&str, &Value)> {
        let pods = self.pods.iter();
        pods.filter_map(|at| Some((at.as_str(), self.value.pointer(at)?)))
    }

    /// The object's namespace, if it has one.
    pub fn namespace(&self) -> Option<&str> {
        self.metadata("namespace")
    }

    /// The display name: `Kind namespace/name`.
    pub fn name(&self) -> String {
        let kind = self.value.get("kind").and_then(Value::as_str);
        let name = self.metadata("name").or(self.metadata("generateName"));
        let mut called = kind.unwrap_or("no kind").to_owned();
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
    fn lists_may_contain_any_kind_and_be_nested() {
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
            .map(|object| {
                let pod = object.pods.first();
                (object.name(), pod.map(|pod| format!("{}{pod}", object.at)))
            })
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
        let template = json!({
            "apiVersion": "template.openshift.io/v1", "kind": "Template",
            "metadata": {"name": "t"}, "objects": [pod("d")],
        });
        let found: Vec<String> = objects(&template).iter().map(Object::name).collect();
        assert_eq!(found, ["Template t", "Pod shop/d"]);
    }
}
