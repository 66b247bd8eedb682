//! The policy objects among manifests, and their effect on the Pods in them.

use std::cell::RefCell;
use std::collections::BTreeMap;

use inject::GitVolume;
use inject::Namespace;
use inject::PREFIX;
use inject::Settings;
use serde_json::Value;

use crate::manifests::documents;
use crate::manifests::files::File;
use crate::manifests::limit_ranges::LimitRanges;
use crate::manifests::workloads::Object;
use crate::manifests::workloads::objects;

/// The namespaces, as far as the manifests describe them.
#[derive(Debug, Default)]
pub struct Volumes {
    /// The objects, the Namespaces and the LimitRanges.
    objects: Vec<Value>,
    /// Cache of the namespaces.
    namespaces: RefCell<BTreeMap<String, Namespace>>,
}

impl Volumes {
    /// The objects of all files: an object may be in another file than the Pods that get it. A text
    /// that cannot be parsed is reported when it is processed as a file. `namespace` is that of
    /// objects without one.
    pub fn of_files(files: &[File], namespace: Option<&str>) -> Self {
        let mut found = Vec::new();
        for file in files {
            // Most manifests have none of these kinds and are not parsed twice.
            if !["GitVolume", "LimitRange", "Namespace"]
                .iter()
                .any(|kind| file.text.contains(kind))
            {
                continue;
            }
            let documents = documents::read(&file.text).unwrap_or_default();
            for document in &documents {
                let all = objects(document.value()).into_iter();
                let all = all.map(|object| placed(object.value, namespace));
                // An object that the API server would reject has no effect on any Pod.
                found.extend(all.filter(|object| {
                    let is_kubernetes =
                        object["kind"] == "Namespace" || object["kind"] == "LimitRange";
                    is_kubernetes || GitVolume::fits_schema(object)
                }));
            }
        }
        Self {
            objects: found,
            namespaces: RefCell::default(),
        }
    }

    /// The limits that the API server applies to the Pods of a namespace.
    pub fn limits(&self, namespace: &str) -> LimitRanges {
        LimitRanges::of_namespace(namespace, &self.objects)
    }

    /// The state of a namespace.
    pub fn namespace(&self, name: &str) -> Namespace {
        let mut namespaces = self.namespaces.borrow_mut();
        let known = namespaces.entry(name.to_owned());
        known
            .or_insert_with(|| Namespace::of_manifests(name, &self.objects))
            .clone()
    }
}

/// The reasons why the API server or the webhook would reject a GitVolume or ClusterGitVolume;
/// empty for other kinds.
pub fn judged(object: &Object<'_>, namespace: Option<&str>, settings: &Settings) -> Vec<String> {
    match is_ours(object) {
        true => GitVolume::refused_manifest(&placed(object.value, namespace), settings),
        false => Vec::new(),
    }
}

/// The message about a Namespace whose auto-injection label has a value without effect.
pub fn unlabelled(object: &Object<'_>) -> Option<String> {
    let key = format!("{PREFIX}auto-inject");
    let value = object.value.pointer("/metadata/labels")?.get(&key)?;
    let is_off = ["disabled", "false", "no", "off"]
        .iter()
        .any(|off| value == off);
    let is_namespace = object.value["kind"] == "Namespace";
    (is_namespace && value != "enabled" && !is_off)
        .then(|| format!("{key}: {value}: expected enabled; the Namespace gets no auto-injection"))
}

fn is_ours(object: &Object<'_>) -> bool {
    let version = object.value["apiVersion"].as_str().unwrap_or_default();
    version.starts_with(PREFIX)
}

/// The object with its namespace set, as `kubectl` would send it.
fn placed(object: &Value, namespace: Option<&str>) -> Value {
    let mut object = object.clone();
    let is_of_one = object["kind"] == "GitVolume" || object["kind"] == "LimitRange";
    let is_lost = is_of_one && object["metadata"]["namespace"].is_null();
    if is_lost && object["metadata"].is_object() {
        object["metadata"]["namespace"] = Value::from(namespace.unwrap_or("default"));
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECTS: &str = "apiVersion: gitvolume.dev/v1alpha1\nkind: GitVolume\n\
        metadata: {name: site}\nspec: {repo: 'https://git.example/x', ODD}\n---\n\
        apiVersion: v1\nkind: List\nitems:\n\
        - {apiVersion: gitvolume.dev/v1alpha1, kind: ClusterGitVolume, metadata: {name: rules}, \
        spec: {period: 5 min}}\n---\n\
        apiVersion: other.example/v1\nkind: GitVolume\nmetadata: {name: other}\n";

    fn text(odd: &str) -> String {
        OBJECTS.replace("ODD", odd)
    }

    fn files() -> Vec<File> {
        vec![File {
            name: "x.yaml".to_owned(),
            text: text("period: 1s"),
            path: None,
        }]
    }

    #[test]
    fn objects_are_found_in_all_files_and_apply_to_pods_of_their_namespace() {
        let volumes = Volumes::of_files(&files(), Some("shop"));
        let names = |namespace: &str| -> Vec<String> {
            let namespace = volumes.namespace(namespace);
            namespace.volumes.iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            names("shop"),
            ["GitVolume shop/site", "ClusterGitVolume rules"]
        );
        assert_eq!(names("bank"), ["ClusterGitVolume rules"]);
        assert!(volumes.namespace("shop").is_auto_injected);
    }

    #[test]
    fn the_problems_of_an_object_are_reported() {
        let documents = documents::read(&text("perod: 1s")).unwrap();
        let problems: Vec<_> = documents
            .iter()
            .flat_map(|document| objects(document.value()))
            .map(|object| judged(&object, None, &Settings::new("syncer:1")))
            .collect();
        let odd = "GitVolume default/site: spec.perod: unknown field; did you mean period?";
        let expected = "ClusterGitVolume rules: spec.period: \"5 min\": expected a duration such \
            as 30s, 5m or 1h30m; write \"5m\"";
        assert_eq!(problems[0], [odd]);
        assert_eq!(problems[1], [expected]);
        assert!(problems[2].is_empty());
    }
}
