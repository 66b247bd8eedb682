//! Values that cannot be intended are rejected before the installation, with a message that names
//! them.

use serde_json::Value;
use serde_json::json;
use tests::installation::world::TestResult;

use crate::chart::documented;
use tests::installation::chart::file;
use tests::installation::chart::text;

/// The least values of the push receiver, with these over its own and over all.
fn push(own: Value, all: Value) -> Value {
    let mut values = json!({
        "cache": {"enabled": true, "allowedHosts": ["git.example"]},
        "push": {
            "enabled": true, "secretName": "push", "wake": {"acme": ["https://git.example/acme"]},
        },
    });
    let extend = |values: &mut Value, over: Value| {
        if let (Value::Object(values), Value::Object(over)) = (values, over) {
            values.extend(over);
        }
    };
    extend(&mut values["push"], own);
    extend(&mut values, all);
    values
}

pub(crate) fn a_typo_or_a_wrong_value_is_refused_with_its_name() -> TestResult {
    for (values, named) in [
        (
            json!({"replica": 3}),
            "additional properties 'replica' not allowed",
        ),
        (
            json!({"replicaCount": "three"}),
            "at '/replicaCount': got string, want integer",
        ),
        (
            json!({"replicas": "three"}),
            "at '/replicas': got string, want integer",
        ),
        (
            json!({"image": {"digest": "sha256:12"}}),
            "at '/image/digest'",
        ),
        (
            json!({"global": {"imageRegistry": 5}}),
            "at '/global/imageRegistry': got number, want string",
        ),
        (
            json!({"readinessProbe": {"periodSeconds": 0}}),
            "at '/readinessProbe/periodSeconds': minimum: got 0",
        ),
        (
            json!({"podDisruptionBudget": {"maxUnavailable": "half"}}),
            "at '/podDisruptionBudget/maxUnavailable'",
        ),
        (
            json!({"excludedNamespaces": ["*-system"]}),
            "at '/excludedNamespaces/0'",
        ),
        (json!({"test": {"repo": "git@host:a"}}), "at '/test/repo'"),
        (
            json!({"webhook": {"failPolicy": "Fail"}}),
            "at '/webhook': additional properties 'failPolicy'",
        ),
        (
            json!({"webhook": {"failurePolicy": "Maybe"}}),
            "at '/webhook/failurePolicy': value must be one of 'Fail', 'Ignore'",
        ),
        (
            json!({"webhook": {"timeoutSeconds": 60}}),
            "at '/webhook/timeoutSeconds': maximum: got 60, want 30",
        ),
        (
            json!({"webhook": {"port": 443}}),
            "at '/webhook/port': minimum: got 443",
        ),
        (
            json!({"webhook": {"excludedNamespaces": ["Kube"]}}),
            "at '/webhook/excludedNamespaces/0'",
        ),
        (
            json!({"guard": {"action": "Warn"}}),
            "at '/guard': additional properties 'action'",
        ),
        (json!({"guard": {"actions": []}}), "at '/guard/actions'"),
        (
            json!({"guard": {"actions": ["deny"]}}),
            "at '/guard/actions/0'",
        ),
        (
            json!({"guard": {"actions": ["Deny", "Warn"]}}),
            "at '/guard/actions'",
        ),
        (
            json!({"guard": {"actions": ["Audit", "Warn", "Deny"]}}),
            "at '/guard/actions'",
        ),
        (
            json!({"guard": {"failurePolicy": "Maybe"}}),
            "at '/guard/failurePolicy'",
        ),
        (
            json!({"templates": {"timeoutSeconds": 0}}),
            "at '/templates/timeoutSeconds'",
        ),
        (
            json!({"templates": {"deny": true}}),
            "additional properties 'deny'",
        ),
        (
            json!({"settings": {"gitRepos": false}}),
            "at '/settings': additional properties 'gitRepos'",
        ),
        (
            json!({"settings": {"image": "other"}}),
            "additional properties 'image'",
        ),
        (
            json!({"tls": {"mode": "vault"}}),
            "at '/tls/mode': value must be one of 'self', 'cert-manager', 'files'",
        ),
        (
            json!({"tls": {"files": {"caBundle": "LS0t"}}}),
            "at '/tls/files/caBundle'",
        ),
        (
            json!({"autoInject": {"namespaceSelector": {"team": "web"}}}),
            "additional properties 'team'",
        ),
        (
            json!({"objects": {"enable": true}}),
            "additional properties 'enable'",
        ),
        (
            json!({"metrics": {"serviceMonitor": {"enable": true}}}),
            "additional properties 'enable'",
        ),
        (
            json!({"tolerations": [{"efect": "NoSchedule"}]}),
            "additional properties 'efect'",
        ),
        (
            json!({"extraEnv": [{"nmae": "A"}]}),
            "additional properties 'nmae'",
        ),
        (
            json!({"resources": {"limit": {}}}),
            "at '/resources': additional properties 'limit'",
        ),
        (json!({"dnsPolicy": "None"}), "at '/dnsPolicy'"),
        (json!({"podLabels": {"a": 1}}), "at '/podLabels/a'"),
        (
            json!({"cache": {"enable": true}}),
            "at '/cache': additional properties 'enable'",
        ),
        (
            json!({"cache": {"trust": "all"}}),
            "at '/cache/trust': value must be one of 'content', 'full'",
        ),
        (
            json!({"cache": {"storage": {"size": "10G"}}}),
            "at '/cache/storage/size'",
        ),
        (
            json!({"settings": {"cache": [{"url": "http://cache.example"}]}}),
            "at '/settings/cache/0/url'",
        ),
        (
            json!({"push": {"wake": {"Acme": ["https://git.example/acme"]}}}),
            "at '/push/wake': additional properties 'Acme' not allowed",
        ),
        (
            json!({"push": {"wake": {"acme": []}}}),
            "at '/push/wake/acme': minItems: got 0, want 1",
        ),
        (
            json!({"push": {"cache": {"url": "http://cache.example"}}}),
            "at '/push/cache/url'",
        ),
        (
            json!({"push": {"service": {"type": "ExternalName"}}}),
            "at '/push/service/type'",
        ),
        (
            json!({"push": {"httpRoute": {"parentRefs": [{"namespace": "x"}]}}}),
            "at '/push/httpRoute/parentRefs/0': missing property 'name'",
        ),
        (
            json!({"push": {"ingress": {"hostnames": ["https://push.example"]}}}),
            "at '/push/ingress/hostnames/0'",
        ),
        // Cases that no schema can express.
        (
            json!({"cache": {"enabled": true}}),
            "cache.allowedHosts is required when cache.enabled is true: the git hosts that the cache serves",
        ),
        (
            json!({"cache": {"enabled": true, "allowedHosts": ["git.example"]},
                "tls": {"mode": "files", "files": {"secretName": "own"}}}),
            "cache.tls.secretName is required when cache.enabled is true and tls.mode is files",
        ),
        (
            json!({"cache": {"enabled": true, "allowedHosts": ["git.example"],
                "namespaceSelector": {"matchLabels": {"team": "web"}}}, "objects": {"enabled": false}}),
            "cache.namespaceSelector needs objects.enabled, because the webhook does not know the labels",
        ),
        (
            push(json!({}), json!({"cache": {"enabled": false}})),
            "push.enabled needs cache.enabled, or the address of another release's cache in push.cache.url",
        ),
        (
            push(
                json!({"cache": {"url": "https://cache.example"}}),
                json!({}),
            ),
            "push.cache.url and cache.enabled exclude each other: the receiver wakes one cache",
        ),
        (
            push(
                json!({"cache": {"url": "https://cache.example"}}),
                json!({"cache": {"enabled": false}}),
            ),
            "push.cache.caSecretName is required with push.cache.url: the Secret with ca.crt of that cache",
        ),
        (
            push(
                json!({"cache": {"url": "https://cache.example", "caSecretName": "ca"}}),
                json!({"cache": {"enabled": false}}),
            ),
            "push.wakeKeySecretName is required with push.cache.url: the Secret with the key of that cache",
        ),
        (
            push(json!({"secretName": ""}), json!({})),
            "push.secretName is required when push.enabled is true: the Secret with one key for each NAME of push.wake",
        ),
        (
            push(json!({"wake": {}}), json!({})),
            "push.wake is required when push.enabled is true: for each NAME the addresses that its deliveries may wake",
        ),
        (
            push(json!({"httpRoute": {"enabled": true}}), json!({})),
            "push.httpRoute.parentRefs is required when push.httpRoute.enabled is true: the Gateway that the route attaches to",
        ),
        (
            push(json!({"ingress": {"enabled": true}}), json!({})),
            "push.ingress.hostnames is required when push.ingress.enabled is true: the names at which the git host reaches the receiver",
        ),
        (
            json!({"webhook": {"enabled": false}}),
            "nothing to install: webhook.enabled, cache.enabled and push.enabled are false",
        ),
        (
            json!({"webhook": {"enabled": false}, "cache": {"enabled": true, "allowedHosts": ["git.example"]}}),
            "cache.tls.secretName, or tls.mode cert-manager, is required when webhook.enabled is false, because no webhook issues the certificate of the cache",
        ),
        (
            json!({"webhook": {"enabled": false}, "cache": {"enabled": true}}),
            "cache.allowedHosts is required when cache.enabled is true: the git hosts that the cache serves",
        ),
        (
            json!({"tls": {"mode": "files"}}),
            "tls.files.secretName is required when tls.mode is files",
        ),
        (
            json!({"serviceAccount": {"create": false}}),
            "serviceAccount.name is required when serviceAccount.create is false",
        ),
    ] {
        match text(&values, &[]) {
            Ok(_) => return Err(format!("{values} was accepted").into()),
            Err(refusal) => assert!(refusal.contains(named), "{values}: {refusal}"),
        }
    }
    Ok(())
}

/// Each map with keys of the chart's own rejects other keys; `global` belongs to the parent chart.
pub(crate) fn each_map_with_fixed_keys_rejects_an_unknown_key() -> TestResult {
    let schema: Value = serde_json::from_str(&file("values.schema.json")?)?;
    let mut maps = vec![Vec::new()];
    for row in documented::rows(&file("values.yaml")?) {
        for depth in 1..row.path.len() {
            if row.path[0] == "global" {
                continue;
            }
            maps.push(row.path[..depth].to_vec());
        }
    }
    for path in maps {
        let place = path
            .iter()
            .fold(&schema, |place, key| &place["properties"][key]);
        assert_eq!(place["additionalProperties"], json!(false), "{path:?}");
    }
    Ok(())
}
