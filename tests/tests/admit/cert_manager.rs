//! The chart with certificates of the real cert-manager: its controllers issue them, its cainjector
//! fills the caBundle, and the webhook reloads the files when they are swapped as the kubelet does.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::json;
use tests::eventually::eventually;
use tests::http;
use tests::installation::product;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::oci::images;
use tests::process::Process;
use tests::settings;
use tests::tools::tool;

use crate::shared::SETTINGS;
use crate::shared::UNASKED;

const RELEASE: &str = "issued";
const TIMEOUT: Duration = Duration::from_secs(90);

/// The chart's objects for certificates, and the webhook's registration.
fn rendered(world: &World, namespace: &str) -> Result<Vec<Value>, Box<dyn std::error::Error>> {
    let chart = settings::root().join("charts/gitvolume");
    let yaml = product::helm(
        world.cluster(),
        &[
            "template",
            RELEASE,
            &chart.to_string_lossy(),
            &format!("--namespace={namespace}"),
            "--set=tls.mode=cert-manager",
            // Other tests create and delete the CRDs.
            "--set=crds.install=false",
        ],
    )?;
    let all = world
        .kubectl()
        .apply_with(&["--dry-run=client", "-o=json"], &yaml)?;
    let all: Value = serde_json::from_str(&all)?;
    let wanted = ["Certificate", "Issuer", "MutatingWebhookConfiguration"];
    let all = all["items"]
        .as_array()
        .cloned()
        .unwrap_or_default()
        .into_iter();
    Ok(all
        .filter(|object| {
            object["kind"]
                .as_str()
                .is_some_and(|kind| wanted.contains(&kind))
        })
        .collect())
}

/// Updates the mount as the kubelet does: a new directory, then one rename of the link to it.
fn mount(dir: &Path, revision: usize, secret: &Value) -> Result<(), Box<dyn std::error::Error>> {
    let data = format!("..revision_{revision}");
    fs::create_dir_all(dir.join(&data))?;
    for (name, value) in secret["data"].as_object().ok_or("no data")? {
        let value = STANDARD.decode(value.as_str().unwrap_or_default())?;
        fs::write(dir.join(&data).join(name), value)?;
        if !dir.join(name).is_symlink() {
            symlink(Path::new("..data").join(name), dir.join(name))?;
        }
    }
    symlink(&data, dir.join("..data_tmp"))?;
    fs::rename(dir.join("..data_tmp"), dir.join("..data"))?;
    Ok(())
}

pub(crate) fn certificates_of_cert_manager_are_loaded_and_reloaded(world: &World) -> TestResult {
    let modules = Command::new("go")
        .args([
            "list",
            "-m",
            "-f={{.Dir}}",
            "github.com/cert-manager/cert-manager",
        ])
        .current_dir(settings::root().join("tests/tools/cert-manager"))
        .output()?;
    let source = String::from_utf8(modules.stdout)?;
    let crds = format!("--filename={}/deploy/crds", source.trim());
    world.kubectl().run(&["apply", "--server-side", &crds])?;
    world.kubectl().run(&[
        "wait",
        "--for=condition=Established",
        &crds,
        "--timeout=60s",
    ])?;
    let dir = tempfile::tempdir()?;
    let kubeconfig = world.kubectl().kubeconfig().display().to_string();
    let _cert_manager = Process::start(
        "cert-manager",
        &tool("cert-manager"),
        &[kubeconfig],
        dir.path(),
    )?;

    let namespace = world.namespace(&[(UNASKED, "true"), (SETTINGS, "cert-manager")])?;
    let name = namespace.name();
    let tls = dir.path().join("tls");
    fs::create_dir(&tls)?;
    let args = [
        "--tls=files",
        &format!("--tls-dir={}", tls.display()),
        &format!("--namespace={name}"),
        "--service=issued-gitvolume",
        "--listen=127.0.0.1:0",
        "--admin-listen=127.0.0.1:0",
        &format!("--syncer-image={}", images::SYNCER),
        "--max-connection-age=1s",
        "--log-format=json",
    ]
    .map(str::to_owned);
    let logs = dir.path().join("log");
    let _webhook = Process::start("gitvolume", &settings::webhook_binary(), &args, &logs)?;
    let log = || fs::read_to_string(logs.join("gitvolume.log")).unwrap_or_default();
    let listening = eventually("a webhook that listens", TIMEOUT, || {
        let log = log();
        let line = log.lines().find(|line| line.contains("\"listening\""));
        serde_json::from_str::<Value>(line.ok_or("not yet")?).map_err(|error| error.to_string())
    })?;
    let text = |key: &str| listening[key].as_str().unwrap_or_default().to_owned();
    let (address, admin) = (text("address"), text("admin"));
    let (host, port) = admin.rsplit_once(':').ok_or("no port")?;
    let (host, port) = (host.to_owned(), port.parse()?);

    let mut own = Vec::new();
    for mut object in rendered(world, name)? {
        // Here the API server calls the webhook by its IP address, and for one namespace only.
        if object["spec"]["dnsNames"].is_array() {
            object["spec"]["ipAddresses"] = json!(["127.0.0.1"]);
            assert_eq!(
                object["spec"]["dnsNames"][0],
                format!("issued-gitvolume.{name}.svc")
            );
        }
        for webhook in object["webhooks"].as_array_mut().into_iter().flatten() {
            webhook["clientConfig"] = json!({"url": format!("https://{address}/mutate")});
            let only = json!({"matchLabels": {"kubernetes.io/metadata.name": name}});
            webhook["namespaceSelector"] = only;
        }
        own.push(object);
    }
    let list = json!({"apiVersion": "v1", "kind": "List", "items": own});
    world.kubectl().apply(&list.to_string())?;
    let configuration = own.iter().find(|object| object["webhooks"].is_array());
    let configuration = configuration.ok_or("no registration")?["metadata"]["name"].clone();
    let configuration = configuration.as_str().ok_or("no name")?.to_owned();

    let admitted = || {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "web", "annotations": {"gitvolume.dev/repo": "https://git.example/site.git"},
            },
            "spec": {"containers": [{"name": "web", "image": "nginx"}]},
        });
        let output = namespace.create_with(&["--dry-run=server", "-o=json"], &pod.to_string())?;
        match output.contains(images::SYNCER) {
            true => Ok(()),
            false => Err(output),
        }
    };
    let secret = |not: &Value| {
        eventually("cert-manager's certificate", TIMEOUT, || {
            let secret = namespace.get_json(&["secret", "issued-gitvolume-tls"])?;
            let is_whole = ["tls.crt", "tls.key", "ca.crt"].iter().all(|key| {
                secret["data"][key]
                    .as_str()
                    .is_some_and(|value| !value.is_empty())
            });
            match is_whole && secret["data"]["tls.crt"] != not["data"]["tls.crt"] {
                true => Ok(secret),
                false => Err("not yet".to_owned()),
            }
        })
    };
    let outcome = (|| -> TestResult {
        let first = secret(&Value::Null)?;
        assert!(
            http::get(&host, port, "/readyz").is_err(),
            "there is no certificate yet"
        );
        mount(&tls, 1, &first)?;
        eventually("a ready webhook", TIMEOUT, || {
            http::get(&host, port, "/readyz")
        })?;
        eventually("an injected Pod", TIMEOUT, admitted)?;
        // Another certificate of the same CA, as after each renewal.
        namespace.delete("secret", "issued-gitvolume-tls")?;
        let second = secret(&first)?;
        mount(&tls, 2, &second)?;
        eventually("the next certificate", TIMEOUT, || {
            let metrics = http::get(&host, port, "/metrics")?;
            match metrics.contains("gitvolume_webhook_cert_renewals_total 1") {
                true => Ok(()),
                false => Err(log()),
            }
        })?;
        eventually("an injected Pod", TIMEOUT, admitted)?;
        Ok(())
    })();
    let cert_manager = fs::read_to_string(dir.path().join("cert-manager.log")).unwrap_or_default();
    if outcome.is_err() {
        eprintln!("{cert_manager}\n{}", log());
    }
    world
        .kubectl()
        .delete("mutatingwebhookconfiguration", &configuration)?;
    outcome
}
