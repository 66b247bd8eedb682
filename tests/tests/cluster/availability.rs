//! Replicas come, go and die, and so does what is around them, under a steady load of admissions.

use std::error::Error;
use std::time::Duration;
use std::time::Instant;

use serde_json::json;
use tests::control_plane::ControlPlane;
use tests::eventually::eventually;
use tests::load::Load;
use tests::load::Tally;
use tests::product;
use tests::product::NAMESPACE;
use tests::world::TestResult;
use tests::world::World;

use crate::app::READY;
use crate::app::shell_pod;
use crate::replicas::begin;
use crate::replicas::elsewhere;
use crate::replicas::only_replicas_that_stay;

/// The name of the webhook in the chart's registration, which a refusal begins with.
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
    // The last of the old ones has not gone yet.
    let gone = steps.step("the old replicas' end", || {
        Ok(only_replicas_that_stay(world)?)
    });
    let (tally, told) = steps.end("replicas that restart, are upgraded, are scaled")?;
    changed.and(back).and(gone)?;
    assert!(tally.injected > 1000, "{tally}");
    assert_eq!(tally.failed(), 0, "{tally}\n{told}");
    Ok(())
}

/// Runs alone. A busy node may send calls to replicas that are on their way out for longer than
/// their drain's delay, so here it does for longer.
pub(crate) fn a_proxy_that_is_slow_to_forget_replicas_costs_no_admission(
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
        // Nobody but the replicas that leave is known to the node now.
        std::thread::sleep(Duration::from_secs(8));
        Ok(())
    });
    node.resume("kube-proxy")?;
    let gone = steps.step("the old replicas' end", || {
        Ok(only_replicas_that_stay(world)?)
    });
    let (tally, told) = steps.end("a proxy that is slow")?;
    restarted.and(gone)?;
    assert_eq!(tally.failed(), 0, "{tally}\n{told}");
    Ok(())
}

/// Runs alone: some Pods are refused.
pub(crate) fn after_a_replica_is_killed_admissions_fail_in_words_for_five_seconds_at_most(
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
        .processes_of("/gitvolume")?
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

/// Runs alone: it takes the product away, and puts it back.
pub(crate) fn an_uninstalled_product_blocks_no_pod_and_leaves_nothing(world: &World) -> TestResult {
    let namespace = world.namespace(&[])?;
    // Without this the kinds stay, and with them what users made of them.
    product::upgrade(world.cluster(), &["--set=crds.keep=false"])?;
    product::uninstall(world.cluster())?;
    let outcome = (|| -> TestResult {
        // A Pod that asks for a repository runs without one, as on any cluster that knows us not.
        let annotations = json!({"gitvolume.dev/repo": "https://git.example/site.git"});
        for (name, annotations) in [("annotated", annotations), ("plain", json!({}))] {
            let pod = shell_pod(name, annotations, "exec sleep 3600").to_string();
            // The API server knows what it was told to forget for a moment longer.
            eventually("the guard forgotten", READY, || namespace.apply(&pod))?;
            namespace.wait_ready(name, READY)?;
        }
        // The replicas' own end takes some seconds.
        eventually("nothing left behind", READY, || match left_behind(world)? {
            left if left.is_empty() => Ok(()),
            left => Err(left.join("\n")),
        })?;
        Ok(())
    })();
    product::install(world.cluster())?;
    outcome
}

/// Everything in the cluster whose name or namespace is ours, but for what Kubernetes itself puts
/// into each namespace and events, which go by themselves.
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

/// What is done under a load, step by step: a failure is to be known by its step.
struct Steps {
    load: Load,
    told: Vec<String>,
}

impl Steps {
    fn under(load: Load) -> Self {
        let told = Vec::new();
        Self { load, told }
    }

    /// Does something, and notes what came of the load meanwhile.
    fn step(&mut self, what: &str, act: impl FnOnce() -> TestResult) -> TestResult {
        let (before, begun) = (self.load.so_far(), Instant::now());
        let done = act();
        let after = self.load.so_far();
        let asked = after.asked() - before.asked();
        let failed = after.failed() - before.failed();
        let mut line = format!(
            "{what}: {:.1?}, {failed} of {asked} failed",
            begun.elapsed()
        );
        let refused = &after.refused[before.refused.len()..];
        if let (Some(first), Some(last)) = (refused.first(), refused.last()) {
            let (first, last) = (first.at - begun, last.at - begun);
            line += &format!(", refused from {first:.1?} to {last:.1?}");
        }
        self.told.push(line);
        done
    }

    /// Ends the load and prints what came of it; answers that, and the steps' lines.
    fn end(self, what: &str) -> Result<(Tally, String), Box<dyn Error>> {
        let tally = self.load.end()?;
        let told = self.told.join("\n");
        eprintln!("{what}: {tally}\n{told}");
        Ok((tally, told))
    }
}

/// How many calls of our webhook have failed, by the API server's own count.
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
