//! The webhook's certificates on a cluster.

use std::error::Error;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use rcgen::CertificateParams;
use rcgen::KeyPair;
use serde_json::json;
use tests::authority::Authority;
use tests::authority::authority;
use tests::eventually::eventually;
use tests::installation::product;
use tests::installation::product::NAMESPACE;
use tests::installation::product::RELEASE;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::kubernetes::kubectl::Kubectl;
use tests::settings;

use crate::app::READY;
use crate::replicas::all_are_ready;
use crate::replicas::begin;
use crate::replicas::elsewhere;
use crate::replicas::metric;
use crate::replicas::replicas;

const DAY: f64 = 86400.0;
/// The Secret that the chart mounts in mode `files`.
const PAIR: &str = "own-certificate";

/// Runs alone: while the API server does not trust the webhook, annotated Pods are refused.
pub(crate) fn a_removed_ca_bundle_is_written_again(world: &World) -> TestResult {
    let bundle = || -> Result<String, String> {
        world.kubectl().run(&[
            "get",
            "mutatingwebhookconfiguration",
            product::RELEASE,
            "-o=jsonpath={.webhooks[0].clientConfig.caBundle}",
        ])
    };
    let before = bundle()?;
    assert!(
        !before.is_empty(),
        "the webhook wrote its CA at installation"
    );
    let wipe = r#"[{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]"#;
    let patch = format!("--patch={wipe}");
    let kind = "mutatingwebhookconfiguration";
    world
        .kubectl()
        .run(&["patch", kind, product::RELEASE, "--type=json", &patch])?;

    eventually(
        "the CA bundle written again",
        Duration::from_secs(30),
        || match bundle()? {
            now if now == before => Ok(()),
            now => Err(format!("{now:?}")),
        },
    )?;
    // The API server trusts the webhook again after a short delay.
    let namespace = world.namespace(&[])?;
    let annotations = serde_json::json!({"gitvolume.dev/repo": "https://git.example/site.git"});
    let pod = crate::app::shell_pod("app", annotations, "exec sleep 3600").to_string();
    eventually("an injected Pod", Duration::from_secs(30), || {
        namespace.apply_with(&["--dry-run=server"], &pod)
    })?;
    Ok(())
}

/// Runs alone: its replicas' certificates are valid for seconds. `make soak` makes it longer.
pub(crate) fn no_admission_fails_while_ca_and_certificates_are_rotated(
    world: &World,
) -> TestResult {
    let Some(plane) = world.cluster().control_plane() else {
        return elsewhere();
    };
    let seconds = Duration::from_secs(settings::rotation()?.0);
    let namespace = world.namespace(&[])?;
    let short = "--set=extraArgs={--ca-lifetime=18s,--cert-lifetime=5s,--ca-propagation=1s}";
    product::upgrade(world.cluster(), &[short])?;
    let outcome = (|| -> TestResult {
        let replicas = replicas(world)?;
        let load = begin(plane, &namespace)?;
        let begun = Instant::now();
        let mut rotations;
        // Until each replica has also been signed by three other CAs.
        let rotated = loop {
            all_are_ready(&replicas)?;
            let counts = replicas.iter().map(|one| metric(one, "ca_rotations_total"));
            rotations = counts
                .collect::<Result<Vec<_>, _>>()?
                .into_iter()
                .fold(f64::MAX, f64::min);
            let elapsed = begun.elapsed();
            if elapsed >= seconds && (rotations >= 3.0 || elapsed >= seconds + READY) {
                break elapsed;
            }
            std::thread::sleep(Duration::from_millis(200));
        };
        let tally = load.end()?;
        eprintln!("{rotations} rotations of the CA in {rotated:.0?}: {tally}");
        assert!(rotations >= 3.0, "{rotations} in {rotated:.0?}");
        assert_eq!(tally.failed(), 0, "{tally}");
        Ok(())
    })();
    // First a CA with a long validity: with the default propagation time the short-lived one would
    // expire before all clients have the next one.
    product::upgrade(world.cluster(), &["--set=extraArgs={--ca-propagation=1s}"])?;
    let restored = (|| -> TestResult {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
        for replica in replicas(world)? {
            eventually("an authority that lives for long", READY, || match metric(
                &replica,
                "ca_not_after_seconds",
            )? {
                end if end > now + DAY => Ok(()),
                end => Err(format!("{replica}: {} s", end - now)),
            })?;
        }
        Ok(())
    })();
    product::install(world.cluster())?;
    outcome.and(restored)
}

/// Runs alone: during the test the installation uses a third-party certificate.
pub(crate) fn no_admission_fails_while_the_kubelet_replaces_a_mounted_certificate(
    world: &World,
) -> TestResult {
    let Some(plane) = world.cluster().control_plane() else {
        return elsewhere();
    };
    let kubectl = world.kubectl().in_namespace(NAMESPACE);
    let dir = tempfile::tempdir()?;
    let ca_file = dir.path().join("ca.crt");
    let authority = authority()?;
    std::fs::write(&ca_file, authority.pem())?;
    put_pair(&kubectl, &authority, 10)?;
    let arguments = [
        "--set=tls.mode=files",
        // The caBundle still belongs to the webhook's field manager.
        "--force-conflicts",
        &format!("--set=tls.files.secretName={PAIR}"),
        &format!("--set-file=tls.files.caBundle={}", ca_file.display()),
    ];
    let outcome = (|| -> TestResult {
        product::upgrade(world.cluster(), &arguments)?;
        let replicas = replicas(world)?;
        let namespace = world.namespace(&[])?;
        let ends = || -> Result<Vec<f64>, String> {
            let ends = replicas
                .iter()
                .map(|one| metric(one, "cert_not_after_seconds"));
            ends.collect()
        };
        let before = ends()?;
        let load = begin(plane, &namespace)?;
        put_pair(&kubectl, &authority, 20)?;
        // The kubelet syncs a Pod each minute, and when it changes.
        kubectl.run(&["annotate", "pods", "--all", "gitvolume.test/looked-at=now"])?;
        eventually("the other certificate", READY, || match ends()? {
            now if now.iter().zip(&before).all(|(now, before)| now > before) => Ok(()),
            now => Err(format!("{before:?}, and now {now:?}")),
        })?;
        std::thread::sleep(Duration::from_secs(3));
        all_are_ready(&replicas)?;
        let tally = load.end()?;
        eprintln!("a mounted certificate exchanged: {tally}");
        assert_eq!(tally.failed(), 0, "{tally}");
        Ok(())
    })();
    product::install(world.cluster())?;
    kubectl.delete("secret", PAIR)?;
    outcome
}

/// Writes the Secret: a pair that is valid for this many years.
fn put_pair(kubectl: &Kubectl, authority: &Authority, years: i32) -> Result<(), Box<dyn Error>> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![format!("{RELEASE}.{NAMESPACE}.svc")])?;
    params.not_after = rcgen::date_time_ymd(2030 + years, 1, 1);
    let leaf = params.signed_by(&key, authority)?;
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": PAIR},
        "stringData": {"tls.crt": leaf.pem(), "tls.key": key.serialize_pem()},
    });
    kubectl.apply(&secret.to_string())?;
    Ok(())
}
