//! Sync on push: a forge sends its webhooks to the push receiver, which wakes the cache.

use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;
use tests::eventually::eventually;
use tests::installation::forge;
use tests::installation::forge::Forge;
use tests::installation::product;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::kubernetes::kubectl::Kubectl;
use tests::kubernetes::namespace::Namespace;
use tests::metrics;

use crate::app::READY;
use crate::app::SEEN;
use crate::app::SYNCER;
use crate::app::web_pod;
use crate::cache::ADDRESS;
use crate::cache::aliases;
use crate::cache::end_all;
use crate::cache::eventually_cached;
use crate::cache::eventually_served;

const RECEIVER: &str = "gitvolume-push";

/// The Secret with the secret of the forge's webhook.
const SECRET: &str = "forge-webhooks";

/// The name of the cache's headless Service with the domain of the cluster.
const REPLICAS: &str = "gitvolume-cache-replicas.gitvolume-system.svc.cluster.local";

/// The name of the forge: the cache accepts no IP addresses.
const HOST: &str = "forge.test";

/// A period that no test waits for: what happens within it, a push has started.
const PERIOD: &str = "10m";

const PODS: usize = 20;

/// The IP addresses of the Pods with a label.
fn addresses(system: &Kubectl, component: &str) -> Result<Vec<String>, String> {
    let label = format!("app.kubernetes.io/name=gitvolume-{component}");
    let pods = system.get_json(&["pods", "--selector", &label])?;
    let pods = pods["items"].as_array().into_iter().flatten();
    let running = pods.filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    let ips = running.map(|pod| pod["status"]["podIP"].as_str().map(str::to_owned));
    ips.collect::<Option<_>>()
        .ok_or("a Pod without an address".to_owned())
}

/// Gives the Pods of a workload names, which the node does not resolve, and waits until they run.
fn resolve(system: &Kubectl, workload: &str, names: &[(&str, &str)]) -> Result<(), String> {
    let patch = json!({"spec": {"template": {"spec": {"hostAliases": aliases(names)}}}});
    system.run(&["patch", workload, &format!("--patch={patch}")])?;
    let status = ["rollout", "status", workload, "--timeout=2m"];
    system.run(&status).map(drop)
}

/// When the syncer of a Pod published its commit.
fn published_at(namespace: &Namespace, pod: &str) -> Result<Timestamp, String> {
    let file = "/gitvolume/state/health.json";
    let health = namespace.exec(pod, Some(SYNCER), &["cat", file])?;
    let value: Value = serde_json::from_str(&health).map_err(|error| error.to_string())?;
    let since = value["published"]["since"].as_str();
    since.and_then(|since| since.parse().ok()).ok_or(health)
}

/// Runs alone: it changes the installation.
pub(crate) fn twenty_pods_serve_a_push_to_a_forge_after_one_fetch(world: &World) -> TestResult {
    let system = world.kubectl().in_namespace(product::NAMESPACE);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET},
        "stringData": {"acme": "a secret of the webhook\n"},
    });
    system.apply(&secret.to_string())?;
    let outcome = serve_a_push(world, &system);
    product::upgrade(world.cluster(), &[])?;
    // What the test has made, no release of the chart removes.
    system.delete("secret", SECRET)?;
    outcome
}

fn serve_a_push(world: &World, system: &Kubectl) -> TestResult {
    let namespace = world.namespace(&[])?;
    let forge = Forge::start(&namespace)?;
    forge.create_repository("site")?;
    forge.commit("site", "index.html", "repository: one\n")?;
    let host = format!("http://{HOST}:{}", forge::PORT);
    let ssh = format!("ssh://{HOST}:{}", forge::SSH_PORT);
    let values = json!({
        "cache": {
            "enabled": true, "allowedHosts": [host], "trust": "full", "period": PERIOD,
            "storage": {"size": "64Mi"},
        },
        "push": {
            "enabled": true, "secretName": SECRET,
            "wake": {"acme": [format!("{host}/{}", forge::USER), format!("{ssh}/{}", forge::USER)]},
        },
    });
    let values: Vec<String> = ["cache", "push"]
        .map(|part| format!("--set-json={part}={}", values[part]))
        .into();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    product::upgrade(world.cluster(), &values)?;
    // A replica leaves out its own address: these have no peers, whose addresses are known only now.
    let names = [(forge.address(), HOST), ("127.0.0.1", REPLICAS)];
    resolve(system, "statefulset/gitvolume-cache", &names)?;
    let replicas = addresses(system, "cache")?;
    assert_eq!(replicas.len(), 2, "{replicas:?}");
    let names: Vec<_> = replicas.iter().map(|ip| (ip.as_str(), REPLICAS)).collect();
    resolve(system, &format!("deployment/{RECEIVER}"), &names)?;
    let receiver = system.cluster_ip(RECEIVER)?;
    let url = format!("http://{receiver}/push/acme");
    forge.create_webhook("site", &url, "a secret of the webhook")?;

    let [user, password] = [forge::USER, forge::PASSWORD];
    let (key, known_hosts) = (forge.create_ssh_key()?, forge.known_hosts(HOST));
    for (name, data) in [
        ("login", json!({"username": user, "password": password})),
        ("key", json!({"ssh": key, "known_hosts": known_hosts})),
    ] {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data,
        });
        namespace.apply(&secret.to_string())?;
    }
    let cache_ip = system.cluster_ip("gitvolume-cache")?;
    let names = [(forge.address(), HOST), (cache_ip.as_str(), ADDRESS)];
    let pod_of = |name: &str, repo: String, secret: &str| {
        let mut pod = web_pod(
            name,
            json!({
                "gitvolume.dev/repo": repo,
                "gitvolume.dev/secret": secret,
                "gitvolume.dev/mount-path": "/usr/share/nginx/html",
                "gitvolume.dev/period": PERIOD,
            }),
        );
        pod["spec"]["hostAliases"] = aliases(&names);
        pod.to_string()
    };
    let pod = |name: &str| pod_of(name, format!("{host}/{user}/site.git"), "login");
    eventually_cached(&namespace, &pod("new"))?;
    let mut names: Vec<String> = (0..PODS).map(|nth| format!("pod-{nth}")).collect();
    for name in &names {
        namespace.apply(&pod(name))?;
    }
    // One more, which the cache only tells of pushes.
    let over_ssh = format!("ssh://git@{HOST}:{}/{user}/site.git", forge::SSH_PORT);
    namespace.apply(&pod_of("over-ssh", over_ssh, "key"))?;
    names.push("over-ssh".to_owned());
    for name in &names {
        namespace.wait_ready(name, READY)?;
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    eventually("all Pods wait at the cache", SEEN, || {
        let waiting = [0, 1].map(|replica| {
            let pod = format!("gitvolume-cache-{replica}");
            let page = system.page(&pod, 8081, "/metrics")?;
            metrics::whole_value(&page, "gitvolume_cache_waiting_followers")
        });
        match &waiting {
            [Ok(one), Ok(other)] if one + other == names.len() as f64 => Ok(()),
            _ => Err(format!("{waiting:?}")),
        }
    })?;

    let before = forge.requests("site")?.len();
    forge.commit("site", "index.html", "repository: two\n")?;
    let pushed = Timestamp::now();
    eventually_served(&namespace, &names, "repository: two\n")?;
    let published: Vec<Timestamp> = names
        .iter()
        .map(|pod| published_at(&namespace, pod))
        .collect::<Result<_, _>>()?;
    let ends = [published.iter().min(), published.iter().max()];
    let [first, last] = ends.map(|at| at.map(|at| at.duration_since(pushed).as_secs_f64()));
    println!(
        "{PODS} Pods published a push: the first after {first:.2?} s, the last after {last:.2?} s"
    );
    let requests = forge.requests("site")?.split_off(before);
    let fetched = requests
        .iter()
        .filter(|request| request.contains("upload-pack"));
    // Of the test's own push: `info/refs` and `git-receive-pack`. Of each replica: `ls-refs`, the step
    // to the commit, and in advance its first clone.
    assert!(fetched.count() <= 2 * 4, "{requests:#?}");
    end_all(&namespace)?;
    Ok(())
}
