//! Explanations: which source set which value for a Pod, the effect and the reason; as text and as
//! data.
//!
//! The decision is that of [`propose`]; it is rendered here from its inputs.

pub(crate) mod explanation;
mod object;
mod repository;
pub(crate) mod setting;
mod syncer;
mod table;
mod text;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PodSpec;

use crate::Answer;
use crate::InternalError;
use crate::Key;
use crate::Namespace;
use crate::Outcome;
use crate::Plan;
use crate::Review;
use crate::Scope;
use crate::Settings;
use crate::SkipReason;
use crate::Source;
use crate::decision::answer::propose;
use crate::decision::considered::Considered;
use crate::decision::considered::DecodedPod;
use crate::decision::considered::in_force;
use crate::explain::explanation::Explanation;
use crate::explain::explanation::Present;
use crate::explain::setting::Setting;
use crate::plan::input::PlanInput;
use crate::pod::document;
use crate::pod::evictable;
use crate::pod::typed;
use crate::renew;
use crate::sources::sourced::OPERATOR;
use crate::sources::sourced::Origin;
use crate::sources::sourced::Sourced;
use crate::sources::status::Status;

pub use self::object::ExplainedObject;
pub use self::object::explain_object;
pub use self::repository::Repository;
pub use self::repository::Seen;
pub use self::syncer::Explained;
pub use self::table::annotations_json;
pub use self::table::annotations_text;
pub use self::text::wrapped;

/// Explains what the webhook would do on the creation of a Pod.
pub fn explain(
    review: &Review,
    settings: &Settings,
    namespace: &Namespace,
) -> Result<Explanation, InternalError> {
    let (answer, considered) = propose(review.clone(), settings, namespace)?.explained()?;
    let document = review.object();
    let annotations = document::annotations(document);
    let mut explanation = Explanation {
        decision: answer.decision(),
        reason: answer.reason(),
        because: because(&answer),
        present: None,
        repositories: Vec::new(),
        pod: Vec::new(),
        containers: Vec::new(),
        volumes: BTreeMap::new(),
        others: Vec::new(),
        warnings: warnings(&answer),
        mistakes: match &answer.outcome {
            Outcome::Deny(refusal) => refusal.mistakes().map(ToString::to_string).collect(),
            _ => Vec::new(),
        },
    };
    let is_not_requested = answer.outcome == Outcome::Skip(SkipReason::NotRequested);
    let considered = considered.filter(|_| !is_not_requested);
    let Some(Considered { mut requested, pod }) = considered else {
        return Ok(explanation);
    };
    let status = Status::read(annotations);
    let was = in_force(document, status.as_ref());
    let namespace = namespace.of_pod(annotations);
    let decoded = pod.or_else(|| {
        // The annotations alone decided that the Pod is skipped.
        let spec: PodSpec = typed::read(&document["spec"]).ok()?;
        let namespace = namespace.clone();
        Some(DecodedPod::new(
            spec,
            &mut requested,
            was,
            settings,
            namespace,
        ))
    });
    let Some(decoded) = decoded else {
        return Ok(explanation);
    };
    let input = decoded.input(&requested, settings, review.namespace());
    let renewal = renew(review, settings, &namespace)?;
    // Where the injected container was removed by hand and other parts are left, the status is
    // evidence of an injection too.
    let was = was.or(status.as_ref().filter(|_| renewal.is_some()));
    if let Some(was) = was {
        explanation.present = Some(Present {
            version: was.version.clone(),
            config: was.config.clone(),
            present_config: settings.hash(),
            is_same: was.is_by(settings),
            differences: renewal
                .map(|renewal| renewal.differences)
                .unwrap_or_default(),
            is_there: answer.outcome == Outcome::Skip(SkipReason::AlreadyInjected),
        });
    }
    explanation.repositories = repository::all(&input);
    let is_there = explanation.present.as_ref().is_some_and(|own| own.is_there);
    if explanation.decision != "inject" && !is_there {
        for repository in &mut explanation.repositories {
            repository.seen.clear();
        }
    }
    explanation.pod = pod_settings(&input);
    if let Outcome::Inject(plan) = &answer.outcome {
        let syncers = plan.syncers.iter();
        explanation.containers = syncers
            .map(|syncer| syncer::explained(syncer, &input))
            .collect();
        explanation.volumes = volumes(plan);
        explanation.others = others(plan, &input);
    }
    Ok(explanation)
}

impl Explanation {
    /// Whether the Pod would be refused.
    pub fn is_refused(&self) -> bool {
        self.decision == "deny"
    }
}

/// The warnings of an answer. With `onMistake: warn` the answer repeats the mistakes as warnings;
/// they are listed under `mistakes` and dropped here.
fn warnings(answer: &Answer) -> Vec<String> {
    let mistakes: Vec<String> = match &answer.outcome {
        Outcome::Deny(refusal) => refusal.mistakes().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    let warnings = answer.all_warnings.iter();
    let warnings = warnings.filter(|text| !mistakes.contains(text));
    warnings.cloned().collect()
}

fn because(answer: &Answer) -> Option<&'static str> {
    let Outcome::Skip(reason) = answer.outcome else {
        return None;
    };
    Some(match reason {
        SkipReason::AlreadyInjected => "the Pod already contains the syncer",
        SkipReason::MirrorPod => {
            "the kubelet runs the static Pod from its file and ignores changes through the API"
        }
        SkipReason::NotRequested => {
            "no annotation, GitVolume or gitRepo volume requests a repository"
        }
        SkipReason::OptedOut => "the Pod opts out by annotation",
        SkipReason::Windows => "the syncer does not run on Windows",
        SkipReason::ExcludedNamespace => {
            "the cluster's gitvolume settings exclude the Pods of this namespace"
        }
        SkipReason::GitRepoTurnedOff => {
            "the cluster's gitvolume settings leave gitRepo volumes to the kubelet"
        }
        SkipReason::Template => {
            "this is a workload; each Pod that it creates is evaluated separately"
        }
        SkipReason::NotAPodCreation => "the request does not create a Pod",
    })
}

/// The settings of the Pod as a whole. A default position depends on the container, so it is listed
/// there.
fn pod_settings(input: &PlanInput<'_>) -> Vec<Setting> {
    let values = input.requested.pod_values.clone();
    let values = values.or_defaults(Scope::Pod, None, input.settings);
    let is_shown = |(key, value): &(Key, &Sourced<String>)| {
        *key != Key::Position || value.origin != Origin::Default
    };
    let shown = values.iter().filter(is_shown);
    shown.map(|(key, value)| Setting::new(key, value)).collect()
}

fn volumes(plan: &Plan) -> BTreeMap<String, String> {
    let volumes = plan.volumes.iter().map(|volume| {
        let what = match &volume.source {
            Source::Secret { name, .. } => format!("the Secret {name}, mounted only by the syncer"),
            Source::Empty { .. } => {
                let is_read = plan.consumers.iter().any(|consumer| {
                    let mut mounts = consumer.mounts.iter();
                    mounts.any(|mount| mount.volume == volume.name)
                });
                let is_token = volume.name.starts_with("gitvolume-no-token");
                match (is_read, is_token) {
                    (true, _) => "the files",
                    (false, true) => "empty: hides the ServiceAccount token from the syncer",
                    (false, false) => "the syncer's own",
                }
                .to_owned()
            }
        };
        (volume.name.clone(), what)
    });
    volumes.collect()
}

fn others(plan: &Plan, input: &PlanInput<'_>) -> Vec<String> {
    let mut others = Vec::new();
    for name in plan.replaced.keys() {
        others.push(format!(
            "volume {name} becomes an emptyDir with the same name and position"
        ));
    }
    for name in &plan.pull_secrets {
        others.push(format!("imagePullSecrets gets {name}, set by {OPERATOR}"));
    }
    if let Some(value) = &plan.evictable {
        others.push(format!("annotation {} becomes {value}", evictable::KEY));
    }
    for consumer in plan.consumers.iter().filter(|own| !own.env.is_empty()) {
        others.push(format!(
            "container {} gets {}, set by {}",
            consumer.name,
            consumer
                .env
                .iter()
                .map(|(name, _)| *name)
                .collect::<Vec<_>>()
                .join(", "),
            input.key(None, Key::SafeDirectory)
        ));
    }
    others
}

#[cfg(test)]
mod tests;
