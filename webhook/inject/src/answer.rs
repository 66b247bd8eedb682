use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use json_patch::Patch;
use k8s_openapi::api::core::v1::PodSpec;
use serde::Serialize;
use serde_json::Value;

use crate::InternalError;
use crate::Namespace;
use crate::OnMistake;
use crate::Outcome;
use crate::PREFIX;
use crate::Review;
use crate::Settings;
use crate::SkipReason;
use crate::check;
use crate::decide::Decision;
use crate::decide::decide;
use crate::part::Patched;
use crate::review::API_VERSION;
use crate::review::KIND;

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
    /// What the author should know, each once, as much of it as the API server passes on.
    pub warnings: Vec<String>,
    /// All of the same, each on one line and whole: for whoever has no such limits.
    pub all_warnings: Vec<String>,
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
    /// What the document was read as.
    pod: Option<PodSpec>,
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
        pod,
    } = decide(review, settings, namespace)?;
    let allowed = match outcome {
        Outcome::Deny(_) => settings.on_mistake == OnMistake::Warn,
        Outcome::Inject(_) | Outcome::Skip(_) => true,
    };
    let all_warnings = distinct(&warnings);
    let answer = Answer {
        uid: review.uid().to_owned(),
        outcome,
        allowed,
        patch,
        warnings: bearable(&all_warnings),
        all_warnings,
        config_hash: settings.hash(),
    };
    Ok(Proposal {
        answer,
        document: review.object(),
        pod,
    })
}

impl Proposal<'_> {
    /// Applies the patch to a copy of what it is about in the Pod, reads what comes of it, and holds
    /// what was added to the rules of a Pod.
    pub fn checked(self) -> Result<Answer, InternalError> {
        let Self {
            answer,
            document,
            pod,
        } = self;
        if let Some(patch) = &answer.patch {
            let patched = Patched::new(document, patch)?;
            if let Outcome::Inject(plan) = &answer.outcome {
                check::is_sound(patched, &pod.unwrap_or_default(), plan)?;
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

/// Each once, and on one line: the API server drops what has control characters in it.
fn distinct(warnings: &[String]) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    for text in warnings {
        let text: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        if !told.contains(&text) {
            told.push(text);
        }
    }
    told
}

/// No more than somebody reads, and than the API server passes on: 4096 characters in all, and of
/// each warning 256 (k8s.io/apiserver, endpoints/filters/warning.go).
fn bearable(warnings: &[String]) -> Vec<String> {
    const MOST: usize = 20;
    const ROOM: usize = 4096;
    /// The last line, which tells how many are left out.
    const LAST: usize = 64;
    let mut told: Vec<String> = warnings.iter().map(|text| cut(text)).collect();
    let lengths = told.iter().map(|text| text.chars().count());
    let mut sum = 0;
    let fitting = lengths.take_while(|length| {
        sum += length;
        sum <= ROOM - LAST
    });
    let fitting = fitting.take(MOST).count();
    if fitting < told.len() {
        let more = told.len() - fitting;
        told.truncate(fitting);
        told.push(format!("{PREFIX}: {more} more warnings of this kind"));
    }
    told
}

/// Cuts a warning to 256 characters. What is expected, at its end, is what the author needs: it
/// stays, and the value before it is cut.
fn cut(text: &str) -> String {
    const LONGEST: usize = 256;
    /// So much of the beginning stays: the key.
    const HEAD: usize = 96;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    let tail = text.rfind("expected ").map_or("", |at| &text[at..]);
    let tail: String = tail.chars().take(LONGEST - HEAD - 2).collect();
    let head = LONGEST - 1 - tail.chars().count() - usize::from(!tail.is_empty());
    let mut cut: String = text.chars().take(head).collect();
    cut.push('…');
    if !tail.is_empty() {
        cut.push(' ');
        cut.push_str(&tail);
    }
    cut
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
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
    audit_annotations: BTreeMap<&'a str, Cow<'a, str>>,
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
            // What no annotation asks for is in most manifests older than we are.
            Outcome::Inject(plan) if plan.requests.is_empty() => "gitrepo",
            Outcome::Inject(plan) if plan.is_by_objects() => "object",
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
        let envelope = Envelope {
            api_version: API_VERSION,
            kind: KIND,
            response: Response {
                uid: &self.uid,
                allowed: self.allowed,
                status,
                patch_type: patch.as_ref().map(|_| "JSONPatch"),
                warnings: &self.warnings,
                audit_annotations: self.audit_annotations(),
            },
        };
        // Nothing in it can fail to be written: its maps have texts for keys.
        let mut body = written(&envelope, 1024).unwrap_or_default();
        if let Some(patch) = &patch {
            enclose(&mut body, patch);
        }
        Written {
            body: body.into_bytes(),
            patch_bytes: patch.as_ref().map_or(0, String::len),
        }
    }

    /// Keys without a slash: the API server puts the webhook's name and a slash before them and
    /// drops what has two. A second call says nothing but the hash, since the first one's value
    /// stays and another one would only be logged as a conflict.
    fn audit_annotations(&self) -> BTreeMap<&str, Cow<'_, str>> {
        let mut annotations = BTreeMap::from([("config-hash", self.config_hash.as_str().into())]);
        if self.outcome != Outcome::Skip(SkipReason::AlreadyInjected) {
            annotations.insert("decision", self.decision().into());
            annotations.insert("reason", self.reason().into());
        }
        if let Outcome::Inject(plan) = &self.outcome
            && !plan.objects.is_empty()
        {
            let names: Vec<String> = plan.objects.iter().map(ToString::to_string).collect();
            annotations.insert("objects", names.join(", ").into());
        }
        if let Outcome::Inject(plan) = &self.outcome
            && !plan.git_repos.is_empty()
        {
            let names: Vec<&str> = plan
                .git_repos
                .iter()
                .map(|own| own.volume.as_str())
                .collect();
            annotations.insert("converted", names.join(",").into());
        }
        annotations
    }
}

/// Writes the patch into a response, as its last member. The serializer would look at each of its
/// characters for one to escape, which base64 has not, and take as long for it as for the patch.
fn enclose(body: &mut String, patch: &str) {
    const END: &str = "}}";
    body.truncate(body.len().saturating_sub(END.len()));
    body.reserve(patch.len() * 4 / 3 + 20);
    body.push_str(",\"patch\":\"");
    BASE64_STANDARD.encode_string(patch, body);
    body.push('"');
    body.push_str(END);
}

/// JSON in a buffer that seldom grows.
fn written(value: &impl Serialize, room: usize) -> Option<String> {
    let mut text = Vec::with_capacity(room);
    serde_json::to_writer(&mut text, value).ok()?;
    String::from_utf8(text).ok()
}

#[cfg(test)]
mod tests;
