use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;

use crate::GitVolume;

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

impl Namespace {
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
