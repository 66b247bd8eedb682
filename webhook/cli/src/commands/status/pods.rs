//! The Pods that `status` and `wait` apply to.

use inject::Kind;
use inject::Role;
use inject::injected_objects;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::ListParams;
use kube::core::Selector;
use serde_json::Value;
use serde_json::json;

use crate::live::ClusterReader;
use crate::live::Part;
use crate::live::Unavailable;
use crate::live::named;
use crate::live::path_of;

/// Which Pods.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// The Pods with a repository in one namespace.
    Namespace(String),
    /// The Pods with a repository in all namespaces.
    Everywhere,
    /// One Pod, or the Pods of one workload.
    Workload {
        /// `KIND/NAME`, as typed.
        name: String,
        /// The kind in a manifest.
        kind: &'static str,
        /// The API path of the object.
        uri: String,
        /// Its namespace.
        namespace: String,
    },
    /// The Pods that were injected from a GitVolume or ClusterGitVolume.
    Volume {
        /// The kind.
        kind: Kind,
        /// The object as a Pod's status annotation records it.
        object: String,
        /// The namespace of a GitVolume.
        namespace: Option<String>,
    },
}

impl Target {
    /// The Pods of `KIND/NAME`; an error if that is no name of a Pod, a workload or a GitVolume.
    pub fn of_object(name: &str, namespace: &str) -> anyhow::Result<Self> {
        if let Some(kind) = named::volume_kind(name) {
            let own = named::name(name, namespace)?;
            return Ok(match kind {
                Kind::GitVolume => Self::Volume {
                    kind,
                    object: format!("{kind} {namespace}/{own}"),
                    namespace: Some(namespace.to_owned()),
                },
                Kind::ClusterGitVolume => Self::Volume {
                    kind,
                    object: format!("{kind} {own}"),
                    namespace: None,
                },
            });
        }
        let (kind, uri) = named::path(name, namespace)?;
        Ok(Self::Workload {
            name: name.to_owned(),
            kind,
            uri,
            namespace: namespace.to_owned(),
        })
    }

    /// Whether a Pod that has ended still counts: the Pods of a Job end, and those of other
    /// workloads are replaced.
    fn has_ended_pods(&self) -> bool {
        matches!(self, Self::Workload { kind, .. } if ["Pod", "Job"].contains(kind))
    }
}

/// Lists the Pods of a target, without those being deleted. Of a workload also Pods without a
/// gitvolume container are listed: they should have one.
pub async fn list(live: &ClusterReader, target: &Target) -> anyhow::Result<Vec<Value>> {
    let (namespace, selectors) = match target {
        Target::Everywhere => (None, ListParams::default()),
        Target::Namespace(namespace) => (Some(namespace), ListParams::default()),
        Target::Volume { namespace, .. } => (namespace.as_ref(), ListParams::default()),
        Target::Workload {
            name,
            kind,
            uri,
            namespace,
        } => {
            let object = live.get(uri).await;
            let object = object
                .map_err(|error| anyhow::anyhow!("{name} in the namespace {namespace}: {error}"))?;
            if *kind == "Pod" {
                return Ok(vec![object]);
            }
            let selector = selector(&object).ok_or_else(|| {
                anyhow::anyhow!(
                    "{name}: expected a Pod, a GitVolume or a workload with a selector of Pods, \
                     such as deploy/web or job/build"
                )
            })?;
            let selectors = ListParams::default().labels_from(&selector);
            (Some(namespace), selectors)
        }
    };
    let mut pods = Vec::new();
    let each = |pod: Value| {
        if is_meant(&pod, target) {
            pods.push(pod);
        }
    };
    let path = path_of::<core::Pod>(namespace.map(String::as_str));
    let listed = live.list(&path, selectors, Part::Whole, each).await;
    listed.map_err(|error: Unavailable| anyhow::anyhow!("the Pods cannot be listed: {error}"))?;
    Ok(pods)
}

/// The label selector of a workload; `None` if it has none.
fn selector(object: &Value) -> Option<Selector> {
    let selector = object["spec"].get("selector")?;
    // A ReplicationController's selector is a map of labels.
    let selector = match selector
        .get("matchLabels")
        .or(selector.get("matchExpressions"))
    {
        Some(_) => selector.clone(),
        None => json!({"matchLabels": selector}),
    };
    let selector: LabelSelector = serde_json::from_value(selector).ok()?;
    let selector = Selector::try_from(selector).ok()?;
    // An empty one would select every Pod.
    (!selector.selects_all()).then_some(selector)
}

fn is_meant(pod: &Value, target: &Target) -> bool {
    let is_over = matches!(
        pod["status"]["phase"].as_str(),
        Some("Succeeded" | "Failed")
    );
    if is_over && !target.has_ended_pods() || pod["metadata"].get("deletionTimestamp").is_some() {
        return false;
    }
    match target {
        Target::Workload { .. } => true,
        Target::Volume { object, .. } => injected_objects(pod).contains(object),
        Target::Namespace(_) | Target::Everywhere => {
            let containers = pod["spec"]["initContainers"].as_array();
            let names = containers.into_iter().flatten();
            let mut names = names.filter_map(|own| own["name"].as_str());
            names.any(Role::is_container_name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(phase: &str, containers: &[&str]) -> Value {
        let containers: Vec<Value> = containers.iter().map(|own| json!({"name": own})).collect();
        json!({
            "metadata": {"name": "web", "annotations": {"gitvolume.dev/status": json!({
                "objects": [{"kind": "GitVolume", "namespace": "shop", "name": "site", "said": {}}],
            }).to_string()}},
            "spec": {"initContainers": containers},
            "status": {"phase": phase},
        })
    }

    #[test]
    fn pods_of_a_namespace_have_a_syncer_and_pods_of_a_gitvolume_are_injected_from_it() {
        let everywhere = Target::Everywhere;
        assert!(is_meant(&pod("Running", &["gitvolume"]), &everywhere));
        assert!(!is_meant(&pod("Running", &["migrate"]), &everywhere));
        assert!(!is_meant(&pod("Succeeded", &["gitvolume"]), &everywhere));
        let mut deleted = pod("Running", &["gitvolume"]);
        deleted["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert!(!is_meant(&deleted, &everywhere));
        let of = |name: &str, namespace: &str| Target::of_object(name, namespace).unwrap();
        let injected = pod("Running", &["gitvolume"]);
        assert!(is_meant(&injected, &of("gv/site", "shop")));
        assert!(!is_meant(&injected, &of("gv/site", "bank")));
        assert!(!is_meant(&injected, &of("cgv/site", "shop")));
    }

    #[test]
    fn ended_pods_count_for_a_job_and_not_for_a_deployment() {
        let of = |name: &str| Target::of_object(name, "shop").unwrap();
        let ended = pod("Succeeded", &["gitvolume-once"]);
        assert!(is_meant(&ended, &of("job/build")));
        assert!(!is_meant(&ended, &of("deploy/web")));
        assert!(is_meant(&pod("Running", &[]), &of("deploy/web")));
        assert!(Target::of_object("service/web", "shop").is_err());
    }

    #[test]
    fn an_empty_selector_is_not_taken_for_every_pod() {
        let labels = |spec: Value| selector(&json!({ "spec": spec })).map(|own| own.to_string());
        assert_eq!(
            labels(json!({"selector": {"matchLabels": {"app": "web"}}})).as_deref(),
            Some("app=web")
        );
        assert_eq!(
            labels(json!({"selector": {"app": "web"}})).as_deref(),
            Some("app=web")
        );
        for spec in [
            json!({}),
            json!({"selector": {}}),
            json!({"selector": null}),
        ] {
            assert_eq!(labels(spec), None);
        }
    }
}
