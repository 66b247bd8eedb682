//! The webhook changes nothing of the Pod's own: each Pod is admitted with and without it, and
//! compared.

use serde_json::Value;
use serde_json::json;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::kubernetes::control_plane::Version;
use tests::kubernetes::kubectl::Kubectl;

use crate::shared::TWICE;
use crate::shared::version;

/// Cases with fields that the oldest supported version does not know, or does not serve by default.
const NEWER: [&str; 2] = ["fields newer than our types", "resources of the Pod's"];
const REPO: &str = "https://git.example/site.git";

/// Creates a Pod; returns it as the API server created it.
fn created(kubectl: &Kubectl, flags: &[&str], pod: &Value) -> Result<Value, String> {
    let (mut made, _) = kubectl.created(flags, &pod.to_string())?;
    made.pop().ok_or("nothing was made".to_owned())
}

fn with_annotation(pod: &Value) -> Value {
    let mut pod = pod.clone();
    pod["metadata"]["annotations"]["gitvolume.dev/repo"] = json!(REPO);
    pod
}

fn ours(item: &Value) -> bool {
    item["name"]
        .as_str()
        .is_some_and(|name| name.starts_with("gitvolume"))
}

/// The spec without our additions and without what differs between any two Pods.
fn without_ours(pod: &Value) -> Result<Value, String> {
    let mut spec = pod["spec"].clone();
    let fields = spec.as_object_mut().ok_or("a Pod without a spec")?;
    for list in ["containers", "initContainers", "volumes"] {
        let Some(items) = fields.get_mut(list).and_then(Value::as_array_mut) else {
            continue;
        };
        items.retain(|item| !ours(item));
        for item in &mut *items {
            let item = item.as_object_mut().ok_or("not an object")?;
            if let Some(mounts) = item.get_mut("volumeMounts").and_then(Value::as_array_mut) {
                mounts.retain(|mount| !ours(mount));
            }
            // A list that was created only for our additions did not exist before.
            item.retain(|_, value| value != &json!([]));
        }
        if items.is_empty() {
            fields.remove(list);
        }
    }
    // The name of the token volume differs in each Pod.
    const TOKEN: &str = "kube-api-access-";
    let text = spec.to_string();
    let token = text.find(TOKEN).map(|at| &text[at..at + TOKEN.len() + 5]);
    let text = token.map_or(text.clone(), |token| text.replace(token, TOKEN));
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

fn app(more: Value) -> Value {
    let mut spec = json!({"containers": [{"name": "web", "image": "nginx"}]});
    if let (Some(spec), Some(more)) = (spec.as_object_mut(), more.as_object()) {
        spec.extend(more.clone());
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "web-"}, "spec": spec})
}

pub(crate) fn a_pod_is_the_same_as_without_the_webhook_except_for_its_additions(
    world: &World,
) -> TestResult {
    let namespace = world.namespace(&[])?;
    let sidecar = json!({"name": "mesh", "image": "mesh", "restartPolicy": "Always"});
    let newer = json!([{
        "name": "web", "image": "nginx", "restartPolicy": "Never",
        "restartPolicyRules": [{
            "action": "Restart", "exitCodes": {"operator": "In", "values": [42]},
        }],
    }]);
    // The oldest version drops unknown fields before it calls webhooks.
    let knows_newer = version(world)? == Version::Newest;
    for (case, pod) in [
        (
            "no volumes, no init containers, a generated name",
            app(json!({})),
        ),
        (
            "no token, so no volume at all",
            app(json!({"automountServiceAccountToken": false})),
        ),
        (
            "init containers of its own",
            app(json!({
                "initContainers": [sidecar, {"name": "setup", "image": "setup"}],
            })),
        ),
        (
            NEWER[0],
            app(json!({
                "containers": newer, "restartPolicy": "Always", "hostnameOverride": "other",
            })),
        ),
        (
            NEWER[1],
            app(json!({
                "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "1", "memory": "1Gi"}},
            })),
        ),
        (
            "the node's network",
            app(json!({"hostNetwork": true, "dnsPolicy": "Default"})),
        ),
    ] {
        if !knows_newer && NEWER.contains(&case) {
            continue;
        }
        let plain = created(&namespace, &[], &pod).map_err(|error| format!("{case}: {error}"))?;
        for flags in [&[][..], &["--dry-run=server"]] {
            let annotated = created(&namespace, flags, &with_annotation(&pod))
                .map_err(|error| format!("{case}: {error}"))?;
            let syncers = annotated["spec"]["initContainers"]
                .as_array()
                .into_iter()
                .flatten();
            assert_eq!(
                syncers.filter(|item| ours(item)).count(),
                1,
                "{case}: {annotated}"
            );
            assert_eq!(without_ours(&annotated)?, without_ours(&plain)?, "{case}");
        }
    }
    Ok(())
}

pub(crate) fn injecting_twice_equals_injecting_once_and_no_token_reaches_the_syncer(
    world: &World,
) -> TestResult {
    let namespace = world.namespace(&[(TWICE, "true")])?;
    // The webhook is called twice here. Between the calls, the API server's own plugins have
    // processed the Pod of the first call, and mounted the ServiceAccount's token where possible.
    let pod = created(&namespace, &[], &with_annotation(&app(json!({}))))?;
    let injected: Vec<&Value> = pod["spec"]["initContainers"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(injected.len(), 1, "{pod}");
    let mounts = injected[0]["volumeMounts"].to_string();
    assert!(!mounts.contains("kube-api-access"), "{mounts}");
    let web = pod["spec"]["containers"][0]["volumeMounts"].to_string();
    assert!(
        web.contains("kube-api-access"),
        "the app keeps its token: {web}"
    );

    let plane = world
        .cluster()
        .control_plane()
        .ok_or("the audit log is our own API server's")?;
    let name = pod["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    // The audit event of a created Pod contains its name only in the response, so the search is by
    // namespace.
    let log = plane.audit_log();
    let line = log
        .lines()
        .find(|line| line.contains(namespace.name()) && line.contains("pods.gitvolume.dev"))
        .ok_or_else(|| format!("{name}: no decision in the audit log"))?;
    let annotations = serde_json::from_str::<Value>(line)?["annotations"].to_string();
    assert!(
        annotations.contains("pods.gitvolume.dev/decision"),
        "{annotations}"
    );
    assert!(
        annotations.contains("\\\"mutated\\\":false"),
        "the copy changed it: {annotations}"
    );
    Ok(())
}

pub(crate) fn a_pod_that_requests_nothing_is_never_sent_to_the_webhook(
    world: &World,
) -> TestResult {
    let namespace = world.namespace(&[])?;
    let with = |annotations: Value, volumes: Value| {
        let mut pod = app(json!({"volumes": volumes}));
        pod["metadata"]["annotations"] = annotations;
        pod
    };
    let git_repo = || json!([{"name": "site", "gitRepo": {"repository": REPO}}]);
    let out = json!({"gitvolume.dev/inject": "false", "gitvolume.dev/repo": REPO});
    let others =
        json!([{"name": "cache", "emptyDir": {}}, {"name": "c", "configMap": {"name": "c"}}]);
    let pods = [
        app(json!({})),
        with(json!({"example.com/gitvolume.dev": "x"}), json!([])),
        with(json!({}), others),
        // A Pod that opts out does not need the webhook.
        with(out.clone(), json!([])),
        with(out, git_repo()),
    ];
    for is_limited in [false, true] {
        if is_limited {
            // Its plugin adds an annotation to each Pod that it changes.
            crate::beliefs::limit(&namespace)?;
        }
        for pod in &pods {
            created(&namespace, &[], pod)?;
        }
    }
    let log = || Ok::<_, &str>(crate::shared::SERVING.get().ok_or("no webhook")?.log());
    assert!(!log()?.contains(namespace.name()), "{}", log()?);

    // The log contains the requests that are sent.
    created(&namespace, &[], &with_annotation(&app(json!({}))))?;
    assert!(log()?.contains(namespace.name()), "{}", log()?);

    // A gitRepo volume is a request by itself, even in a Pod without annotations.
    let plain = world.namespace(&[])?;
    let pod = created(&plain, &[], &app(json!({"volumes": git_repo()})))?;
    assert!(log()?.contains(plain.name()), "{}", log()?);
    let volume = &pod["spec"]["volumes"][0];
    assert_eq!(volume, &json!({"name": "site", "emptyDir": {}}), "{pod}");
    Ok(())
}
