//! GitVolume and ClusterGitVolume: objects that give Pods of a namespace or of a cluster
//! repositories without annotations.
//!
//! An object is one more source of the same requests. The fields of its `spec` are parsed by the
//! table of annotations, with the same messages, and the Pod's own annotations override them
//! ([`crate::sources::annotations`]).

pub(crate) mod applied_object;
mod choice;
pub(crate) mod git_volume;
mod schema;
mod spec;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Map;
use serde_json::Value;

use self::spec::Spec;
use crate::Key;
use crate::Mistake;
use crate::Name;
use crate::Refusal;
use crate::Settings;
use crate::keys;
use crate::keys::value::shown;
use crate::policy::selector::Selector;
use crate::sources::objects::git_volume::GitVolume;
use crate::sources::objects::git_volume::Kind;
use crate::sources::objects::git_volume::Shadowed;

pub(crate) use self::choice::Choice;
pub(crate) use self::choice::Chosen;
pub(crate) use self::choice::passed_over;
pub use self::schema::custom_resource_definition;
pub(crate) use self::spec::field;
pub(crate) use self::spec::field_of;
pub(crate) use crate::sources::objects::applied_object::AppliedObject;

impl GitVolume {
    /// Reads an object from the API server or from a manifest.
    ///
    /// The kind is that of the object; without one, an object with a namespace is a `GitVolume`.
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
        read.repository = keys::key::name(&read.name);
        read.mistakes = spec.mistakes;
        read
    }

    /// The messages for everything that an API server would refuse in a gitvolume object in a file:
    /// first by the schema of its CRD, then those of [`GitVolume::accepted`]. An object of the
    /// gitvolume API group with an unknown kind or version is refused as a whole.
    pub fn refused_manifest(object: &Value, settings: &Settings) -> Vec<String> {
        let read = Self::read(object);
        let kinds = Kind::ALL.map(Kind::as_str);
        let text = |key: &str| object[key].as_str().unwrap_or_default();
        if !kinds.contains(&text("kind")) {
            let expected = kinds.join(" or ");
            return vec![format!(
                "kind: {}: expected {expected}",
                shown(text("kind"))
            )];
        }
        if !Kind::is_api_version(text("apiVersion")) {
            let shown = shown(text("apiVersion"));
            let versions = Kind::VERSIONS.map(|version| format!("{}/{version}", Kind::GROUP));
            let expected = versions.join(" or ");
            return vec![format!("{read}: apiVersion: {shown}: expected {expected}")];
        }
        let by_schema = schema::judge::judged(read.kind, object);
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
            // A wrong type is reported once.
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

    /// Whether a manifest matches the schema of the CRDs.
    pub fn fits_schema(object: &Value) -> bool {
        let kinds = Kind::ALL.into_iter();
        let mut own = kinds.filter(|kind| object["kind"] == kind.as_str());
        let is_version = object["apiVersion"]
            .as_str()
            .is_some_and(Kind::is_api_version);
        is_version && own.any(|kind| schema::judge::judged(kind, object).is_empty())
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The namespace of a `GitVolume`; `None` for a `ClusterGitVolume`.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Its name, which is also the NAME of its repository.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its UID, where the API server has set one.
    pub fn uid(&self) -> Option<&str> {
        self.uid.as_deref()
    }

    /// The generation of the spec, for a condition's `observedGeneration`.
    pub fn generation(&self) -> Option<i64> {
        self.generation
    }

    /// The precedence among objects of one kind for settings of the whole Pod: the highest wins,
    /// and of equal ones the first by name.
    pub fn priority(&self) -> i32 {
        self.priority
    }

    /// Whether an object applies to a namespace with this name and these labels. A `GitVolume`
    /// applies to its own; a `ClusterGitVolume` to those that its `namespaceSelector` matches, or
    /// to all without one.
    pub fn covers(&self, namespace: &str, labels: &BTreeMap<String, String>) -> bool {
        match self.kind {
            Kind::GitVolume => self.namespace.as_deref() == Some(namespace),
            Kind::ClusterGitVolume => self
                .namespace_selector
                .matches(|key| labels.get(key).map(String::as_str)),
        }
    }

    /// Whether its `podSelector` matches a Pod with these labels; without one it matches every Pod.
    pub(crate) fn selects(&self, labels: Option<&Map<String, Value>>) -> bool {
        self.pod_selector
            .matches(|key| labels.and_then(|all| all.get(key)?.as_str()))
    }

    /// Its value of an annotation's key.
    pub(crate) fn text(&self, key: Key) -> Option<&str> {
        let mut said = self.said.iter();
        said.find(|(own, _)| *own == key)
            .map(|(_, text)| text.as_str())
    }

    fn says(&self, key: Key) -> bool {
        self.text(key).is_some()
    }

    /// All its values: keys of annotations with their texts.
    pub(crate) fn said(&self) -> impl Iterator<Item = (Key, &str)> {
        self.said.iter().map(|(key, text)| (*key, text.as_str()))
    }

    /// The name of its repository; `None` where its own name is not valid for one.
    pub(crate) fn repository(&self) -> Option<&Name> {
        self.repository.as_ref()
    }

    /// Its mistakes, each with the message that the annotation of that key would get: the message
    /// of the condition `Accepted=False`. An object that is not accepted has no effect on any Pod.
    pub fn accepted(&self, settings: &Settings) -> Result<(), Refusal> {
        let mut mistakes = self.mistakes.clone();
        mistakes.extend(self.not_allowed(settings));
        Refusal::of(mistakes).map_or(Ok(()), Err)
    }

    /// The fields that the operator does not allow. A ClusterGitVolume is the operator's own and is
    /// not checked.
    fn not_allowed(&self, settings: &Settings) -> impl Iterator<Item = Mistake> {
        let said = self.said.iter().filter(|_| self.kind == Kind::GitVolume);
        let said = said.filter(|(key, _)| !settings.allows_annotation(*key));
        said.map(move |(key, _)| {
            let mut allowed: Vec<String> = settings
                .allowed_of(&spec::keys())
                .map(spec::field_of_text)
                .collect();
            // Authors may only choose among the operator's objects.
            if allowed.is_empty() {
                allowed.push("none".to_owned());
            }
            let sentence = format!(
                "{self}: spec.{}: not allowed by the cluster's gitvolume settings; allowed keys: {}",
                spec::field_of(*key),
                allowed.join(", ")
            );
            Mistake::new(*key, sentence)
        })
    }

    /// Warnings, such as for unknown fields. The API server drops those before the webhook gets the
    /// object; a manifest in a file still has them.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Its fields that are overridden where one of these objects applies to the same Pod: an object
    /// of the same name and a kind of higher precedence sets them too. Whether such a Pod exists is
    /// unknown: pass only objects for a common namespace.
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
        let shadowed_fields = self.said.iter().filter_map(|(key, _)| {
            let says = |other: &&&Self| other.says(*key);
            Some(Shadowed {
                field: spec::field_of(*key),
                by: above.iter().find(says)?.to_string(),
            })
        });
        shadowed_fields.collect()
    }
}

/// `GitVolume shop/site`, or `ClusterGitVolume site`: its form in sentences.
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
