//! Default names of Knative containers. A manifest may omit them; Knative sets them in the Pod
//! (`user-container`, `user-container-1`, …), where annotations refer to them.

use serde_json::Value;

use crate::manifests::workloads::Object;

const CONTAINERS: &str = "/spec/containers";

/// The Pod template of an object with Knative's default names.
pub fn with_names(object: &Object<'_>, pod: &Value) -> Value {
    let mut pod = pod.clone();
    let version = object.value["apiVersion"].as_str().unwrap_or_default();
    if version.starts_with("serving.knative.dev/") {
        let containers = pod.pointer_mut(CONTAINERS).and_then(Value::as_array_mut);
        for (index, container) in containers.into_iter().flatten().enumerate() {
            if is_unnamed(container) && container.is_object() {
                container["name"] = match index {
                    0 => "user-container".into(),
                    index => format!("user-container-{index}").into(),
                };
            }
        }
    }
    pod
}

/// Removes the names that the manifest does not have.
pub fn without_names(pod: &mut Value, manifest: &Value) {
    let theirs = manifest.pointer(CONTAINERS).and_then(Value::as_array);
    let own = pod.pointer_mut(CONTAINERS).and_then(Value::as_array_mut);
    for (own, theirs) in own.into_iter().flatten().zip(theirs.into_iter().flatten()) {
        if let Some(own) = own.as_object_mut()
            && is_unnamed(theirs)
        {
            match theirs.get("name") {
                Some(name) => own.insert("name".to_owned(), name.clone()),
                None => own.remove("name"),
            };
        }
    }
}

fn is_unnamed(container: &Value) -> bool {
    container["name"].as_str().unwrap_or_default().is_empty()
}
