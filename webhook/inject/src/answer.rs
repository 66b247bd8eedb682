use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use json_patch::Patch;
use k8s_openapi::api::core::v1::PodSpec;
use serde::Serialize;
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
use crate::check;
use crate::conflicts;
use crate::conflicts::Place;
use crate::container::Role;
use crate::evictable;
use crate::gitrepo;
use crate::injected;
use crate::injected::Injected;
use crate::mutate;
use crate::plan;
use crate::recorder::Recorder;
use crate::request::GitRepoMode;
use crate::request::PodWide;
use crate::review::API_VERSION;
use crate::review::KIND;
use crate::status::Status;
use crate::template;
use crate::typed;
use crate::wanted::Served;
use crate::wanted::Wanted;
use crate::warnings;

/// What goes back to the API server, and what the log and the metrics say about it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The identity of the question.
    pub uid: String,
    /// What was decided.
    pub outcome: Outcome,
    /// Whether the Pod is admitted: a refusal admits it where mistakes are only warned of.
    pub allowed: bool,
    /// The change to the Pod; `None` where there is none.
    pub patch: Option<Patch>,
    /// What the author should know; each fits a line of a terminal.
    pub warnings: Vec<String>,
    /// [`Settings::hash`] of the settings that were applied.
    pub config_hash: String,
}

/// Answers a review. No Pod that an API server sends makes this fail or panic; an error is a fault of
/// ours, for which HTTP 500 is the answer.
pub fn answer(
    review: &Review,
    settings: &Settings,
    namespace: &Namespace,
) -> Result<Answer, InternalError> {
    propose(review, settings, namespace)?.checked()
}

/// An answer whose patch nobody has tried yet.
#[derive(Debug)]
pub struct Proposal<'a> {
    answer: Answer,
    document: &'a Value,
}

/// The first half of [`answer`]: everything but the trial of our own patch, which
/// [`Proposal::checked`] is. They are apart to tell what each costs.
pub fn propose<'a>(
    review: &'a Review,
    settings: &Settings,
    namespace: &Namespace,
) -> Result<Proposal<'a>, InternalError> {
    let Decision {
        outcome,
        patch,
        warnings,
    } = decide(review, settings, namespace)?;
    let allowed = match outcome {
        Outcome::Deny(_) => settings.on_mistake == OnMistake::Warn,
        Outcome::Inject(_) | Outcome::Skip(_) => true,
    };
    let answer = Answer {
        uid: review.uid().to_owned(),
        outcome,
        allowed,
        patch,
        warnings: bearable(&warnings),
        config_hash: settings.hash(),
    };
    Ok(Proposal {
        answer,
        document: review.object(),
    })
}

impl Proposal<'_> {
    /// Applies the patch to a copy of the Pod, reads what comes of it, and holds what was added to
    /// the rules of a Pod.
    pub fn checked(self) -> Result<Answer, InternalError> {
        let Self { answer, document } = self;
        if let Some(patch) = &answer.patch {
            let patched = check::applied(document, patch)?;
            if let Outcome::Inject(plan) = &answer.outcome {
                check::is_sound(patched, plan)?;
            }
        }
        Ok(answer)
    }
}

/// An answer as it goes over the wire.
#[derive(Clone, Debug)]
pub struct Written {
    /// The AdmissionReview, JSON.
    pub body: Vec<u8>,
    /// Size of the JSON patch in it; 0 where there is none.
    pub patch_bytes: usize,
}

pub(crate) struct Decision {
    pub(crate) outcome: Outcome,
    patch: Option<Patch>,
    pub(crate) warnings: Vec<String>,
}

impl Decision {
    fn skip(reason: SkipReason, warnings: Vec<String>) -> Self {
        Self {
            outcome: Outcome::Skip(reason),
            patch: None,
            warnings,
        }
    }
}

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
    let mut asked = annotations::read(annotations);
    let has_git_repo = has_git_repo(document);
    // What a status tells was once a gitRepo volume.
    let status = Status::read(annotations);
    let asks = !asked.groups.is_empty()
        || asked.pod_key.is_some()
        || !asked.pod.uses.is_empty()
        || has_git_repo
        || status
            .as_ref()
            .is_some_and(|status| !status.git_repos.is_empty());
    if !asks && asked.mistakes.is_empty() {
        return Ok(Decision::skip(SkipReason::NotRequested, asked.warnings));
    }
    if asked.pod.inject == Some(false) {
        return Ok(Decision::skip(SkipReason::OptedOut, asked.warnings));
    }
    if let Some(reason) = unfit(document, annotations) {
        let mut warnings = asked.warnings;
        warnings.push(format!("{PREFIX}repo: the Pod is left alone: {reason}"));
        return skip(document, reason, warnings, settings);
    }
    let pod: PodSpec = typed::read(&document["spec"]).map_err(InternalError::Unreadable)?;
    // Anybody can write a status: it says what was, where something of ours is.
    let was = status.as_ref().filter(|_| injected::has_our_names(&pod));
    let mut found = gitrepo::read(&pod, &asked, was, settings);
    asked.mistakes.append(&mut found.mistakes);
    let (requests, places) = asked.requests(&found.names);
    let wants_nothing = requests.is_empty() && found.volumes.is_empty();
    if wants_nothing && asked.pod.uses.is_empty() && asked.mistakes.is_empty() {
        let reason = left_alone(&asked.pod, &found.names);
        let mut warnings = asked.warnings;
        warnings.append(&mut found.warnings);
        return skip(document, reason, warnings, settings);
    }
    let namespace = namespace.of_pod(annotations);
    let wanted = Wanted {
        pod: &pod,
        wide: &asked.pod,
        requests: &requests,
        git_repos: &found.volumes,
        settings,
        namespace: &namespace,
        default_secret: settings.default_secret(review.namespace()),
        served: Served::new(),
    };
    let mut missing = Role::ALL.to_vec();
    if asked.mistakes.is_empty() {
        match injected::look(&wanted, was) {
            Injected::Missing(roles) if roles.is_empty() && asked.pod.uses.is_empty() => {
                // Another mutator may have come between the first call and this one.
                asked.warnings.extend(warnings::port(&wanted));
                return Ok(Decision::skip(SkipReason::AlreadyInjected, asked.warnings));
            }
            Injected::Missing(roles) => missing = roles,
            Injected::Other(mistake) => {
                return refuse(document, mistake.into(), asked.warnings, settings);
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
        return refuse(document, refusal, asked.warnings, settings);
    }
    let mut told = std::mem::take(&mut asked.warnings);
    told.append(&mut found.warnings);
    let evictable = annotations.and_then(|all| all.get(evictable::KEY)?.as_str());
    let plan = plan::plan(&wanted, &missing, evictable);
    if let Some(mistake) = conflicts::too_long(&plan) {
        return refuse(document, mistake.into(), told, settings);
    }
    told.extend(warnings::of(&wanted, &plan));
    let mut draft = Recorder::new(document);
    mutate::inject(&mut draft, &plan, was, settings)?;
    Ok(Decision {
        outcome: Outcome::Inject(Box::new(plan)),
        patch: Some(draft.finish()),
        warnings: told,
    })
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
    if matches!(reason, SkipReason::GitRepoTurnedOff | SkipReason::Windows) {
        decision.patch = noted(document, &Status::of_skip(reason, settings))?;
    }
    Ok(decision)
}

/// A Pod that no syncer can run in.
fn unfit(document: &Value, annotations: Option<&Map<String, Value>>) -> Option<SkipReason> {
    if annotations.is_some_and(|all| all.contains_key("kubernetes.io/config.mirror")) {
        return Some(SkipReason::MirrorPod);
    }
    let is_windows = |at: &str| document.pointer(at).and_then(Value::as_str) == Some("windows");
    // Most Windows Pods name their node's system and not their own; some have only options that
    // no other system takes.
    let paths = ["/spec/os/name", "/spec/nodeSelector/kubernetes.io~1os"];
    let options = document.pointer("/spec/securityContext/windowsOptions");
    (paths.into_iter().any(is_windows) || options.is_some_and(Value::is_object))
        .then_some(SkipReason::Windows)
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
    })
}

/// The patch that writes nothing but a status; `None` where the Pod has it.
fn noted(document: &Value, status: &Status) -> Result<Option<Patch>, InternalError> {
    let mut draft = Recorder::new(document);
    mutate::note(&mut draft, status)?;
    let recorded = draft.finish();
    Ok(Some(recorded).filter(|recorded| !recorded.is_empty()))
}

/// Each once and on one line, and no more than somebody reads; the API server has room for 4096
/// characters.
fn bearable(warnings: &[String]) -> Vec<String> {
    const MOST: usize = 20;
    let mut told: Vec<String> = Vec::new();
    for text in warnings.iter().map(|text| one_line(text)) {
        if !told.contains(&text) {
            told.push(text);
        }
    }
    let more = told.len().saturating_sub(MOST);
    if more > 0 {
        told.truncate(MOST);
        told.push(format!("{PREFIX}: {more} more warnings of this kind"));
    }
    told
}

/// Cuts a warning to what the API server wishes for (120 characters; k8s.io/apiserver,
/// endpoints/filters/warning.go), without control characters, which it would drop it for.
fn one_line(text: &str) -> String {
    const LONGEST: usize = 120;
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().count() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    api_version: &'a str,
    kind: &'a str,
    response: Response<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Refused>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
    audit_annotations: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
struct Refused {
    code: u16,
    reason: &'static str,
    message: String,
}

impl Answer {
    /// The decision in one word, for logs and as a metric's label; a closed set.
    pub fn decision(&self) -> &'static str {
        match self.outcome {
            Outcome::Deny(_) if self.allowed => "warn",
            Outcome::Deny(_) => "deny",
            Outcome::Inject(_) => "inject",
            Outcome::Skip(SkipReason::Template) if !self.warnings.is_empty() => "warn",
            Outcome::Skip(_) => "skip",
        }
    }

    /// The reason in one word, for logs and as a metric's label; a closed set. For a refusal it is
    /// the key of the first mistake.
    pub fn reason(&self) -> &'static str {
        match &self.outcome {
            Outcome::Deny(refusal) => refusal.key(),
            Outcome::Inject(_) => "requested",
            Outcome::Skip(reason) => reason.as_str(),
        }
    }

    /// Writes the AdmissionReview that answers.
    pub fn to_json(&self) -> Written {
        let status = match &self.outcome {
            Outcome::Deny(refusal) if !self.allowed => Some(Refused {
                code: 422,
                reason: "Invalid",
                message: refusal.to_string(),
            }),
            _ => None,
        };
        let patch = self.patch.as_ref();
        let patch = patch.and_then(|patch| written(patch, 4096));
        let room = patch.as_ref().map_or(0, |patch| patch.len() * 4 / 3);
        let envelope = Envelope {
            api_version: API_VERSION,
            kind: KIND,
            response: Response {
                uid: &self.uid,
                allowed: self.allowed,
                status,
                patch_type: patch.as_ref().map(|_| "JSONPatch"),
                patch: patch.as_ref().map(|patch| BASE64_STANDARD.encode(patch)),
                warnings: &self.warnings,
                audit_annotations: self.audit_annotations(),
            },
        };
        Written {
            // Nothing in it can fail to be written: its maps have texts for keys.
            body: written(&envelope, room + 1024).unwrap_or_default(),
            patch_bytes: patch.as_ref().map_or(0, Vec::len),
        }
    }

    /// Keys without a slash: the API server puts the webhook's name and a slash before them and
    /// drops what has two. A second call says nothing but the hash, since the first one's value
    /// stays and another one would only be logged as a conflict.
    fn audit_annotations(&self) -> BTreeMap<&str, &str> {
        let mut annotations = BTreeMap::from([("config-hash", self.config_hash.as_str())]);
        if self.outcome != Outcome::Skip(SkipReason::AlreadyInjected) {
            annotations.insert("decision", self.decision());
            annotations.insert("reason", self.reason());
        }
        annotations
    }
}

/// JSON in a buffer that seldom grows.
fn written(value: &impl Serialize, room: usize) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(room);
    serde_json::to_writer(&mut text, value).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests;
