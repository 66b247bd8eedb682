//! Properties of the chart's pull-through cache.

use serde_json::Value;
use serde_json::json;
use tests::installation::chart::Rendered;
use tests::installation::product;
use tests::installation::world::TestResult;

use crate::chart::parts::alerts;

/// The webhook mounts the CA without the key, and injects it with the address.
pub(crate) fn the_cache_is_the_last_of_the_settings_and_its_ca_a_file_of_the_webhook() -> TestResult
{
    let own = json!({"url": "https://cache.example"});
    let selector = json!({"matchLabels": {"team": "web"}});
    let rendered = Rendered::with(&json!({
        "cache": {
            "enabled": true, "allowedHosts": ["git.example"], "clusterDomain": "corp",
            "trust": "full", "maxStaleness": "30m", "namespaceSelector": selector,
        },
        "settings": {"cache": [own]},
    }))?;
    let text = rendered.one("ConfigMap/gitvolume")?["data"]["settings.yaml"].clone();
    let settings: Value = serde_saphyr::from_str(text.as_str().ok_or("no settings")?)?;
    let host = format!("gitvolume-cache.{}.svc.corp", product::NAMESPACE);
    assert_eq!(
        settings["cache"],
        json!([own, {
            "url": format!("https://{host}:8443"), "trust": "full",
            "maxStaleness": "30m", "caBundleFile": "/etc/gitvolume-cache/ca.crt", "namespaceSelector": selector,
        }])
    );
    let spec = &rendered.one("Deployment")?["spec"]["template"]["spec"];
    let mounts = &spec["containers"][0]["volumeMounts"];
    let mount = json!({"name": "cache-ca", "mountPath": "/etc/gitvolume-cache", "readOnly": true});
    assert!(
        mounts.as_array().ok_or("no mounts")?.contains(&mount),
        "{mounts}"
    );
    let volumes = spec["volumes"].as_array().ok_or("no volumes")?;
    let volume = volumes.iter().find(|volume| volume["name"] == "cache-ca");
    let items = &volume.ok_or("no volume")?["secret"]["items"];
    assert_eq!(*items, json!([{"key": "ca.crt", "path": "ca.crt"}]));
    Ok(())
}

/// Another test compares the table of docs/cache.md with the metrics of the program.
pub(crate) fn the_alerts_of_the_cache_are_rendered_with_it_and_use_its_metrics() -> TestResult {
    let job = "gitvolume-cache-replicas";
    alerts::are_rendered_only_if_enabled(
        "cache",
        job,
        "docs/cache.md",
        &|is_enabled| json!({"cache": {"enabled": is_enabled, "allowedHosts": ["git.example"]}}),
    )
}

pub(crate) fn the_pods_of_the_cache_are_restricted_and_not_selected_as_the_webhooks() -> TestResult
{
    let enabled = json!({"cache": {"enabled": true, "allowedHosts": ["git.example"]}});
    for (flags, user) in [
        (&[][..], json!(65533)),
        (
            &["--api-versions=security.openshift.io/v1"][..],
            Value::Null,
        ),
    ] {
        let rendered = Rendered::with_flags(&enabled, flags)?;
        let pods = &rendered.one("StatefulSet")?["spec"]["template"];
        let security = &pods["spec"]["securityContext"];
        assert_eq!(security["runAsNonRoot"], true);
        assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault");
        for field in ["runAsUser", "runAsGroup", "fsGroup"] {
            assert_eq!(security[field], user, "{field}");
        }
        assert_eq!(
            pods["spec"]["containers"][0]["securityContext"],
            json!({
                "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            })
        );
        // Each selector of the webhook's objects requires another name than that of these Pods.
        let own = &pods["metadata"]["labels"];
        for (object, at) in [
            ("Deployment", "/spec/selector/matchLabels"),
            ("Service/gitvolume", "/spec/selector"),
            ("Service/gitvolume-metrics", "/spec/selector"),
            ("NetworkPolicy/gitvolume", "/spec/podSelector/matchLabels"),
            (
                "PodDisruptionBudget/gitvolume",
                "/spec/selector/matchLabels",
            ),
        ] {
            let selector = rendered.one(object)?.pointer(at).ok_or(object)?;
            let name = "app.kubernetes.io/name";
            assert!(
                selector[name].is_string() && selector[name] != own[name],
                "{object}"
            );
        }
    }
    Ok(())
}
