//! The namespaces and objects of a cluster: the state that the webhook has from its watches, read
//! once here.

use std::collections::BTreeMap;
use std::sync::Arc;

use inject::GitVolume;
use inject::Namespace;
use serde_json::Value;

use super::labels;
use webhook::cluster::namespaces::USERS;

/// The namespaces of a cluster, with the objects and selectors that apply to them.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// By name: the labels, and whether the namespace has a UID range.
    namespaces: BTreeMap<String, (BTreeMap<String, String>, bool)>,
    volumes: Vec<Arc<GitVolume>>,
    /// The namespace selectors of the auto-injection webhooks, one per registration.
    selectors: Vec<Value>,
}

impl Known {
    /// Adds a namespace, by its metadata.
    pub fn add_namespace(&mut self, namespace: &Value) {
        let metadata = &namespace["metadata"];
        let name = metadata["name"].as_str().unwrap_or_default();
        let has_uid_range = metadata["annotations"].get(USERS).is_some();
        let known = (texts(&metadata["labels"]), has_uid_range);
        self.namespaces.insert(name.to_owned(), known);
    }

    /// Adds a GitVolume or ClusterGitVolume.
    pub fn add_object(&mut self, object: &Value) {
        self.volumes.push(Arc::new(GitVolume::read(object)));
    }

    /// Adds an auto-injection webhook.
    pub fn add_selector(&mut self, entry: &Value) {
        self.selectors.push(entry["namespaceSelector"].clone());
    }

    /// The labels of a namespace; for an unknown one those that every namespace has.
    pub fn labels(&self, name: &str) -> BTreeMap<String, String> {
        let known = self.namespaces.get(name);
        known.map(|(labels, _)| labels.clone()).unwrap_or_else(|| {
            let key = "kubernetes.io/metadata.name".to_owned();
            BTreeMap::from([(key, name.to_owned())])
        })
    }

    /// The namespace as the webhook sees it.
    pub fn namespace(&self, name: &str) -> Namespace {
        let labels = self.labels(name);
        let known = self.namespaces.get(name);
        let volumes = self.volumes.iter().filter(|own| own.covers(name, &labels));
        Namespace {
            labels: known.map(|(labels, _)| Arc::new(labels.clone())),
            has_uid_range: known.is_some_and(|(_, users)| *users),
            is_auto_injected: self
                .selectors
                .iter()
                .any(|selector| labels::selects(selector, &labels)),
            volumes: volumes.cloned().collect(),
        }
    }
}

/// The string members of a map such as labels.
pub fn texts(value: &Value) -> BTreeMap<String, String> {
    let members = value.as_object().into_iter().flatten();
    members
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_namespace_has_its_own_objects_and_the_cluster_objects_that_select_it() {
        let mut known = Known::default();
        let enabled = json!({"gitvolume.dev/auto-inject": "enabled"});
        known.add_namespace(&json!({"metadata": {"name": "shop", "labels": enabled}}));
        known.add_namespace(&json!({"metadata": {
            "name": "bank", "annotations": {"openshift.io/sa.scc.uid-range": "1/2"},
        }}));
        known.add_selector(&json!({"namespaceSelector": {"matchLabels": enabled}}));
        let spec = json!({"repo": "https://git.example/x.git"});
        let metadata = json!({"name": "site", "namespace": "shop"});
        known.add_object(&json!({"kind": "GitVolume", "metadata": metadata, "spec": spec}));
        let metadata = json!({"name": "all"});
        known.add_object(&json!({"kind": "ClusterGitVolume", "metadata": metadata, "spec": spec}));
        let view = |name: &str| {
            let namespace = known.namespace(name);
            let volumes = namespace.volumes.len();
            (namespace.is_auto_injected, namespace.has_uid_range, volumes)
        };
        assert_eq!(view("shop"), (true, false, 2));
        assert_eq!(view("bank"), (false, true, 1));
        assert_eq!(view("nobody knows it"), (false, false, 1));
    }
}
