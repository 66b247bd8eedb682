//! What we believe about the API server, tested.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tests::control_plane::Version;
use tests::eventually::eventually;
use tests::namespace::Namespace;
use tests::world::TestResult;
use tests::world::World;

use crate::UNASKED;
use crate::toy::AFTER_US;
use crate::toy::Registration;
use crate::toy::Toy;
use crate::version;

/// How long the API server may take to learn of an object.
const LONG: Duration = Duration::from_secs(30);
const PLAIN: &str = "
apiVersion: v1
kind: Pod
metadata: {generateName: web-}
spec: {containers: [{name: web, image: nginx}]}
";

/// Gives a namespace a LimitRange, whose plugin writes an annotation on each Pod that it changes.
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
    // Opted out: otherwise the volume is ours, and there is nothing to warn of.
    let said = namespace.apply(
        "
apiVersion: v1
kind: Pod
metadata: {name: old, annotations: {gitvolume.dev/inject: \"false\"}}
spec:
  containers: [{name: app, image: app, volumeMounts: [{name: repo, mountPath: /repo}]}]
  volumes: [{name: repo, gitRepo: {repository: \"https://git.example/site.git\"}}]
",
    )?;
    assert!(said.contains("pod/old created"), "{said}");
    assert!(
        said.contains("Warning: spec.volumes[0].gitRepo: deprecated"),
        "{said}"
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
    let said = namespace.apply_with(&["--validate=warn"], pod)?;
    assert!(
        said.contains("unknown field \"spec.containers[0].invented\""),
        "{said}"
    );
    let pod = namespace.get_json(&["pod", "newer"])?;
    assert!(
        pod["spec"]["containers"][0].get("invented").is_none(),
        "{pod}"
    );
    Ok(())
}

/// What refuses a Pod under `failurePolicy: Ignore`, with the toy's patch.
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
        Ok(said) => Err(format!("admitted: {said}")),
    }
}

/// So we apply our patch to a copy before we answer.
pub(crate) fn a_patch_that_does_not_apply_refuses_the_pod_even_under_ignore(
    world: &World,
) -> TestResult {
    let patch = json!([{"op": "add", "path": "/spec/nosuch/0", "value": "x"}]);
    let refusal = refused_under_ignore(world, patch)?;
    assert!(refusal.contains("(InternalError)"), "{refusal}");
    assert!(refusal.contains("nosuch"), "{refusal}");
    Ok(())
}

/// So we read the outcome as a Pod before we answer.
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

/// So a failure of our own is answered with a status other than 200, never with a patch.
pub(crate) fn a_webhook_that_fails_is_ignored_where_the_policy_says_so(
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

/// What cannot be read as a patch is a failed call on a new server, and a refusal on an old one.
pub(crate) fn a_patch_that_is_none_is_a_failed_call_on_new_servers_alone(
    world: &World,
) -> TestResult {
    let said = refused_under_ignore(world, json!("no patch"));
    match (version(world)?, said) {
        (Version::Newest, Err(_)) => Ok(()),
        (Version::Oldest, Ok(refusal)) if refusal.contains("(InternalError)") => Ok(()),
        (version, said) => Err(format!("{version:?}: {said:?}").into()),
    }
}

/// So our containers have an empty mount at the token's path, and resources of their own.
pub(crate) fn what_a_webhook_adds_gets_the_token_and_the_defaults_of_the_namespace(
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

/// So our conditions ask for the annotations first. Where a LimitRange is, one would never notice.
pub(crate) fn a_condition_that_takes_annotations_for_granted_refuses_pods_without_any(
    world: &World,
) -> TestResult {
    let condition = Registration {
        match_condition: Some("'example.com/probe' in object.metadata.annotations"),
        ..AFTER_US
    };
    let namespace = world.namespace(&[])?;
    let toy = Toy::start(world, &namespace, &condition, |_| json!([]))?;
    let asked = toy.calls();
    let refusal = match namespace.create(PLAIN) {
        Err(refusal) => refusal,
        Ok(said) => return Err(format!("admitted: {said}").into()),
    };
    assert!(refusal.contains("no such key: annotations"), "{refusal}");

    limit(&namespace)?;
    eventually("the LimitRange in force", LONG, || namespace.create(PLAIN))?;
    assert_eq!(toy.calls(), asked, "neither was sent to it");
    Ok(())
}

/// So an annotation that a webhook adds after us is not seen where nothing of the Pod called us
/// before, and the guard is there to say so.
pub(crate) fn a_webhook_that_was_not_asked_at_first_is_not_asked_again(
    world: &World,
) -> TestResult {
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
