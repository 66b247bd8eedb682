use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;

use crate::GitVolume;
use crate::PREFIX;

/// Facts about a Pod's namespace that the Pod does not contain. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Namespace {
    /// Whether the namespace assigns UID ranges, as OpenShift's do
    /// (`openshift.io/sa.scc.uid-range`): a UID that the webhook sets would be refused, and
    /// OpenShift sets one of the range where there is none.
    pub has_uid_range: bool,
    /// Its labels; `None` where they are unknown.
    pub labels: Option<Arc<BTreeMap<String, String>>>,
    /// Whether objects select Pods here: the namespace has the label of auto-injection, or all
    /// namespaces count as labelled. If not, a Pod gets only the objects that it names with
    /// `gitvolume.dev/use`.
    pub is_auto_injected: bool,
    /// The GitVolumes of the namespace and the ClusterGitVolumes for it ([`GitVolume::covers`]),
    /// accepted or not, in any order.
    pub volumes: Arc<[Arc<GitVolume>]>,
}

/// OpenShift's annotation with the UID range of a namespace.
const USERS: &str = "openshift.io/sa.scc.uid-range";

impl Namespace {
    /// The namespace as manifests describe it, without a cluster: the objects among them, and the
    /// labels of the Namespace itself. Where the manifests do not include the Namespace,
    /// auto-injection is assumed.
    pub fn of_manifests<'a>(name: &str, objects: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut own = None;
        let mut volumes = Vec::new();
        for object in objects {
            let is_ours = object["apiVersion"]
                .as_str()
                .is_some_and(|version| version.starts_with(PREFIX));
            match object["kind"].as_str() {
                Some("GitVolume" | "ClusterGitVolume") if is_ours => {
                    // An object without a namespace is applied to the same one as the Pod.
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
        // The label that the API server sets.
        labels.insert("kubernetes.io/metadata.name".to_owned(), name.to_owned());
        volumes.retain(|volume| volume.covers(name, &labels));
        let label = labels.get(&format!("{PREFIX}auto-inject"));
        Self {
            labels: own.map(|_| Arc::new(labels.clone())),
            has_uid_range: metadata("annotations").is_some_and(|all| all.contains_key(USERS)),
            is_auto_injected: own.is_none() || label.is_some_and(|label| label == "enabled"),
            volumes: volumes.into(),
        }
    }

    /// Adds the evidence in the Pod itself: OpenShift's own admission runs before the webhook and
    /// marks each Pod for which it has set a user.
    pub(crate) fn of_pod(&self, annotations: Option<&Map<String, Value>>) -> Self {
        let is_marked = annotations.is_some_and(|all| all.contains_key("openshift.io/scc"));
        Self {
            has_uid_range: self.has_uid_range || is_marked,
            ..self.clone()
        }
    }
}
