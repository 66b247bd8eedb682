//! What the webhook knows of namespaces by its watches, here by a look.

use std::collections::BTreeMap;
use std::sync::Arc;

use inject::GitVolume;
use inject::Namespace;
use serde_json::Value;

use super::labels;
use crate::namespaces::USERS;

/// What is known of the namespaces of a cluster.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// By name: labels and annotations.
    namespaces: BTreeMap<String, (BTreeMap<String, String>, bool)>,
    volumes: Vec<Arc<GitVolume>>,
    /// The selectors of auto-injection, of each registration that has it.
    selectors: Vec<Value>,
}

impl Known {
    /// Takes note of a namespace, by its metadata.
    pub fn add_namespace(&mut self, namespace: &Value) {
        let metadata = &namespace["metadata"];
        let name = metadata["name"].as_str().unwrap_or_default();
        let hands_out_users = metadata["annotations"].get(USERS).is_some();
        let known = (texts(&metadata["labels"]), hands_out_users);
        self.namespaces.insert(name.to_owned(), known);
    }

    /// Takes note of a GitVolume or ClusterGitVolume.
    pub fn add_object(&mut self, object: &Value) {
        self.volumes.push(Arc::new(GitVolume::read(object)));
    }

    /// Takes note of a webhook for auto-injection.
    pub fn add_selector(&mut self, entry: &Value) {
        self.selectors.push(entry["namespaceSelector"].clone());
    }

    /// The labels of a namespace; of one that is not known those that every namespace has.
    pub fn labels(&self, name: &str) -> BTreeMap<String, String> {
        let known = self.namespaces.get(name);
        known.map(|(labels, _)| labels.clone()).unwrap_or_else(|| {
            let key = "kubernetes.io/metadata.name".to_owned();
            BTreeMap::from([(key, name.to_owned())])
        })
    }

    /// What the webhook knows of a namespace.
    pub fn namespace(&self, name: &str) -> Namespace {
        let labels = self.labels(name);
        let volumes = self.volumes.iter().filter(|own| own.covers(name, &labels));
        Namespace {
            hands_out_users: self.namespaces.get(name).is_some_and(|(_, users)| *users),
            is_covered: self
                .selectors
                .iter()
                .any(|selector| labels::selects(selector, &labels)),
            volumes: volumes.cloned().collect(),
        }
    }
}

/// The texts of a map such as labels.
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
    fn a_namespace_has_its_own_objects_and_the_clusters_that_are_for_it() {
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
        let told = |name: &str| {
            let namespace = known.namespace(name);
            let volumes = namespace.volumes.len();
            (namespace.is_covered, namespace.hands_out_users, volumes)
        };
        assert_eq!(told("shop"), (true, false, 2));
        assert_eq!(told("bank"), (false, true, 1));
        assert_eq!(told("nobody knows it"), (false, false, 1));
    }
}
