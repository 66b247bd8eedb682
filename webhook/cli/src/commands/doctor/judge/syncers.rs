//! Checks of injected containers that Pods wait for.

use std::collections::BTreeMap;
use std::time::Duration;

use args::GitDuration;
use args::probe::STILL_CLONING;

use crate::commands::doctor::facts::Facts;
use crate::commands::doctor::finding as f;
use crate::commands::doctor::finding::Check;
use crate::commands::doctor::finding::Finding;
use crate::commands::doctor::finding::Place;
use crate::commands::doctor::pods::PodFact;
use crate::commands::doctor::pods::WAITING_TOO_LONG_SECONDS;
use crate::commands::doctor::pods::Workload;
use crate::commands::doctor::pods::age;
use crate::commands::doctor::syncer::At;
use crate::commands::doctor::syncer::Syncer;

/// Pods of one controller that wait for the same reason: one finding, for the Pod that has waited
/// longest.
type Groups<'a> = BTreeMap<(&'static str, Workload, String), Vec<Waiting<'a>>>;

/// A waiting Pod and its finding.
struct Waiting<'a> {
    check: &'static Check,
    pod: &'a PodFact,
    syncer: &'a Syncer,
    /// The waiting time in seconds.
    length: i64,
}

pub(super) fn judge(facts: &Facts, findings: &mut Vec<Finding>) {
    let mut groups: Groups<'_> = BTreeMap::new();
    for pod in &facts.pods {
        if let Some(waiting) = Waiting::of(pod, facts.now) {
            // Without times and counts, which differ between Pods with the same problem.
            let key = (waiting.check.id, pod.made_by(), waiting.words("", 0));
            groups.entry(key).or_default().push(waiting);
        }
    }
    for mut group in groups.into_values() {
        group.sort_by(|a, b| (b.length, &a.pod.name).cmp(&(a.length, &b.pod.name)));
        let more = group.len() - 1;
        let longest = group.first().map(Waiting::finding);
        findings.extend(longest.map(|finding| finding.and_more(more)));
    }
}

impl<'a> Waiting<'a> {
    /// The finding of a Pod; `None` if it has not waited long enough, or waits for something else.
    fn of(pod: &'a PodFact, now: i64) -> Option<Self> {
        // Otherwise the mesh keeps the Pod waiting, which is reported instead.
        let is_free = pod.mesh.is_none() || pod.phase != "Pending";
        let syncer = pod.syncer.as_ref().filter(|_| is_free)?;
        let waits = pod.waits(now)?;
        let says_why = syncer.warned.as_deref().is_some_and(is_error);
        let (check, length) = match &syncer.at {
            At::Running(_) if syncer.restarts > 0 => (f::SYNCER_FAILS, waits),
            At::Running(since) => {
                let check = match says_why {
                    true => f::SYNCER_FAILS,
                    false => f::SYNCER_WAITS,
                };
                (
                    check,
                    age(since, now).filter(|age| *age >= WAITING_TOO_LONG_SECONDS)?,
                )
            }
            // Otherwise volumes of the Pod itself may be missing.
            At::NotBegun => (f::SYNCER_FAILS, says_why.then_some(waits)?),
            At::Waiting(_) | At::Ended => (f::SYNCER_FAILS, waits),
            At::Serving(when) => {
                let since = age(when, now).filter(|age| *age < LATELY)?;
                (f::SYNCER_RESTARTS, since)
            }
        };
        Some(Self {
            check,
            pod,
            syncer,
            length,
        })
    }

    fn words(&self, length: &str, restarts: u64) -> String {
        let Syncer {
            container,
            at,
            ended,
            warned,
            ..
        } = self.syncer;
        let warned = warned
            .iter()
            .fold(String::new(), |all, own| all + ": " + own);
        let ended = ended.as_deref().unwrap_or("an unknown exit code");
        let what = match at {
            At::Running(_) if self.syncer.restarts > 0 => format!(
                "was restarted {restarts} times in {length} and has published no tree yet{warned}; its last \
                 run ended with {ended}"
            ),
            At::Running(_) => {
                format!("has run for {length} and has published no tree yet{warned}")
            }
            At::Waiting(why) => format!("has not started for {length}: {why}"),
            At::NotBegun => format!("has not started for {length}{warned}"),
            At::Ended => format!("ended with {ended}; it was restarted {restarts} times"),
            At::Serving(_) => format!(
                "was restarted {restarts} times; {length} ago its last run ended with {ended}"
            ),
        };
        format!("Container {container} {what}.")
    }

    fn finding(&self) -> Finding {
        let Self {
            check,
            pod,
            syncer,
            length,
        } = self;
        let PodFact {
            namespace, name, ..
        } = pod;
        let mut at = Place::within(namespace, "Pod", name);
        let maker = pod.made_by();
        if maker.kind != "Pod" {
            at = at.part(&format!("of {} {}", maker.kind, maker.name));
        }
        let length = GitDuration::from(Duration::from_secs(length.unsigned_abs()));
        let what = self.words(&length.to_string(), syncer.restarts);
        let container = &syncer.container;
        let log = format!("kubectl logs {name} -n {namespace} -c {container}");
        let command = match syncer.at {
            At::Running(_) => log,
            At::Ended | At::Serving(_) => format!("{log} --previous"),
            At::NotBegun | At::Waiting(_) => format!("kubectl describe pod {name} -n {namespace}"),
        };
        Finding::new(check, at, what).command(command)
    }
}

/// Age in seconds above which an event is considered over.
const LATELY: i64 = 3600;

/// Whether the probe's output contains more than that the clone is in progress, for any repository.
fn is_error(printed: &str) -> bool {
    !printed.split("; ").all(|own| own.ends_with(STILL_CLONING))
}
