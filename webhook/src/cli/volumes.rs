//! The policy objects among manifests: what they give the Pods beside them.

use std::cell::RefCell;
use std::collections::BTreeMap;

use inject::GitVolume;
use inject::Namespace;
use inject::Settings;
use serde_json::Value;

use crate::cli::documents;
use crate::cli::files::File;
use crate::cli::workloads::Object;
use crate::cli::workloads::objects;

/// What is known of namespaces from manifests alone.
#[derive(Debug, Default)]
pub struct Volumes {
    /// The objects, and the Namespaces.
    objects: Vec<Value>,
    /// Each read once.
    namespaces: RefCell<BTreeMap<String, Namespace>>,
}

impl Volumes {
    /// Those of all files: an object may be in another one than the Pods that get it. What cannot
    /// be read is told by whoever reads it for its own sake. An object without a namespace is in
    /// this one.
    pub fn of_files(files: &[File], namespace: Option<&str>) -> Self {
        let mut found = Vec::new();
        for file in files {
            // Most manifests have none, and are not read twice.
            if !["GitVolume", "Namespace"]
                .iter()
                .any(|kind| file.text.contains(kind))
            {
                continue;
            }
            let documents = documents::read(&file.text).unwrap_or_default();
            for document in &documents {
                let all = objects(document.value()).into_iter();
                let all = all.map(|object| placed(object.value, namespace));
                // What an API server refuses is not there for any Pod.
                found.extend(all.filter(|object| {
                    object["kind"] == "Namespace" || GitVolume::fits_schema(object)
                }));
            }
        }
        Self {
            objects: found,
            namespaces: RefCell::default(),
        }
    }

    /// What is known of a namespace.
    pub fn namespace(&self, name: &str) -> Namespace {
        let mut namespaces = self.namespaces.borrow_mut();
        let known = namespaces.entry(name.to_owned());
        known
            .or_insert_with(|| Namespace::of_manifests(name, &self.objects))
            .clone()
    }
}

/// What an API server, or the webhook, would refuse in an object of ours; nothing of any other.
pub fn judged(object: &Object<'_>, namespace: Option<&str>, settings: &Settings) -> Vec<String> {
    match is_ours(object) {
        true => GitVolume::refused_manifest(&placed(object.value, namespace), settings),
        false => Vec::new(),
    }
}

fn is_ours(object: &Object<'_>) -> bool {
    let version = object.value["apiVersion"].as_str().unwrap_or_default();
    version.starts_with(inject::PREFIX)
}

/// As `kubectl` would send it.
fn placed(object: &Value, namespace: Option<&str>) -> Value {
    let mut object = object.clone();
    let is_lost = object["kind"] == "GitVolume" && object["metadata"]["namespace"].is_null();
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
    fn objects_are_found_wherever_they_are_and_go_where_the_pods_go() {
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
        assert!(volumes.namespace("shop").is_covered);
    }

    #[test]
    fn what_is_wrong_with_an_object_is_told() {
        let documents = documents::read(&text("perod: 1s")).unwrap();
        let told: Vec<_> = documents
            .iter()
            .flat_map(|document| objects(document.value()))
            .map(|object| judged(&object, None, &Settings::new("syncer:1")))
            .collect();
        let odd = "GitVolume default/site: spec.perod: unknown field; did you mean period?";
        let expected = "ClusterGitVolume rules: spec.period: \"5 min\": expected a duration such \
            as 30s, 5m or 1h30m; write \"5m\"";
        assert_eq!(told[0], [odd]);
        assert_eq!(told[1], [expected]);
        assert!(told[2].is_empty());
    }
}
