use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;

use crate::GitVolume;
use crate::PREFIX;

/// What is known of a Pod's namespace, besides its name: what no Pod tells. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Namespace {
    /// Whether the namespace hands out ranges of users, as OpenShift's do
    /// (`openshift.io/sa.scc.uid-range`): a number of ours is then refused, and one of its own is
    /// filled in where there is none.
    pub hands_out_users: bool,
    /// Whether objects choose Pods here by their selectors: the label of auto-injection is on the
    /// namespace, or all namespaces have it. Where they do not, a Pod gets those that it names with
    /// `gitvolume.dev/use`, and no other.
    pub is_covered: bool,
    /// The GitVolumes of the namespace and the ClusterGitVolumes that are for it
    /// ([`GitVolume::covers`]), accepted or not, in any order.
    pub volumes: Arc<[Arc<GitVolume>]>,
}

/// OpenShift's range of users for the Pods of a namespace.
const USERS: &str = "openshift.io/sa.scc.uid-range";

impl Namespace {
    /// What manifests say of a namespace, for whoever has no cluster to ask: the objects among
    /// them, and the labels of the Namespace itself. Where that is not among them, it is taken for
    /// one that objects choose Pods in.
    pub fn of_manifests<'a>(name: &str, objects: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut own = None;
        let mut volumes = Vec::new();
        for object in objects {
            let is_ours = object["apiVersion"]
                .as_str()
                .is_some_and(|version| version.starts_with(PREFIX));
            match object["kind"].as_str() {
                Some("GitVolume" | "ClusterGitVolume") if is_ours => {
                    // Without a namespace it goes where the others go.
                    let mut object = object.clone();
                    if object["kind"] == "GitVolume" && object["metadata"]["namespace"].is_null() {
                        object["metadata"]["namespace"] = Value::from(name);
                    }
                    volumes.push(Arc::new(GitVolume::read(&object)));
                }
                Some("Namespace") if object["metadata"]["name"] == name => own = Some(object),
                _ => {}
            }
        }
        let metadata = |key: &str| own.and_then(|own| own["metadata"][key].as_object());
        let mut labels: BTreeMap<String, String> = metadata("labels")
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect();
        // The API server's own.
        labels.insert("kubernetes.io/metadata.name".to_owned(), name.to_owned());
        volumes.retain(|volume| volume.covers(name, &labels));
        let label = labels.get(&format!("{PREFIX}auto-inject"));
        Self {
            hands_out_users: metadata("annotations").is_some_and(|all| all.contains_key(USERS)),
            is_covered: own.is_none() || label.is_some_and(|label| label == "enabled"),
            volumes: volumes.into(),
        }
    }

    /// Adds what the Pod itself shows: OpenShift's own admission comes before ours, and leaves its
    /// mark on each Pod that it has given a user.
    pub(crate) fn of_pod(&self, annotations: Option<&Map<String, Value>>) -> Self {
        let is_marked = annotations.is_some_and(|all| all.contains_key("openshift.io/scc"));
        Self {
            hands_out_users: self.hands_out_users || is_marked,
            ..self.clone()
        }
    }
}
