//! `gitvolume explain KIND/NAME`: the explanation of an object of a cluster, with the state of its
//! injected containers.

use crate::live::path_of;
use crate::live::path_to;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1 as core;
use kube::api::ListParams;
use std::fmt;

use inject::Explanation;
use inject::Kind;
use inject::Review;
use inject::Role;
use inject::Settings;
use inject::explain;
use inject::misplaced;
use inject::pod_template;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::args::settings as own_settings;
use crate::live::ClusterReader;
use crate::live::Part;
use crate::live::Unavailable;
use crate::live::installed;
use crate::live::kinds::our_objects;
use crate::live::known::Known;
use crate::live::named;
use crate::report::Report;
use crate::report::one_line;
use webhook::settings::SettingsArgs;

/// The explanation of a cluster object.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExplainedLiveObject {
    /// `Pod shop/web`.
    object: String,
    /// The injected containers, if the object is a Pod.
    containers: Vec<Container>,
    /// What the webhook would do to a new Pod like it; for an injected Pod, also the differences.
    pub(super) explanation: Explanation,
    misplaced: Vec<String>,
}

/// An injected container of a Pod, as the kubelet reports it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Container {
    name: String,
    /// Its state, in words.
    state: String,
    restarts: u64,
    /// The kubelet's last warning, such as the output of the probe.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<String>,
}

/// Reads an object and explains it.
pub(super) async fn explain_live(
    live: &ClusterReader,
    name: &str,
    namespace: Option<&str>,
    flags: SettingsArgs,
    report: &mut Report,
) -> anyhow::Result<ExplainedLiveObject> {
    let namespace = namespace.unwrap_or(live.namespace());
    let (kind, uri) = named::path(name, namespace)?;
    let object = live
        .get(&uri)
        .await
        .map_err(|error| anyhow::anyhow!("{name} in the namespace {namespace}: {error}"))?;
    let at = pod_template(&object).and_then(|at| object.pointer(at));
    let mut pod = at.cloned().ok_or_else(|| {
        anyhow::anyhow!("{name} in the namespace {namespace}: it has no Pod template")
    })?;
    if !pod["metadata"].is_object() {
        pod["metadata"] = json!({});
    }
    let (known, settings) = known(live, namespace, flags, report).await?;
    let review = Review::of_pod(pod).in_namespace(namespace);
    let explanation = explain(&review, &settings, &known.namespace(namespace))?;
    let containers = match kind {
        "Pod" => {
            let events = events(live, namespace, &object).await;
            let events = events.unwrap_or_else(|error| {
                report.note(&format!("the Pod's events cannot be read: {error}"));
                Vec::new()
            });
            containers(&object, &events)
        }
        _ => Vec::new(),
    };
    let own = object["metadata"]["name"].as_str().unwrap_or_default();
    Ok(ExplainedLiveObject {
        object: format!("{kind} {namespace}/{own}"),
        containers,
        explanation,
        misplaced: misplaced(&object),
    })
}

/// The state of the namespace and the webhook's settings; parts that cannot be read are reported.
pub(super) async fn known(
    live: &ClusterReader,
    namespace: &str,
    flags: SettingsArgs,
    report: &mut Report,
) -> anyhow::Result<(Known, Settings)> {
    let mut known = Known::default();
    let mut note = |what: &str, error: &dyn fmt::Display| {
        report.note(&format!("{what} cannot be read: {error}"));
    };
    match live.get(&path_to::<core::Namespace>(None, namespace)).await {
        Ok(found) => known.add_namespace(&found),
        Err(error) => note("the namespace's labels", &error),
    }
    for kind in Kind::ALL {
        let each = |mut object: Value| {
            object["kind"] = json!(kind.as_str());
            known.add_object(&object);
        };
        let path = our_objects(kind, Some(namespace));
        match live
            .list(&path, ListParams::default(), Part::Whole, each)
            .await
        {
            // The cluster may not have these CRDs.
            Ok(()) | Err(Unavailable::Absent(_)) => {}
            Err(error) => note(&format!("the {kind}s"), &error),
        }
    }
    let mut registrations = Vec::new();
    let each = |own: Value| {
        if installed::entries(&own).next().is_some() {
            registrations.push(own);
        }
    };
    let path = path_of::<MutatingWebhookConfiguration>(None);
    if let Err(error) = live
        .list(&path, ListParams::default(), Part::Whole, each)
        .await
    {
        note("the webhook's registration", &error);
    }
    for entry in registrations.iter().flat_map(installed::entries) {
        if entry["name"] == installed::AUTO {
            known.add_selector(entry);
        }
    }
    if flags.config.is_some() {
        return Ok((known, own_settings(flags)?));
    }
    let settings = match registrations.first() {
        None => Err("there is none in the cluster".to_owned()),
        Some(registration) => installed::settings(live, registration).await,
    };
    Ok(match settings {
        Ok(settings) => (known, flags.over_live(settings)),
        Err(error) => {
            let what = "the webhook's settings (this program's own settings apply instead)";
            note(what, &error);
            (known, own_settings(flags)?)
        }
    })
}

async fn events(
    live: &ClusterReader,
    namespace: &str,
    pod: &Value,
) -> Result<Vec<Value>, Unavailable> {
    let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
    let path = path_of::<core::Event>(Some(namespace));
    let selectors = ListParams::default().fields(&format!("involvedObject.uid={uid}"));
    let mut events = Vec::new();
    live.list(&path, selectors, Part::Whole, |own| events.push(own))
        .await?;
    Ok(events)
}

/// The injected containers of a Pod.
fn containers(pod: &Value, events: &[Value]) -> Vec<Container> {
    let inits = pod["spec"]["initContainers"].as_array();
    let names = inits.into_iter().flatten();
    let names = names.filter_map(|own| own["name"].as_str());
    let ours = names.filter(|name| Role::is_container_name(name));
    ours.map(|name| {
        let statuses = pod["status"]["initContainerStatuses"].as_array();
        let mut statuses = statuses.into_iter().flatten();
        let status = statuses.find(|own| own["name"] == name);
        let status = status.unwrap_or(&Value::Null);
        Container {
            name: name.to_owned(),
            state: state(status),
            restarts: status["restartCount"].as_u64().unwrap_or_default(),
            last: last(name, events),
        }
    })
    .collect()
}

/// The state of a container in words, from its status.
fn state(status: &Value) -> String {
    let describe = |state: &Value| {
        let text = |key: &str| state[key].as_str().filter(|text| !text.is_empty());
        let words = [text("reason"), text("message")];
        let words: Vec<&str> = words.into_iter().flatten().collect();
        words.join(": ")
    };
    let state = &status["state"];
    if let Some(waiting) = state.get("waiting") {
        return format!("waits ({})", describe(waiting));
    }
    if let Some(ended) = state.get("terminated") {
        let code = ended["exitCode"].as_i64().unwrap_or_default();
        return format!("ended with code {code} ({})", describe(ended));
    }
    let Some(running) = state.get("running") else {
        return "is not known to the kubelet yet".to_owned();
    };
    let since = running["startedAt"].as_str().unwrap_or_default();
    match status["started"].as_bool() {
        Some(true) => format!("runs since {since}; it has published the files"),
        _ => format!("runs since {since}; it has not published the files yet"),
    }
}

/// The kubelet's last warning about a container.
fn last(container: &str, events: &[Value]) -> Option<String> {
    let path = format!("spec.initContainers{{{container}}}");
    let when = |event: &Value| {
        let last = event["lastTimestamp"]
            .as_str()
            .or(event["eventTime"].as_str());
        last.unwrap_or_default().to_owned()
    };
    let own = events
        .iter()
        .filter(|event| event["type"] == "Warning" && event["involvedObject"]["fieldPath"] == path);
    let last = own.max_by_key(|event| when(event))?;
    let message = last["message"].as_str().unwrap_or_default().trim();
    let count = match last["count"].as_u64() {
        Some(count) if count > 1 => format!(", {count} times"),
        _ => String::new(),
    };
    Some(format!("{message} ({}{count})", when(last)))
}

impl fmt::Display for ExplainedLiveObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            object,
            containers,
            explanation,
            misplaced,
        } = self;
        write!(f, "{object}: {explanation}")?;
        if containers.is_empty() && explanation.decision == "inject" && object.starts_with("Pod ") {
            writeln!(f, "  this Pod runs without it; a new Pod would get it")?;
        }
        for container in containers {
            let Container {
                name,
                state,
                restarts,
                last,
            } = container;
            writeln!(f, "  container {name} {state}; restarted {restarts} times")?;
            if let Some(last) = last {
                write!(f, "{}", inject::wrapped(&one_line(last), 4))?;
            }
        }
        misplaced
            .iter()
            .try_for_each(|sentence| writeln!(f, "  {sentence}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_shown_with_the_last_output_of_its_probe() {
        let event = |when: &str, kind: &str, container: &str, message: &str| {
            json!({
                "type": kind, "lastTimestamp": when, "count": 3, "message": message,
                "involvedObject": {"fieldPath": format!("spec.initContainers{{{container}}}")},
            })
        };
        let events = [
            event(
                "2026-01-01T00:00:02Z",
                "Warning",
                "gitvolume",
                "Startup probe failed: no such host\n",
            ),
            event(
                "2026-01-01T00:00:01Z",
                "Warning",
                "gitvolume",
                "Startup probe failed: earlier",
            ),
            event("2026-01-01T00:00:03Z", "Warning", "web", "another's"),
            event("2026-01-01T00:00:03Z", "Normal", "gitvolume", "Started"),
        ];
        let pod = |status: Value| {
            json!({
                "spec": {"initContainers": [{"name": "other"}, {"name": "gitvolume"}]},
                "status": {"initContainerStatuses": [status]},
            })
        };
        let of = |state: Value, started: bool| {
            let status = json!({
                "name": "gitvolume", "restartCount": 2, "state": state, "started": started,
            });
            containers(&pod(status), &events).remove(0)
        };
        let running = json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}});
        let container = of(running.clone(), false);
        assert_eq!(container.restarts, 2);
        assert_eq!(
            container.last.as_deref(),
            Some("Startup probe failed: no such host (2026-01-01T00:00:02Z, 3 times)")
        );
        let waiting = json!({"waiting": {"reason": "ImagePullBackOff", "message": "no"}});
        let ended = json!({"terminated": {"exitCode": 1, "reason": "Error"}});
        for (state, started, words) in [
            (
                running.clone(),
                false,
                "runs since 2026-01-01T00:00:00Z; it has not published the files yet",
            ),
            (
                running,
                true,
                "runs since 2026-01-01T00:00:00Z; it has published the files",
            ),
            (waiting, false, "waits (ImagePullBackOff: no)"),
            (ended, false, "ended with code 1 (Error)"),
            (json!({}), false, "is not known to the kubelet yet"),
        ] {
            assert_eq!(of(state, started).state, words);
        }
        assert_eq!(containers(&json!({}), &[]), []);
    }
}
