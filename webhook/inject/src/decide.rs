//! What is decided about a review, before anybody has tried it.

use json_patch::Patch;
use k8s_openapi::api::core::v1::PodSpec;
use serde_json::Map;
use serde_json::Value;

use crate::InternalError;
use crate::Namespace;
use crate::OnMistake;
use crate::Outcome;
use crate::PREFIX;
use crate::Refusal;
use crate::Review;
use crate::Settings;
use crate::SkipReason;
use crate::annotations;
use crate::annotations::Asked;
use crate::conflicts;
use crate::conflicts::Place;
use crate::container::Role;
use crate::evictable;
use crate::gitrepo;
use crate::injected;
use crate::injected::Injected;
use crate::mutate;
use crate::objects::Choice;
use crate::plan;
use crate::recorder::Recorder;
use crate::request::GitRepoMode;
use crate::request::PodWide;
use crate::status::Status;
use crate::template;
use crate::typed;
use crate::wanted::Served;
use crate::wanted::Wanted;
use crate::warnings;
use crate::windows;

/// A decision, and the patch that carries it out.
pub(crate) struct Decision {
    pub(crate) outcome: Outcome,
    pub(crate) patch: Option<Patch>,
    pub(crate) warnings: Vec<String>,
    /// What the Pod was read as, where it had to be.
    pub(crate) pod: Option<PodSpec>,
}

impl Decision {
    fn skip(reason: SkipReason, warnings: Vec<String>) -> Self {
        Self {
            outcome: Outcome::Skip(reason),
            patch: None,
            warnings,
            pod: None,
        }
    }
}

/// Decides about a review: a Pod that is created, or what will create Pods.
pub(crate) fn decide(
    review: &Review,
    settings: &Settings,
    namespace: &Namespace,
) -> Result<Decision, InternalError> {
    if review.has_template() {
        let warnings = template::warnings(review, settings, namespace)?;
        return Ok(Decision::skip(SkipReason::Template, warnings));
    }
    if !review.creates_a_pod() {
        return Ok(Decision::skip(SkipReason::NotAPodCreation, Vec::new()));
    }
    let document = review.object();
    let annotations = document
        .pointer("/metadata/annotations")
        .and_then(Value::as_object);
    let status = Status::read(annotations);
    let (asked, was) = asked(document, annotations, status.as_ref(), settings, namespace);
    if !asks(document, &asked, status.as_ref()) {
        return Ok(Decision::skip(SkipReason::NotRequested, asked.warnings));
    }
    if asked.pod.inject == Some(false) {
        return Ok(Decision::skip(SkipReason::OptedOut, asked.warnings));
    }
    let unfit = unfit(document, annotations);
    let excluded = settings.excludes(review.namespace());
    let excluded = excluded.then_some(SkipReason::ExcludedNamespace);
    if let Some(reason) = unfit.or(excluded) {
        let mut warnings = asked.warnings;
        warnings.push(format!("{PREFIX}repo: the Pod is left alone: {reason}"));
        return skip(document, reason, warnings, settings);
    }
    let pod: PodSpec = typed::read(&document["spec"]).map_err(InternalError::Unreadable)?;
    let document = Document {
        raw: document,
        annotations,
        was,
    };
    let mut decision = about(
        &document,
        &pod,
        asked,
        review.namespace(),
        settings,
        namespace,
    )?;
    decision.pod = Some(pod);
    Ok(decision)
}

/// What a Pod asks for, and what objects of its namespace give it; with it what an earlier call
/// wrote. Anybody can write a status: it says what was, where something of ours is.
pub(crate) fn asked<'a>(
    document: &Value,
    annotations: Option<&Map<String, Value>>,
    status: Option<&'a Status>,
    settings: &Settings,
    namespace: &Namespace,
) -> (Asked, Option<&'a Status>) {
    let was = status.filter(|_| injected::has_our_names(document));
    let choice = Choice {
        namespace: Some(namespace),
        settings: Some(settings),
        labels: document
            .pointer("/metadata/labels")
            .and_then(Value::as_object),
        taken: was.map(|was| &was.objects[..]),
    };
    (annotations::read(annotations, choice), was)
}

/// A Pod as it came.
struct Document<'a> {
    raw: &'a Value,
    annotations: Option<&'a Map<String, Value>>,
    /// What an earlier call wrote.
    was: Option<&'a Status>,
}

/// Decides about a Pod that asks for something and can have it.
fn about(
    document: &Document<'_>,
    pod: &PodSpec,
    mut asked: Asked,
    name: &str,
    settings: &Settings,
    namespace: &Namespace,
) -> Result<Decision, InternalError> {
    let &Document {
        raw,
        annotations,
        was,
    } = document;
    let mut found = gitrepo::read(pod, &asked, was, settings);
    asked.mistakes.append(&mut found.mistakes);
    asked.warnings.append(&mut found.warnings);
    let (requests, places) = asked.requests(&found.names);
    let wants_nothing = requests.is_empty() && found.volumes.is_empty();
    if wants_nothing && asked.pod.uses.is_empty() && asked.mistakes.is_empty() {
        let reason = left_alone(&asked.pod, &found.names);
        return skip(raw, reason, asked.warnings, settings);
    }
    let namespace = namespace.of_pod(annotations);
    let wanted = Wanted {
        pod,
        wide: &asked.pod,
        sources: &asked.sources,
        requests: &requests,
        git_repos: &found.volumes,
        settings,
        namespace: &namespace,
        default_secret: settings.default_secret(name),
        served: Served::new(),
    };
    let mut missing = Role::ALL.to_vec();
    if asked.mistakes.is_empty() {
        match injected::look(&wanted, was) {
            Injected::Missing(roles) if roles.is_empty() && asked.pod.uses.is_empty() => {
                // Another mutator may have come between the first call and this one.
                asked.warnings.extend(warnings::port(&wanted));
                let mut decision = Decision::skip(SkipReason::AlreadyInjected, asked.warnings);
                decision.patch = listed(raw, pod)?;
                return Ok(decision);
            }
            Injected::Missing(roles) => missing = roles,
            Injected::Other(mistake) => {
                return refuse(raw, mistake.into(), asked.warnings, settings);
            }
        }
    }
    // What is there has its places already.
    let places: Vec<Place> = places
        .into_iter()
        .filter(|place| missing.contains(&place.role))
        .collect();
    let mut mistakes = std::mem::take(&mut asked.mistakes);
    mistakes.extend(conflicts::mistakes(&wanted, &places));
    if let Some(refusal) = Refusal::of(mistakes) {
        return refuse(raw, refusal, asked.warnings, settings);
    }
    let mut told = std::mem::take(&mut asked.warnings);
    let evictable = annotations.and_then(|all| all.get(evictable::KEY)?.as_str());
    let plan = plan::plan(&wanted, &missing, evictable);
    if let Some(mistake) = conflicts::too_long(&plan) {
        return refuse(raw, mistake.into(), told, settings);
    }
    told.extend(warnings::of(&wanted, &plan));
    let mut recorder = Recorder::new(raw);
    mutate::inject(&mut recorder, pod, &plan, was, settings)?;
    Ok(Decision {
        outcome: Outcome::Inject(Box::new(plan)),
        patch: Some(recorder.finish()),
        warnings: told,
        pod: None,
    })
}

/// Tells whether a Pod asks for anything. What a status tells was once a gitRepo volume.
fn asks(document: &Value, asked: &Asked, status: Option<&Status>) -> bool {
    !asked.groups.is_empty()
        || asked.pod_key.is_some()
        || !asked.pod.uses.is_empty()
        || !asked.mistakes.is_empty()
        || has_git_repo(document)
        || status.is_some_and(|status| !status.git_repos.is_empty())
}

/// Looks at the raw document: most Pods that meet us have none, and few of them are decoded.
fn has_git_repo(document: &Value) -> bool {
    let volumes = document.pointer("/spec/volumes").and_then(Value::as_array);
    let mut volumes = volumes.into_iter().flatten();
    volumes.any(|volume| {
        volume
            .get("gitRepo")
            .is_some_and(|source| !source.is_null())
    })
}

/// Why nothing comes of a Pod without a repository to fetch.
fn left_alone(wide: &PodWide, git_repos: &[String]) -> SkipReason {
    match wide.git_repo {
        _ if git_repos.is_empty() => SkipReason::NotRequested,
        Some(GitRepoMode::Off) => SkipReason::OptedOut,
        _ => SkipReason::GitRepoTurnedOff,
    }
}

/// Leaves a Pod alone. Where that is not its author's own wish, the Pod says why, for whoever looks
/// for Pods that were passed over; a mirror Pod is the kubelet's own and stays as it is.
fn skip(
    document: &Value,
    reason: SkipReason,
    warnings: Vec<String>,
    settings: &Settings,
) -> Result<Decision, InternalError> {
    let mut decision = Decision::skip(reason, warnings);
    if matches!(
        reason,
        SkipReason::ExcludedNamespace | SkipReason::GitRepoTurnedOff | SkipReason::Windows
    ) {
        decision.patch = noted(document, &Status::of_skip(reason, settings))?;
    }
    Ok(decision)
}

/// A Pod that no syncer can run in.
fn unfit(document: &Value, annotations: Option<&Map<String, Value>>) -> Option<SkipReason> {
    if annotations.is_some_and(|all| all.contains_key("kubernetes.io/config.mirror")) {
        return Some(SkipReason::MirrorPod);
    }
    windows::is_windows(document).then_some(SkipReason::Windows)
}

fn refuse(
    document: &Value,
    refusal: Refusal,
    mut warnings: Vec<String>,
    settings: &Settings,
) -> Result<Decision, InternalError> {
    let mut patch = None;
    if settings.on_mistake == OnMistake::Warn {
        // The Pod runs without its files: whoever wonders finds the reason in it.
        let sentences = refusal.mistakes().map(ToString::to_string);
        warnings.splice(0..0, sentences);
        patch = noted(document, &Status::of_refusal(&refusal, settings))?;
    }
    Ok(Decision {
        outcome: Outcome::Deny(refusal),
        patch,
        warnings,
        pod: None,
    })
}

/// The patch that writes nothing but a status and an empty list; `None` where the Pod has them.
fn noted(document: &Value, status: &Status) -> Result<Option<Patch>, InternalError> {
    let mut recorder = Recorder::new(document);
    mutate::explain_absence(&mut recorder, status)?;
    Ok(recorded(recorder))
}

/// The patch that writes the list of our containers into a Pod that has them all; `None` where the
/// list is right.
fn listed(document: &Value, pod: &PodSpec) -> Result<Option<Patch>, InternalError> {
    let mut recorder = Recorder::new(document);
    mutate::list(&mut recorder, injected::names(pod, std::iter::empty()))?;
    Ok(recorded(recorder))
}

fn recorded(recorder: Recorder<'_>) -> Option<Patch> {
    let recorded = recorder.finish();
    Some(recorded).filter(|recorded| !recorded.is_empty())
}
