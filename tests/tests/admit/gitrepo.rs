//! gitRepo volumes, which the API server still accepts and the kubelet no longer supports.

use std::process::Command;

use serde_json::Value;
use serde_json::json;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::settings;

use crate::shared::UNASKED;

const RESTRICTED: (&str, &str) = ("pod-security.kubernetes.io/enforce", "restricted");

/// The manifest of the Kubernetes documentation, with the fields that the level *restricted*
/// requires of any Pod.
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

/// Pod Security checks the patched Pod; without the webhook it checks the original volume.
pub(crate) fn a_git_repo_pod_passes_the_restricted_level_only_with_the_webhook(
    world: &World,
) -> TestResult {
    let pod = documented().to_string();
    let with_webhook = world.namespace(&[RESTRICTED])?;
    let (made, printed) = with_webhook.created(&[], &pod)?;
    let volume = &made[0]["spec"]["volumes"][0];
    assert_eq!(*volume, json!({"name": "git-volume", "emptyDir": {}}));
    // The patched Pod contains nothing deprecated.
    assert!(!printed.contains("deprecated"), "{printed}");

    let without_webhook = world.namespace(&[RESTRICTED, (UNASKED, "true")])?;
    let refusal = match without_webhook.created(&[], &pod) {
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

/// The injected containers comply with the level for all annotations.
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

/// kubectl compares the manifest with the Pod, which has an emptyDir in place of the volume: the
/// page about gitRepo volumes lists the remedies.
pub(crate) fn a_bare_pod_is_applied_again_once_it_is_converted(world: &World) -> TestResult {
    let namespace = world.namespace(&[])?;
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
        "spec": {
            "containers": [{
                "name": "web", "image": "nginx",
                "volumeMounts": [{"name": "src", "mountPath": "/src"}],
            }],
            "volumes": [{"name": "src", "gitRepo": {
                "repository": "https://git.example/a.git", "revision": "main", "directory": ".",
            }}],
        },
    })
    .to_string();
    namespace.apply(&pod)?;
    let refusal = match namespace.apply(&pod) {
        Err(refusal) => refusal,
        Ok(printed) => return Err(format!("the page is wrong: {printed}").into()),
    };
    assert!(
        refusal.contains("spec: Forbidden: pod updates may not change fields other than"),
        "{refusal}"
    );

    let folder = tempfile::tempdir()?;
    let file = folder.path().join("web.json");
    std::fs::write(&file, &pod)?;
    let named = format!("--filename={}", file.display());
    let printed = namespace.run(&["replace", "--force", &named])?;
    assert!(printed.contains("pod/web replaced"), "{printed}");

    let output = Command::new(settings::cli_binary())
        .args(["convert", "--in-place", &named])
        .env_clear()
        .output()?;
    assert!(output.status.success(), "{output:?}");
    let converted = std::fs::read_to_string(&file)?;
    namespace.delete("pod", "web")?;
    namespace.apply(&converted)?;
    let printed = namespace.apply(&converted)?;
    assert!(printed.contains("pod/web unchanged"), "{printed}");
    Ok(())
}
