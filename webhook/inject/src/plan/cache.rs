//! The choice of the pull-through cache for a Pod's syncers.

use k8s_openapi::api::core::v1::PodSpec;

use crate::Cache;
use crate::Namespace;

/// The label with the namespace's name, which every namespace has.
const NAME: &str = "kubernetes.io/metadata.name";

/// The pull-through cache of a Pod's syncers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum CacheChoice<'a> {
    /// The settings have no cache for the namespace.
    #[default]
    None,
    /// A selector depends on labels of the namespace that are unknown. A later cache is not used
    /// either: its operator may be one that the namespace must not send credentials to.
    UnknownLabels,
    /// The Pod does not use the cluster's DNS, so it cannot resolve the cache's name.
    Unresolvable(&'a Cache),
    /// The syncers use this one.
    Use(&'a Cache),
}

impl<'a> CacheChoice<'a> {
    /// Chooses the first cache that selects the namespace `name`.
    pub(crate) fn new(
        caches: &'a [Cache],
        pod: &PodSpec,
        namespace: &Namespace,
        name: &str,
    ) -> Self {
        for cache in caches {
            let selector = cache.namespace_selector.selector();
            let label = |key: &str| {
                let of_watch = namespace.labels.as_ref().and_then(|labels| labels.get(key));
                let label = of_watch.map(String::as_str);
                label.or((key == NAME).then_some(name))
            };
            if namespace.labels.is_none() && !selector.is_about(NAME) {
                return Self::UnknownLabels;
            }
            if selector.matches(label) {
                return match needs_cluster_dns(cache) && !has_cluster_dns(pod) {
                    true => Self::Unresolvable(cache),
                    false => Self::Use(cache),
                };
            }
        }
        Self::None
    }

    /// The cache that is used.
    pub(crate) fn used(self) -> Option<&'a Cache> {
        match self {
            Self::Use(cache) => Some(cache),
            Self::None | Self::UnknownLabels | Self::Unresolvable(_) => None,
        }
    }
}

/// Whether the cache's host is a Service's name: `NAME.NAMESPACE.svc`, with or without the domain of
/// the cluster.
fn needs_cluster_dns(cache: &Cache) -> bool {
    let mut labels = cache.url.host_str().unwrap_or_default().split('.');
    labels.nth(2) == Some("svc")
}

/// Whether the kubelet gives the Pod the cluster's DNS. With `None` the Pod names its servers
/// itself, and they may be the cluster's.
fn has_cluster_dns(pod: &PodSpec) -> bool {
    match pod.dns_policy.as_deref() {
        Some("Default") => false,
        Some("ClusterFirstWithHostNet" | "None") => true,
        Some(_) | None => pod.host_network != Some(true),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use serde_json::Value;
    use serde_json::json;

    use super::*;
    use crate::Settings;

    /// The chosen cache, for a Pod with this spec in the namespace `shop` with these labels.
    fn chosen(caches: Value, spec: Value, labels: Option<&[(&str, &str)]>) -> String {
        let settings = json!({"image": "syncer:1", "cache": caches});
        let settings: Settings = serde_json::from_value(settings).unwrap();
        let mut pod: PodSpec = serde_json::from_value(json!({"containers": []})).unwrap();
        pod.dns_policy = spec["dnsPolicy"].as_str().map(str::to_owned);
        pod.host_network = spec["hostNetwork"].as_bool();
        let text = |text: &str| text.to_owned();
        let labels = labels.map(|labels| {
            let labels = labels.iter().map(|(key, value)| (text(key), text(value)));
            Arc::new(labels.collect::<BTreeMap<_, _>>())
        });
        let namespace = Namespace {
            labels,
            ..Namespace::default()
        };
        match CacheChoice::new(&settings.cache, &pod, &namespace, "shop") {
            CacheChoice::None => "none".to_owned(),
            CacheChoice::UnknownLabels => "unknown".to_owned(),
            CacheChoice::Unresolvable(cache) => format!("unresolvable {cache}"),
            CacheChoice::Use(cache) => cache.to_string(),
        }
    }

    #[test]
    fn the_first_cache_whose_selector_matches_the_namespace_is_used() {
        let caches = json!([
            {"url": "https://a.example", "namespaceSelector": {"matchLabels": {"team": "a"}}},
            {"url": "https://all.example:8443"},
        ]);
        let pod = json!({});
        let with = |labels| chosen(caches.clone(), pod.clone(), labels);
        assert_eq!(with(Some(&[("team", "a")])), "https://a.example");
        assert_eq!(with(Some(&[("team", "b")])), "https://all.example:8443");
        assert_eq!(with(None), "unknown", "a may be the cache of the tenant");
        assert_eq!(chosen(json!([]), pod, None), "none");
    }

    #[test]
    fn a_selector_by_name_needs_no_labels() {
        let by_name = |operator: &str| {
            let names = json!({"key": NAME, "operator": operator, "values": ["shop"]});
            json!([{"url": "https://a.example", "namespaceSelector": {"matchExpressions": [names]}}])
        };
        assert_eq!(chosen(by_name("In"), json!({}), None), "https://a.example");
        assert_eq!(chosen(by_name("NotIn"), json!({}), None), "none");
    }

    #[test]
    fn a_pod_without_the_dns_of_the_cluster_uses_no_cache_that_is_a_service() {
        for (spec, is_used) in [
            (json!({}), true),
            (json!({"dnsPolicy": "ClusterFirst"}), true),
            (json!({"dnsPolicy": "None"}), true),
            (json!({"dnsPolicy": "Default"}), false),
            (
                json!({"dnsPolicy": "ClusterFirst", "hostNetwork": true}),
                false,
            ),
            (
                json!({"dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": true}),
                true,
            ),
        ] {
            let service = json!([{"url": "https://cache.ops.svc.cluster.local:8443"}]);
            let service = chosen(service, spec.clone(), None);
            assert_eq!(service.starts_with("https:"), is_used, "{spec}: {service}");
            let other = json!([{"url": "https://cache.example"}]);
            let other = chosen(other, spec.clone(), None);
            assert_eq!(other, "https://cache.example", "{spec}");
        }
    }
}
