//! `gitvolume doctor` and `gitvolume explain KIND/NAME` through the real program, on a separate API
//! server: the doctor reads the whole cluster.

use std::collections::BTreeSet;
use std::net::Shutdown;
use std::net::TcpListener;
use std::net::TcpStream;
use std::net::UdpSocket;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tests::eventually::eventually;
use tests::installation::product;
use tests::installation::serving::Serving;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::kubernetes::control_plane::ControlPlane;
use tests::kubernetes::control_plane::Options;
use tests::kubernetes::kubectl::Kubectl;
use tests::kubernetes::namespace::Namespace;
use tests::oci::images;
use tests::settings;

/// A user with read access to one namespace only.
const DEVELOPER: &str = "developer";

/// The guard and its binding, in the chart.
const GUARD: &str = "gitvolume-guard";

/// Timeout for the API server to apply a changed registration.
const REGISTRATION_TIMEOUT: Duration = Duration::from_secs(30);

/// The output and exit code of the program.
struct CommandOutput {
    code: Option<i32>,
    out: String,
    err: String,
}

/// An API server with the product's objects, and a webhook beside it.
struct Installation {
    // The API server last: dropping the namespace needs it.
    namespace: Namespace,
    rendered: Vec<Value>,
    serving: Serving,
    plane: ControlPlane,
    folder: PathBuf,
}

impl Installation {
    fn new(world: &World) -> Result<Self, String> {
        let to_text = |error: anyhow::Error| format!("{error:#}");
        let folder = world.cluster().folder().join("doctor");
        let options = Options {
            version: crate::shared::version(world)?,
            users: vec![(DEVELOPER.to_owned(), Vec::new())],
            ..Options::default()
        };
        let plane = ControlPlane::start(&folder, &options).map_err(to_text)?;
        let serving = Serving::start(&folder.join("webhook")).map_err(to_text)?;
        let rendered = product::render(world.cluster(), &[]).map_err(to_text)?;
        let flags = ["--dry-run=client", "--validate=false", "-o=json"];
        let (rendered, _) = plane.kubectl().created(&flags, &rendered)?;
        let kubectl = plane.kubectl();
        kubectl.run(&["create", "namespace", product::NAMESPACE])?;
        // The namespace of the trial Pod must allow Pods.
        kubectl
            .in_namespace("default")
            .run(&["create", "serviceaccount", "default"])?;
        let namespace = Namespace::create(kubectl, "doctor", &[])?;
        Ok(Self {
            namespace,
            rendered,
            serving,
            plane,
            folder,
        })
    }

    fn kubectl(&self) -> &Kubectl {
        self.plane.kubectl()
    }

    /// An object of the chart.
    fn of_chart(&self, kind: &str, name: &str) -> Value {
        let mut all = self.rendered.iter();
        let found = all.find(|own| own["kind"] == kind && own["metadata"]["name"] == name);
        found.cloned().unwrap_or_default()
    }

    fn apply(&self, object: &Value) -> Result<(), String> {
        self.kubectl().apply(&object.to_string()).map(drop)
    }

    /// Applies the chart's registration with our webhook's URL and this change.
    fn register(&self, change: impl Fn(&mut Value)) -> Result<(), String> {
        let mut registration = self.of_chart("MutatingWebhookConfiguration", product::RELEASE);
        let webhooks = registration["webhooks"].as_array_mut();
        for webhook in webhooks.ok_or("no webhooks")? {
            let config = self.serving.client_config(webhook);
            webhook["clientConfig"] = config.map_err(|error| format!("{error:#}"))?;
        }
        change(&mut registration);
        self.apply(&registration)
    }

    fn run_as(&self, kubeconfig: &Path, args: &[&str]) -> Result<CommandOutput, String> {
        let output = Command::new(settings::cli_binary())
            .args(args)
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .env_clear()
            .output()
            .map_err(|error| format!("run gitvolume: {error}"))?;
        Ok(CommandOutput {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    fn run(&self, args: &[&str]) -> Result<CommandOutput, String> {
        self.run_as(self.kubectl().kubeconfig(), args)
    }

    /// The ids of the doctor's findings; fails if the doctor could not read something.
    fn finds(&self, flags: &[&str]) -> Result<(BTreeSet<String>, Option<i32>, Value), String> {
        let ran = self.run(&[&["doctor", "-o", "json"], flags].concat())?;
        let document: Value =
            serde_json::from_str(&ran.out).map_err(|error| format!("{error}: {}", ran.err))?;
        assert_eq!(document["notLookedAt"], json!([]), "{}", ran.out);
        let findings = document["findings"].as_array().cloned().unwrap_or_default();
        let ids = findings.iter().filter_map(|own| own["id"].as_str());
        Ok((ids.map(str::to_owned).collect(), ran.code, document))
    }

    /// Waits until the doctor has exactly these findings.
    fn eventually_finds(&self, ids: &[&str], code: i32) -> Result<Value, String> {
        self.eventually_finds_with(&[], ids, code)
    }

    fn eventually_finds_with(
        &self,
        flags: &[&str],
        ids: &[&str],
        code: i32,
    ) -> Result<Value, String> {
        let wanted: BTreeSet<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        eventually(
            &format!("the findings {ids:?}"),
            REGISTRATION_TIMEOUT,
            || {
                let (found, ended, document) = self.finds(flags)?;
                if found == wanted && ended == Some(code) {
                    return Ok(document);
                }
                Err(format!("code {ended:?}, {document:#}"))
            },
        )
    }

    /// Creates a Pod, and marks it as running in the API server.
    fn pod(&self, name: &str, annotations: &Value) -> Result<(), String> {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "annotations": annotations},
            "spec": {"containers": [{"name": "web", "image": "nginx"}]},
        });
        self.namespace.create(&pod.to_string())?;
        self.status("pod", name, &json!({"phase": "Running"}))
    }

    fn status(&self, kind: &str, name: &str, status: &Value) -> Result<(), String> {
        let patch = json!({"status": status}).to_string();
        let args = ["patch", kind, name, "--subresource=status", "--type=merge"];
        self.namespace
            .run(&[&args[..], &["-p", &patch]].concat())
            .map(drop)
    }

    fn delete(&self, kind: &str, name: &str) -> Result<(), String> {
        self.namespace.delete(kind, name).map(drop)
    }
}

fn repo_annotations() -> Value {
    json!({"gitvolume.dev/repo": "https://git.example/site.git"})
}

/// One API server for all cases: starting one takes longer than all these checks.
pub(crate) fn each_problem_is_found_and_a_healthy_installation_has_no_findings(
    world: &World,
) -> TestResult {
    let installation = Installation::new(world)?;
    the_installation(&installation)?;
    the_pods(&installation)?;
    explain_a_pod(&installation)?;
    others_and_objects(&installation)?;
    webhook_without_endpoints(&installation)?;
    user_with_few_permissions(&installation)?;
    Ok(())
}

fn the_installation(installation: &Installation) -> Result<(), String> {
    let (found, code, _) = installation.finds(&[])?;
    assert_eq!((found.len(), code), (1, Some(1)), "{found:?}");
    assert!(found.contains("not-installed"), "{found:?}");
    // A Pod from before the webhook's installation.
    installation.pod("old", &repo_annotations())?;
    installation.register(|_| {})?;
    installation.apply(&installation.of_chart("ValidatingAdmissionPolicy", GUARD))?;
    installation.apply(&installation.of_chart("ValidatingAdmissionPolicyBinding", GUARD))?;
    installation.eventually_finds(&["pod-not-injected"], 1)?;
    installation.delete("pod", "old")?;
    installation.eventually_finds(&[], 0)?;
    let ran = installation.run(&["doctor"])?;
    assert!(
        ran.out.starts_with("no problems found; checked "),
        "{}",
        ran.out
    );
    assert_eq!(ran.out.lines().count(), 1, "{}", ran.out);

    installation.register(|own| {
        let webhooks = own["webhooks"].as_array_mut();
        for webhook in webhooks.into_iter().flatten() {
            webhook["clientConfig"]["caBundle"] = Value::Null;
        }
    })?;
    let document = installation.eventually_finds(&["ca-bundle-empty", "ca-bundle-untrusted"], 1)?;
    let untrusted = &document["findings"].as_array().ok_or("no findings")?;
    let untrusted = untrusted
        .iter()
        .find(|own| own["id"] == "ca-bundle-untrusted");
    let what = untrusted
        .and_then(|own| own["what"].as_str())
        .unwrap_or_default();
    assert!(what.contains("x509"), "{what}");
    installation.register(|_| {})?;
    installation.eventually_finds(&[], 0)?;

    let kind = "validatingadmissionpolicybinding";
    installation.kubectl().run(&["delete", kind, GUARD])?;
    installation.register(|own| own["webhooks"][1]["failurePolicy"] = json!("Ignore"))?;
    installation.eventually_finds(&["guard-unbound", "silent-skip"], 0)?;
    installation.eventually_finds_with(&["--strict"], &["guard-unbound", "silent-skip"], 1)?;
    installation.apply(&installation.of_chart("ValidatingAdmissionPolicyBinding", GUARD))?;
    installation.register(|_| {})?;
    installation.eventually_finds(&[], 0)?;

    let edit = json!([{"op": "replace", "path": "/webhooks/1/timeoutSeconds", "value": 7}]);
    let args = [
        "patch",
        "mutatingwebhookconfiguration",
        product::RELEASE,
        "--type=json",
        "-p",
    ];
    installation
        .kubectl()
        .run(&[&args[..], &[&edit.to_string()]].concat())?;
    let document = installation.eventually_finds(&["entry-edited"], 0)?;
    assert_eq!(
        document["findings"][0]["what"],
        "kubectl-patch has set pods.gitvolume.dev.timeoutSeconds."
    );
    let kind = "mutatingwebhookconfiguration";
    installation
        .kubectl()
        .run(&["delete", kind, product::RELEASE])?;
    installation.register(|_| {})?;
    installation.eventually_finds(&[], 0).map(drop)
}

fn the_pods(installation: &Installation) -> Result<(), String> {
    let mut annotations = repo_annotations();
    annotations["gitvolume.dev/secret"] = json!("git");
    installation.pod("web", &annotations)?;
    installation.eventually_finds(&[], 0)?;

    // The doctor reads Secrets only with this flag, and never prints them.
    installation.eventually_finds_with(&["--secrets"], &["secret-missing"], 1)?;
    let secret = |key: &str| {
        let args = ["create", "secret", "generic", "git"];
        let literal = format!("--from-literal={key}=hunter2");
        installation
            .namespace
            .run(&[&args[..], &[&literal]].concat())
    };
    secret("deploy-key")?;
    let document =
        installation.eventually_finds_with(&["--secrets"], &["secret-without-keys"], 1)?;
    assert!(!document.to_string().contains("hunter2"), "{document}");
    installation.delete("secret", "git")?;
    secret("ssh")?;
    installation.eventually_finds_with(&["--secrets"], &[], 0)?;

    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "annotations": repo_annotations()},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "nginx"}]},
            },
        },
    });
    installation.namespace.apply(&deployment.to_string())?;
    let document = installation.eventually_finds(&["annotation-misplaced"], 0)?;
    let at = &document["findings"][0]["at"];
    assert_eq!(
        (&at["kind"], &at["name"]),
        (&json!("Deployment"), &json!("web"))
    );
    installation.delete("deployment", "web")?;

    let status = "gitvolume.dev/status={\"config\":\"0000\",\"version\":\"0.0.1\"}";
    installation
        .namespace
        .run(&["annotate", "--overwrite", "pod", "web", status])?;
    installation.eventually_finds(&["pod-outdated"], 0)?;
    // A problem in another namespace is not reported.
    installation.eventually_finds_with(&["-n", "default"], &[], 0)?;
    installation.delete("pod", "web")?;
    installation.pod("web", &annotations)?;
    installation.eventually_finds(&[], 0).map(drop)
}

/// The note of `explain` if the webhook is registered by URL, as here: the settings come from the
/// flags only.
const OWN_SETTINGS: &str = "note: the webhook's settings (this program's own settings apply instead) cannot be read: \
                            its registration names no Service\n";

fn explain_a_pod(installation: &Installation) -> Result<(), String> {
    let uid = installation.namespace.get_json(&["pod", "web"])?["metadata"]["uid"].clone();
    let running = json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}});
    let container = json!({
        "name": "gitvolume", "image": "x", "imageID": "", "ready": false, "restartCount": 2,
        "state": running, "started": false,
    });
    installation.status("pod", "web", &json!({"initContainerStatuses": [container]}))?;
    let event = json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": "web.1", "namespace": installation.namespace.name()},
        "involvedObject": {
            "apiVersion": "v1", "kind": "Pod", "name": "web", "uid": uid,
            "namespace": installation.namespace.name(),
            "fieldPath": "spec.initContainers{gitvolume}",
        },
        "type": "Warning", "reason": "Unhealthy", "message": "Startup probe failed: no such host",
        "firstTimestamp": "2026-01-01T00:00:01Z", "lastTimestamp": "2026-01-01T00:00:01Z", "count": 1,
    });
    installation.namespace.create(&event.to_string())?;
    let image = format!("--syncer-image={}", images::SYNCER);
    let namespace = installation.namespace.name();
    let ran = installation.run(&["explain", "pod/web", "-n", namespace, &image])?;
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (Some(0), OWN_SETTINGS),
        "{}",
        ran.out
    );
    for words in [
        &format!("Pod {namespace}/web: skip (already-injected)"),
        "injected by version",
        "a new Pod would get the same",
        "https://git.example/site.git  gitvolume.dev/repo",
        "container gitvolume runs since 2026-01-01T00:00:00Z; it has not published the files yet; restarted 2",
        "Startup probe failed: no such host (2026-01-01T00:00:01Z)",
    ] {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    // Another configuration gives new Pods a different result, and `explain` prints it.
    let args = [
        "explain",
        "pod/web",
        "-n",
        namespace,
        "--syncer-image=x:2",
        "-o=json",
    ];
    let ran = installation.run(&args)?;
    let document: Value = serde_json::from_str(&ran.out).map_err(|error| error.to_string())?;
    let present = &document[0]["explanation"]["present"];
    assert_eq!(present["isSame"], false, "{document:#}");
    assert_eq!(
        present["differences"],
        json!(["container gitvolume: image"])
    );
    assert_eq!(document[0]["containers"][0]["restarts"], 2);

    let ran = installation.run(&["explain", "pod/none", "-n", namespace, &image])?;
    assert_eq!(
        (ran.code, ran.err.lines().count()),
        (Some(2), 1),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("\"none\" not found"), "{}", ran.err);
    installation.delete("event", "web.1")?;
    installation.status("pod", "web", &json!({"initContainerStatuses": []}))
}

fn others_and_objects(installation: &Installation) -> Result<(), String> {
    let other = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "some-injector"},
        "webhooks": [{
            "name": "inject.example.com",
            "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "clientConfig": {"url": "https://127.0.0.1:9/inject"},
            "namespaceSelector": {"matchLabels": {"nobody": "has-it"}},
            "rules": [{
                "operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"],
                "resources": ["pods"],
            }],
        }],
    });
    installation.apply(&other)?;
    installation.eventually_finds_with(&["--strict"], &["injectors-after"], 0)?;
    let kind = "mutatingwebhookconfiguration";
    installation
        .kubectl()
        .run(&["delete", kind, "some-injector"])?;

    // As in the chart.
    let definitions = settings::root().join("charts/gitvolume/files/crds");
    for plural in ["clustergitvolumes", "gitvolumes"] {
        let definition = std::fs::read_to_string(definitions.join(format!("{plural}.yaml")));
        let definition = definition.map_err(|error| error.to_string())?;
        installation.kubectl().apply(&definition)?;
        let object = format!("crd/{plural}.gitvolume.dev");
        installation
            .kubectl()
            .wait_for(&object, "condition=Established", REGISTRATION_TIMEOUT)?;
    }
    let volume = json!({
        "apiVersion": "gitvolume.dev/v1alpha1", "kind": "GitVolume",
        "metadata": {"name": "site"},
        // It matches no Pods: only the report about the object is tested.
        "spec": {
            "repo": "https://git.example/site.git",
            "podSelector": {"matchLabels": {"nobody": "has-it"}},
        },
    });
    installation.namespace.apply(&volume.to_string())?;
    let judged = |accepted: &str, effective: &str| {
        let condition = |name: &str, status: &str, message: &str| {
            json!({
                "type": name, "status": status, "reason": "Test", "message": message,
                "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
            })
        };
        let conditions = json!([
            condition("Accepted", accepted, "spec.repo: no"),
            condition("Effective", effective, "the label is missing"),
        ]);
        installation.status("gitvolume", "site", &json!({"conditions": conditions}))
    };
    judged("False", "False")?;
    let document = installation.eventually_finds(&["object-refused"], 1)?;
    assert_eq!(document["findings"][0]["what"], "spec.repo: no");
    judged("True", "False")?;
    installation.eventually_finds(&["object-without-effect"], 0)?;
    judged("True", "True")?;
    installation.eventually_finds(&[], 0)?;
    let image = format!("--syncer-image={}", images::SYNCER);
    let namespace = installation.namespace.name();
    let ran = installation.run(&["explain", "gv/site", "-n", namespace, &image])?;
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (Some(0), OWN_SETTINGS),
        "{}",
        ran.out
    );
    for words in [
        &format!("GitVolume {namespace}/site: accepted"),
        "https://git.example/site.git  spec.repo",
        "Effective=True: the label is missing",
    ] {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    installation.delete("gitvolume", "site")?;
    installation.eventually_finds(&[], 0).map(drop)
}

/// The registration names the chart's Service, which has no endpoints.
fn webhook_without_endpoints(installation: &Installation) -> Result<(), String> {
    let chart = installation.of_chart("MutatingWebhookConfiguration", product::RELEASE);
    let service = |own: &mut Value| {
        let webhooks = own["webhooks"].as_array_mut();
        for (index, webhook) in webhooks.into_iter().flatten().enumerate() {
            let config = chart["webhooks"][index]["clientConfig"].clone();
            let bundle = webhook["clientConfig"]["caBundle"].clone();
            webhook["clientConfig"] = config;
            webhook["clientConfig"]["caBundle"] = bundle;
        }
    };
    installation.register(service)?;
    installation.eventually_finds(&["service-missing", "unreachable"], 1)?;

    installation.apply(&installation.of_chart("Service", product::RELEASE))?;
    // A Pod of the Deployment that no node ever runs.
    let mut pod = installation.of_chart("Deployment", product::RELEASE)["spec"]["template"].clone();
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!("gitvolume-0");
    pod["metadata"]["namespace"] = json!(product::NAMESPACE);
    pod["spec"]["serviceAccountName"] = json!("default");
    let kubectl = installation.kubectl().in_namespace(product::NAMESPACE);
    kubectl.run(&["create", "serviceaccount", "default"])?;
    for map in installation
        .rendered
        .iter()
        .filter(|own| own["kind"] == "ConfigMap")
    {
        installation.apply(map)?;
    }
    kubectl.create(&pod.to_string())?;
    // The target of a Service's address depends on the machine, so there is no trial.
    let document = installation.eventually_finds_with(&["--no-trial"], &["no-endpoints"], 1)?;
    assert_eq!(document["lookedAt"]["replicas"], 1, "{document:#}");

    // Its flags are the settings of this cluster.
    let namespace = installation.namespace.name();
    let ran = installation.run(&["explain", "po/web", "-n", namespace, "-o=json"])?;
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{}", ran.out);
    let document: Value = serde_json::from_str(&ran.out).map_err(|error| error.to_string())?;
    let present = &document[0]["explanation"]["present"];
    assert_eq!(present["differences"], json!([]), "{document:#}");

    kubectl.delete("pod", "gitvolume-0")?;
    healthy(installation, pod)?;
    kubectl.delete("service", product::RELEASE)?;
    installation.register(|_| {})?;
    installation.eventually_finds(&[], 0).map(drop)
}

/// A healthy replica causes no finding, not even with `--strict`. The API server calls it by its
/// Pod's address, as on any cluster.
fn healthy(installation: &Installation, mut pod: Value) -> Result<(), String> {
    let to_text = |error: std::io::Error| error.to_string();
    // Sends no packet: the socket only selects the local address of the default route.
    let socket = UdpSocket::bind("0.0.0.0:0").map_err(to_text)?;
    socket.connect("192.0.2.1:9").map_err(to_text)?;
    let address = socket.local_addr().map_err(to_text)?.ip();
    let listener = TcpListener::bind((address, 0)).map_err(to_text)?;
    let port = listener.local_addr().map_err(to_text)?.port();
    let admin = installation.serving.admin().to_owned();
    std::thread::spawn(move || {
        for caller in listener.incoming().flatten() {
            let Ok(replica) = TcpStream::connect(&admin) else {
                return;
            };
            for (from, to) in [(&caller, &replica), (&replica, &caller)] {
                let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else {
                    return;
                };
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
            }
        }
    });
    let ports = pod["spec"]["containers"][0]["ports"].as_array_mut();
    for own in ports.into_iter().flatten() {
        if own["name"] == "admin" {
            own["containerPort"] = json!(port);
        }
    }
    let kubectl = installation.kubectl().in_namespace(product::NAMESPACE);
    kubectl.create(&pod.to_string())?;
    let status = json!({"status": {
        "phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
    }});
    let patch = [
        "patch",
        "pod",
        "gitvolume-0",
        "--subresource=status",
        "--type=merge",
        "-p",
    ];
    kubectl.run(&[&patch[..], &[&status.to_string()]].concat())?;
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": "gitvolume-0",
            "labels": {"kubernetes.io/service-name": product::RELEASE},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": true}}],
    });
    kubectl.create(&slice.to_string())?;
    let flags = ["--strict", "--no-trial"];
    let document = installation.eventually_finds_with(&flags, &[], 0)?;
    assert_eq!(document["findings"], json!([]), "{document:#}");
    assert_eq!(document["lookedAt"]["replicas"], 1, "{document:#}");

    // The settings are the replica's, independent of the environment of the command line.
    let namespace = installation.namespace.name();
    let output = Command::new(settings::cli_binary())
        .args([
            "explain",
            "pod/web",
            "-n",
            namespace,
            "-o=json",
            "--kubeconfig",
        ])
        .arg(installation.kubectl().kubeconfig())
        .env_clear()
        .env("GITVOLUME_ON_MISTAKE", "warn")
        .env("GITVOLUME_SYNCER_IMAGE_PULL_POLICY", "nonsense")
        .output()
        .map_err(to_text)?;
    let document: Value =
        serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    let present = &document[0]["explanation"]["present"];
    assert_eq!(present["differences"], json!([]), "{document:#}");
    kubectl.delete("endpointslice", "gitvolume-0")?;
    kubectl.delete("pod", "gitvolume-0").map(drop)
}

/// With access to one namespace only, the doctor reports that namespace, and what it could not
/// read.
fn user_with_few_permissions(installation: &Installation) -> Result<(), String> {
    let kubeconfig = installation.folder.join("developer.kubeconfig");
    let text = installation.plane.kubeconfig_for(DEVELOPER);
    std::fs::write(&kubeconfig, text).map_err(|error| error.to_string())?;
    let user = format!("--user={DEVELOPER}");
    let role = [
        "create",
        "role",
        "developer",
        "--verb=get,list",
        "--resource=pods,events",
    ];
    installation.namespace.run(&role)?;
    let binding = [
        "create",
        "rolebinding",
        "developer",
        "--role=developer",
        &user,
    ];
    installation.namespace.run(&binding)?;
    let status = "gitvolume.dev/status={\"refused\":\"gitvolume.dev/mode: no\"}";
    // Without our container: created with injection off, and annotated afterwards.
    installation.pod("plain", &json!({"gitvolume.dev/inject": "false"}))?;
    installation
        .namespace
        .run(&["annotate", "pod", "plain", status])?;
    let namespace = installation.namespace.name();
    let args = ["doctor", "-o=json", "-n", namespace, "--no-trial"];
    let found = eventually("the rights of the developer", REGISTRATION_TIMEOUT, || {
        let ran = installation.run_as(&kubeconfig, &args)?;
        let document: Value = serde_json::from_str(&ran.out).map_err(|error| error.to_string())?;
        match document["findings"][0]["id"] == "pod-refused" {
            true => Ok((ran, document)),
            false => Err(format!("{document:#}{}", ran.err)),
        }
    });
    let (ran, document) = found?;
    assert_eq!(ran.code, Some(2), "{}", ran.out);
    let unseen = document["notLookedAt"].as_array().ok_or("no list")?;
    let unseen: Vec<&str> = unseen
        .iter()
        .filter_map(|own| own["what"].as_str())
        .collect();
    for what in [
        "the namespaces' labels",
        "the webhook's registration",
        "the guard",
        "the nodes",
    ] {
        assert!(unseen.contains(&what), "{what}: {unseen:?}");
    }
    assert!(
        !ran.out.contains("the Pods of the namespace"),
        "{}",
        ran.out
    );
    let image = format!("--syncer-image={}", images::SYNCER);
    let ran = installation.run_as(
        &kubeconfig,
        &["explain", "pod/web", "-n", namespace, &image],
    )?;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("injected by version"), "{}", ran.out);
    installation.delete("pod", "plain")
}
