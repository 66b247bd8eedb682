//! Properties of the chart's push receiver.

use args::Action;
use serde_json::Value;
use serde_json::json;
use tests::installation::chart::Rendered;
use tests::installation::chart::sets;
use tests::installation::world::TestResult;

use crate::chart::parts::alerts;

const RECEIVER: &str = "Deployment/gitvolume-push";

/// The receiver beside the cache, with further values of it.
fn values(push: &Value) -> Value {
    let mut values = json!({
        "cache": {"enabled": true, "allowedHosts": ["git.example"]},
        "push": {
            "enabled": true, "secretName": "push", "wake": {"acme": ["https://git.example/acme"]},
        },
    });
    if let (Some(own), Some(more)) = (values["push"].as_object_mut(), push.as_object()) {
        own.extend(more.clone());
    }
    values
}

/// The syncer's own parser reads them, as in the container.
pub(crate) fn the_program_accepts_the_arguments_of_the_cache_and_of_the_receiver() -> TestResult {
    let mut seen = Vec::new();
    for set in sets::all()? {
        let rendered = set.rendered()?;
        let workloads = ["Deployment", "StatefulSet"].map(|kind| rendered.of_kind(kind));
        for workload in workloads.concat() {
            let container = &workload["spec"]["template"]["spec"]["containers"][0];
            if container["command"] != json!(["/gitvolume-syncer"]) {
                continue;
            }
            let argv = container["args"].as_array().ok_or("no arguments")?;
            let argv = argv.iter().filter_map(Value::as_str).map(Into::into);
            let action = args::read(argv, []);
            let action = action.map_err(|error| format!("{}: {}", set.name, error.message))?;
            match (action, container["name"].as_str()) {
                (Action::Cache(_), Some("cache")) => seen.push("cache"),
                (Action::Push(args), Some("push")) => {
                    assert!(!args.wake.is_empty());
                    seen.push("push");
                }
                (action, name) => return Err(format!("{name:?}: {action:?}").into()),
            }
        }
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, ["cache", "push"]);
    Ok(())
}

pub(crate) fn the_pods_of_the_receiver_are_restricted_and_have_no_key_of_the_caches_certificate()
-> TestResult {
    for (flags, user) in [
        (&[][..], json!(65533)),
        (
            &["--api-versions=security.openshift.io/v1"][..],
            Value::Null,
        ),
    ] {
        let rendered = Rendered::with_flags(&values(&json!({})), flags)?;
        let spec = &rendered.one(RECEIVER)?["spec"]["template"]["spec"];
        let security = &spec["securityContext"];
        assert_eq!(security["runAsNonRoot"], true);
        assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault");
        assert_eq!(security["runAsUser"], user);
        assert_eq!(security["runAsGroup"], user);
        assert_eq!(
            spec["containers"][0]["securityContext"],
            json!({
                "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            })
        );
        assert_eq!(
            spec["volumes"],
            json!([
                {"name": "secrets", "secret": {"secretName": "push"}},
                {"name": "cache-ca", "secret": {
                    "secretName": "gitvolume-cache-tls",
                    "items": [{"key": "ca.crt", "path": "ca.crt"}],
                }},
                {"name": "wake-key", "secret": {
                    "secretName": "gitvolume-cache-wake", "items": [{"key": "key", "path": "key"}],
                }},
            ])
        );
    }
    Ok(())
}

/// Whether a selector matches these labels.
fn is_match(selector: &Value, labels: &Value) -> bool {
    let mut required = selector.as_object().into_iter().flatten();
    selector.is_object() && required.all(|(key, value)| labels[key] == *value)
}

pub(crate) fn the_receiver_reaches_the_cache_and_dns_and_no_selector_of_others_matches_it()
-> TestResult {
    let rendered = Rendered::with(&values(&json!({})))?;
    let labels = |workload: &str| -> Result<Value, String> {
        let template = &rendered.one(workload)?["spec"]["template"];
        Ok(template["metadata"]["labels"].clone())
    };
    let (cache, receiver) = (labels("StatefulSet")?, labels(RECEIVER)?);
    let webhook = labels("Deployment/gitvolume")?;
    let policy = &rendered.one("NetworkPolicy/gitvolume-push")?["spec"];
    let own = &policy["podSelector"]["matchLabels"];
    assert!(is_match(own, &receiver) && !is_match(own, &cache) && !is_match(own, &webhook));
    assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]));
    let egress = policy["egress"].as_array().ok_or("no egress")?;
    assert_eq!(egress.len(), 2, "{policy}");
    assert_eq!(
        egress[0]["ports"],
        json!([{"protocol": "TCP", "port": 8443}])
    );
    let peers = egress[0]["to"].as_array().ok_or("every address")?;
    assert_eq!(peers.len(), 1, "{policy}");
    let peer = &peers[0]["podSelector"]["matchLabels"];
    assert!(is_match(peer, &cache) && !is_match(peer, &webhook) && !is_match(peer, &receiver));
    let dns = egress[1]["ports"].as_array().ok_or("no ports")?;
    assert!(dns.iter().all(|port| port["port"] == 53), "{policy}");

    let is_selecting = |object: &Value| {
        let places = [
            "/spec/selector/matchLabels",
            "/spec/selector",
            "/spec/podSelector/matchLabels",
        ];
        let mut selectors = places.iter().filter_map(|at| object.pointer(at));
        selectors.any(|selector| is_match(selector, &receiver))
    };
    let selecting = rendered.all().iter().filter(|object| is_selecting(object));
    let selecting: Vec<&Value> = selecting.collect();
    // Deployment, Service, PodDisruptionBudget and NetworkPolicy.
    assert_eq!(selecting.len(), 4, "{selecting:?}");
    for object in selecting {
        assert_eq!(object["metadata"]["name"], "gitvolume-push", "{object}");
    }
    Ok(())
}

/// `/metrics` is on the same port.
pub(crate) fn routes_lead_to_the_path_of_deliveries_alone_and_to_a_port_of_the_receiver()
-> TestResult {
    for tls in ["", "public"] {
        let rendered = Rendered::with(&values(&json!({
            "tls": {"secretName": tls},
            "httpRoute": {"enabled": true, "parentRefs": [{"name": "public"}]},
            "ingress": {"enabled": true, "hostnames": ["push.example"]},
        })))?;
        let rules = &rendered.one("HTTPRoute")?["spec"]["rules"];
        let path = json!([{"path": {"type": "PathPrefix", "value": "/push/"}}]);
        assert_eq!(rules[0]["matches"], path);
        assert!(rules[1].is_null());
        let backend = &rules[0]["backendRefs"][0];
        let paths = &rendered.one("Ingress")?["spec"]["rules"][0]["http"]["paths"];
        assert_eq!(paths[0]["path"], "/push/");
        assert!(paths[1].is_null());
        let other = &paths[0]["backend"]["service"];
        assert_eq!(
            (&backend["name"], &backend["port"]),
            (&other["name"], &other["port"]["number"])
        );
        let name = backend["name"].as_str().ok_or("no name")?;
        let port = &rendered.one(&format!("Service/{name}"))?["spec"]["ports"][0];
        assert_eq!(port["port"], backend["port"]);
        let container = &rendered.one(RECEIVER)?["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(port["targetPort"], container["ports"][0]["name"]);
    }
    Ok(())
}

pub(crate) fn the_cache_and_the_receiver_mount_one_key_that_is_generated_or_the_operators()
-> TestResult {
    for own in ["", "own"] {
        let rendered = Rendered::with(&values(&json!({"wakeKeySecretName": own})))?;
        let mut secrets = Vec::new();
        for workload in ["StatefulSet", RECEIVER] {
            let spec = &rendered.one(workload)?["spec"]["template"]["spec"];
            let volumes = spec["volumes"].as_array().ok_or("no volumes")?;
            let volume = volumes.iter().find(|own| own["name"] == "wake-key");
            secrets.push(volume.ok_or("no key")?["secret"].clone());
        }
        assert_eq!(secrets[0], secrets[1]);
        let name = secrets[0]["secretName"].as_str().ok_or("no name")?;
        let secret = rendered.one(&format!("Secret/{name}"));
        if own.is_empty() {
            let key = secret?["data"]["key"].as_str().ok_or("no key")?.len();
            assert!(key >= 64, "48 characters in base64, not {key}");
        } else {
            assert_eq!((name, secret.is_err()), (own, true));
        }
    }
    Ok(())
}

/// Another test compares the table of docs/push.md with the metrics of the program.
pub(crate) fn the_alerts_of_the_receiver_are_rendered_with_it_and_use_its_metrics() -> TestResult {
    alerts::are_rendered_only_if_enabled("push", "gitvolume-push", "docs/push.md", &|is_enabled| {
        values(&json!({"enabled": is_enabled}))
    })
}
