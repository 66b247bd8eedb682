//! Reads what a Pod's annotations ask for.

mod table;

use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;

pub use self::table::ANNOTATIONS;
pub use self::table::Annotation;
pub use self::table::PREFIX;
pub use self::table::Scope;
pub use self::table::annotations_markdown;
pub use self::table::annotations_summary;

use self::table::Read;
use crate::GitVolume;
use crate::Mistake;
use crate::MountPath;
use crate::Name;
use crate::Request;
use crate::conflicts::Place;
use crate::container::Role;
use crate::objects;
use crate::objects::Choice;
use crate::objects::Chosen;
use crate::objects::Sources;
use crate::objects::passed_over;
use crate::request::Fields;
use crate::request::PodWide;
use crate::suggest;
use crate::value::Wrong;
use crate::value::shown;
use crate::wide;

/// What a Pod's annotations ask for.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// The keys of each repository: the unnamed ones first, the others by name.
    pub(crate) groups: Vec<Group>,
    pub(crate) pod: PodWide,
    /// The first key that is the Pod's and is about its repositories.
    pub(crate) pod_key: Option<&'static str>,
    pub(crate) warnings: Vec<String>,
    pub(crate) mistakes: Vec<Mistake>,
    /// Who said what, where objects did.
    pub(crate) sources: Sources,
}

/// The keys of one repository.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) name: Option<Name>,
    /// What of them could be read.
    pub(crate) fields: Fields,
    /// The first key, in the table's order.
    pub(crate) first_key: &'static str,
    /// Whether one of them is wrong.
    pub(crate) is_wrong: bool,
    /// Whether `mount-path` is.
    pub(crate) is_place_wrong: bool,
    /// The object of this name that is not for the Pod, in words.
    pub(crate) passed_over: Option<String>,
}

/// One annotation of ours, taken apart, or what an object says in its stead.
struct Key<'a> {
    name: Option<Name>,
    row: &'static Annotation,
    value: Said<'a>,
}

/// Who said it, and what.
#[derive(Clone, Copy)]
enum Said<'a> {
    /// The Pod.
    Pod(&'a Value),
    /// The object of this place among the chosen ones.
    Object(usize, &'a str),
}

impl Asked {
    /// The repositories, and the places that they and those with mistakes take. A group without an
    /// address is a mistake, unless it is about gitRepo volumes (of these names).
    pub(crate) fn requests(&mut self, git_repos: &[String]) -> (Vec<Request>, Vec<Place>) {
        let mut requests = Vec::new();
        let mut places = Vec::new();
        let mut without = Vec::new();
        for group in &self.groups {
            let Group {
                name,
                fields,
                first_key,
                is_wrong,
                is_place_wrong,
                passed_over,
            } = group;
            let is_about_volume = match name {
                None => !git_repos.is_empty(),
                Some(name) => git_repos.iter().any(|own| own == name.as_str()),
            };
            if fields.repo.is_none() && is_about_volume && *first_key != "repo" {
                continue;
            }
            if !is_place_wrong {
                let path = fields.mount_path.clone();
                let path = path.unwrap_or_else(|| MountPath::default_for(name.as_ref()));
                places.push(Place {
                    key: self.sources.key(name.as_ref(), "mount-path"),
                    path,
                    role: Role::of_mode(fields.mode.unwrap_or_default()),
                });
            }
            if fields.repo.is_none() && *first_key != "repo" {
                let said = self.sources.key(name.as_ref(), first_key);
                let also = passed_over.as_deref();
                without.push(without_repo(name.as_ref(), &said, also));
            }
            if !is_wrong {
                requests.extend(fields.clone().resolve(name.clone()));
            }
        }
        // The Pod's own keys want something to be about.
        let nothing = self.groups.is_empty() && git_repos.is_empty();
        if let Some(key) = self.pod_key.filter(|_| nothing) {
            without.push(without_repo(None, &full_key(None, key), None));
        }
        self.mistakes.splice(0..0, without);
        (requests, places)
    }
}

/// Reads all annotations under our prefix, and lays what objects say under them, field by field;
/// what it gives is empty where there is neither.
pub(crate) fn read(annotations: Option<&Map<String, Value>>, choice: Choice<'_>) -> Asked {
    let mut asked = Asked::default();
    let mut keys: Vec<Key<'_>> = Vec::new();
    for (key, value) in annotations.into_iter().flatten() {
        let Some(text) = key.strip_prefix(PREFIX) else {
            continue;
        };
        match apart(text) {
            Ok((name, row)) => keys.push(Key {
                name,
                row,
                value: Said::Pod(value),
            }),
            Err(Unknown::Key) => asked.warnings.push(unknown(text)),
            Err(Unknown::Name(row)) => {
                let sentence = format!(
                    "{PREFIX}{text}: before .{}, expected {}, and no key",
                    row.key,
                    Name::GRAMMAR
                );
                asked.mistakes.push(Mistake::new(row.key, sentence));
            }
        }
    }
    let chosen = chosen(&keys, choice);
    for (index, object) in chosen.objects.iter().enumerate() {
        keys.extend(object.said().filter_map(|(key, text)| {
            let row = ANNOTATIONS.iter().find(|row| row.key == key)?;
            let name = object.repository().cloned();
            Some(Key {
                name: name.filter(|_| row.scope == Scope::Repository),
                row,
                value: Said::Object(index, text),
            })
        }));
    }
    // Mistakes are told in the table's order, of the unnamed repository first. What is said twice
    // stays in the order of those who said it, and the first one is heard.
    keys.sort_by_cached_key(|key| {
        let place = ANNOTATIONS
            .iter()
            .position(|known| known.key == key.row.key);
        (key.name.clone(), place)
    });
    let mut heard: Option<&Key<'_>> = None;
    for key in &keys {
        let Key { name, row, value } = key;
        if let Some(first) = heard.filter(|first| first.name == *name && first.row.key == row.key) {
            asked.warnings.extend(unheard(first, key, &chosen.objects));
            continue;
        }
        heard = Some(key);
        if !chosen.objects.is_empty() {
            let object = match value {
                Said::Pod(_) => None,
                Said::Object(index, _) => Some(*index),
            };
            asked.sources.said.push((name.clone(), row.key, object));
        }
        // The API server lets only texts through; manifests in files have numbers too.
        let text = match value {
            Said::Pod(value) => value.as_str(),
            Said::Object(_, text) => Some(*text),
        };
        let is_pods = matches!(value, Said::Pod(_));
        // An object that says what it may not is not accepted, and none of the chosen ones.
        let is_allowed = !is_pods || choice.allows(row.key);
        let outcome = match row.read {
            Read::Pod(read) => {
                // These mean something without a repository too, or are told of elsewhere.
                if is_pods && is_allowed && !["gitrepo", "use"].contains(&row.key) {
                    asked.pod_key = asked.pod_key.or(Some(row.key));
                }
                text.map(|text| read(&mut asked.pod, text))
            }
            Read::Repository(read) => {
                let group = group(&mut asked.groups, name, row.key);
                let outcome = text.map(|text| read(&mut group.fields, text));
                let is_wrong = !matches!(outcome, Some(Ok(())));
                group.is_wrong |= is_wrong;
                group.is_place_wrong |= is_wrong && row.key == "mount-path";
                outcome
            }
            Read::Status => continue,
        };
        const NO_TEXT: Wrong = Wrong::Clause("expected a text; in YAML, put it in quotes");
        if !is_allowed {
            let allowed = choice
                .settings
                .map(|own| own.allowed_annotations.join(", "));
            let sentence = format!(
                "{}: expected a key that the operator allows: {}",
                full_key(name.as_ref(), row.key),
                allowed.unwrap_or_default()
            );
            asked.mistakes.push(Mistake::new(row.key, sentence));
        } else if let Err(wrong) = outcome.unwrap_or(Err(NO_TEXT)) {
            let shown = match value {
                Said::Pod(Value::String(text)) => shown(text),
                Said::Pod(value) => value.to_string(),
                Said::Object(_, text) => shown(text),
            };
            let mut mistake = mistake(name.as_ref(), row, &shown, wrong);
            if let (Some(meant), true) = (text.and_then(|text| suggest::value(row, text)), is_pods)
            {
                mistake.append(&format!("; write {meant:?}"));
            }
            asked.mistakes.push(mistake);
        }
    }
    if let Some(namespace) = choice.namespace {
        for group in &mut asked.groups {
            let name = group.name.as_ref();
            let name = name.filter(|_| group.fields.repo.is_none());
            group.passed_over = name.and_then(|name| passed_over(namespace, name, &chosen));
        }
    }
    // What is left of them is what nobody has.
    if !choice.is_empty() {
        asked.pod.uses = chosen.unknown;
    }
    asked.warnings.extend(chosen.warnings);
    asked.mistakes.extend(chosen.mistakes);
    asked.sources.objects = chosen.objects;
    asked
}

/// Chooses the objects of a Pod that has these keys.
fn chosen(keys: &[Key<'_>], choice: Choice<'_>) -> Chosen {
    if choice.is_empty() {
        return Chosen::default();
    }
    let text = |own: &str| {
        let key = keys.iter().find(|key| key.row.key == own)?;
        match key.value {
            Said::Pod(value) => value.as_str(),
            Said::Object(..) => None,
        }
    };
    // Who wants none is not told of any.
    if text("inject") == Some("false") {
        return Chosen::default();
    }
    let uses = text("use").and_then(|text| wide::uses(text).ok());
    let is_of = |key: &Key<'_>, name: &Name| key.name.as_ref() == Some(name);
    choice.chosen(
        &uses.unwrap_or_default(),
        |name| {
            keys.iter()
                .any(|key| is_of(key, name) && key.row.key == "repo")
        },
        |name| keys.iter().any(|key| is_of(key, name)),
    )
}

/// The warning for what an object says about the whole Pod, where a higher one says otherwise. What
/// the Pod says against it, its author knows.
fn unheard(first: &Key<'_>, key: &Key<'_>, objects: &[Arc<GitVolume>]) -> Option<String> {
    let (Said::Object(winner, heard), Said::Object(loser, text)) = (first.value, key.value) else {
        return None;
    };
    let is_told = key.row.scope == Scope::Pod && heard != text;
    is_told.then(|| {
        let (winner, loser) = (&objects[winner], &objects[loser]);
        let field = objects::field_of(key.row.key);
        format!("{loser}: spec.{field}: not heard: {winner} says otherwise")
    })
}

/// The group of a name, which is the last one since the keys are sorted.
fn group<'a>(groups: &'a mut Vec<Group>, name: &Option<Name>, key: &'static str) -> &'a mut Group {
    let is_new = groups.last().is_none_or(|last| last.name != *name);
    if is_new {
        groups.push(Group {
            name: name.clone(),
            fields: Fields::default(),
            first_key: key,
            is_wrong: false,
            is_place_wrong: false,
            passed_over: None,
        });
    }
    let last = groups.len() - 1;
    &mut groups[last]
}

enum Unknown {
    /// No row has this key.
    Key,
    /// A row has it, and what stands before it is no name, or is a key itself.
    Name(&'static Annotation),
}

/// Takes `KEY` or `NAME.KEY` apart.
fn apart(text: &str) -> Result<(Option<Name>, &'static Annotation), Unknown> {
    let row = |key: &str| ANNOTATIONS.iter().find(|row| row.key == key);
    if let Some(row) = row(text) {
        return Ok((None, row));
    }
    let (name, key) = text.rsplit_once('.').ok_or(Unknown::Key)?;
    let row = row(key)
        .filter(|row| row.scope == Scope::Repository)
        .ok_or(Unknown::Key)?;
    // A name that is a key would make `repo.ref` and `ref` look like the same thing.
    match self::name(name) {
        Some(name) => Ok((Some(name), row)),
        None => Err(Unknown::Name(row)),
    }
}

/// Reads the name of a repository, which is none of our keys.
pub(crate) fn name(text: &str) -> Option<Name> {
    let is_key = ANNOTATIONS.iter().any(|row| row.key == text) || text == "resources";
    text.parse().ok().filter(|_| !is_key)
}

/// The whole key of a repository's annotation.
pub(crate) fn full_key(name: Option<&Name>, key: &str) -> String {
    match name {
        None => format!("{PREFIX}{key}"),
        Some(name) => format!("{PREFIX}{name}.{key}"),
    }
}

/// The mistake of a repository whose address is missing, while something else was said of it.
fn without_repo(name: Option<&Name>, said: &str, also: Option<&str>) -> Mistake {
    let also = also.map(|also| format!("; {also}")).unwrap_or_default();
    let sentence = format!(
        "{}: missing, but {said} is set{also}; expected {}",
        full_key(name, "repo"),
        ANNOTATIONS[0].grammar
    );
    Mistake::new("repo", sentence)
}

fn mistake(name: Option<&Name>, row: &Annotation, text: &str, wrong: Wrong) -> Mistake {
    let key = full_key(name, row.key);
    Mistake::new(row.key, format!("{key}: {text}: {}", row.clause(wrong)))
}

impl Annotation {
    /// What to say of a value that is wrong.
    fn clause(&self, wrong: Wrong) -> String {
        match wrong {
            Wrong::Clause(clause) => clause.to_owned(),
            Wrong::Grammar => format!("expected {}", self.grammar),
        }
    }

    /// Reads a value and forgets it: the error says what to say of it.
    pub(crate) fn check(&self, text: &str) -> Result<(), String> {
        let outcome = match self.read {
            Read::Pod(read) => read(&mut PodWide::default(), text),
            Read::Repository(read) => read(&mut Fields::default(), text),
            Read::Status => Ok(()),
        };
        outcome.map_err(|wrong| self.clause(wrong))
    }
}

/// The warning for a key that is not in the table, with the key that was perhaps meant.
fn unknown(key: &str) -> String {
    match suggest::nearest(key) {
        Some((name, row)) => {
            let name = name.map(|name| format!("{name}.")).unwrap_or_default();
            format!(
                "{PREFIX}{key}: unknown; did you mean {PREFIX}{name}{}?",
                row.key
            )
        }
        None => format!("{PREFIX}{key}: unknown; `gitvolume explain` lists the known keys"),
    }
}

#[cfg(test)]
mod tests;
