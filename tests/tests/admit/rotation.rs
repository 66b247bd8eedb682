//! Certificates that change while Pods are admitted: two replicas with one CA in a Secret, called
//! alternately as through a Service.
//!
//! `GITVOLUME_ROTATION_SECONDS` and `GITVOLUME_ROTATION_RATE` set duration and load; `make soak`
//! raises both.

use std::io;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certs::Bundle;
use serde_json::Value;
use serde_json::json;
use tests::eventually::eventually;
use tests::http;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::kubernetes::kubectl::Kubectl;
use tests::kubernetes::namespace::Namespace;
use tests::metrics;
use tests::oci::images;
use tests::process::Process;
use tests::settings;
use tests::tools::tool;

use crate::shared::SETTINGS;
use crate::shared::UNASKED;

const SECRET: &str = "rotated-ca";
/// Timeout of each wait.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The webhook's RBAC rules from the chart, with its names filled in.
const RIGHTS: &str = r#"
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Secret, metadata: {name: rotated-ca}}
- {apiVersion: v1, kind: ServiceAccount, metadata: {name: webhook}}
- apiVersion: rbac.authorization.k8s.io/v1
  kind: Role
  metadata: {name: webhook}
  rules:
  - {apiGroups: [""], resources: [secrets], resourceNames: [rotated-ca], verbs: [get, watch, update]}
- apiVersion: rbac.authorization.k8s.io/v1
  kind: RoleBinding
  metadata: {name: webhook}
  roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: webhook}
  subjects: [{kind: ServiceAccount, name: webhook, namespace: NAMESPACE}]
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata: {name: NAMESPACE}
  rules:
  - apiGroups: [admissionregistration.k8s.io]
    resources: [mutatingwebhookconfigurations]
    resourceNames: [NAMESPACE]
    verbs: [get, watch, patch]
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRoleBinding
  metadata: {name: NAMESPACE}
  roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: NAMESPACE}
  subjects: [{kind: ServiceAccount, name: webhook, namespace: NAMESPACE}]
"#;

/// Two replicas and their objects in the API server. The configuration has the name of the
/// namespace.
struct Replicas<'a> {
    world: &'a World,
    namespace: Arc<Namespace>,
    admins: Vec<String>,
    balancer: Balancer,
    _processes: Vec<Process>,
    _dir: tempfile::TempDir,
}

impl<'a> Replicas<'a> {
    fn start(world: &'a World, lifetimes: &[&str]) -> Result<Self, Box<dyn std::error::Error>> {
        let namespace = world.namespace(&[(UNASKED, "true"), (SETTINGS, "rotation")])?;
        let name = namespace.name();
        namespace.apply(&RIGHTS.replace("NAMESPACE", name))?;
        let dir = tempfile::tempdir()?;
        let plane = world.cluster().control_plane().ok_or("no control plane")?;
        let token = namespace.run(&["create", "token", "webhook"])?;
        let kubeconfig = dir.path().join("kubeconfig");
        std::fs::write(&kubeconfig, plane.kubeconfig_for(token.trim()))?;
        let kubeconfig = format!("KUBECONFIG={}", kubeconfig.display());
        let mut processes = Vec::new();
        let mut addresses = Vec::new();
        let mut admins = Vec::new();
        for replica in ["a", "b"] {
            let binary = settings::webhook_binary().display().to_string();
            let own = [
                format!("--namespace={name}"),
                format!("--secret-name={SECRET}"),
                format!("--webhook-configuration={name}"),
            ];
            let image = format!("--syncer-image={}", images::SYNCER);
            let args = [
                kubeconfig.as_str(),
                &binary,
                "--listen=127.0.0.1:0",
                "--admin-listen=127.0.0.1:0",
                "--tls-name=127.0.0.1",
                &own[0],
                &own[1],
                &own[2],
                &image,
                // Each new connection is a handshake with the current certificate.
                "--max-connection-age=1s",
                "--log-format=json",
            ];
            let args: Vec<String> = args
                .iter()
                .chain(lifetimes)
                .map(|a| (*a).to_owned())
                .collect();
            let logs = dir.path().join(replica);
            processes.push(Process::start("gitvolume", Path::new("env"), &args, &logs)?);
            let line = eventually("a webhook that listens", TIMEOUT, || {
                let log = std::fs::read_to_string(logs.join("gitvolume.log"));
                let log = log.map_err(|error| error.to_string())?;
                let line = log.lines().find(|line| line.contains("\"listening\""));
                let line = line.ok_or_else(|| log.clone())?;
                serde_json::from_str::<Value>(line).map_err(|error| error.to_string())
            })?;
            let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            addresses.push(text("address").parse()?);
            admins.push(text("admin"));
        }
        let replicas = Self {
            world,
            namespace,
            admins,
            balancer: Balancer::start(addresses)?,
            _processes: processes,
            _dir: dir,
        };
        replicas
            .kubectl()
            .apply(&replicas.registration(&["a", "b"]))?;
        for replica in 0..2 {
            eventually("a ready replica", TIMEOUT, || replicas.readyz(replica))?;
        }
        eventually("an injected Pod", TIMEOUT, || replicas.admit())?;
        Ok(replicas)
    }

    fn kubectl(&self) -> &Kubectl {
        self.world.kubectl()
    }

    /// The configuration as the chart renders it: without a caBundle.
    fn registration(&self, webhooks: &[&str]) -> String {
        self.registration_with(webhooks, json!({}))
    }

    fn registration_with(&self, webhooks: &[&str], more: Value) -> String {
        let webhooks = webhooks.iter().map(|webhook| {
            let mut client = json!({"url": format!("https://{}/mutate", self.balancer.address)});
            if let Some(bundle) = more.get("caBundle") {
                client["caBundle"] = bundle.clone();
            }
            json!({
                "name": format!("{webhook}.gitvolume.dev"),
                "admissionReviewVersions": ["v1"],
                "clientConfig": client,
                "rules": [{
                    "operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"],
                    "resources": ["pods"], "scope": "Namespaced",
                }],
                "namespaceSelector": {
                    "matchLabels": {"kubernetes.io/metadata.name": self.namespace.name()},
                },
                "failurePolicy": "Fail", "sideEffects": "None", "timeoutSeconds": 5,
            })
        });
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": self.namespace.name()},
            "webhooks": webhooks.collect::<Vec<_>>(),
        })
        .to_string()
    }

    /// The caBundle of each webhook, empty if there is none.
    fn bundles(&self) -> Result<Vec<String>, String> {
        let name = self.namespace.name();
        let found = self
            .kubectl()
            .get_json(&["mutatingwebhookconfiguration", name])?;
        let webhooks = found["webhooks"].as_array().cloned().unwrap_or_default();
        let bundle = |webhook: &Value| {
            webhook["clientConfig"]["caBundle"]
                .as_str()
                .map(str::to_owned)
        };
        Ok(webhooks
            .iter()
            .map(|webhook| bundle(webhook).unwrap_or_default())
            .collect())
    }

    fn wait_for_bundle(&self, what: &str, time: Duration, expected: &[String]) -> TestResult {
        eventually(what, time, || match self.bundles()? {
            bundles if bundles == expected => Ok(()),
            bundles => Err(format!("{bundles:?}")),
        })?;
        Ok(())
    }

    fn admit(&self) -> Result<String, String> {
        let output = self
            .namespace
            .create_with(&["--dry-run=server", "-o=json"], &pod())?;
        match output.contains(images::SYNCER) {
            true => Ok(output),
            false => Err(output),
        }
    }

    fn readyz(&self, replica: usize) -> Result<String, String> {
        self.page(replica, "/readyz")
    }

    fn metric(&self, replica: usize, name: &str) -> Result<f64, String> {
        metrics::value(&self.page(replica, "/metrics")?, name)
    }

    fn page(&self, replica: usize, path: &str) -> Result<String, String> {
        let (host, port) = self.admins[replica].rsplit_once(':').ok_or("no address")?;
        http::get(host, port.parse().map_err(|_| "no port")?, path)
    }
}

impl Drop for Replicas<'_> {
    fn drop(&mut self) {
        let name = self.namespace.name();
        for kind in [
            "mutatingwebhookconfiguration",
            "clusterrolebinding",
            "clusterrole",
        ] {
            let _ = self.kubectl().delete(kind, name);
        }
    }
}

fn pod() -> String {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "generateName": "web-",
            "annotations": {"gitvolume.dev/repo": "https://git.example/site.git"},
        },
        "spec": {"containers": [{"name": "web", "image": "nginx"}]},
    })
    .to_string()
}

/// Passes each connection to the next replica, like a Service.
struct Balancer {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Balancer {
    fn start(replicas: Vec<SocketAddr>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        // The thread ends with the test program.
        thread::spawn(move || {
            for caller in listener.incoming().flatten() {
                let turn = count.fetch_add(1, Ordering::Relaxed) % replicas.len();
                let Ok(replica) = TcpStream::connect(replicas[turn]) else {
                    continue;
                };
                let (Ok(back), Ok(to)) = (caller.try_clone(), replica.try_clone()) else {
                    continue;
                };
                thread::spawn(move || pass(caller, to));
                thread::spawn(move || pass(replica, back));
            }
        });
        Ok(Self {
            address,
            connections,
        })
    }
}

/// Copies a stream until its end, and forwards the end.
fn pass(mut from: TcpStream, mut to: TcpStream) {
    let _ = from.set_nodelay(true);
    let _ = to.set_nodelay(true);
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Write);
}

/// `kubectl proxy`: the API server without TLS, so that a request costs the test almost nothing.
struct Proxy {
    address: SocketAddr,
    _process: Process,
}

impl Proxy {
    fn start(dir: &Path, kubectl: &Kubectl) -> Result<Self, Box<dyn std::error::Error>> {
        let kubeconfig = format!("--kubeconfig={}", kubectl.kubeconfig().display());
        let args = ["proxy".to_owned(), "--port=0".to_owned(), kubeconfig];
        let process = Process::start("proxy", &tool("kubectl"), &args, dir)?;
        let address = eventually("a proxy that listens", TIMEOUT, || {
            let log = std::fs::read_to_string(dir.join("proxy.log"));
            let log = log.map_err(|error| error.to_string())?;
            let address = log
                .split_whitespace()
                .rev()
                .find_map(|word| word.parse().ok());
            address.ok_or(log)
        })?;
        Ok(Self {
            address,
            _process: process,
        })
    }

    /// Creates a Pod as a dry run; the error is the failure.
    fn create(&self, namespace: &str) -> Result<(), String> {
        let answer = self.post(namespace).map_err(|error| error.to_string())?;
        let status = answer.lines().next().unwrap_or_default();
        match status.contains(" 201 ") && answer.contains(images::SYNCER) {
            true => Ok(()),
            false => Err(answer),
        }
    }

    fn post(&self, namespace: &str) -> io::Result<String> {
        let body = pod();
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        write!(
            stream,
            "POST /api/v1/namespaces/{namespace}/pods?dryRun=All HTTP/1.0\r\nHost: localhost\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

pub(crate) fn no_call_fails_while_ca_and_certificates_are_rotated(world: &World) -> TestResult {
    let (seconds, rate) = settings::rotation()?;
    let lifetimes = [
        "--ca-lifetime=18s",
        "--cert-lifetime=5s",
        "--ca-propagation=1s",
    ];
    let replicas = Replicas::start(world, &lifetimes)?;
    let dir = tempfile::tempdir()?;
    let proxy = Proxy::start(dir.path(), world.kubectl())?;
    let name = replicas.namespace.name();
    let is_over = AtomicBool::new(false);
    let (calls, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let began = Instant::now();
    let next = AtomicUsize::new(0);
    let trouble = thread::scope(|scope| {
        let callers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut trouble = None;
                    while !is_over.load(Ordering::Relaxed) {
                        let turn = next.fetch_add(1, Ordering::Relaxed);
                        let at = Duration::from_secs_f64(turn as f64 / rate as f64);
                        thread::sleep(at.saturating_sub(began.elapsed()));
                        calls.fetch_add(1, Ordering::Relaxed);
                        if let Err(error) = proxy.create(name) {
                            failed.fetch_add(1, Ordering::Relaxed);
                            trouble.get_or_insert(error);
                        }
                    }
                    trouble
                })
            })
            .collect();
        let rotated = || -> Result<(), String> {
            for replica in 0..2 {
                let ready = replicas.readyz(replica)?;
                if ready.contains("warning") {
                    return Err(ready);
                }
            }
            Ok(())
        };
        // Checks both replicas continuously, until each has been signed by at least three CAs.
        let mut watched = Ok(());
        while watched.is_ok() && began.elapsed() < Duration::from_secs(seconds + 120) {
            watched = rotated();
            let rotations = (0..2).map(|replica| replicas.metric(replica, "ca_rotations_total"));
            let least = rotations.flatten().fold(f64::MAX, f64::min);
            if began.elapsed() > Duration::from_secs(seconds) && least >= 2.0 {
                break;
            }
            thread::sleep(Duration::from_millis(100));
        }
        is_over.store(true, Ordering::Relaxed);
        let troubles = callers
            .into_iter()
            .filter_map(|caller| caller.join().ok().flatten());
        let first = troubles.into_iter().next();
        watched.err().map_or(first, Some)
    });
    let took = began.elapsed();
    let metric = |replica, name| replicas.metric(replica, name).unwrap_or_default();
    println!(
        "{} calls in {took:.1?}, {} failed; by replica CAs {} and {}, certificates {} and {}; {} connections",
        calls.load(Ordering::Relaxed),
        failed.load(Ordering::Relaxed),
        metric(0, "ca_rotations_total"),
        metric(1, "ca_rotations_total"),
        metric(0, "cert_renewals_total"),
        metric(1, "cert_renewals_total"),
        replicas.balancer.connections.load(Ordering::Relaxed),
    );
    if let Some(trouble) = trouble {
        return Err(trouble.into());
    }
    for replica in 0..2 {
        let rotations = replicas.metric(replica, "ca_rotations_total")?;
        assert!(rotations >= 2.0, "replica {replica}: {rotations} rotations");
    }
    // The chart's rights suffice: the webhook watches by name, and no request was denied.
    let log = world
        .cluster()
        .control_plane()
        .map(|plane| plane.audit_log());
    let user = format!("system:serviceaccount:{name}:webhook");
    let log = log.unwrap_or_default();
    let ours: Vec<&str> = log.lines().filter(|line| line.contains(&user)).collect();
    assert!(
        ours.iter().any(|line| line.contains("\"verb\":\"watch\"")),
        "nothing is watched"
    );
    for line in ours {
        assert!(!line.contains("\"code\":403"), "{line}");
    }
    Ok(())
}

pub(crate) fn a_removed_ca_bundle_is_reported_and_repaired(world: &World) -> TestResult {
    let replicas = Replicas::start(world, &[])?;
    let name = replicas.namespace.name();
    let before = replicas.bundles()?;
    assert!(before.iter().all(|bundle| bundle.len() > 100), "{before:?}");
    let stranger = Bundle::generate(SystemTime::now())?;
    let stranger = json!({"caBundle": STANDARD.encode(stranger.pem())});
    let wipe = || {
        let ours = replicas.registration_with(&["a", "b"], stranger.clone());
        let force = [
            "--server-side",
            "--force-conflicts",
            "--field-manager=gitops",
        ];
        replicas.kubectl().apply_with(&force, &ours)
    };
    wipe()?;
    replicas.wait_for_bundle("our CA again", Duration::from_secs(10), &before)?;
    eventually("an injected Pod", TIMEOUT, || replicas.admit())?;

    // Without the right to repair it, every replica reports the problem, and every replica stays
    // ready.
    let rights = replicas.kubectl().get_json(&["clusterrolebinding", name])?;
    let read_only = r#"[{"op": "replace", "path": "/rules/0/verbs", "value": ["get", "watch"]}]"#;
    let patch = |patch: &str| {
        let patch = format!("--patch={patch}");
        replicas
            .kubectl()
            .run(&["patch", "clusterrole", name, "--type=json", &patch])
    };
    assert_eq!(rights["metadata"]["name"], name);
    patch(read_only)?;
    eventually("a caBundle that stays wiped", TIMEOUT, || {
        wipe()?;
        thread::sleep(Duration::from_secs(1));
        match replicas.bundles()? == before {
            true => Err("it was repaired"),
            false => Ok(()),
        }
        .map_err(str::to_owned)
    })?;
    for replica in 0..2 {
        let readiness = eventually("a warning", TIMEOUT, || match replicas.readyz(replica)? {
            readiness if readiness.contains("cannot renew the certificates") => Ok(readiness),
            readiness => Err(readiness),
        })?;
        assert!(readiness.starts_with("ok\n"), "{readiness}");
        let lacking = "warning: the caBundle of a.gitvolume.dev, b.gitvolume.dev does not contain the webhook's CA";
        assert!(readiness.contains(lacking), "{readiness}");
        assert_eq!(replicas.metric(replica, "cabundle_in_sync")?, 0.0);
    }
    patch(&read_only.replace("watch\"]", "watch\", \"patch\"]"))?;
    replicas.wait_for_bundle("our CA again", Duration::from_secs(10), &before)?;
    eventually("an injected Pod", TIMEOUT, || replicas.admit())?;
    for replica in 0..2 {
        eventually("no warning", TIMEOUT, || {
            match replicas.readyz(replica)? {
                readiness if readiness.contains("warning") => Err(readiness),
                _ => Ok(()),
            }
        })?;
    }

    // An upgrade adds a webhook: it gets the CA too, and no replica becomes unready.
    let third = replicas.registration(&["a", "b", "c"]);
    replicas
        .kubectl()
        .apply_with(&["--server-side", "--force-conflicts"], &third)?;
    let all = [&before[..], &before[..1]].concat();
    replicas.wait_for_bundle("all three", Duration::from_secs(10), &all)?;
    Ok(())
}
