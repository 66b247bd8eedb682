//! What the kubelet tells of a container of ours that its Pod waits for.

use serde_json::Value;

use super::facts::text;
use super::pods::is_ours;

/// A container of ours that its Pod waits for, or that ends again and again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Syncer {
    /// Its name.
    pub container: String,
    /// How it stands.
    pub at: At,
    /// How often the kubelet has started it anew.
    pub restarts: u64,
    /// How it ended last, in words.
    pub ended: Option<String>,
    /// The kubelet's last warning: what the startup probe prints, or which volume of ours is
    /// missing.
    pub warned: Option<String>,
}

/// How a container of ours stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum At {
    /// It has run since then, as the API server writes times, and there is no tree yet.
    Running(String),
    /// The kubelet cannot start it, for this reason.
    Waiting(String),
    /// It is its turn, and the kubelet has not come to it: the Pod's volumes are not there.
    NotBegun,
    /// It ended, and is started again later.
    Ended,
    /// It serves, and was restarted often; its last run ended then.
    Serving(String),
}

/// From how many restarts on one that serves is odd.
const OFTEN: u64 = 3;

/// The longest part of a log or a message that is told.
const LONGEST: usize = 300;

impl Syncer {
    /// Looks for one in a Pod; `None` where it waits for nothing of ours.
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
                if let Some(often) = restarted(name, status).filter(|_| is_ours(name)) {
                    return Some(often);
                }
                continue;
            }
            // They start one after the other: what comes later waits for this one.
            return is_ours(name).then(|| waiting(name, status));
        }
        None
    }

    /// Whether the kubelet's events tell more of it than its status does.
    pub fn is_heard_of(&self) -> bool {
        matches!(self.at, At::Running(_) | At::NotBegun)
    }

    /// Takes note of an event of the Pod's, where it is the kubelet's warning about this.
    pub fn hear(&mut self, event: &Value) {
        let message = text(event, "/message");
        let at = text(event, "/involvedObject/fieldPath");
        let heard = match self.at {
            At::Running(_) if at == format!("spec.initContainers{{{}}}", self.container) => {
                message.strip_prefix("Startup probe failed: ")
            }
            // Volumes of ours are told from the Pod's own by their names.
            At::NotBegun => Some(message).filter(|text| text.contains("\"gitvolume-")),
            _ => None,
        };
        if let Some(heard) = heard {
            self.warned = Some(short(heard.trim()));
        }
    }
}

/// Whether what the Pod is for has ended: then its sidecars are on their way out.
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

/// How a run ended: the code, the kubelet's word for it, and what the syncer said last.
fn ended(state: &Value) -> Option<String> {
    let ended = state.get("terminated").filter(|ended| ended.is_object())?;
    let code = ended["exitCode"].as_i64().unwrap_or_default();
    let said = last_words(text(ended, "/message"));
    let words = words(text(ended, "/reason"), &said);
    Some(match words.is_empty() {
        true => format!("code {code}"),
        false => format!("code {code}, {words}"),
    })
}

fn words(reason: &str, message: &str) -> String {
    let all = [reason, message].into_iter().filter(|own| !own.is_empty());
    short(&all.collect::<Vec<_>>().join(": "))
}

/// The last line of the syncer's log, which is the end of what the kubelet keeps of it: of an object
/// in JSON its message and error.
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

    /// A Pod with another init container, our init container and our sidecar, of these statuses.
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
    fn a_pod_without_a_node_or_whose_work_is_done_waits_for_nothing_of_ours() {
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
    fn how_it_ended_is_told_by_the_last_line_of_its_log() {
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
            // The same of one that serves again, where that was often.
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
    fn the_kubelet_is_heard_about_our_container_and_our_volumes_alone() {
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
        let told = "MountVolume.SetUp failed for volume \"gitvolume-secret\" : secret \"git\" not \
                    found";
        assert_eq!(begins.warned.as_deref(), Some(told));
    }
}
