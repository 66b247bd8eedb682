//! Restarts, upgrades and crashes of the webhook and its environment, under a steady load of
//! admissions.

use std::error::Error;
use std::time::Duration;
use std::time::Instant;

use serde_json::json;
use tests::eventually::eventually;
use tests::installation::load::Load;
use tests::installation::load::Tally;
use tests::installation::product;
use tests::installation::product::NAMESPACE;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::kubernetes::control_plane::ControlPlane;

use crate::app::READY;
use crate::app::shell_pod;
use crate::replicas::begin;
use crate::replicas::elsewhere;
use crate::replicas::only_replicas_that_stay;

/// Name of the webhook in the chart's registration, with which a refusal begins.
const WEBHOOK: &str = "pods.gitvolume.dev";

/// Runs alone: it changes the installation.
pub(crate) fn no_admission_fails_while_replicas_restart_are_upgraded_and_are_scaled(
    world: &World,
) -> TestResult {
    let Some(plane) = world.cluster().control_plane() else {
        return elsewhere();
    };
    let namespace = world.namespace(&[])?;
    let mut steps = Steps::under(begin(plane, &namespace)?);
    let changed = (|| -> TestResult {
        steps.step("a rolling restart", || {
            Ok(product::restart(world.kubectl())?)
        })?;
        let next = [
            "--set=image.repository=gitvolume.dev/gitvolume-next",
            "--set=webhook.onMistake=warn",
        ];
        steps.step("an upgrade", || {
            Ok(product::upgrade(world.cluster(), &next)?)
        })?;
        for replicas in [1, 3, 2] {
            let what = format!("{replicas} replicas");
            steps.step(&what, || Ok(product::scale(world.kubectl(), replicas)?))?;
        }
        Ok(())
    })();
    let back = steps.step("an upgrade back", || Ok(product::install(world.cluster())?));
    // The last old replica has not terminated yet.
    let gone = steps.step("the old replicas' end", || {
        Ok(only_replicas_that_stay(world)?)
    });
    let (tally, lines) = steps.end("replicas that restart, are upgraded, are scaled")?;
    changed.and(back).and(gone)?;
    assert!(tally.injected > 1000, "{tally}");
    assert_eq!(tally.failed(), 0, "{tally}\n{lines}");
    Ok(())
}

/// Runs alone. On a busy node kube-proxy may send calls to terminating replicas for longer than
/// their drain delay; here it is paused.
pub(crate) fn no_admission_fails_while_kube_proxy_still_routes_to_terminating_replicas(
    world: &World,
) -> TestResult {
    let (Some(node), Some(plane)) = (world.cluster().node(), world.cluster().control_plane())
    else {
        return elsewhere();
    };
    let namespace = world.namespace(&[])?;
    only_replicas_that_stay(world)?;
    let mut steps = Steps::under(begin(plane, &namespace)?);
    node.pause("kube-proxy")?;
    let restarted = steps.step("a restart and 8 seconds", || {
        product::restart(world.kubectl())?;
        // kube-proxy now knows only the terminating replicas.
        std::thread::sleep(Duration::from_secs(8));
        Ok(())
    });
    node.resume("kube-proxy")?;
    let gone = steps.step("the old replicas' end", || {
        Ok(only_replicas_that_stay(world)?)
    });
    let (tally, lines) = steps.end("a proxy that is slow")?;
    restarted.and(gone)?;
    assert_eq!(tally.failed(), 0, "{tally}\n{lines}");
    Ok(())
}

/// Runs alone: some Pods are refused.
pub(crate) fn after_a_replica_is_killed_admissions_fail_with_a_message_for_at_most_five_seconds(
    world: &World,
) -> TestResult {
    let (Some(node), Some(plane)) = (world.cluster().node(), world.cluster().control_plane())
    else {
        return elsewhere();
    };
    let namespace = world.namespace(&[])?;
    let before = failed_calls(plane)?;
    let load = begin(plane, &namespace)?;
    std::thread::sleep(Duration::from_secs(3));

    let pid = *node
        .processes_of("/gitvolume-webhook")?
        .first()
        .ok_or("no replica's process")?;
    let killed = Instant::now();
    node.kill(pid)?;
    std::thread::sleep(Duration::from_secs(12));
    only_replicas_that_stay(world)?;
    let tally = load.end()?;

    let longest = tally.refused.iter().map(|failure| failure.at - killed);
    let longest = longest.max().unwrap_or_default();
    eprintln!("a replica killed: none refused after {longest:.1?}; {tally}");
    assert!(longest <= Duration::from_secs(5), "{longest:?}: {tally}");
    assert_eq!(tally.bare, 0, "{tally}");
    assert!(tally.unanswered.is_empty(), "{tally}");
    for failure in &tally.refused {
        assert!(failure.said.contains(WEBHOOK), "{}", failure.said);
    }
    let counted = failed_calls(plane)? - before;
    assert_eq!(counted, tally.refused.len(), "the API server's own count");
    Ok(())
}

/// Runs alone: it uninstalls the product, and installs it again.
pub(crate) fn an_uninstalled_product_blocks_no_pod_and_leaves_nothing(world: &World) -> TestResult {
    let namespace = world.namespace(&[])?;
    // Otherwise helm keeps the CRDs, and with them the users' objects.
    product::upgrade(world.cluster(), &["--set=crds.keep=false"])?;
    product::uninstall(world.cluster())?;
    let outcome = (|| -> TestResult {
        // A Pod that requests a repository runs without one, as on any cluster without gitvolume.
        let annotations = json!({"gitvolume.dev/repo": "https://git.example/site.git"});
        for (name, annotations) in [("annotated", annotations), ("plain", json!({}))] {
            let pod = shell_pod(name, annotations, "exec sleep 3600").to_string();
            // The API server forgets the deleted guard with a short delay.
            eventually("the guard forgotten", READY, || namespace.apply(&pod))?;
            namespace.wait_ready(name, READY)?;
        }
        // The replicas terminate within some seconds.
        eventually("nothing left behind", READY, || match left_behind(world)? {
            left if left.is_empty() => Ok(()),
            left => Err(left.join("\n")),
        })?;
        Ok(())
    })();
    product::install(world.cluster())?;
    outcome
}

/// All objects in the cluster whose name or namespace is ours, except what Kubernetes itself
/// creates in each namespace, and events, which expire.
fn left_behind(world: &World) -> Result<Vec<String>, String> {
    let kubectl = world.kubectl();
    let kinds = kubectl.run(&["api-resources", "--verbs=list", "--output=name"])?;
    let kinds: Vec<&str> = kinds
        .lines()
        .filter(|kind| !kind.starts_with("events") && !kind.starts_with("componentstatuses"))
        .collect();
    let row = "-o=custom-columns=NS:.metadata.namespace,KIND:.kind,NAME:.metadata.name";
    let all = ["get", &kinds.join(","), "-A", row, "--no-headers"];
    let all = kubectl.run(&all)?;
    let own = |line: &&str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [namespace, kind, name] = words[..] else {
            return false;
        };
        let given = ["ServiceAccount default", "ConfigMap kube-root-ca.crt"];
        let is_given = given.contains(&format!("{kind} {name}").as_str());
        let is_namespace = kind == "Namespace" && name == NAMESPACE;
        (namespace == NAMESPACE && !is_given) || (name.contains("gitvolume") && !is_namespace)
    };
    Ok(all.lines().filter(own).map(str::to_owned).collect())
}

/// Steps under a load; each failure is assigned to a step.
struct Steps {
    load: Load,
    lines: Vec<String>,
}

impl Steps {
    fn under(load: Load) -> Self {
        let lines = Vec::new();
        Self { load, lines }
    }

    /// Runs a step, and records the results of the load during it.
    fn step(&mut self, what: &str, act: impl FnOnce() -> TestResult) -> TestResult {
        let (before, begun) = (self.load.so_far(), Instant::now());
        let done = act();
        let after = self.load.so_far();
        let requests = after.asked() - before.asked();
        let failed = after.failed() - before.failed();
        let mut line = format!(
            "{what}: {:.1?}, {failed} of {requests} failed",
            begun.elapsed()
        );
        let refused = &after.refused[before.refused.len()..];
        if let (Some(first), Some(last)) = (refused.first(), refused.last()) {
            let (first, last) = (first.at - begun, last.at - begun);
            line += &format!(", refused from {first:.1?} to {last:.1?}");
        }
        self.lines.push(line);
        done
    }

    /// Ends the load and prints its results; returns them, and the lines of the steps.
    fn end(self, what: &str) -> Result<(Tally, String), Box<dyn Error>> {
        let tally = self.load.end()?;
        let lines = self.lines.join("\n");
        eprintln!("{what}: {tally}\n{lines}");
        Ok((tally, lines))
    }
}

/// Number of failed calls of our webhook, by the API server's own metric.
fn failed_calls(plane: &ControlPlane) -> Result<usize, String> {
    let text = plane.kubectl().run(&["get", "--raw", "/metrics"])?;
    let ours = |line: &&str| {
        line.starts_with("apiserver_admission_webhook_rejection_count{")
            && line.contains(r#"error_type="calling_webhook_error""#)
            && line.contains(WEBHOOK)
    };
    let counts = text.lines().filter(ours).filter_map(|line| {
        let value = line.rsplit(' ').next()?;
        value.parse::<f64>().ok()
    });
    Ok(counts.sum::<f64>() as usize)
}
