//! The pull-through cache, installed by the chart, between Pods and a private git host.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tests::eventually::eventually;
use tests::installation::git_host::GitHost;
use tests::installation::git_host::PASSWORD;
use tests::installation::git_host::USER;
use tests::installation::product;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::kubernetes::kubectl::Kubectl;
use tests::kubernetes::namespace::Namespace;

use crate::app::READY;
use crate::app::SYNCER;
use crate::app::web_pod;

const CACHE: &str = "gitvolume-cache";

/// The name of the cache's Service with the domain of the cluster.
pub(crate) const ADDRESS: &str = "gitvolume-cache.gitvolume-system.svc.cluster.local";

/// The name of the git host: the cache accepts no IP addresses.
const HOST: &str = "git-host.test";

const PODS: [&str; 3] = ["one", "two", "three"];

/// The number of Pods that start during the outage.
const LATE: usize = 10;

/// A generous time until every Pod serves a new commit.
const SEEN: Duration = Duration::from_secs(60);

/// The same where something else takes minutes: the kubelet's update of a volume, or an outage, in
/// which the cache serves what it has after a minute and a Pod tries again after a wait.
const OUTAGE: Duration = Duration::from_secs(240);

/// The node has no DNS.
pub(crate) fn aliases(names: &[(&str, &str)]) -> Value {
    names
        .iter()
        .map(|(ip, name)| json!({"ip": ip, "hostnames": [name]}))
        .collect()
}

/// Waits until every Pod serves the page.
pub(crate) fn eventually_served(
    namespace: &Namespace,
    pods: &[&str],
    page: &str,
) -> Result<(), String> {
    eventually("the page in every Pod", SEEN, || {
        pods.iter().try_for_each(|pod| {
            let served = namespace.page(pod, 8080, "/")?;
            (served == page)
                .then_some(())
                .ok_or(format!("{pod}: {served}"))
        })
    })
}

/// Waits until the webhook gives this Pod the cache: the kubelet brings the certificate's CA to the
/// webhook with its next update of the volume.
pub(crate) fn eventually_cached(namespace: &Namespace, pod: &str) -> Result<(), String> {
    eventually("a Pod that gets the cache", OUTAGE, || {
        let (created, _) = namespace.created(&["--dry-run=server"], pod)?;
        let text = Value::from(created).to_string();
        text.contains("--cache=").then_some(()).ok_or(text)
    })
}

/// Ends all Pods of a namespace, and waits for that: the next test may have certificates of seconds, and
/// needs the node's CPU.
pub(crate) fn end_all(namespace: &Namespace) -> Result<(), String> {
    let all = ["delete", "pod", "--all", "--grace-period=1", "--timeout=2m"];
    namespace.run(&all).map(drop)
}

fn scale(system: &Kubectl, replicas: u8) -> Result<(), String> {
    let set = format!("statefulset/{CACHE}");
    system.run(&["scale", &set, &format!("--replicas={replicas}")])?;
    system
        .run(&["rollout", "status", &set, "--timeout=2m"])
        .map(drop)
}

/// Runs alone: it changes the installation.
pub(crate) fn pods_follow_through_the_cache_and_continue_without_it(world: &World) -> TestResult {
    let namespace = world.namespace(&[])?;
    let host = GitHost::start(&namespace)?;
    let site = host.repository("site")?;
    site.commit(&[("index.html", "repository: one\n")])?;
    let values = [
        "--set=cache.enabled=true".to_owned(),
        format!("--set=cache.allowedHosts={{http://{HOST}:8001}}"),
        "--set=cache.trust=full".to_owned(),
        "--set=cache.period=1s".to_owned(),
        "--set=cache.storage.size=64Mi".to_owned(),
    ];
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    product::upgrade(world.cluster(), &values)?;
    let system = world.kubectl().in_namespace(product::NAMESPACE);
    let host_ip = namespace.cluster_ip("git-host")?;
    let patch =
        json!({"spec": {"template": {"spec": {"hostAliases": aliases(&[(&host_ip, HOST)])}}}});
    system.run(&["patch", "statefulset", CACHE, &format!("--patch={patch}")])?;
    scale(&system, 2)?;

    namespace.apply(
        &json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"},
            "stringData": {"username": USER, "password": PASSWORD},
        })
        .to_string(),
    )?;
    let cache_ip = system.cluster_ip(CACHE)?;
    let names = [(host_ip.as_str(), HOST), (cache_ip.as_str(), ADDRESS)];
    let pod = |name: &str| {
        let mut pod = web_pod(
            name,
            json!({
                "gitvolume.dev/repo": format!("http://{HOST}:8001/site.git"),
                "gitvolume.dev/secret": "login",
                "gitvolume.dev/mount-path": "/usr/share/nginx/html",
                "gitvolume.dev/period": "2s",
            }),
        );
        pod["spec"]["hostAliases"] = aliases(&names);
        pod.to_string()
    };
    eventually_cached(&namespace, &pod("new"))?;
    let start = |pods: &[&str], timeout: Duration| -> TestResult {
        for name in pods {
            namespace.apply(&pod(name))?;
        }
        for name in pods {
            namespace.wait_ready(name, timeout)?;
        }
        Ok(())
    };
    start(&PODS, READY)?;
    for pod in PODS {
        let state = namespace.exec(pod, Some(SYNCER), &["cat", "/gitvolume/state/health.json"])?;
        assert!(state.contains("\"cache\":\"on\""), "{pod}: {state}");
    }
    site.commit(&[("index.html", "repository: two\n")])?;
    eventually_served(&namespace, &PODS, "repository: two\n")?;
    for pod in PODS {
        let log = namespace.logs(pod, SYNCER)?;
        assert!(!log.contains("fetching from the git host"), "{pod}: {log}");
    }

    // The host accepts no new connections, and the cache has one: new Pods start, and the others
    // go on.
    host.vanish()?;
    let late: Vec<String> = (0..LATE).map(|nth| format!("late-{nth}")).collect();
    let late: Vec<&str> = late.iter().map(String::as_str).collect();
    start(&late, OUTAGE)?;
    eventually_served(
        &namespace,
        &[&PODS[..], &late].concat(),
        "repository: two\n",
    )?;
    host.return_again()?;

    // The cache is away: every Pod asks the host itself.
    scale(&system, 0)?;
    site.commit(&[("index.html", "repository: three\n")])?;
    eventually_served(&namespace, &PODS, "repository: three\n")?;
    for pod in PODS {
        let log = namespace.logs(pod, SYNCER)?;
        assert!(log.contains("continues without the cache"), "{pod}: {log}");
    }
    end_all(&namespace)?;
    product::upgrade(world.cluster(), &[])?;
    Ok(())
}
