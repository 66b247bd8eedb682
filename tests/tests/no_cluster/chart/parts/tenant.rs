//! The chart without the webhook, as a tenant installs it.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;
use tests::installation::chart::Rendered;
use tests::installation::product;
use tests::installation::world::TestResult;

/// A tenant has no permissions outside of the namespace, and cannot grant any in it.
pub(crate) fn without_the_webhook_no_object_is_cluster_wide_and_none_grants_a_right() -> TestResult
{
    let on = json!({"enabled": true});
    let rendered = Rendered::with(&json!({
        "webhook": {"enabled": false},
        "tls": {"mode": "cert-manager"},
        "cache": {"enabled": true, "allowedHosts": ["git.example"], "serviceMonitor": true},
        "push": {
            "enabled": true, "secretName": "push", "wake": {"acme": ["https://git.example/acme"]},
            "serviceMonitor": true,
        },
        "metrics": {"serviceMonitor": on, "prometheusRule": on, "dashboard": on},
    }))?;
    let name = |object: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        format!(
            "{}/{}",
            text(&object["kind"]),
            text(&object["metadata"]["name"])
        )
    };
    let found: BTreeSet<String> = rendered.all().iter().map(name).collect();
    let expected = [
        "Certificate/gitvolume-cache-tls",
        "Certificate/gitvolume-issuer",
        "ConfigMap/gitvolume-dashboard",
        "Deployment/gitvolume-push",
        "Issuer/gitvolume",
        "Issuer/gitvolume-selfsigned",
        "NetworkPolicy/gitvolume-cache",
        "NetworkPolicy/gitvolume-push",
        "PodDisruptionBudget/gitvolume-cache",
        "PodDisruptionBudget/gitvolume-push",
        "PrometheusRule/gitvolume",
        "Secret/gitvolume-cache-wake",
        "Service/gitvolume-cache",
        "Service/gitvolume-cache-replicas",
        "Service/gitvolume-push",
        "ServiceAccount/gitvolume-cache",
        "ServiceAccount/gitvolume-push",
        "ServiceMonitor/gitvolume-cache",
        "ServiceMonitor/gitvolume-push",
        "StatefulSet/gitvolume-cache",
    ];
    assert_eq!(found, expected.map(str::to_owned).into());
    for object in rendered.all() {
        assert_eq!(
            object["metadata"]["namespace"],
            product::NAMESPACE,
            "{object}"
        );
    }
    let rules = rendered.one("PrometheusRule")?["spec"]["groups"][0]["rules"].to_string();
    assert!(!rules.contains("gitvolume_webhook_"), "{rules}");
    Ok(())
}

/// As docs/cache.md has it: with the tenant's own Secret, the chart needs no cert-manager.
pub(crate) fn a_tenants_own_certificate_needs_no_issuer() -> TestResult {
    let rendered = Rendered::with(&json!({
        "webhook": {"enabled": false},
        "cache": {"enabled": true, "allowedHosts": ["git.example"], "tls": {"secretName": "own"}},
    }))?;
    let volumes = &rendered.one("StatefulSet")?["spec"]["template"]["spec"]["volumes"];
    let sources = &volumes[0]["projected"]["sources"];
    assert_eq!(sources[0]["secret"]["name"], "own");
    for kind in ["Certificate", "Issuer", "Secret", "Deployment"] {
        assert!(rendered.of_kind(kind).is_empty(), "{kind}");
    }
    Ok(())
}
