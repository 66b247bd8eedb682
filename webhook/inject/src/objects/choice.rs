//! Which objects a Pod gets.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;

use crate::ANNOTATIONS;
use crate::GitVolume;
use crate::Kind;
use crate::Mistake;
use crate::Name;
use crate::Namespace;
use crate::PREFIX;
use crate::Settings;
use crate::annotations;
use crate::annotations::full_key;
use crate::value::shown;

use super::selector::Selector;
use super::spec;

/// What decides about the objects of a Pod, beside its annotations.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Choice<'a> {
    /// What is in force now; `None` where nobody knows of any object.
    pub(crate) namespace: Option<&'a Namespace>,
    /// The operator's, which say what authors may set; without any it is everything.
    pub(crate) settings: Option<&'a Settings>,
    /// The Pod's.
    pub(crate) labels: Option<&'a Map<String, Value>>,
    /// What an earlier call took, where its injection is in the Pod: that stays what the Pod has,
    /// whatever has become of the objects since.
    pub(crate) taken: Option<&'a [Taken]>,
}

/// What was chosen.
#[derive(Debug, Default)]
pub(crate) struct Chosen {
    /// Those that the Pod gets, the highest first.
    pub(crate) objects: Vec<Arc<GitVolume>>,
    /// The names of `use` that no object has.
    pub(crate) unknown: Vec<String>,
    pub(crate) warnings: Vec<String>,
    pub(crate) mistakes: Vec<Mistake>,
}

/// What an object said when a Pod got it, for the status annotation.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Taken {
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    name: String,
    /// By the keys of annotations.
    said: BTreeMap<String, String>,
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

impl Taken {
    pub(crate) fn of(object: &GitVolume) -> Self {
        let said = object.said.iter();
        Self {
            kind: object.kind.as_str().to_owned(),
            namespace: object.namespace.clone(),
            name: object.name.clone(),
            said: said
                .map(|(key, text)| ((*key).to_owned(), text.clone()))
                .collect(),
        }
    }

    /// Anybody can write a status: what no object could have said is left out, and what is in the
    /// Pod is then not what it should be.
    fn read(&self) -> GitVolume {
        let said = ANNOTATIONS.iter().filter_map(|row| {
            let text = self.said.get(row.key)?;
            spec::field(row)?;
            row.check(text).ok()?;
            Some((row.key, text.clone()))
        });
        GitVolume {
            kind: match self.kind.as_str() {
                "ClusterGitVolume" => Kind::ClusterGitVolume,
                _ => Kind::GitVolume,
            },
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            uid: None,
            generation: None,
            priority: 0,
            pod_selector: Selector::nobody(),
            namespace_selector: Selector::nobody(),
            said: said.collect(),
            repository: annotations::name(&self.name),
            mistakes: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

impl Choice<'_> {
    /// Tells whether there is nothing to choose from: then a Pod pays nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.taken.is_none_or(<[_]>::is_empty)
            && self.namespace.is_none_or(|own| own.volumes.is_empty())
    }

    /// Tells whether the Pod may have an annotation of this key.
    pub(crate) fn allows(&self, key: &str) -> bool {
        self.settings.is_none_or(|own| own.allows_annotation(key))
    }

    /// Chooses, for a Pod that names some itself, and whose annotations have an address, or
    /// anything, of these repositories.
    pub(crate) fn chosen(
        &self,
        uses: &[String],
        has_repo: impl Fn(&Name) -> bool,
        has_keys: impl Fn(&Name) -> bool,
    ) -> Chosen {
        let live = self.live(uses);
        let Some(taken) = self.taken else {
            return complete(live, uses, has_repo, has_keys);
        };
        let objects: Vec<Arc<GitVolume>> = taken
            .iter()
            .map(|taken| Arc::new(taken.read()))
            .filter(|object| object.repository.is_some())
            .collect();
        let is_new = |object: &&Arc<GitVolume>| {
            let is_it = |own: &Arc<GitVolume>| (own.kind, &own.name) == (object.kind, &object.name);
            !objects.iter().any(is_it)
        };
        let warnings = live.objects.iter().filter(is_new);
        let warnings = warnings
            .map(|object| format!("{object}: no effect: the Pod was injected without it before"));
        Chosen {
            warnings: warnings.collect(),
            unknown: unknown(uses, &objects),
            mistakes: Vec::new(),
            objects,
        }
    }

    /// The objects in force that are for the Pod.
    fn live(&self, uses: &[String]) -> Chosen {
        let mut chosen = Chosen::default();
        let (Some(namespace), Some(settings)) = (self.namespace, self.settings) else {
            chosen.unknown = uses.to_vec();
            return chosen;
        };
        for object in namespace.volumes.iter() {
            let is_named = uses.contains(&object.name);
            let is_selected = || namespace.is_covered && object.selects(self.labels);
            if !is_named && !is_selected() {
                continue;
            }
            match object.accepted(settings) {
                Ok(()) => chosen.objects.push(Arc::clone(object)),
                Err(refusal) if is_named => {
                    chosen
                        .mistakes
                        .push(in_use(&object.name, &refusal.to_string()));
                }
                Err(_) => {
                    let told = "no effect: it is not accepted, its status says why";
                    chosen.warnings.push(format!("{object}: {told}"));
                }
            }
        }
        chosen.unknown = unknown(uses, &namespace.volumes);
        chosen.objects.sort_by(|one, other| {
            let rank = |own: &GitVolume| (own.kind, std::cmp::Reverse(own.priority));
            (rank(one), &one.name).cmp(&(rank(other), &other.name))
        });
        chosen
    }
}

/// Leaves out the objects of repositories whose address nobody has said.
fn complete(
    mut chosen: Chosen,
    uses: &[String],
    has_repo: impl Fn(&Name) -> bool,
    has_keys: impl Fn(&Name) -> bool,
) -> Chosen {
    let with: Vec<String> = chosen
        .objects
        .iter()
        .filter(|object| object.says("repo"))
        .map(|object| object.name.clone())
        .collect();
    let Chosen {
        objects,
        warnings,
        mistakes,
        ..
    } = &mut chosen;
    objects.retain(|object| {
        let Some(name) = &object.repository else {
            return false;
        };
        // Where the Pod has keys of this name, it is told of the missing one as ever.
        if with.contains(&object.name) || has_repo(name) || has_keys(name) {
            return true;
        }
        if uses.contains(&object.name) {
            let grammar = ANNOTATIONS[0].grammar;
            let told = format!("{object}: spec.repo: missing; expected {grammar}");
            mistakes.push(in_use(&object.name, &told));
        } else {
            warnings.push(format!("{object}: no effect: spec.repo is missing"));
        }
        false
    });
    chosen
}

fn in_use(name: &str, told: &str) -> Mistake {
    let key = full_key(None, "use");
    Mistake::new("use", format!("{key}: {}: {told}", shown(name)))
}

fn unknown(uses: &[String], objects: &[Arc<GitVolume>]) -> Vec<String> {
    let is_unknown = |name: &&String| objects.iter().all(|object| object.name != **name);
    uses.iter().filter(is_unknown).cloned().collect()
}

/// The end of the sentence about keys without a repository, where an object has that name and is
/// not for this Pod.
pub(crate) fn passed_over(namespace: &Namespace, name: &Name, chosen: &Chosen) -> Option<String> {
    let mut objects = namespace.volumes.iter();
    let object = objects.find(|own| own.name == name.as_str())?;
    let is_chosen = chosen.objects.iter().any(|own| own.name == object.name);
    (!is_chosen).then(|| format!("{object} is not for this Pod unless {PREFIX}use names it"))
}

/// Who said what about a Pod: empty where no object said anything.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// All objects that were heard, the highest first.
    pub(crate) objects: Vec<Arc<GitVolume>>,
    /// Who said a key: an object, by its place above, or the Pod.
    pub(crate) said: Vec<(Option<Name>, &'static str, Option<usize>)>,
}

impl Sources {
    /// How a sentence names a key: as the annotation, or as the field of the object that said it.
    /// What nobody said is named where it could be said: by the object that has the repository.
    pub(crate) fn key(&self, name: Option<&Name>, key: &str) -> String {
        let is_it = |own: &&(Option<Name>, &'static str, Option<usize>)| {
            own.0.as_ref() == name && own.1 == key
        };
        let object = match self.said.iter().find(is_it) {
            Some((.., object)) => object.and_then(|index| self.objects.get(index)),
            None => self
                .objects
                .iter()
                .find(|own| name.is_some() && own.repository.as_ref() == name),
        };
        match object {
            Some(object) => format!("{object}: spec.{}", spec::field_of(key)),
            None => full_key(name, key),
        }
    }

    /// The text that an object says under a key, where one is heard.
    pub(crate) fn text(&self, name: Option<&Name>, key: &str) -> Option<&str> {
        let mut said = self.said.iter();
        let (.., object) = said.find(|own| own.0.as_ref() == name && own.1 == key)?;
        self.objects.get((*object)?)?.text(key)
    }
}
