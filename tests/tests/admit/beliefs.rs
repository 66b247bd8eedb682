//! Assumptions about the API server that the design relies on, tested against real ones.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tests::eventually::eventually;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::kubernetes::control_plane::Version;
use tests::kubernetes::namespace::Namespace;

use crate::shared::UNASKED;
use crate::shared::version;
use crate::toy::AFTER_US;
use crate::toy::Registration;
use crate::toy::Toy;

/// Timeout for the API server to see a new object in its watch.
const TIMEOUT: Duration = Duration::from_secs(30);
const PLAIN: &str = "
apiVersion: v1
kind: Pod
metadata: {generateName: web-}
spec: {containers: [{name: web, image: nginx}]}
";

/// Creates a LimitRange in a namespace; its admission plugin adds an annotation to each Pod that it
/// changes.
pub(crate) fn limit(namespace: &Namespace) -> Result<String, String> {
    namespace.create(
        "
apiVersion: v1
kind: LimitRange
metadata: {name: limits}
spec: {limits: [{type: Container, default: {cpu: 500m, memory: 512Mi}}]}
",
    )
}

pub(crate) fn a_git_repo_volume_is_admitted_with_a_warning(world: &World) -> TestResult {
    let namespace = world.namespace(&[])?;
    // Opted out: otherwise the webhook replaces the volume, and there is nothing to warn about.
    let output = namespace.apply(
        "
apiVersion: v1
kind: Pod
metadata: {name: old, annotations: {gitvolume.dev/inject: \"false\"}}
spec:
  containers: [{name: app, image: app, volumeMounts: [{name: repo, mountPath: /repo}]}]
  volumes: [{name: repo, gitRepo: {repository: \"https://git.example/site.git\"}}]
",
    )?;
    assert!(output.contains("pod/old created"), "{output}");
    assert!(
        output.contains("Warning: spec.volumes[0].gitRepo: deprecated"),
        "{output}"
    );

    let pod = namespace.get_json(&["pod", "old"])?;
    assert_eq!(
        pod["spec"]["volumes"][0]["gitRepo"]["repository"],
        "https://git.example/site.git"
    );
    Ok(())
}

pub(crate) fn a_field_the_server_does_not_know_is_dropped_with_a_warning(
    world: &World,
) -> TestResult {
    let namespace = world.namespace(&[])?;
    let pod = "
apiVersion: v1
kind: Pod
metadata: {name: newer}
spec:
  containers: [{name: app, image: app, invented: true}]
";
    let output = namespace.apply_with(&["--validate=warn"], pod)?;
    assert!(
        output.contains("unknown field \"spec.containers[0].invented\""),
        "{output}"
    );
    let pod = namespace.get_json(&["pod", "newer"])?;
    assert!(
        pod["spec"]["containers"][0].get("invented").is_none(),
        "{pod}"
    );
    Ok(())
}

/// The refusal of a Pod under `failurePolicy: Ignore`, with this patch from the toy.
fn refused_under_ignore(world: &World, patch: Value) -> Result<String, String> {
    let namespace = world.namespace(&[(UNASKED, "true")])?;
    let ignored = Registration {
        failure_policy: "Ignore",
        ..AFTER_US
    };
    let toy = Toy::start(world, &namespace, &ignored, move |_| patch.clone());
    let _toy = toy.map_err(|error| format!("{error:#}"))?;
    match namespace.create(PLAIN) {
        Err(refusal) => Ok(refusal),
        Ok(output) => Err(format!("admitted: {output}")),
    }
}

/// Therefore the webhook applies its patch to a copy before it responds.
pub(crate) fn a_patch_that_does_not_apply_refuses_the_pod_even_under_ignore(
    world: &World,
) -> TestResult {
    let patch = json!([{"op": "add", "path": "/spec/nosuch/0", "value": "x"}]);
    let refusal = refused_under_ignore(world, patch)?;
    assert!(refusal.contains("(InternalError)"), "{refusal}");
    assert!(refusal.contains("nosuch"), "{refusal}");
    Ok(())
}

/// Therefore the webhook parses the patched Pod before it responds.
pub(crate) fn a_patch_whose_outcome_is_no_pod_refuses_it_even_under_ignore(
    world: &World,
) -> TestResult {
    let resources = json!({"requests": {"cpu": "not-a-quantity"}});
    let path = "/spec/containers/0/resources";
    let patch = json!([{"op": "add", "path": path, "value": resources}]);
    let refusal = refused_under_ignore(world, patch)?;
    assert!(refusal.contains("(InternalError)"), "{refusal}");
    assert!(refusal.contains("quantities must match"), "{refusal}");
    Ok(())
}

/// Therefore the webhook reports its own failure by a status other than 200, never by a patch.
pub(crate) fn a_failed_webhook_call_is_ignored_under_failure_policy_ignore(
    world: &World,
) -> TestResult {
    let namespace = world.namespace(&[(UNASKED, "true")])?;
    let ignored = Registration {
        failure_policy: "Ignore",
        ..AFTER_US
    };
    let toy = Toy::start(world, &namespace, &ignored, |_| Value::Null)?;
    namespace.create(PLAIN)?;
    assert!(toy.calls() >= 2, "it was asked: {}", toy.calls());
    Ok(())
}

/// For a malformed patch a new server counts a failed call, and an old one refuses the Pod.
pub(crate) fn a_malformed_patch_is_a_failed_call_only_on_new_servers(world: &World) -> TestResult {
    let output = refused_under_ignore(world, json!("no patch"));
    match (version(world)?, output) {
        (Version::Newest, Err(_)) => Ok(()),
        (Version::Oldest, Ok(refusal)) if refusal.contains("(InternalError)") => Ok(()),
        (version, output) => Err(format!("{version:?}: {output:?}").into()),
    }
}

/// Therefore our containers have an empty mount at the token's path, and their own resources.
pub(crate) fn a_container_that_a_webhook_adds_gets_the_token_and_the_namespaces_defaults(
    world: &World,
) -> TestResult {
    let namespace = world.namespace(&[(UNASKED, "true")])?;
    limit(&namespace)?;
    let _toy = Toy::start(world, &namespace, &AFTER_US, |pod| {
        let containers = pod["spec"]["containers"].as_array();
        let has = |own: &Value| own["name"] == "side";
        match containers.into_iter().flatten().any(has) {
            true => json!([]),
            false => json!([{
                "op": "add", "path": "/spec/containers/-",
                "value": {"name": "side", "image": "side"},
            }]),
        }
    })?;
    let (pods, _) = namespace.created(&[], PLAIN)?;
    let side = &pods[0]["spec"]["containers"][1];
    assert_eq!(side["name"], "side", "{side}");
    let mounts = side["volumeMounts"].to_string();
    assert!(mounts.contains("kube-api-access-"), "{side}");
    assert_eq!(side["resources"]["limits"]["memory"], "512Mi", "{side}");
    Ok(())
}

/// Therefore our match conditions check first that annotations exist. With a LimitRange the mistake
/// stays hidden.
pub(crate) fn a_match_condition_that_requires_annotations_refuses_pods_without_any(
    world: &World,
) -> TestResult {
    let condition = Registration {
        match_condition: Some("'example.com/probe' in object.metadata.annotations"),
        ..AFTER_US
    };
    let namespace = world.namespace(&[])?;
    let toy = Toy::start(world, &namespace, &condition, |_| json!([]))?;
    let calls = toy.calls();
    let refusal = match namespace.create(PLAIN) {
        Err(refusal) => refusal,
        Ok(output) => return Err(format!("admitted: {output}").into()),
    };
    assert!(refusal.contains("no such key: annotations"), "{refusal}");

    limit(&namespace)?;
    eventually("the LimitRange in force", TIMEOUT, || {
        namespace.create(PLAIN)
    })?;
    assert_eq!(toy.calls(), calls, "neither was sent to it");
    Ok(())
}

/// Therefore the webhook does not see an annotation that a later webhook adds if nothing in the Pod
/// matched our registration before; the guard reports that case.
pub(crate) fn a_webhook_that_was_not_called_at_first_is_not_reinvoked(world: &World) -> TestResult {
    let namespace = world.namespace(&[])?;
    let _toy = Toy::start(world, &namespace, &AFTER_US, |pod| {
        let annotations = &pod["metadata"]["annotations"];
        match annotations["gitvolume.dev/repo"].is_null() {
            false => json!([]),
            true => json!([{
                "op": "add", "path": "/metadata/annotations",
                "value": {"gitvolume.dev/repo": "https://git.example/site.git"},
            }]),
        }
    })?;
    let (pods, _) = namespace.created(&[], PLAIN)?;
    let annotations = &pods[0]["metadata"]["annotations"];
    assert!(
        annotations["gitvolume.dev/repo"].is_string(),
        "{annotations}"
    );
    assert!(
        annotations["gitvolume.dev/status"].is_null(),
        "{annotations}"
    );
    assert!(pods[0]["spec"]["initContainers"].is_null(), "{}", pods[0]);
    Ok(())
}
