//! The state of an injected container that its Pod waits for, as the kubelet reports it.

use inject::Role;
use serde_json::Value;

use crate::commands::doctor::value::text;

/// An injected container that its Pod waits for, or that keeps restarting.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Syncer {
    /// Its name.
    pub container: String,
    /// Its state.
    pub at: At,
    /// The number of restarts.
    pub restarts: u64,
    /// The outcome of its last run, in words.
    pub ended: Option<String>,
    /// The kubelet's last warning: the output of the startup probe, or a missing volume of
    /// gitvolume.
    pub warned: Option<String>,
}

/// The state of an injected container.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum At {
    /// It has been running since this time (in the API server's format), without a published tree
    /// so far.
    Running(String),
    /// The kubelet cannot start it, for this reason.
    Waiting(String),
    /// It is the next one, and the kubelet has not started it: volumes of the Pod are missing.
    NotBegun,
    /// It ended and will be restarted.
    Ended,
    /// It serves after many restarts; its last run ended at this time.
    Serving(String),
}

/// The number of restarts from which a serving container is reported.
const OFTEN: u64 = 3;

/// Maximum length of a quoted log line or message.
const LONGEST: usize = 300;

impl Syncer {
    /// The injected container that a Pod waits for; `None` if it waits for none.
    pub fn read(pod: &Value) -> Option<Self> {
        let is_bound = !text(pod, "/spec/nodeName").is_empty();
        if !is_bound || is_over(pod) {
            return None;
        }
        let containers = pod["spec"]["initContainers"].as_array()?;
        for container in containers {
            let name = text(container, "/name");
            let status = status(pod, name);
            if is_done(container, status) {
                if let Some(often) =
                    restarted(name, status).filter(|_| Role::is_container_name(name))
                {
                    return Some(often);
                }
                continue;
            }
            // Init containers start one after the other: the later ones wait for this one.
            return Role::is_container_name(name).then(|| waiting(name, status));
        }
        None
    }

    /// Whether the kubelet's events contain more information than the container's status.
    pub fn is_heard_of(&self) -> bool {
        matches!(self.at, At::Running(_) | At::NotBegun)
    }

    /// Records an event of the Pod if it is a warning of the kubelet about this container.
    pub fn hear(&mut self, event: &Value) {
        let message = text(event, "/message");
        let at = text(event, "/involvedObject/fieldPath");
        let heard = match self.at {
            At::Running(_) if at == format!("spec.initContainers{{{}}}", self.container) => {
                message.strip_prefix("Startup probe failed: ")
            }
            // The volumes of gitvolume are recognised by their names.
            At::NotBegun => Some(message).filter(|text| text.contains("\"gitvolume-")),
            _ => None,
        };
        if let Some(heard) = heard {
            self.warned = Some(short(heard.trim()));
        }
    }
}

/// Whether the Pod's own containers have ended: its sidecars are stopping then.
fn is_over(pod: &Value) -> bool {
    let statuses = pod["status"]["containerStatuses"].as_array();
    statuses.is_some_and(|all| {
        let is_ended = |own: &Value| !own["state"]["terminated"].is_null();
        !all.is_empty() && all.iter().all(is_ended)
    })
}

fn status<'a>(pod: &'a Value, name: &str) -> &'a Value {
    let statuses = pod["status"]["initContainerStatuses"].as_array();
    let mut statuses = statuses.into_iter().flatten();
    statuses
        .find(|own| text(own, "/name") == name)
        .unwrap_or(&Value::Null)
}

/// Whether the next container may start.
fn is_done(container: &Value, status: &Value) -> bool {
    match text(container, "/restartPolicy") {
        "Always" => status["started"] == true,
        _ => status["state"]["terminated"]["exitCode"] == 0,
    }
}

fn waiting(name: &str, status: &Value) -> Syncer {
    let state = &status["state"];
    let reason = text(state, "/waiting/reason");
    let at = if !state["running"].is_null() {
        At::Running(text(state, "/running/startedAt").to_owned())
    } else if !state["terminated"].is_null() || reason == "CrashLoopBackOff" {
        At::Ended
    } else if ["", "PodInitializing", "ContainerCreating"].contains(&reason) {
        At::NotBegun
    } else {
        At::Waiting(words(reason, text(state, "/waiting/message")))
    };
    Syncer {
        container: name.to_owned(),
        at,
        restarts: restarts(status),
        ended: ended(&status["state"]).or_else(|| ended(&status["lastState"])),
        warned: None,
    }
}

fn restarted(name: &str, status: &Value) -> Option<Syncer> {
    let ended = ended(&status["lastState"])?;
    let when = text(status, "/lastState/terminated/finishedAt").to_owned();
    (restarts(status) >= OFTEN).then(|| Syncer {
        container: name.to_owned(),
        at: At::Serving(when),
        restarts: restarts(status),
        ended: Some(ended),
        warned: None,
    })
}

fn restarts(status: &Value) -> u64 {
    status["restartCount"].as_u64().unwrap_or_default()
}

/// The outcome of a run: the exit code, the kubelet's reason, and the syncer's last log line.
fn ended(state: &Value) -> Option<String> {
    let ended = state.get("terminated").filter(|ended| ended.is_object())?;
    let code = ended["exitCode"].as_i64().unwrap_or_default();
    let log_line = last_words(text(ended, "/message"));
    let words = words(text(ended, "/reason"), &log_line);
    Some(match words.is_empty() {
        true => format!("code {code}"),
        false => format!("code {code}, {words}"),
    })
}

fn words(reason: &str, message: &str) -> String {
    let all = [reason, message].into_iter().filter(|own| !own.is_empty());
    short(&all.collect::<Vec<_>>().join(": "))
}

/// The last line of the syncer's log, which the kubelet keeps; of a JSON line its message and
/// error.
fn last_words(log: &str) -> String {
    let last = log.lines().rev().find(|line| !line.trim().is_empty());
    let last = last.unwrap_or_default().trim();
    let Ok(line) = serde_json::from_str::<Value>(last) else {
        return last.to_owned();
    };
    words(text(&line, "/msg"), text(&line, "/error"))
}

fn short(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A Pod with another init container, an injected init container and an injected sidecar, with
    /// these statuses.
    fn pod(before: &Value, once: &Value, sidecar: &Value) -> Value {
        let named = |name: &str, status: &Value| {
            let mut status = status.clone();
            status["name"] = json!(name);
            status
        };
        json!({
            "spec": {
                "nodeName": "n",
                "initContainers": [
                    {"name": "migrate"},
                    {"name": "gitvolume-once"},
                    {"name": "gitvolume", "restartPolicy": "Always"},
                ],
            },
            "status": {"initContainerStatuses": [
                named("migrate", before),
                named("gitvolume-once", once),
                named("gitvolume", sidecar),
            ]},
        })
    }

    fn done() -> Value {
        json!({"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}})
    }

    fn waits(reason: &str) -> Value {
        json!({"state": {"waiting": {"reason": reason}}})
    }

    fn runs(is_started: bool) -> Value {
        json!({
            "state": {"running": {"startedAt": "2026-03-01T11:00:00Z"}}, "started": is_started,
        })
    }

    #[test]
    fn the_first_container_that_is_not_done_is_the_one_that_the_pod_waits_for() {
        let later = waits("PodInitializing");
        let since = At::Running("2026-03-01T11:00:00Z".to_owned());
        for (before, once, sidecar, expected) in [
            (runs(false), later.clone(), later.clone(), None),
            (later.clone(), later.clone(), later.clone(), None),
            (
                done(),
                runs(false),
                later.clone(),
                Some(("gitvolume-once", since.clone())),
            ),
            (
                done(),
                later.clone(),
                later.clone(),
                Some(("gitvolume-once", At::NotBegun)),
            ),
            (done(), done(), runs(false), Some(("gitvolume", since))),
            (done(), done(), runs(true), None),
            (
                done(),
                done(),
                waits("CrashLoopBackOff"),
                Some(("gitvolume", At::Ended)),
            ),
            (
                done(),
                done(),
                waits("ErrImagePull"),
                Some(("gitvolume", At::Waiting("ErrImagePull".to_owned()))),
            ),
        ] {
            let read = Syncer::read(&pod(&before, &once, &sidecar));
            let read = read.map(|own| (own.container, own.at));
            let expected = expected.map(|(name, at)| (name.to_owned(), at));
            assert_eq!(read, expected);
        }
    }

    #[test]
    fn a_pod_without_a_node_or_with_its_work_done_waits_for_no_injected_container() {
        let mut waiting = pod(&done(), &runs(false), &waits("PodInitializing"));
        assert!(Syncer::read(&waiting).is_some());
        waiting["status"]["containerStatuses"] = json!([done()]);
        assert_eq!(Syncer::read(&waiting), None);
        let mut waiting = pod(&done(), &waits(""), &waits(""));
        waiting["spec"]["nodeName"] = Value::Null;
        assert_eq!(Syncer::read(&waiting), None);
        assert_eq!(Syncer::read(&json!({})), None);
    }

    #[test]
    fn the_outcome_contains_the_last_line_of_the_log() {
        let log = "{\"msg\":\"starting\"}\n\
            {\"msg\":\"the configuration cannot be used\",\"error\":\"no such file\"}\n";
        for (message, reason, code, expected) in [
            (
                log,
                "Error",
                1,
                "code 1, Error: the configuration cannot be used: no such file",
            ),
            ("a\nb\n\n", "Error", 2, "code 2, Error: b"),
            ("", "OOMKilled", 137, "code 137, OOMKilled"),
            ("", "", 143, "code 143"),
        ] {
            let ended = json!({"exitCode": code, "reason": reason, "message": message,
                "finishedAt": "2026-03-01T11:30:00Z"});
            let mut status = waits("CrashLoopBackOff");
            status["lastState"] = json!({"terminated": ended});
            status["restartCount"] = json!(4);
            let read = Syncer::read(&pod(&done(), &done(), &status)).unwrap();
            assert_eq!((read.restarts, read.ended.as_deref()), (4, Some(expected)));
            // The same for a container that serves again, if it restarted often.
            let mut status = runs(true);
            status["lastState"] = json!({"terminated": ended});
            status["restartCount"] = json!(2);
            assert_eq!(Syncer::read(&pod(&done(), &done(), &status)), None);
            status["restartCount"] = json!(3);
            let read = Syncer::read(&pod(&done(), &done(), &status)).unwrap();
            assert_eq!(read.at, At::Serving("2026-03-01T11:30:00Z".to_owned()));
        }
        let read = waiting(
            "gitvolume",
            &json!({"state": {"waiting": {
            "reason": "ErrImagePull", "message": "x".repeat(400)}}}),
        );
        let At::Waiting(why) = read.at else {
            panic!("{read:?}");
        };
        assert_eq!(why.chars().count(), 301);
    }

    #[test]
    fn only_events_about_the_injected_container_and_its_volumes_count() {
        let event = |at: &str, message: &str| json!({"message": message, "involvedObject": {"fieldPath": at}});
        let at = "spec.initContainers{gitvolume}";
        let probe = event(at, "Startup probe failed: no such host\n");
        let secret = event(
            "",
            "MountVolume.SetUp failed for volume \"gitvolume-secret\" : secret \
                                \"git\" not found",
        );
        let others = [
            event("spec.containers{web}", "Startup probe failed: 500"),
            event("", "MountVolume.SetUp failed for volume \"code\" : no"),
            event(at, "Back-off pulling image"),
        ];
        let mut runs = Syncer::read(&pod(&done(), &done(), &runs(false))).unwrap();
        let later = waits("PodInitializing");
        let mut begins = Syncer::read(&pod(&done(), &done(), &later)).unwrap();
        for event in others.iter().chain([&secret]) {
            runs.hear(event);
        }
        for event in others.iter().chain([&probe]) {
            begins.hear(event);
        }
        assert_eq!((&runs.warned, &begins.warned), (&None, &None));
        runs.hear(&probe);
        begins.hear(&secret);
        assert_eq!(runs.warned.as_deref(), Some("no such host"));
        let warning = "MountVolume.SetUp failed for volume \"gitvolume-secret\" : secret \"git\" not \
                    found";
        assert_eq!(begins.warned.as_deref(), Some(warning));
    }
}
