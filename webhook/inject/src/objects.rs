//! Policy objects: what a namespace or a whole cluster gives its Pods without their asking.
//!
//! An object is one more source of the same requests. What its `spec` says is read by the table of
//! annotations, in the same words, and laid under what the Pod itself says ([`crate::annotations`]).

mod choice;
mod schema;
mod selector;
mod spec;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Map;
use serde_json::Value;

use crate::Mistake;
use crate::Name;
use crate::Refusal;
use crate::Settings;
use crate::annotations;

pub(crate) use self::choice::Choice;
pub(crate) use self::choice::Chosen;
pub(crate) use self::choice::Sources;
pub(crate) use self::choice::Taken;
pub(crate) use self::choice::passed_over;
pub use self::schema::custom_resource_definition;
pub(crate) use self::spec::field;
pub(crate) use self::spec::field_of;

use crate::value::shown;

use self::selector::Selector;
use self::spec::Spec;

/// An object of ours: a repository, and the Pods that get it.
///
/// Read once when it changes, and shared by all who decide about Pods. Whatever is wrong with it is
/// in [`GitVolume::accepted`]; nothing about one makes its reading fail.
#[derive(Clone, Debug, PartialEq)]
pub struct GitVolume {
    kind: Kind,
    namespace: Option<String>,
    name: String,
    uid: Option<String>,
    generation: Option<i64>,
    priority: i32,
    pod_selector: Selector,
    namespace_selector: Selector,
    /// What it says: the keys and texts of annotations, in the table's order.
    said: Vec<(&'static str, String)>,
    /// Its name as that of a repository; `None` where it is none.
    repository: Option<Name>,
    /// What is wrong with it, whatever the operator allows.
    mistakes: Vec<Mistake>,
    warnings: Vec<String>,
}

/// Which of our two kinds an object is of; a lower one gives way to a higher one, field by field.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// `GitVolume`: for Pods of its own namespace.
    GitVolume,
    /// `ClusterGitVolume`: for Pods of every namespace that its selector covers.
    ClusterGitVolume,
}

/// A field of an object that a higher object says too, for the Pods that both are for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Shadowed {
    /// The field below `spec`, such as `mountPath`.
    pub field: String,
    /// The object that is heard instead, as [`GitVolume`] is written.
    pub by: String,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::GitVolume, Self::ClusterGitVolume];
    /// The API group of both.
    pub const GROUP: &str = "gitvolume.dev";
    /// The one version of both.
    pub const VERSION: &str = "v1alpha1";

    /// The kind as paths of the API have it.
    pub fn plural(self) -> &'static str {
        match self {
            Self::GitVolume => "gitvolumes",
            Self::ClusterGitVolume => "clustergitvolumes",
        }
    }

    /// The kind as a manifest writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GitVolume => "GitVolume",
            Self::ClusterGitVolume => "ClusterGitVolume",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl GitVolume {
    /// Reads an object as the API server has it, or as a manifest writes it.
    ///
    /// The kind is the one it says; without one, what is in a namespace is a `GitVolume`.
    pub fn read(object: &Value) -> Self {
        let metadata = &object["metadata"];
        let text = |key: &str| metadata[key].as_str().map(str::to_owned);
        let kind = match object["kind"].as_str() {
            Some("ClusterGitVolume") => Kind::ClusterGitVolume,
            None if metadata["namespace"].is_null() => Kind::ClusterGitVolume,
            _ => Kind::GitVolume,
        };
        let mut read = Self {
            kind,
            namespace: text("namespace").filter(|_| kind == Kind::GitVolume),
            name: text("name").unwrap_or_default(),
            uid: text("uid"),
            generation: metadata["generation"].as_i64(),
            priority: 0,
            pod_selector: Selector::default(),
            namespace_selector: Selector::default(),
            said: Vec::new(),
            repository: None,
            mistakes: Vec::new(),
            warnings: Vec::new(),
        };
        let spec = Spec::read(&read, &object["spec"]);
        read.priority = spec.priority;
        read.pod_selector = spec.pod_selector;
        read.namespace_selector = spec.namespace_selector;
        read.warnings = spec.warnings;
        read.said = spec.said;
        read.repository = annotations::name(&read.name);
        read.mistakes = spec.mistakes;
        read
    }

    /// The sentences for everything that an API server would refuse in an object of ours in a file,
    /// by the schema of its definition first and then in the words of [`GitVolume::accepted`]. An
    /// object of our API group that is of no kind or version of ours is refused as a whole.
    pub fn refused_manifest(object: &Value, settings: &Settings) -> Vec<String> {
        let read = Self::read(object);
        let version = format!("{}/{}", Kind::GROUP, Kind::VERSION);
        let kinds = Kind::ALL.map(Kind::as_str);
        let text = |key: &str| object[key].as_str().unwrap_or_default();
        if !kinds.contains(&text("kind")) {
            let expected = kinds.join(" or ");
            return vec![format!(
                "kind: {}: expected {expected}",
                shown(text("kind"))
            )];
        }
        if text("apiVersion") != version {
            let shown = shown(text("apiVersion"));
            return vec![format!("{read}: apiVersion: {shown}: expected {version}")];
        }
        let by_schema = schema::judged(read.kind, object);
        let mut sentences: Vec<String> = Vec::new();
        for (_, sentence) in &by_schema {
            sentences.push(format!("{read}: {sentence}"));
        }
        let refusal = read.accepted(settings).err();
        let others = refusal.iter().flat_map(Refusal::mistakes);
        let others = others.map(|mistake| {
            let sentence = mistake.to_string();
            let place = format!("{read}: spec.{}: ", spec::field_of(mistake.key()));
            let meant = spec::meant(mistake.key(), &object["spec"]);
            let meant = meant.filter(|_| sentence.starts_with(&place));
            let meant = meant.map(|meant| format!("; write {meant:?}"));
            sentence + &meant.unwrap_or_default()
        });
        let others = others.filter(|sentence| {
            // What has a wrong type is named once.
            let start = format!("{read}: ");
            let rest = sentence.strip_prefix(&start).unwrap_or(sentence);
            let mut known = by_schema.iter();
            !known.any(|(at, _)| {
                let rest = rest.strip_prefix(at.as_str());
                rest.is_some_and(|rest| rest.starts_with([':', '.']))
            })
        });
        let others: Vec<String> = others.collect();
        sentences.extend(others);
        sentences
    }

    /// Whether an API server would take a manifest by the schema of our definitions.
    pub fn fits_schema(object: &Value) -> bool {
        let kinds = Kind::ALL.into_iter();
        let mut own = kinds.filter(|kind| object["kind"] == kind.as_str());
        let is_version = object["apiVersion"] == format!("{}/{}", Kind::GROUP, Kind::VERSION);
        is_version && own.any(|kind| schema::judged(kind, object).is_empty())
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The namespace of a `GitVolume`; `None` of a `ClusterGitVolume`.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Its name, which is the NAME of its repository's annotations.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its identity, where the API server has given it one.
    pub fn uid(&self) -> Option<&str> {
        self.uid.as_deref()
    }

    /// The generation of the spec that was read, for a condition's `observedGeneration`.
    pub fn generation(&self) -> Option<i64> {
        self.generation
    }

    /// Which of several of one kind is heard where they say something about the whole Pod: the
    /// highest, and of equal ones the first by name.
    pub fn priority(&self) -> i32 {
        self.priority
    }

    /// Tells whether an object is for a namespace of this name and these labels at all. A
    /// `GitVolume` is for its own, a `ClusterGitVolume` for those that its `namespaceSelector` takes;
    /// without one, for every.
    pub fn covers(&self, namespace: &str, labels: &BTreeMap<String, String>) -> bool {
        match self.kind {
            Kind::GitVolume => self.namespace.as_deref() == Some(namespace),
            Kind::ClusterGitVolume => self
                .namespace_selector
                .matches(|key| labels.get(key).map(String::as_str)),
        }
    }

    /// Tells whether its `podSelector` takes a Pod of these labels; without one it takes every Pod.
    pub(crate) fn selects(&self, labels: Option<&Map<String, Value>>) -> bool {
        self.pod_selector
            .matches(|key| labels.and_then(|all| all.get(key)?.as_str()))
    }

    /// What it says under an annotation's key.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        let mut said = self.said.iter();
        said.find(|(own, _)| *own == key)
            .map(|(_, text)| text.as_str())
    }

    fn says(&self, key: &str) -> bool {
        self.text(key).is_some()
    }

    /// Everything that it says: keys of annotations, and their texts.
    pub(crate) fn said(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.said.iter().map(|(key, text)| (*key, text.as_str()))
    }

    /// The repository it is about; `None` where its name cannot be one.
    pub(crate) fn repository(&self) -> Option<&Name> {
        self.repository.as_ref()
    }

    /// Everything that is wrong with it, each in the words that the annotation of that key is
    /// refused with: the message of the condition `Accepted=False`. What is not accepted has no
    /// effect on any Pod.
    pub fn accepted(&self, settings: &Settings) -> Result<(), Refusal> {
        let mut mistakes = self.mistakes.clone();
        mistakes.extend(self.not_allowed(settings));
        Refusal::of(mistakes).map_or(Ok(()), Err)
    }

    /// The fields that the operator allows no author. A ClusterGitVolume is the operator's own.
    fn not_allowed(&self, settings: &Settings) -> impl Iterator<Item = Mistake> {
        let said = self.said.iter().filter(|_| self.kind == Kind::GitVolume);
        let said = said.filter(|(key, _)| !settings.allows_annotation(key));
        said.map(move |(key, _)| {
            let mut allowed: Vec<String> = settings
                .allowed_of(&spec::keys())
                .map(spec::field_of)
                .collect();
            // Where authors may only choose among the operator's objects.
            if allowed.is_empty() {
                allowed.push("none".to_owned());
            }
            let sentence = format!(
                "{self}: spec.{}: expected a key that the operator allows: {}",
                spec::field_of(key),
                allowed.join(", ")
            );
            Mistake::new(key, sentence)
        })
    }

    /// What is odd and allowed, such as fields that are not known. The API server drops those
    /// before we see them; a manifest in a file has them still.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Which of its fields are not heard where one of these objects is for the same Pod: an object
    /// of the same name and a higher kind says them too. Whether there is such a Pod, nobody knows
    /// beforehand: give only objects that are for a common namespace.
    pub fn shadowed<'a>(
        &self,
        others: impl IntoIterator<Item = &'a Self>,
        settings: &Settings,
    ) -> Vec<Shadowed> {
        let above: Vec<&Self> = others
            .into_iter()
            .filter(|other| other.name == self.name && other.kind < self.kind)
            .filter(|other| other.accepted(settings).is_ok())
            .collect();
        let heard = self.said.iter().filter_map(|(key, _)| {
            let says = |other: &&&Self| other.says(key);
            Some(Shadowed {
                field: spec::field_of(key),
                by: above.iter().find(says)?.to_string(),
            })
        });
        heard.collect()
    }
}

/// `GitVolume shop/site`, or `ClusterGitVolume site`: how a sentence names its source.
impl fmt::Display for GitVolume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind)?;
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests;
