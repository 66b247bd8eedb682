//! Life cycle of a release: upgrades, GitOps tools, and what remains after uninstalling.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::UnixTime;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
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

/// A user who may edit the namespace installs the cache and the push receiver.
pub(crate) fn a_tenant_installs_the_cache_alone_and_upgrades_keep_the_key_of_wake_ups(
    world: &World,
) -> TestResult {
    let flags = [
        "--set=webhook.enabled=false",
        "--set=cache.enabled=true",
        "--set=cache.allowedHosts={git.example}",
        "--set=cache.tls.secretName=cache",
        "--set=push.enabled=true",
        "--set=push.secretName=push",
        "--set=push.wake.acme={https://git.example/acme}",
        "--kube-as-user=tenant",
    ];
    let release = Release::new(world.cluster(), "tenant", &flags);
    let kubectl = world.kubectl();
    kubectl.run(&["create", "namespace", "tenant"])?;
    // Without a controller manager, the role `edit`, which consists of both, is empty.
    for part in ["edit", "view"] {
        let role = format!("--clusterrole=system:aggregate-to-{part}");
        let bind = ["create", "rolebinding", part, &role, "--user=tenant"];
        kubectl.in_namespace("tenant").run(&bind)?;
    }
    let _installed = release.install_with(&[])?;
    let name = format!("{}-cache-wake", release.objects());
    let key = || {
        release
            .get("secret", &name)
            .map(|secret| secret["data"].clone())
    };
    let before = key()?;
    assert!(before["key"].is_string(), "{before}");
    for server_side in ["--server-side=true", "--server-side=false"] {
        release.helm(&["upgrade"], true, &[server_side])?;
        assert_eq!(key()?, before, "{server_side}");
    }
    Ok(())
}

/// Syncers reach the cache by its address in the settings, the push receiver each replica by its own.
pub(crate) fn the_issued_certificate_of_the_cache_is_valid_for_each_address_of_it(
    world: &World,
) -> TestResult {
    let flags = [
        "--set=cache.enabled=true",
        "--set=cache.allowedHosts={git.example}",
        "--set=push.enabled=true",
        "--set=push.secretName=push",
        "--set=push.wake.acme={https://git.example/acme}",
    ];
    let release = Release::new(world.cluster(), "issued", &flags);
    let _installed = release.install()?;
    let _webhook = release.start(&binary())?;
    let objects = release.objects();
    let data = eventually("a certificate", LONG, || {
        let secret = release.get("secret", &format!("{objects}-cache-tls"))?;
        let data = secret["data"].clone();
        data["tls.crt"]
            .is_string()
            .then_some(data)
            .ok_or("no data".to_owned())
    })?;
    let certificates =
        |key: &str| -> Result<Vec<CertificateDer<'static>>, Box<dyn std::error::Error>> {
            let pem = STANDARD.decode(data[key].as_str().unwrap_or_default())?;
            Ok(CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>()?)
        };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates("ca.crt")?);
    let provider = Arc::new(default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider).build()?;
    let chain = certificates("tls.crt")?;
    let (leaf, rest) = chain.split_first().ok_or("no certificate")?;

    let settings = release.get("configmap", &objects)?["data"]["settings.yaml"].clone();
    let settings: Value = serde_saphyr::from_str(settings.as_str().ok_or("no settings")?)?;
    let push = release.get("deployment", &format!("{objects}-push"))?;
    let args = &push["spec"]["template"]["spec"]["containers"][0]["args"];
    let mut args = args
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let addresses = [
        settings["cache"][0]["url"].as_str(),
        args.find_map(|arg| arg.strip_prefix("--cache=")),
    ];
    for address in addresses {
        let host = address.and_then(|url| url.strip_prefix("https://")?.split(':').next());
        let host = host.ok_or("no address")?.to_owned();
        let name = ServerName::try_from(host)?;
        verifier.verify_server_cert(leaf, rest, &name, &[], UnixTime::now())?;
    }
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
