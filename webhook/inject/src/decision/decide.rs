//! The decision about a review, before the self-check of its patch.

use k8s_openapi::api::core::v1::PodSpec;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::InternalError;
use crate::Key;
use crate::Namespace;
use crate::OnMistake;
use crate::Outcome;
use crate::Refusal;
use crate::Review;
use crate::Settings;
use crate::SkipReason;
use crate::decision::considered::Considered;
use crate::decision::considered::DecodedPod;
use crate::decision::considered::in_force;
use crate::misplaced;
use crate::model::request::GitRepoMode;
use crate::model::request::PodOptions;
use crate::model::role::Role;
use crate::patch::mutate;
use crate::patch::recorder::Edited;
use crate::patch::recorder::Recorder;
use crate::plan;
use crate::plan::conflicts;
use crate::plan::injected;
use crate::plan::injected::Injected;
use crate::pod::document;
use crate::pod::evictable;
use crate::pod::typed;
use crate::pod::windows;
use crate::pod_template;
use crate::sources::annotations;
use crate::sources::objects::Choice;
use crate::sources::requested::RequestedVolumes;
use crate::sources::status::Status;

/// A decision and the edited Pod.
pub(crate) struct Decision {
    pub(crate) outcome: Outcome,
    /// The Pod after the change; `None` where there is none.
    pub(crate) edited: Option<Edited>,
    pub(crate) warnings: Vec<String>,
    /// The inputs of the decision; `None` where the review is not the creation of a Pod.
    pub(crate) considered: Option<Considered>,
}

impl Decision {
    fn skip(reason: SkipReason, warnings: Vec<String>) -> Self {
        Self {
            outcome: Outcome::Skip(reason),
            edited: None,
            warnings,
            considered: None,
        }
    }
}

/// Decides about a review: the creation of a Pod or of a workload with a Pod template.
pub(crate) fn decide(
    review: Review,
    settings: &Settings,
    namespace: &Namespace,
) -> Result<Decision, InternalError> {
    if review.has_template() {
        let warnings = warnings(&review, settings, namespace)?;
        return Ok(Decision::skip(SkipReason::Template, warnings));
    }
    if !review.creates_a_pod() {
        return Ok(Decision::skip(SkipReason::NotAPodCreation, Vec::new()));
    }
    let document = review.object();
    let annotations = document::annotations(document);
    let status = Status::read(annotations);
    let (mut requested, was) =
        requested(document, annotations, status.as_ref(), settings, namespace);
    if !requests_anything(document, &requested, status.as_ref()) {
        let warnings = std::mem::take(&mut requested.warnings);
        return Ok(Decision::skip(SkipReason::NotRequested, warnings));
    }
    let skipped = match requested.pod.inject {
        Some(false) => Some(SkipReason::OptedOut),
        _ => unsupported(document, annotations).or_else(|| {
            let is_excluded = settings.excludes(review.namespace());
            is_excluded.then_some(SkipReason::ExcludedNamespace)
        }),
    };
    if let Some(reason) = skipped {
        let mut warnings = std::mem::take(&mut requested.warnings);
        if reason != SkipReason::OptedOut {
            let key = Key::Repo.annotation();
            warnings.push(format!("{key}: the webhook skips this Pod: {reason}"));
        }
        let outcome = Outcome::Skip(reason);
        return Ok(Decision {
            edited: edited(review, &outcome, None, was, settings)?,
            outcome,
            warnings,
            considered: Some(Considered {
                requested,
                pod: None,
            }),
        });
    }
    let spec: PodSpec = typed::read(&document["spec"]).map_err(InternalError::Unreadable)?;
    let evictable = annotations.and_then(|all| all.get(evictable::KEY)?.as_str());
    let in_namespace = namespace.of_pod(annotations);
    let mut pod = DecodedPod::new(spec, &mut requested, was, settings, in_namespace);
    let known = (was, evictable, review.namespace());
    let (outcome, warnings) = about(&mut pod, &mut requested, known, settings);
    Ok(Decision {
        edited: edited(review, &outcome, Some(&pod.spec), was, settings)?,
        outcome,
        warnings,
        considered: Some(Considered {
            requested,
            pod: Some(pod),
        }),
    })
}

/// The Pod with the edits of an outcome; `None` where there are none. A Pod that requests a
/// repository and is skipped gets the reason in its status, where its author finds it; a mirror Pod
/// belongs to the kubelet and is not changed.
fn edited(
    review: Review,
    outcome: &Outcome,
    spec: Option<&PodSpec>,
    was: Option<&Status>,
    settings: &Settings,
) -> Result<Option<Edited>, InternalError> {
    let mut recorder = Recorder::new(review.into_object());
    match (outcome, spec) {
        (Outcome::Inject(plan), Some(spec)) => {
            mutate::inject(&mut recorder, spec, plan, was, settings)?;
        }
        (Outcome::Skip(SkipReason::AlreadyInjected), Some(spec)) => {
            mutate::list(&mut recorder, injected::names(spec, std::iter::empty()))?;
        }
        (Outcome::Skip(reason), _) if reason.is_noted() => {
            mutate::explain_absence(&mut recorder, &Status::of_skip(*reason, settings))?;
        }
        (Outcome::Deny(refusal), _) if settings.on_mistake == OnMistake::Warn => {
            mutate::explain_absence(&mut recorder, &Status::of_refusal(refusal, settings))?;
        }
        _ => {}
    }
    Ok(recorder.finish())
}

/// The requests of a Pod by annotations and by objects of its namespace, with the status of an
/// earlier call.
fn requested<'a>(
    document: &Value,
    annotations: Option<&Map<String, Value>>,
    status: Option<&'a Status>,
    settings: &Settings,
    namespace: &Namespace,
) -> (RequestedVolumes, Option<&'a Status>) {
    let was = in_force(document, status);
    let choice = Choice {
        namespace: Some(namespace),
        settings: Some(settings),
        labels: document
            .pointer("/metadata/labels")
            .and_then(Value::as_object),
        applied_object: was.map(|was| &was.objects[..]),
    };
    (annotations::read(annotations, choice), was)
}

/// Decides about a Pod that requests a repository and can have one, given the status of an earlier
/// call, the Pod's annotation for the cluster autoscaler, and its namespace.
fn about(
    pod: &mut DecodedPod,
    requested: &mut RequestedVolumes,
    (was, evictable, name): (Option<&Status>, Option<&str>, &str),
    settings: &Settings,
) -> (Outcome, Vec<String>) {
    let mut warnings = std::mem::take(&mut requested.warnings);
    let mut mistakes = std::mem::take(&mut requested.mistakes);
    let mut places = std::mem::take(&mut pod.places);
    let wants_objects = !requested.pod.uses.is_empty();
    if pod.is_empty() && !wants_objects && mistakes.is_empty() {
        let reason = not_requested(&requested.pod, &pod.git_repos.names);
        return (Outcome::Skip(reason), warnings);
    }
    let input = pod.input(requested, settings, name);
    let mut missing = Role::ALL.to_vec();
    if mistakes.is_empty() {
        match injected::look(&input, was) {
            Injected::Missing(roles) if roles.is_empty() && !wants_objects => {
                // Another mutator may have taken the port between the first call and this one.
                warnings.extend(plan::warnings::port(&input));
                return (Outcome::Skip(SkipReason::AlreadyInjected), warnings);
            }
            Injected::Missing(roles) => missing = roles,
            Injected::Other(mistake) => {
                return refuse(mistake.into(), warnings, settings);
            }
        }
    }
    // An earlier call has checked the mount paths of containers that are already injected.
    places.retain(|place| missing.contains(&place.role));
    mistakes.extend(conflicts::mistakes(&input, &places));
    if let Some(refusal) = Refusal::of(mistakes) {
        return refuse(refusal, warnings, settings);
    }
    let plan = plan::plan(&input, &missing, evictable);
    if let Some(mistake) = conflicts::too_long(&plan) {
        return refuse(mistake.into(), warnings, settings);
    }
    warnings.extend(plan::warnings::of(&input, &plan));
    (Outcome::Inject(Box::new(plan)), warnings)
}

/// Whether a Pod requests anything. Volumes in a status were gitRepo volumes before an earlier
/// call.
fn requests_anything(
    document: &Value,
    requested: &RequestedVolumes,
    status: Option<&Status>,
) -> bool {
    !requested.groups.is_empty()
        || requested.pod_key.is_some()
        || !requested.pod.uses.is_empty()
        || !requested.mistakes.is_empty()
        || has_git_repo(document)
        || status.is_some_and(|status| !status.git_repos.is_empty())
}

/// Whether a Pod has a gitRepo volume. Reads the raw document: most Pods have none, and decoding
/// each would be expensive.
fn has_git_repo(document: &Value) -> bool {
    let volumes = document.pointer("/spec/volumes").and_then(Value::as_array);
    let mut volumes = volumes.into_iter().flatten();
    volumes.any(|volume| {
        volume
            .get("gitRepo")
            .is_some_and(|source| !source.is_null())
    })
}

/// The reason to skip a Pod without a repository to fetch.
fn not_requested(wide: &PodOptions, git_repos: &[String]) -> SkipReason {
    match wide.git_repo {
        _ if git_repos.is_empty() => SkipReason::NotRequested,
        Some(GitRepoMode::Off) => SkipReason::OptedOut,
        _ => SkipReason::GitRepoTurnedOff,
    }
}

/// The reason why no syncer can run in a Pod, if there is one.
fn unsupported(document: &Value, annotations: Option<&Map<String, Value>>) -> Option<SkipReason> {
    if annotations.is_some_and(|all| all.contains_key("kubernetes.io/config.mirror")) {
        return Some(SkipReason::MirrorPod);
    }
    windows::is_windows(document).then_some(SkipReason::Windows)
}

fn refuse(
    refusal: Refusal,
    mut warnings: Vec<String>,
    settings: &Settings,
) -> (Outcome, Vec<String>) {
    if settings.on_mistake == OnMistake::Warn {
        // The Pod runs without its files: the status carries the reason.
        let sentences = refusal.mistakes().map(ToString::to_string);
        warnings.splice(0..0, sentences);
    }
    (Outcome::Deny(refusal), warnings)
}

/// Warnings for the author of a workload when it is applied: annotations on a level where they have
/// no effect, and the mistakes and warnings of its Pods. A controller creates those Pods later, and
/// few people read its events.
pub(crate) fn warnings(
    review: &Review,
    settings: &Settings,
    namespace: &Namespace,
) -> Result<Vec<String>, InternalError> {
    let workload = review.object();
    let Some(at) = pod_template(workload).filter(|at| !at.is_empty()) else {
        return Ok(Vec::new());
    };
    let mut warnings = misplaced(workload);
    let part = |key: &str| workload.pointer(at).and_then(|template| template.get(key));
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": part("metadata"), "spec": part("spec"),
    });
    let pod = Review::of_pod(pod).in_namespace(review.namespace());
    let decision = decide(pod, settings, namespace)?;
    if let Outcome::Deny(refusal) = &decision.outcome
        && settings.on_mistake == OnMistake::Deny
    {
        warnings.extend(refusal.mistakes().map(ToString::to_string));
    }
    warnings.extend(decision.warnings);
    Ok(warnings)
}
