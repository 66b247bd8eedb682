//! The annotations of a Pod, merged with the fields of objects.

use std::fmt;
use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;

use crate::GitVolume;
use crate::Key;
use crate::Mistake;
use crate::Name;
use crate::PREFIX;
use crate::Scope;
use crate::keys::key::full_key;
use crate::keys::key::name;
use crate::keys::suggest;
use crate::keys::table::Read;
use crate::keys::value::Wrong;
use crate::keys::value::shown;
use crate::keys::wide;
use crate::sources::objects;
use crate::sources::objects::Choice;
use crate::sources::objects::Chosen;
use crate::sources::objects::passed_over;
use crate::sources::requested::Group;
use crate::sources::requested::RequestedVolumes;
use crate::sources::sourced::Origin;
use crate::sources::sourced::Sourced;

/// One value of a key: a gitvolume annotation, or a field of an object.
struct Entry<'a> {
    name: Option<Name>,
    key: Key,
    value: RawValue<'a>,
}

/// A value in the form of its source.
#[derive(Clone, Copy)]
enum RawValue<'a> {
    /// The Pod's. The API server accepts only strings; manifests in files have numbers too.
    Pod(&'a Value),
    /// A field of an object.
    Object(&'a Arc<GitVolume>, &'a str),
}

impl<'a> RawValue<'a> {
    /// The value, where it is a string.
    fn as_text(self) -> Option<&'a str> {
        match self {
            Self::Pod(value) => value.as_str(),
            Self::Object(_, text) => Some(text),
        }
    }

    /// The value, formatted for a sentence.
    fn shown(self) -> String {
        self.as_text().map_or_else(|| self.to_string(), shown)
    }

    fn origin(self, name: &Option<Name>) -> Origin {
        match self {
            Self::Pod(_) => Origin::Annotation(name.clone()),
            Self::Object(object, _) => Origin::Object(Arc::clone(object)),
        }
    }
}

/// Formats the value without changes.
impl fmt::Display for RawValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod(Value::String(text)) => f.write_str(text),
            Self::Pod(value) => write!(f, "{value}"),
            Self::Object(_, text) => f.write_str(text),
        }
    }
}

/// Reads all annotations under gitvolume's prefix and merges the fields of objects into them, field
/// by field; the result is empty where there are neither.
pub(crate) fn read(
    annotations: Option<&Map<String, Value>>,
    choice: Choice<'_>,
) -> RequestedVolumes {
    let mut requested = RequestedVolumes::default();
    let mut entries = annotated(annotations, &mut requested);
    let chosen = chosen(&entries, choice);
    for object in &chosen.objects {
        entries.extend(object.said().map(|(key, text)| {
            let name = object.repository().cloned();
            Entry {
                name: name.filter(|_| key.row().scope == Scope::Repository),
                key,
                value: RawValue::Object(object, text),
            }
        }));
    }
    // Mistakes are reported in the table's order, those of the unnamed repository first. The sort
    // is stable: values of one key stay in the order of precedence of their sources, and the first
    // one is effective.
    entries.sort_by(|one, other| (&one.name, one.key).cmp(&(&other.name, other.key)));
    let mut effective: Option<&Entry<'_>> = None;
    for entry in &entries {
        let is_same = |first: &&Entry<'_>| first.name == entry.name && first.key == entry.key;
        if let Some(first) = effective.filter(is_same) {
            requested.warnings.extend(overridden(first, entry));
            continue;
        }
        effective = Some(entry);
        add(&mut requested, entry, choice);
    }
    if let Some(namespace) = choice.namespace {
        for group in &mut requested.groups {
            let name = group.name.as_ref();
            let name = name.filter(|_| group.fields.repo.is_none());
            group.passed_over = name.and_then(|name| passed_over(namespace, name, &chosen));
        }
    }
    // The names that remain in `uses` are those without an object.
    if !choice.is_empty() {
        requested.pod.uses = chosen.unknown;
    }
    requested.warnings.extend(chosen.warnings);
    requested.mistakes.extend(chosen.mistakes);
    requested.objects = chosen.objects;
    requested
}

/// The gitvolume annotations; unknown ones become warnings and mistakes.
fn annotated<'a>(
    annotations: Option<&'a Map<String, Value>>,
    requested: &mut RequestedVolumes,
) -> Vec<Entry<'a>> {
    let mut entries = Vec::new();
    for (key, value) in annotations.into_iter().flatten() {
        let Some(text) = key.strip_prefix(PREFIX) else {
            continue;
        };
        match apart(text) {
            Ok((name, key)) => entries.push(Entry {
                name,
                key,
                value: RawValue::Pod(value),
            }),
            Err(Unknown::Key) => requested.warnings.push(unknown(text)),
            Err(Unknown::Name(key)) => {
                let sentence = format!(
                    "{PREFIX}{text}: before .{key}, expected {}, that is not itself an annotation key",
                    Name::GRAMMAR
                );
                requested.mistakes.push(Mistake::new(key, sentence));
            }
        }
    }
    entries
}

/// Adds the effective value of a key.
fn add(requested: &mut RequestedVolumes, entry: &Entry<'_>, choice: Choice<'_>) {
    const NO_TEXT: Wrong = Wrong::Clause("expected a string; in YAML, put it in quotes");
    let Entry {
        name,
        key,
        value: raw,
    } = entry;
    let (key, text) = (*key, raw.as_text());
    let is_pods = matches!(raw, RawValue::Pod(_));
    // `allowedAnnotations` is checked for the Pod's keys only: an object that is chosen has passed
    // the check (`GitVolume::accepted`).
    let is_allowed = !is_pods || choice.allows(key);
    let value = || Sourced::new(raw.to_string(), raw.origin(name));
    let outcome = match key.row().read {
        Read::Pod(read) => {
            // These keys have an effect without a repository too, or are reported elsewhere.
            if is_pods && is_allowed && !matches!(key, Key::GitRepo | Key::Use) {
                requested.pod_key = requested.pod_key.or(Some(key));
            }
            requested.pod_values.add(key, value());
            text.map(|text| read(&mut requested.pod, text))
        }
        Read::Repository(read) => {
            let group = group(&mut requested.groups, name);
            group.values.add(key, value());
            let outcome = text.map(|text| read(&mut group.fields, text));
            if !matches!(outcome, Some(Ok(()))) {
                group.wrong.push(key);
            }
            outcome
        }
        Read::Status(_) => return,
    };
    if !is_allowed {
        let allowed = choice
            .settings
            .map(|settings| settings.allowed_annotations.join(", "));
        let sentence = format!(
            "{}: not allowed by the cluster's gitvolume settings; allowed keys: {}",
            full_key(name.as_ref(), key),
            allowed.unwrap_or_default()
        );
        requested.mistakes.push(Mistake::new(key, sentence));
    } else if let Err(wrong) = outcome.unwrap_or(Err(NO_TEXT)) {
        let mut mistake = mistake(name.as_ref(), key, &raw.shown(), wrong);
        let meant = text.filter(|_| is_pods);
        if let Some(meant) = meant.and_then(|text| suggest::value(key.row(), text)) {
            mistake.append(&format!("; write {meant:?}"));
        }
        requested.mistakes.push(mistake);
    }
}

/// Chooses the objects of a Pod with these keys.
fn chosen(entries: &[Entry<'_>], choice: Choice<'_>) -> Chosen {
    if choice.is_empty() {
        return Chosen::default();
    }
    let text = |key: Key| {
        let entry = entries.iter().find(|entry| entry.key == key)?;
        match entry.value {
            RawValue::Pod(value) => value.as_str(),
            RawValue::Object(..) => None,
        }
    };
    // A Pod that opts out gets no objects and no warnings about them.
    if text(Key::Inject) == Some("false") {
        return Chosen::default();
    }
    let uses = text(Key::Use).and_then(|text| wide::uses(text).ok());
    let is_of = |entry: &Entry<'_>, name: &Name| entry.name.as_ref() == Some(name);
    choice.chosen(
        &uses.unwrap_or_default(),
        |name| {
            entries
                .iter()
                .any(|entry| is_of(entry, name) && entry.key == Key::Repo)
        },
        |name| entries.iter().any(|entry| is_of(entry, name)),
    )
}

/// The warning for an object's value that applies to the whole Pod and is overridden by an object
/// of higher precedence. Values that the Pod overrides cause no warning: its author knows them.
fn overridden(first: &Entry<'_>, entry: &Entry<'_>) -> Option<String> {
    let (RawValue::Object(winner, effective), RawValue::Object(loser, text)) =
        (first.value, entry.value)
    else {
        return None;
    };
    let is_told = entry.key.row().scope == Scope::Pod && effective != text;
    is_told.then(|| {
        let field = objects::field_of(entry.key);
        format!("{loser}: spec.{field}: ignored: {winner} overrides it")
    })
}

/// The group of a repository: the last one, since the keys are sorted.
fn group<'a>(groups: &'a mut Vec<Group>, name: &Option<Name>) -> &'a mut Group {
    let is_new = groups.last().is_none_or(|last| last.name != *name);
    if is_new {
        groups.push(Group {
            name: name.clone(),
            ..Group::default()
        });
    }
    let last = groups.len() - 1;
    &mut groups[last]
}

enum Unknown {
    /// Not a key of the table.
    Key,
    /// A key of the table after a prefix that is no valid name, or is a key itself.
    Name(Key),
}

/// Splits `KEY` or `NAME.KEY`.
fn apart(text: &str) -> Result<(Option<Name>, Key), Unknown> {
    if let Some(key) = Key::parse(text) {
        return Ok((None, key));
    }
    let (name, key) = text.rsplit_once('.').ok_or(Unknown::Key)?;
    let key = Key::parse(key)
        .filter(|key| key.row().scope == Scope::Repository)
        .ok_or(Unknown::Key)?;
    // A name that is a key would make `repo.ref` and `ref` look like the same key.
    match self::name(name) {
        Some(name) => Ok((Some(name), key)),
        None => Err(Unknown::Name(key)),
    }
}

fn mistake(name: Option<&Name>, key: Key, text: &str, wrong: Wrong) -> Mistake {
    let full = full_key(name, key);
    Mistake::new(key, format!("{full}: {text}: {}", key.row().clause(wrong)))
}

/// The warning for an unknown key, with the most similar known one.
fn unknown(key: &str) -> String {
    match suggest::nearest(key) {
        Some((name, row)) => {
            let name = name.map(|name| format!("{name}.")).unwrap_or_default();
            format!(
                "{PREFIX}{key}: unknown annotation; did you mean {PREFIX}{name}{}?",
                row.key
            )
        }
        None => {
            format!("{PREFIX}{key}: unknown annotation; `gitvolume explain` lists all annotations")
        }
    }
}

#[cfg(test)]
mod tests;
