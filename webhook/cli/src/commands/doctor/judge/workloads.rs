//! Checks of Pods, their controllers, the Secrets that they name, and their nodes.

use std::collections::BTreeMap;

use crate::commands::doctor::facts::Facts;
use crate::commands::doctor::facts::Trial;
use crate::commands::doctor::finding as f;
use crate::commands::doctor::finding::Check;
use crate::commands::doctor::finding::Finding;
use crate::commands::doctor::finding::Place;
use crate::commands::doctor::pods::PodFact;
use crate::commands::doctor::pods::State;
use crate::commands::doctor::pods::Workload;
use crate::commands::doctor::value::text;
use crate::commands::doctor::value::when;
use crate::live::labels;

/// The first minor version of Kubernetes 1 whose kubelet enables native sidecars by default
/// (KEP-753).
const SIDECARS: u32 = 29;

pub(super) fn judge(facts: &Facts, findings: &mut Vec<Finding>) {
    pods(facts, findings);
    events(facts, findings);
    for (workload, sentence) in &facts.misplaced {
        findings.push(Finding::new(
            f::ANNOTATION_MISPLACED,
            place(workload),
            sentence.clone(),
        ));
    }
    secrets(facts, findings);
    for node in &facts.nodes {
        if node.os != "windows" && minor(&node.kubelet).is_some_and(|minor| minor < SIDECARS) {
            let what = format!("Its kubelet is {}.", node.kubelet);
            let at = Place::cluster("Node", &node.name);
            findings.push(Finding::new(f::KUBELET_TOO_OLD, at, what));
        }
    }
}

/// The minor version of a text such as `v1.33.2+k3s1`; `None` if it is not Kubernetes 1.
fn minor(version: &str) -> Option<u32> {
    let mut parts = version.strip_prefix('v')?.split('.');
    if parts.next()? != "1" {
        return None;
    }
    let minor = parts.next()?;
    let end = minor
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(minor.len());
    minor[..end].parse().ok()
}

fn place(workload: &Workload) -> Place {
    Place::within(&workload.namespace, &workload.kind, &workload.name)
}

/// Pods of one controller with the same problem: one finding, for the first of them by name.
type Groups<'a> = BTreeMap<(usize, Workload, String), Vec<&'a PodFact>>;

fn pods(facts: &Facts, findings: &mut Vec<Finding>) {
    let mut groups: Groups<'_> = BTreeMap::new();
    let checks = [
        f::POD_NOT_INJECTED,
        f::POD_WITHOUT_OBJECT,
        f::POD_REFUSED,
        f::POD_OUTDATED,
        f::GITREPO_UNMOUNTED,
        f::GITREPO_LEFT,
        f::MESH_WITHOUT_NETWORK,
    ];
    let mut converted = 0;
    let mut first_converted: Option<&PodFact> = None;
    for pod in &facts.pods {
        if pod.is_converted {
            converted += 1;
            if first_converted.is_none_or(|first| pod.name < first.name) {
                first_converted = Some(pod);
            }
        }
        for (check, what) in troubles(facts, pod) {
            let place = checks.iter().position(|own| *own == check);
            let key = (place.unwrap_or_default(), pod.made_by(), what);
            groups.entry(key).or_default().push(pod);
        }
    }
    for ((check, maker, what), mut pods) in groups {
        pods.sort_by(|a, b| a.name.cmp(&b.name));
        let Some(first) = pods.first() else { continue };
        let mut at = Place::within(&first.namespace, "Pod", &first.name);
        if maker.kind != "Pod" {
            at = at.part(&format!("of {} {}", maker.kind, maker.name));
        }
        let finding = Finding::new(checks[check], at, what).and_more(pods.len() - 1);
        let ns = &first.namespace;
        let finding = if checks[check] == f::POD_OUTDATED {
            let name = &first.name;
            finding.command(format!("gitvolume explain pod/{name} -n {ns}"))
        } else {
            finding
        };
        findings.push(finding);
    }
    if let Some(first) = first_converted {
        let at = Place::within(&first.namespace, "Pod", &first.name);
        let what = "The gitvolume init container fills its gitRepo volumes.";
        findings.push(Finding::new(f::GITREPO_CONVERTED, at, what).and_more(converted - 1));
    }
}

fn troubles(facts: &Facts, pod: &PodFact) -> Vec<(&'static Check, String)> {
    let mut troubles = Vec::new();
    let is_waiting = pod.phase == "Pending";
    match (&pod.state, &pod.git_repo) {
        (State::Missing, Some(volume)) => {
            let check = match is_waiting {
                true => f::GITREPO_UNMOUNTED,
                false => f::GITREPO_LEFT,
            };
            let cause = cause(facts, pod);
            troubles.push((
                check,
                format!("Its volume {volume} was not converted: {cause}."),
            ));
        }
        (State::Missing, None) => {
            let what = format!("It has no gitvolume container: {}.", cause(facts, pod));
            troubles.push((f::POD_NOT_INJECTED, what));
        }
        (State::Unchosen, _) => {
            let what = "A GitVolume or ClusterGitVolume selects it; the Pod was created before that, or without the webhook.";
            troubles.push((f::POD_WITHOUT_OBJECT, what.to_owned()));
        }
        (State::Changed, _) => {
            let what = "Its requested repositories or its injected containers have changed since the injection.".to_owned();
            troubles.push((f::POD_OUTDATED, what));
        }
        (State::Refused(mistake), _) => troubles.push((f::POD_REFUSED, mistake.clone())),
        (State::LetThrough, Some(volume)) => {
            let what = format!("Its volume {volume} is left to the kubelet on purpose.");
            troubles.push((f::GITREPO_LEFT, what));
        }
        (State::Injected | State::LetThrough, _) => {}
    }
    // The trial Pod shows the webhook's current configuration.
    if pod.state != State::Changed
        && let (Some(by), Some(Trial::Admitted(Some(now)))) = (&pod.by, &facts.trial)
        && by != now
    {
        let (version, config) = by;
        let what = match version.as_str() {
            "" => "Its status annotation cannot be read.".to_owned(),
            _ => format!(
                "It was injected by version {version} with configuration {config}; the current version is \
                 {} with {}.",
                now.0, now.1
            ),
        };
        troubles.push((f::POD_OUTDATED, what));
    }
    let has_waited = is_waiting && pod.waits(facts.now).is_some();
    if let Some(mesh) = pod.mesh.filter(|_| has_waited) {
        let what = format!("{mesh}'s proxy is not a native sidecar.");
        troubles.push((f::MESH_WITHOUT_NETWORK, what));
    }
    troubles
}

/// The reason why an annotated Pod was not injected, as far as it can be known afterwards.
fn cause(facts: &Facts, pod: &PodFact) -> String {
    let Some(installs) = &facts.installs else {
        return "the registration could not be read".to_owned();
    };
    let entries = installs
        .iter()
        .filter_map(|own| Some((own, own.pods_entry()?)));
    let mut causes = entries.map(|(install, entry)| {
        let labels = facts.known.labels(&pod.namespace);
        if let Some(missing) = labels::missing(&entry["namespaceSelector"], &labels) {
            return format!("the webhook's namespaceSelector does not select its namespace ({missing})");
        }
        if pod.created.as_str() < text(&install.registration, "/metadata/creationTimestamp") {
            return "it was created before gitvolume was installed".to_owned();
        }
        "the webhook was not reached (failurePolicy Ignore), or another webhook removed the injection"
            .to_owned()
    });
    causes
        .next()
        .unwrap_or_else(|| "no webhook handles it".to_owned())
}

/// Findings for controllers that could not create a Pod, from the API server's messages to them.
fn events(facts: &Facts, findings: &mut Vec<Finding>) {
    let mut last: BTreeMap<Workload, (&str, &str)> = BTreeMap::new();
    for event in &facts.events {
        let when = when(event);
        let message = text(event, "/message");
        if when < facts.hour_ago.as_str() || !is_about_us(message) {
            continue;
        }
        let workload = Workload {
            kind: text(event, "/involvedObject/kind").to_owned(),
            namespace: text(event, "/involvedObject/namespace").to_owned(),
            name: text(event, "/involvedObject/name").to_owned(),
        };
        let known = last.entry(workload).or_default();
        if when >= known.0 {
            *known = (when, message);
        }
    }
    for (workload, (_, message)) in last {
        let what = message.replace('\n', " ");
        findings.push(Finding::new(
            f::POD_CREATION_REFUSED,
            place(&workload),
            what,
        ));
    }
}

/// Whether a rejection comes from gitvolume's webhook or guard, which the API server's message
/// names.
pub(in crate::commands::doctor) fn is_about_us(message: &str) -> bool {
    message.contains(".gitvolume.dev\"")
        || (message.contains("ValidatingAdmissionPolicy") && message.contains("gitvolume"))
}

fn secrets(facts: &Facts, findings: &mut Vec<Finding>) {
    for secret in &facts.secrets {
        let at = || Place::within(&secret.namespace, "Secret", &secret.name);
        let pod = &secret.pod;
        match &secret.keys {
            None => {
                let what = format!("Pod {pod} names it, but there is no such Secret.");
                findings.push(Finding::new(f::SECRET_MISSING, at(), what));
            }
            Some(keys)
                if !keys
                    .iter()
                    .any(|key| ::args::secret::all().any(|known| known == key)) =>
            {
                let what = match keys.is_empty() {
                    true => format!("Pod {pod} names it, but the Secret is empty."),
                    false => format!("Pod {pod} names it; it has {}.", keys.join(", ")),
                };
                findings.push(Finding::new(f::SECRET_WITHOUT_KEYS, at(), what));
            }
            Some(_) => {}
        }
    }
}
