//! Life cycle of a release: upgrades, GitOps tools, and what remains after uninstalling.

use std::collections::BTreeSet;

use serde_json::json;
use tests::eventually::eventually;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::kubernetes::kubectl::Kubectl;

use crate::running::LONG;
use crate::running::Release;
use crate::running::binary;

pub(crate) fn upgrades_diffs_and_gitops_keep_the_ca_bundle(world: &World) -> TestResult {
    let release = Release::new(world.cluster(), "upgraded", &[]);
    let _installed = release.install()?;
    let _webhook = release.start(&binary())?;
    let bundles = release.ca_bundles()?;
    let objects = release.objects();
    let registration = || release.get("mutatingwebhookconfiguration", &objects);
    let generation = registration()?["metadata"]["generation"].clone();
    let secret = release.get("secret", &format!("{objects}-ca"))?["data"].clone();
    assert!(secret.is_object(), "the CA is kept");
    let unchanged = |after: &str| -> TestResult {
        assert_eq!(release.ca_bundles()?, bundles, "after {after}");
        assert_eq!(
            registration()?["metadata"]["generation"],
            generation,
            "after {after}"
        );
        let kept = release.get("secret", &format!("{objects}-ca"))?;
        assert_eq!(kept["data"], secret, "after {after}");
        Ok(())
    };

    let manifest = release.helm(&["get", "manifest"], false, &[])?;
    let planned = release.helm(&["upgrade"], true, &["--dry-run=server", "-o=json"])?;
    let planned: serde_json::Value = serde_json::from_str(&planned)?;
    let planned = planned["manifest"].as_str().ok_or("no manifest")?;
    assert_eq!(planned.trim(), manifest.trim());
    for server_side in ["--server-side=true", "--server-side=false"] {
        release.helm(&["upgrade"], true, &[server_side])?;
        unchanged(server_side)?;
    }

    let file = release.rendered()?;
    let file = format!("--filename={}", file.display());
    let kubectl = world.kubectl();
    // It fails if there is a difference, and prints it.
    kubectl.run(&["diff", &file])?;
    let gitops = ["--server-side", "--field-manager=argocd-controller"];
    kubectl.run(&[&["diff", &file], &gitops[..]].concat())?;
    for force in [&[][..], &["--force-conflicts"]] {
        // It fails if another manager owns a field.
        kubectl.run(&[&["apply", &file], &gitops[..], force].concat())?;
        unchanged(&format!("an apply of Argo's {force:?}"))?;
    }
    Ok(())
}

/// AKS's admissions enforcer and GKE Autopilot add expressions to namespaceSelectors; Helm 4 uses
/// server-side apply, which refuses to change what another manager owns.
pub(crate) fn an_upgrade_succeeds_after_a_platform_has_edited_a_selector(
    world: &World,
) -> TestResult {
    let release = Release::new(world.cluster(), "edited", &[]);
    let _installed = release.install()?;
    let objects = release.objects();
    let registration = || release.get("mutatingwebhookconfiguration", &objects);
    let before = registration()?;
    let enforcer = "admissions.enforcer/disabled";
    for kind in ["labels", "annotations"] {
        assert_eq!(before["metadata"][kind][enforcer], "true", "AKS leaves it");
    }
    let expression = json!({"key": "control-plane", "operator": "DoesNotExist"});
    let at = |index: usize| format!("/webhooks/{index}/namespaceSelector/matchExpressions/-");
    let add = |index| json!({"op": "add", "path": at(index), "value": expression});
    let patch = format!("--patch={}", json!([add(0), add(1)]));
    let args = [
        "patch",
        "mutatingwebhookconfiguration",
        &objects,
        "--type=json",
        "--field-manager=admissionsenforcer",
        &patch,
    ];
    world.kubectl().run(&args)?;

    // As in NOTES and docs/install.md.
    let refused = match release.helm(&["upgrade"], true, &["--server-side=true"]) {
        Err(refused) => format!("{refused:#}"),
        Ok(output) => return Err(format!("no conflict: the page is wrong: {output}").into()),
    };
    assert!(refused.contains("conflict"), "{refused}");
    assert!(refused.contains("namespaceSelector"), "{refused}");
    let force = ["--server-side=true", "--force-conflicts"];
    release.helm(&["upgrade"], true, &force)?;
    let after = registration()?;
    assert_eq!(after["webhooks"], before["webhooks"]);
    // And then again without the flag.
    release.helm(&["upgrade"], true, &["--server-side=true"])?;
    Ok(())
}

/// As GitOps tools install: helm stores nothing in the cluster.
pub(crate) fn a_gitops_installation_does_not_own_the_ca_bundle(world: &World) -> TestResult {
    let release = Release::new(world.cluster(), "synced", &[]);
    let file = release.rendered()?;
    let file = format!("--filename={}", file.display());
    let kubectl = world.kubectl();
    kubectl.run(&["create", "namespace", "synced"])?;
    let gitops = [
        "apply",
        &file,
        "--server-side",
        "--field-manager=argocd-controller",
    ];
    kubectl.run(&gitops)?;
    let outcome = (|| -> TestResult {
        let _webhook = release.start(&binary())?;
        let bundles = release.ca_bundles()?;
        for force in [&[][..], &["--force-conflicts"]] {
            kubectl.run(&[&gitops[..], force].concat())?;
            assert_eq!(release.ca_bundles()?, bundles, "{force:?}");
        }
        let get = [
            "mutatingwebhookconfiguration",
            &release.objects(),
            "--show-managed-fields",
        ];
        let registration = kubectl.get_json(&get)?;
        let managers = registration["metadata"]["managedFields"].as_array();
        let owners: Vec<_> = managers
            .into_iter()
            .flatten()
            .filter(|entry| entry["fieldsV1"].to_string().contains("f:caBundle"))
            .map(|entry| entry["manager"].clone())
            .collect();
        assert_eq!(owners, [json!("gitvolume-certs")]);
        Ok(())
    })();
    kubectl.run(&["delete", &file])?;
    outcome
}

pub(crate) fn uninstalling_leaves_nothing_and_blocks_no_pod(world: &World) -> TestResult {
    let namespace = world.namespace(&[("gitvolume.dev/auto-inject", "enabled")])?;
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "web",
            "annotations": {"gitvolume.dev/repo": "https://git.example/site.git"},
        },
        "spec": {"containers": [{"name": "web", "image": "nginx"}]},
    })
    .to_string();
    let kubectl = world.kubectl();
    for (release, left) in LEFT {
        kubectl.run(&["create", "namespace", release.0])?;
        let before = everything(kubectl)?;
        let release = Release::new(world.cluster(), release.0, release.1);
        let installed = release.install()?;
        eventually("the registration in force", LONG, || {
            match namespace.create_with(&["--dry-run=server"], &pod) {
                Err(refusal) if refusal.contains("gitvolume.dev") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })?;
        assert!(
            everything(kubectl)?.len() > before.len() + 10,
            "nothing was installed"
        );
        release.helm(&["uninstall"], false, &[])?;
        // The API server removes the results of a CRD with a short delay.
        eventually("nothing else left", LONG, || {
            let after = everything(kubectl)?;
            let found: Vec<&String> = after.difference(&before).collect();
            match found == *left {
                true => Ok(()),
                false => Err(format!("{found:?} of {release:?}")),
            }
        })?;
        eventually("a Pod that nobody is asked about", LONG, || {
            namespace.create_with(&["--dry-run=server"], &pod)
        })?;
        drop(installed);
    }
    Ok(())
}

type Left = (
    (&'static str, &'static [&'static str]),
    &'static [&'static str],
);

/// The releases, and the remaining objects of each after uninstalling.
const LEFT: &[Left] = &[
    (("gone", &["--set=crds.keep=false"]), &[]),
    (
        ("kept", &[]),
        &[
            "APIService <none> v1alpha1.gitvolume.dev",
            "APIService <none> v1beta1.gitvolume.dev",
            "CustomResourceDefinition <none> clustergitvolumes.gitvolume.dev",
            "CustomResourceDefinition <none> gitvolumes.gitvolume.dev",
        ],
    ),
];

/// All objects, except those that come and go by themselves.
fn everything(kubectl: &Kubectl) -> Result<BTreeSet<String>, String> {
    let kinds = kubectl.run(&["api-resources", "--verbs=list", "-o=name"])?;
    let kinds: Vec<&str> = kinds
        .lines()
        .filter(|kind| !kind.starts_with("events") && !kind.starts_with("leases"))
        .collect();
    let columns = "-o=custom-columns=A:.kind,B:.metadata.namespace,C:.metadata.name";
    let kinds = kinds.join(",");
    let all = kubectl.run(&["get", &kinds, "--all-namespaces", "--no-headers", columns])?;
    let words = all
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    Ok(words.map(|words| words.join(" ")).collect())
}
