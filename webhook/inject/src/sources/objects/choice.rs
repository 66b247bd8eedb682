//! The choice of the objects that a Pod gets.

use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;

use crate::GitVolume;
use crate::Key;
use crate::Mistake;
use crate::Name;
use crate::Namespace;
use crate::Settings;
use crate::keys::value::shown;
use crate::sources::objects::applied_object::AppliedObject;

/// The inputs of the choice of objects, besides the Pod's annotations.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Choice<'a> {
    /// The Pod's namespace with its objects; `None` where no objects are known.
    pub(crate) namespace: Option<&'a Namespace>,
    /// The operator's settings, which restrict the annotations; without them every annotation is
    /// allowed.
    pub(crate) settings: Option<&'a Settings>,
    /// The Pod's labels.
    pub(crate) labels: Option<&'a Map<String, Value>>,
    /// The objects of an earlier call whose injection is in the Pod: the Pod keeps them, even if
    /// they have changed or been deleted since.
    pub(crate) applied_object: Option<&'a [AppliedObject]>,
}

/// The chosen objects.
#[derive(Debug, Default)]
pub(crate) struct Chosen {
    /// The objects that the Pod gets, in order of precedence.
    pub(crate) objects: Vec<Arc<GitVolume>>,
    /// The names in `use` that match no object.
    pub(crate) unknown: Vec<String>,
    pub(crate) warnings: Vec<String>,
    pub(crate) mistakes: Vec<Mistake>,
}

impl Choice<'_> {
    /// Whether there is no object to choose from: then the choice costs nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.applied_object.is_none_or(<[_]>::is_empty)
            && self.namespace.is_none_or(|own| own.volumes.is_empty())
    }

    /// Whether the Pod may have an annotation of this key.
    pub(crate) fn allows(&self, key: Key) -> bool {
        self.settings.is_none_or(|own| own.allows_annotation(key))
    }

    /// Chooses the objects of a Pod. `uses`: the names in `gitvolume.dev/use`. `has_repo` and
    /// `has_keys`: whether the Pod annotates `NAME.repo`, or any `NAME.*`.
    pub(crate) fn chosen(
        &self,
        uses: &[String],
        has_repo: impl Fn(&Name) -> bool,
        has_keys: impl Fn(&Name) -> bool,
    ) -> Chosen {
        let live = self.live(uses);
        let Some(applied_object) = self.applied_object else {
            return complete(live, uses, has_repo, has_keys);
        };
        let objects: Vec<Arc<GitVolume>> = applied_object
            .iter()
            .map(|applied_object| Arc::new(applied_object.read()))
            .filter(|object| object.repository.is_some())
            .collect();
        let is_new = |object: &&Arc<GitVolume>| {
            let is_it = |own: &Arc<GitVolume>| (own.kind, &own.name) == (object.kind, &object.name);
            !objects.iter().any(is_it)
        };
        let warnings = live.objects.iter().filter(is_new);
        let warnings = warnings
            .map(|object| format!("{object}: no effect: the Pod was already injected without it"));
        Chosen {
            warnings: warnings.collect(),
            unknown: unknown(uses, &objects),
            mistakes: Vec::new(),
            objects,
        }
    }

    /// The existing objects that apply to the Pod.
    fn live(&self, uses: &[String]) -> Chosen {
        let mut chosen = Chosen::default();
        let (Some(namespace), Some(settings)) = (self.namespace, self.settings) else {
            chosen.unknown = uses.to_vec();
            return chosen;
        };
        for object in namespace.volumes.iter() {
            let is_named = uses.contains(&object.name);
            let is_selected = || namespace.is_auto_injected && object.selects(self.labels);
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
                    let problem = "no effect: it is not accepted; its status has the reason";
                    chosen.warnings.push(format!("{object}: {problem}"));
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

/// Removes the objects of repositories for which no source sets an address.
fn complete(
    mut chosen: Chosen,
    uses: &[String],
    has_repo: impl Fn(&Name) -> bool,
    has_keys: impl Fn(&Name) -> bool,
) -> Chosen {
    let with: Vec<String> = chosen
        .objects
        .iter()
        .filter(|object| object.says(Key::Repo))
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
        // Where the Pod has keys of this name, the missing address is a mistake of the Pod.
        if with.contains(&object.name) || has_repo(name) || has_keys(name) {
            return true;
        }
        if uses.contains(&object.name) {
            let grammar = Key::Repo.row().grammar;
            let problem = format!("{object}: spec.repo: missing; expected {grammar}");
            mistakes.push(in_use(&object.name, &problem));
        } else {
            warnings.push(format!("{object}: no effect: spec.repo is missing"));
        }
        false
    });
    chosen
}

fn in_use(name: &str, problem: &str) -> Mistake {
    let key = Key::Use.annotation();
    Mistake::new(Key::Use, format!("{key}: {}: {problem}", shown(name)))
}

fn unknown(uses: &[String], objects: &[Arc<GitVolume>]) -> Vec<String> {
    let is_unknown = |name: &&String| objects.iter().all(|object| object.name != **name);
    uses.iter().filter(is_unknown).cloned().collect()
}

/// The last clause of the sentence about keys without a repository, where an object has that name
/// and does not apply to this Pod.
pub(crate) fn passed_over(namespace: &Namespace, name: &Name, chosen: &Chosen) -> Option<String> {
    let mut objects = namespace.volumes.iter();
    let object = objects.find(|own| own.name == name.as_str())?;
    let is_chosen = chosen.objects.iter().any(|own| own.name == object.name);
    (!is_chosen).then(|| {
        format!(
            "{object} does not apply to this Pod unless {} names it",
            Key::Use.annotation()
        )
    })
}
