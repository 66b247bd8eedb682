//! What we believe about the API server, tested.

use tests::world::TestResult;
use tests::world::World;

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
