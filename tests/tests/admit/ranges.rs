//! Namespaces with LimitRange or ResourceQuota, which apply to our containers too.

use std::process::Command;
use std::time::Duration;

use crate::shared::UNASKED;
use crate::shared::version;
use serde_json::Value;
use serde_json::json;
use tests::eventually::eventually;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::kubernetes::control_plane::Version;
use tests::kubernetes::namespace::Namespace;
use tests::settings;

/// Timeout for the API server to see a new object.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Default resources of our containers, in a Pod whose limits are twice its requests.
const REQUESTS: &str = r#"{"cpu":"50m","memory":"64Mi"}"#;
const LIMITS: &str = r#"{"cpu":"100m","memory":"128Mi"}"#;

fn pod(annotations: Value, app: Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"generateName": "web-", "annotations": annotations},
        "spec": {"containers": [{"name": "web", "image": "nginx", "resources": app}]},
    });
    pod["metadata"]["annotations"]["gitvolume.dev/repo"] = json!("https://git.example/site.git");
    pod
}

/// Creates a namespace with a LimitRange, and waits until it applies to a Pod without gitvolume.
fn limited(world: &World, limits: Value) -> Result<std::sync::Arc<Namespace>, String> {
    let namespace = world.namespace(&[])?;
    let range = json!({
        "apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "limits"},
        "spec": {"limits": [limits]},
    });
    namespace.create(&range.to_string())?;
    let mut plain = pod(json!({}), json!({}));
    plain["metadata"]["annotations"] = json!({});
    eventually("the LimitRange in force", TIMEOUT, || {
        let (made, _) = namespace.created(&["--dry-run=server"], &plain.to_string())?;
        let app = &made[0]["spec"]["containers"][0]["resources"];
        match app["requests"].is_object() {
            true => Ok(()),
            false => Err(app.to_string()),
        }
    })?;
    Ok(namespace)
}

fn ours(pod: &Value) -> Result<&Value, String> {
    let inits = pod["spec"]["initContainers"].as_array();
    let mut all = inits.into_iter().flatten();
    let own = all.find(|own| own["name"] == "gitvolume");
    Ok(&own.ok_or_else(|| format!("no syncer: {pod}"))?["resources"])
}

/// Creates a Pod; the error is the refusal.
fn created(namespace: &Namespace, pod: &Value) -> Result<Value, String> {
    let (mut made, _) = namespace.created(&[], &pod.to_string())?;
    made.pop().ok_or("nothing was made".to_owned())
}

fn refusal(namespace: &Namespace, pod: &Value) -> Result<String, String> {
    match created(namespace, pod) {
        Err(refusal) => Ok(refusal),
        Ok(pod) => Err(format!("admitted: {pod}")),
    }
}

pub(crate) fn the_defaults_of_a_limit_range_do_not_apply_to_our_containers(
    world: &World,
) -> TestResult {
    let amounts = json!({"cpu": "2", "memory": "2Gi"});
    let most = json!({"cpu": "4", "memory": "4Gi"});
    let none = json!({});
    let requests: Value = serde_json::from_str(REQUESTS)?;
    let limits: Value = serde_json::from_str(LIMITS)?;
    for (range, own) in [
        // The app has limits from the LimitRange, so our container has limits too: its own.
        (
            json!({"type": "Container", "defaultRequest": amounts, "default": most}),
            json!({"requests": requests, "limits": limits}),
        ),
        (
            json!({"type": "Container", "defaultRequest": amounts}),
            json!({"requests": {"cpu": "5m", "memory": "32Mi"}}),
        ),
        // With these defaults each Pod is Guaranteed, and it must stay so.
        (
            json!({"type": "Container", "default": most}),
            json!({"requests": limits, "limits": limits}),
        ),
    ] {
        let namespace = limited(world, range)?;
        let pod = created(&namespace, &pod(none.clone(), none.clone()))?;
        let app = &pod["spec"]["containers"][0]["resources"]["requests"];
        assert!(*app == amounts || *app == most, "{pod}");
        assert_eq!(*ours(&pod)?, own);
    }
    Ok(())
}

pub(crate) fn a_minimum_above_our_request_is_reported_and_an_annotation_satisfies_it(
    world: &World,
) -> TestResult {
    let range = json!({"type": "Container", "min": {"cpu": "50m", "memory": "64Mi"}});
    let namespace = limited(world, range)?;
    let refusal = refusal(&namespace, &pod(json!({}), json!({})))?;
    for sentence in [
        "minimum cpu usage per Container is 50m, but request is 5m",
        "minimum memory usage per Container is 64Mi, but request is 32Mi",
    ] {
        assert!(refusal.contains(sentence), "{refusal}");
    }
    let met = json!({
        "gitvolume.dev/resources.requests.cpu": "50m",
        "gitvolume.dev/resources.requests.memory": "64Mi",
    });
    created(&namespace, &pod(met, json!({})))?;
    Ok(())
}

pub(crate) fn a_maximum_below_our_limit_is_reported_and_an_annotation_satisfies_it(
    world: &World,
) -> TestResult {
    let range = json!({"type": "Container", "max": {"cpu": "500m", "memory": "256Mi"}});
    let namespace = limited(world, range)?;
    // The app's limits are far above its requests, so our limits are the operator's.
    let app = json!({
        "requests": {"cpu": "1m", "memory": "1Mi"}, "limits": {"cpu": "500m", "memory": "256Mi"},
    });
    let refusal = refusal(&namespace, &pod(json!({}), app.clone()))?;
    for sentence in [
        "maximum cpu usage per Container is 500m, but limit is 1",
        "maximum memory usage per Container is 256Mi, but limit is 512Mi",
    ] {
        assert!(refusal.contains(sentence), "{refusal}");
    }
    let met = json!({
        "gitvolume.dev/resources.limits.cpu": "500m",
        "gitvolume.dev/resources.limits.memory": "256Mi",
    });
    created(&namespace, &pod(met, app))?;
    Ok(())
}

pub(crate) fn our_containers_keep_a_maximum_ratio_that_the_pods_containers_keep(
    world: &World,
) -> TestResult {
    let range = json!({
        "type": "Container", "maxLimitRequestRatio": {"cpu": "10", "memory": "4"},
        "defaultRequest": {"cpu": "100m", "memory": "128Mi"},
        "default": {"cpu": "500m", "memory": "256Mi"},
    });
    let namespace = limited(world, range)?;
    let app = json!({
        "requests": {"cpu": "70m", "memory": "100Mi"}, "limits": {"cpu": "700m", "memory": "400Mi"},
    });
    for app in [app, json!({})] {
        created(&namespace, &pod(json!({}), app))?;
    }
    Ok(())
}

/// `gitvolume inject` uses a LimitRange among the manifests: its output equals what the webhook
/// injects into the Pod after the LimitRange's defaults, and the API server admits it.
pub(crate) fn an_offline_injection_beside_a_limit_range_equals_the_clusters(
    world: &World,
) -> TestResult {
    for item in [
        json!({
            "type": "Container", "maxLimitRequestRatio": {"cpu": "10", "memory": "4"},
            "defaultRequest": {"cpu": "100m", "memory": "128Mi"},
            "default": {"cpu": "500m", "memory": "256Mi"},
        }),
        json!({"type": "Container", "max": {"cpu": "1", "memory": "256Mi"}}),
        json!({
            "type": "Container", "min": {"cpu": "5m", "memory": "32Mi"},
            "default": {"cpu": "1", "memory": "1Gi"}, "defaultRequest": {"memory": "32Mi"},
        }),
        json!({"type": "Container", "min": {"cpu": "5m", "memory": "32Mi"}}),
    ] {
        let covered = limited(world, item.clone())?;
        let plain = world.namespace(&[(UNASKED, "")])?;
        let range = json!({
            "apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "limits"},
            "spec": {"limits": [item]},
        });
        plain.create(&range.to_string())?;
        for app in [
            json!({}),
            json!({"limits": {"cpu": "200m", "memory": "200Mi"}}),
            json!({"requests": {"cpu": "100m"}, "limits": {"cpu": "400m"}}),
        ] {
            let pod = pod(json!({}), app);
            let injected = created(&covered, &pod)?;
            let list = json!({"apiVersion": "v1", "kind": "List", "items": [range, pod]});
            let offline = offline(&list, plain.name())?;
            assert_eq!(ours(&offline)?, ours(&injected)?, "{item}: {pod}");
            let stored = created(&plain, &offline)?;
            assert_eq!(ours(&stored)?, ours(&injected)?, "{item}: {pod}");
        }
    }
    Ok(())
}

/// The last object of the output of `gitvolume inject` for a list.
fn offline(list: &Value, namespace: &str) -> Result<Value, String> {
    let file = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
    std::fs::write(file.path(), list.to_string()).map_err(|error| error.to_string())?;
    let output = Command::new(settings::cli_binary())
        .args(["inject", "--namespace", namespace, "--filename"])
        .arg(file.path())
        .env_clear()
        .output()
        .map_err(|error| error.to_string())?;
    let printed = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || !printed.is_empty() {
        return Err(printed.into_owned());
    }
    let list: Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    let items = list["items"].as_array().and_then(|items| items.last());
    items.cloned().ok_or("no list".to_owned())
}

pub(crate) fn a_quota_of_limits_counts_our_containers_too(world: &World) -> TestResult {
    let namespace = world.namespace(&[])?;
    let hard = json!({"limits.cpu": "4", "limits.memory": "4Gi", "requests.cpu": "2"});
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "quota"},
        "spec": {"hard": hard},
    });
    namespace.create(&quota.to_string())?;
    // Replaces the controller-manager.
    let none = json!({"limits.cpu": "0", "limits.memory": "0", "requests.cpu": "0"});
    let status = json!({"status": {"hard": hard, "used": none}}).to_string();
    let patch = [
        "patch",
        "resourcequota",
        "quota",
        "--subresource=status",
        "--type=merge",
    ];
    namespace.run(&[&patch[..], &["--patch", &status]].concat())?;

    let bare = pod(json!({}), json!({}));
    let refusal = eventually("the quota in force", TIMEOUT, || {
        match namespace.created(&["--dry-run=server"], &bare.to_string()) {
            Err(refusal) => Ok(refusal),
            Ok(_) => Err("a Pod without limits is admitted"),
        }
    })?;
    assert!(refusal.contains("must specify limits.cpu"), "{refusal}");

    let amounts = json!({
        "requests": {"cpu": "100m"}, "limits": {"cpu": "500m", "memory": "256Mi"},
    });
    created(&namespace, &pod(json!({}), amounts))?;
    let used = &namespace.get_json(&["resourcequota", "quota"])?["status"]["used"];
    // A native sidecar counts in addition to the app's containers (KEP-753).
    assert_eq!(used["limits.cpu"], "600m", "{used}");
    assert_eq!(used["limits.memory"], "384Mi", "{used}");
    assert_eq!(used["requests.cpu"], "120m", "{used}");
    Ok(())
}

pub(crate) fn a_guaranteed_pod_stays_guaranteed(world: &World) -> TestResult {
    let namespace = world.namespace(&[])?;
    for (class, resources) in [
        (
            "Guaranteed",
            json!({"limits": {"cpu": "500m", "memory": "256Mi"}}),
        ),
        ("Burstable", json!({"requests": {"cpu": "500m"}})),
    ] {
        let pod = created(&namespace, &pod(json!({}), resources))?;
        assert_eq!(pod["status"]["qosClass"], class, "{pod}");
        let own = ours(&pod)?;
        assert_eq!(
            own["requests"] == own["limits"],
            class == "Guaranteed",
            "{own}"
        );
    }
    Ok(())
}

pub(crate) fn a_pod_with_pod_level_resources_keeps_them_and_its_qos_class(
    world: &World,
) -> TestResult {
    let namespace = world.namespace(&[])?;
    let amounts = json!({"cpu": "1", "memory": "1Gi"});
    let wide = json!({"requests": amounts, "limits": amounts});
    let mut pod = pod(json!({}), json!({}));
    pod["spec"]["resources"] = wide.clone();
    let pod = created(&namespace, &pod)?;
    if version(world)? == Version::Oldest {
        // Not served by default before 1.34; the API server drops the field before it calls
        // webhooks (KEP-2837).
        assert_eq!(pod["spec"]["resources"], Value::Null);
        return Ok(());
    }
    assert_eq!(pod["spec"]["resources"], wide);
    assert_eq!(pod["status"]["qosClass"], "Guaranteed", "{pod}");
    assert_eq!(*ours(&pod)?, json!({}));
    Ok(())
}
