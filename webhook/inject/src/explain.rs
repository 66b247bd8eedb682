//! Says which source said what about a Pod, what comes of it, and why: for people, and as data.
//!
//! What is decided is [`answer`]'s; here it is told, from the very values that it is decided by.

mod object;
mod repository;
mod syncer;
mod table;
mod text;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PodSpec;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;

pub use self::object::ExplainedObject;
pub use self::object::explain_object;
pub use self::repository::Repository;
pub use self::repository::Seen;
pub use self::syncer::Explained;
pub use self::table::annotations_json;
pub use self::table::annotations_text;
pub use self::text::wrapped;

use crate::ANNOTATIONS;
use crate::Answer;
use crate::InternalError;
use crate::Namespace;
use crate::Outcome;
use crate::PREFIX;
use crate::Plan;
use crate::Review;
use crate::Scope;
use crate::Settings;
use crate::SkipReason;
use crate::Source;
use crate::answer;
use crate::decide;
use crate::evictable;
use crate::gitrepo;
use crate::renew;
use crate::status::Status;
use crate::typed;
use crate::value::without_secrets;
use crate::wanted::Served;
use crate::wanted::Wanted;

/// Everything there is to know about what becomes of a Pod.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// `inject`, `skip`, `deny`, or `warn` for a refusal that admits.
    pub decision: &'static str,
    /// Why, in a word.
    pub reason: &'static str,
    /// Why, in a sentence, where the word does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<&'static str>,
    /// What an earlier injection left in the Pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub present: Option<Present>,
    /// The repositories, those of gitRepo volumes too.
    pub repositories: Vec<Repository>,
    /// What holds for all of them.
    pub pod: Vec<Setting>,
    /// The containers that are added.
    pub containers: Vec<Explained>,
    /// The volumes that are added, with what is in them.
    pub volumes: BTreeMap<String, String>,
    /// What else is changed.
    pub others: Vec<String>,
    /// What is odd and allowed.
    pub warnings: Vec<String>,
    /// What is refused.
    pub mistakes: Vec<String>,
}

/// One value, and who said it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Setting {
    /// The annotation's key, without prefix and NAME, or a volume's field.
    pub key: String,
    /// The value; what may be a password is left out.
    pub value: String,
    /// The whole key of the annotation, or in words who else.
    pub from: String,
}

/// What an earlier injection says of itself.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Present {
    /// The version that wrote it.
    pub version: String,
    /// The hash of the settings it had.
    pub config: String,
    /// The hash of the present settings.
    pub present_config: String,
    /// Whether version and settings are those that explain now.
    pub is_same: bool,
    /// What a new Pod would get otherwise than this one has it: a container or volume, and its
    /// fields.
    pub differences: Vec<String>,
    /// Whether what is in the Pod is what it claims and the annotations ask for.
    pub is_there: bool,
}

const DEFAULT: &str = "default";
const OPERATOR: &str = "the operator";

/// Explains what the webhook would do about the creation of a Pod.
pub fn explain(
    review: &Review,
    settings: &Settings,
    namespace: &Namespace,
) -> Result<Explanation, InternalError> {
    let answer = answer(review, settings, namespace)?;
    let document = review.object();
    let annotations = document
        .pointer("/metadata/annotations")
        .and_then(Value::as_object);
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
    let is_none_of_ours = matches!(
        answer.outcome,
        Outcome::Skip(SkipReason::NotAPodCreation | SkipReason::NotRequested)
    );
    let Some(pod) = typed::read::<PodSpec>(&document["spec"])
        .ok()
        .filter(|_| !is_none_of_ours)
    else {
        return Ok(explanation);
    };
    let status = Status::read(annotations);
    let (mut asked, was) =
        decide::asked(document, annotations, status.as_ref(), settings, namespace);
    let found = gitrepo::read(&pod, &asked, was, settings);
    let (requests, _) = asked.requests(&found.names);
    let namespace = namespace.of_pod(annotations);
    let wanted = Wanted {
        pod: &pod,
        wide: &asked.pod,
        sources: &asked.sources,
        requests: &requests,
        git_repos: &found.volumes,
        settings,
        namespace: &namespace,
        default_secret: settings.default_secret(review.namespace()),
        served: Served::new(),
    };
    if let Some(was) = was {
        explanation.present = Some(Present {
            version: was.version().to_owned(),
            config: was.config().to_owned(),
            present_config: settings.hash(),
            is_same: was.is_by(settings),
            differences: renew(review, settings, &namespace)?
                .map(|renewal| renewal.differences)
                .unwrap_or_default(),
            is_there: answer.outcome == Outcome::Skip(SkipReason::AlreadyInjected),
        });
    }
    explanation.repositories = repository::all(&wanted, &asked, annotations);
    let is_there = explanation.present.as_ref().is_some_and(|own| own.is_there);
    if explanation.decision != "inject" && !is_there {
        for repository in &mut explanation.repositories {
            repository.seen.clear();
        }
    }
    explanation.pod = wide(annotations, &wanted);
    if let Outcome::Inject(plan) = &answer.outcome {
        let syncers = plan.syncers.iter();
        explanation.containers = syncers
            .map(|syncer| syncer::explained(syncer, &wanted))
            .collect();
        explanation.volumes = volumes(plan);
        explanation.others = others(plan, &wanted);
    }
    Ok(explanation)
}

impl Explanation {
    /// Whether the Pod would be refused.
    pub fn is_refused(&self) -> bool {
        self.decision == "deny"
    }
}

/// Under `warn` the mistakes are warnings too; here each is told once.
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
        SkipReason::AlreadyInjected => "what would be added is there",
        SkipReason::MirrorPod => "the kubelet runs the static Pod's file, and not what is changed",
        SkipReason::NotRequested => "no annotation and no gitRepo volume asks for anything",
        SkipReason::OptedOut => "its author does not want it",
        SkipReason::Windows => "there is no syncer for Windows",
        SkipReason::ExcludedNamespace => "the operator leaves the Pods of the namespace alone",
        SkipReason::GitRepoTurnedOff => "the operator leaves gitRepo volumes to the kubelet",
        SkipReason::Template => "it is no Pod, but makes some, and they are judged one by one",
        SkipReason::NotAPodCreation => "it is no Pod that is created",
    })
}

/// What is said of the Pod as a whole, by annotations or objects, and what holds by default.
fn wide(annotations: Option<&Map<String, Value>>, wanted: &Wanted<'_>) -> Vec<Setting> {
    let rows = ANNOTATIONS.iter().filter(|row| row.scope == Scope::Pod);
    rows.filter_map(|row| {
        let key = format!("{PREFIX}{}", row.key);
        let given = annotations.and_then(|all| all.get(&key));
        let by_object = wanted.sources.text(None, row.key);
        let (value, from) = match given {
            Some(given) => (shown(given), key),
            None if by_object.is_some() => (by_object?.to_owned(), wanted.key(None, row.key)),
            // Where that is, and why, is told of each container.
            None if row.key == "position" => return None,
            None => (row.default?.to_owned(), DEFAULT.to_owned()),
        };
        Some(Setting {
            key: row.key.to_owned(),
            value,
            from,
        })
    })
    .collect()
}

/// An annotation's value, of which nothing that may be a password is shown.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => without_secrets(text),
        value => value.to_string(),
    }
}

fn volumes(plan: &Plan) -> BTreeMap<String, String> {
    let volumes = plan.volumes.iter().map(|volume| {
        let what = match &volume.source {
            Source::Secret { name, .. } => format!("the Secret {name}, for the syncer alone"),
            Source::Empty { .. } => {
                let is_read = plan.consumers.iter().any(|consumer| {
                    let mut mounts = consumer.mounts.iter();
                    mounts.any(|mount| mount.volume == volume.name)
                });
                let is_token = volume.name.starts_with("gitvolume-no-token");
                match (is_read, is_token) {
                    (true, _) => "the files",
                    (false, true) => "nothing: it keeps the ServiceAccount's token out",
                    (false, false) => "the syncer's own",
                }
                .to_owned()
            }
        };
        (volume.name.clone(), what)
    });
    volumes.collect()
}

fn others(plan: &Plan, wanted: &Wanted<'_>) -> Vec<String> {
    let mut others = Vec::new();
    for name in plan.replaced.keys() {
        others.push(format!(
            "volume {name} becomes an emptyDir of the same name and place"
        ));
    }
    for name in &plan.pull_secrets {
        others.push(format!("imagePullSecrets gets {name}, as {OPERATOR} wants"));
    }
    if let Some(value) = &plan.evictable {
        others.push(format!("annotation {} becomes {value}", evictable::KEY));
    }
    for consumer in plan.consumers.iter().filter(|own| !own.env.is_empty()) {
        others.push(format!(
            "container {} gets {}, as {} wants",
            consumer.name,
            consumer
                .env
                .iter()
                .map(|(name, _)| *name)
                .collect::<Vec<_>>()
                .join(", "),
            wanted.key(None, "safe-directory")
        ));
    }
    others
}

#[cfg(test)]
mod tests;
