use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use json_patch::Patch;
use serde::Serialize;

use crate::InternalError;
use crate::Namespace;
use crate::OnMistake;
use crate::Outcome;
use crate::PREFIX;
use crate::Review;
use crate::Settings;
use crate::SkipReason;
use crate::decision::considered::Considered;
use crate::decision::decide::Decision;
use crate::decision::decide::decide;
use crate::patch::check;
use crate::patch::recorder::Edited;
use crate::review::API_VERSION;
use crate::review::KIND;

/// The answer to an admission review, with what the log and the metrics report about it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The `uid` of the review.
    pub uid: String,
    /// The decision.
    pub outcome: Outcome,
    /// Whether the Pod is admitted: with `onMistake: warn` a refusal admits it too.
    pub allowed: bool,
    /// The change to the Pod; `None` where there is none.
    pub patch: Option<Patch>,
    /// Warnings for the author, without duplicates, within the API server's limits.
    pub warnings: Vec<String>,
    /// All warnings, each on one line, without a limit on length: for the CLI.
    pub all_warnings: Vec<String>,
    /// [`Settings::hash`] of the settings that were applied.
    pub config_hash: String,
}

/// Answers a review. No Pod that an API server sends causes an error or a panic; an error is the
/// webhook's own failure, which it answers with HTTP 500. The review is copied; [`propose`] edits
/// its Pod in place.
pub fn answer(
    review: &Review,
    settings: &Settings,
    namespace: &Namespace,
) -> Result<Answer, InternalError> {
    propose(review.clone(), settings, namespace)?.checked()
}

/// An answer before the self-check of its patch.
#[derive(Debug)]
pub struct Proposal {
    answer: Answer,
    edited: Option<Edited>,
    considered: Option<Considered>,
}

/// The first half of [`answer`]: everything but the self-check, which is [`Proposal::checked`].
/// They are separate so that their costs can be measured separately.
pub fn propose(
    review: Review,
    settings: &Settings,
    namespace: &Namespace,
) -> Result<Proposal, InternalError> {
    let uid = review.uid().to_owned();
    let Decision {
        outcome,
        edited,
        warnings,
        considered,
    } = decide(review, settings, namespace)?;
    let allowed = match outcome {
        Outcome::Deny(_) => settings.on_mistake == OnMistake::Warn,
        Outcome::Inject(_) | Outcome::Skip(_) => true,
    };
    let all_warnings = distinct(&warnings);
    let answer = Answer {
        uid,
        outcome,
        allowed,
        patch: None,
        warnings: limit_warnings(&all_warnings),
        all_warnings,
        config_hash: settings.hash(),
    };
    Ok(Proposal {
        answer,
        edited,
        considered,
    })
}

impl Proposal {
    /// Decodes the patched Pod and checks everything that was added against the rules of the API
    /// server.
    pub fn checked(self) -> Result<Answer, InternalError> {
        Ok(self.explained()?.0)
    }

    /// As [`Self::checked`], and returns the inputs of the decision too.
    pub(crate) fn explained(self) -> Result<(Answer, Option<Considered>), InternalError> {
        let Self {
            mut answer,
            edited,
            considered,
        } = self;
        if let Some(edited) = edited {
            let pod = considered.as_ref();
            let pod = pod.and_then(|considered| considered.pod.as_ref());
            if let (Outcome::Inject(plan), Some(pod)) = (&answer.outcome, pod) {
                check::is_sound(edited.document, &pod.spec, plan)?;
            }
            answer.patch = Some(edited.patch);
        }
        Ok((answer, considered))
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

/// Warnings without duplicates, each on one line: the API server drops those with control
/// characters.
fn distinct(warnings: &[String]) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for text in warnings {
        let text: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        if !kept.contains(&text) {
            kept.push(text);
        }
    }
    kept
}

/// Warnings within the API server's limits: 4096 characters in all and 256 per warning
/// (k8s.io/apiserver, endpoints/filters/warning.go).
fn limit_warnings(warnings: &[String]) -> Vec<String> {
    const MOST: usize = 20;
    const ROOM: usize = 4096;
    /// Space for the last line, which reports how many warnings are omitted.
    const LAST: usize = 64;
    let mut kept: Vec<String> = warnings.iter().map(|text| cut(text)).collect();
    let lengths = kept.iter().map(|text| text.chars().count());
    let mut sum = 0;
    let fitting = lengths.take_while(|length| {
        sum += length;
        sum <= ROOM - LAST
    });
    let fitting = fitting.take(MOST).count();
    if fitting < kept.len() {
        let more = kept.len() - fitting;
        kept.truncate(fitting);
        kept.push(format!("{PREFIX}: {more} more warnings are not shown"));
    }
    kept
}

/// Cuts a warning to 256 characters. The accepted form is at its end and is what the author needs:
/// it stays, and the value before it is cut.
fn cut(text: &str) -> String {
    const LONGEST: usize = 256;
    /// The length of the beginning that stays: the key.
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
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
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
            Outcome::Deny(refusal) => refusal.key().as_str(),
            // Most manifests with a gitRepo volume and no annotation are older than gitvolume.
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
        // Serialization cannot fail: all keys of both maps are strings.
        let patch = self.patch.as_ref();
        let patch = patch.and_then(|patch| serde_json::to_vec(patch).ok());
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
                patch: patch.as_ref().map(|patch| BASE64_STANDARD.encode(patch)),
            },
        };
        Written {
            body: serde_json::to_vec(&envelope).unwrap_or_default(),
            patch_bytes: patch.map_or(0, |patch| patch.len()),
        }
    }

    /// Audit annotations. Keys have no slash: the API server prefixes them with the webhook's name
    /// and a slash, and drops keys with two slashes. A second call sends only the hash: the first
    /// call's value stays, and another one would only be logged as a conflict.
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

#[cfg(test)]
mod tests;
