//! gitRepo volumes, which the API server still takes and the kubelet does not.

use serde_json::Value;
use serde_json::json;
use tests::world::TestResult;
use tests::world::World;

use crate::UNASKED;

const RESTRICTED: (&str, &str) = ("pod-security.kubernetes.io/enforce", "restricted");

/// The manifest of the Kubernetes documentation, with what the level *restricted* wants of any Pod.
fn documented() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "server-"},
        "spec": {
            "securityContext": {
                "runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": "nginx", "image": "nginx",
                "securityContext": {
                    "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [{"name": "git-volume", "mountPath": "/mypath"}],
            }],
            "volumes": [{"name": "git-volume", "gitRepo": {
                "repository": "https://git.example/me/my-git-repository.git",
                "revision": "22f1d8406d464b0c0874075539c1f2e96c253775",
            }}],
        },
    })
}

/// Pod Security judges what we made of the Pod; without us it judges the volume.
pub(crate) fn a_git_repo_pod_passes_the_restricted_level_with_us_alone(
    world: &World,
) -> TestResult {
    let pod = documented().to_string();
    let asked = world.namespace(&[RESTRICTED])?;
    let (made, said) = asked.created(&[], &pod)?;
    let volume = &made[0]["spec"]["volumes"][0];
    assert_eq!(*volume, json!({"name": "git-volume", "emptyDir": {}}));
    // Nothing is deprecated about it any more.
    assert!(!said.contains("deprecated"), "{said}");

    let unasked = world.namespace(&[RESTRICTED, (UNASKED, "true")])?;
    let refusal = match unasked.created(&[], &pod) {
        Err(refusal) => refusal,
        Ok((made, _)) => return Err(format!("admitted: {}", made[0]).into()),
    };
    for part in [
        "violates PodSecurity \"restricted:latest\"",
        "volume \"git-volume\" uses restricted volume type \"gitRepo\"",
    ] {
        assert!(refusal.contains(part), "{refusal}");
    }
    Ok(())
}

/// What we add is at the level too, whatever the annotations ask of us.
pub(crate) fn each_mode_and_layout_passes_the_restricted_level(world: &World) -> TestResult {
    let namespace = world.namespace(&[RESTRICTED])?;
    for (key, value) in [
        ("mode", "once"),
        ("link", "current"),
        ("secret", "deploy-key"),
        ("gitrepo", "follow"),
        ("medium", "Memory"),
        ("user", "1000"),
        ("position", "first"),
    ] {
        let mut pod = documented();
        pod["metadata"]["annotations"] = json!({
            "gitvolume.dev/repo": "https://git.example/site.git",
            format!("gitvolume.dev/{key}"): value,
        });
        let (made, _) = namespace
            .created(&[], &pod.to_string())
            .map_err(|error| format!("{key}: {error}"))?;
        let inits = made[0]["spec"]["initContainers"].as_array();
        assert!(inits.is_some_and(|inits| !inits.is_empty()), "{key}");
    }
    Ok(())
}
