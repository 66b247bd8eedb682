//! The kinds that are read, and their API paths.

use inject::Kind;

/// A kind of Kubernetes or of a CRD.
#[derive(Clone, Copy, Debug)]
pub struct Resource {
    /// The names that kubectl accepts besides the plural.
    pub names: &'static [&'static str],
    /// The path of the API group.
    pub api: &'static str,
    /// The plural name in that path.
    pub plural: &'static str,
    /// The kind in a manifest.
    pub kind: &'static str,
}

const APPS: &str = "/apis/apps/v1";
const BATCH: &str = "/apis/batch/v1";
const CORE: &str = "/api/v1";

/// Pods.
pub const PODS: Resource = resource(&["pod", "po"], CORE, "pods", "Pod");

/// The kinds whose controllers create Pods.
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

/// The path of gitvolume's API group.
pub fn our_api() -> String {
    format!("/apis/{}/{}", Kind::GROUP, Kind::VERSION)
}

/// The API path of GitVolumes or ClusterGitVolumes that apply to a namespace, or to any.
pub fn our_objects(kind: Kind, namespace: Option<&str>) -> String {
    let (api, plural) = (our_api(), kind.plural());
    match (kind, namespace) {
        (Kind::GitVolume, Some(namespace)) => format!("{api}/namespaces/{namespace}/{plural}"),
        (Kind::GitVolume, None) | (Kind::ClusterGitVolume, _) => format!("{api}/{plural}"),
    }
}
