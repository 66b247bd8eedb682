//! The kinds that are looked at, and where the API has them.

use inject::Kind;

/// A kind of Kubernetes' own, or of others.
#[derive(Clone, Copy, Debug)]
pub struct Resource {
    /// The names that kubectl takes beside the plural.
    pub names: &'static [&'static str],
    /// The API's path.
    pub api: &'static str,
    /// The kind in that path.
    pub plural: &'static str,
    /// The kind in a manifest.
    pub kind: &'static str,
}

const APPS: &str = "/apis/apps/v1";
const BATCH: &str = "/apis/batch/v1";
const CORE: &str = "/api/v1";

/// Pods.
pub const PODS: Resource = resource(&["pod", "po"], CORE, "pods", "Pod");

/// The kinds whose controllers make Pods.
pub const WORKLOADS: [Resource; 9] = [
    resource(&["deployment", "deploy"], APPS, "deployments", "Deployment"),
    resource(&["statefulset", "sts"], APPS, "statefulsets", "StatefulSet"),
    resource(&["daemonset", "ds"], APPS, "daemonsets", "DaemonSet"),
    resource(&["replicaset", "rs"], APPS, "replicasets", "ReplicaSet"),
    resource(&["job"], BATCH, "jobs", "Job"),
    resource(&["cronjob", "cj"], BATCH, "cronjobs", "CronJob"),
    resource(
        &["replicationcontroller", "rc"],
        CORE,
        "replicationcontrollers",
        "ReplicationController",
    ),
    resource(&["podtemplate"], CORE, "podtemplates", "PodTemplate"),
    resource(
        &["rollout", "ro"],
        "/apis/argoproj.io/v1alpha1",
        "rollouts",
        "Rollout",
    ),
];

const fn resource(
    names: &'static [&'static str],
    api: &'static str,
    plural: &'static str,
    kind: &'static str,
) -> Resource {
    Resource {
        names,
        api,
        plural,
        kind,
    }
}

/// The path of our own kinds.
pub fn our_api() -> String {
    format!("/apis/{}/{}", Kind::GROUP, Kind::VERSION)
}

/// The path of the objects of a kind of ours that are for a namespace, or for any.
pub fn our_objects(kind: Kind, namespace: Option<&str>) -> String {
    let (api, plural) = (our_api(), kind.plural());
    match (kind, namespace) {
        (Kind::GitVolume, Some(namespace)) => format!("{api}/namespaces/{namespace}/{plural}"),
        (Kind::GitVolume, None) | (Kind::ClusterGitVolume, _) => format!("{api}/{plural}"),
    }
}
