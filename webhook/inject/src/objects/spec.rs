//! What an object's `spec` says, by the table of annotations.

use serde_json::Map;
use serde_json::Value;

use crate::ANNOTATIONS;
use crate::GitVolume;
use crate::Kind;
use crate::Mistake;
use crate::Name;
use crate::Quantity;
use crate::annotations;
use crate::annotations::Annotation;
use crate::annotations::Scope;
use crate::resources;
use crate::suggest;
use crate::value::shown;

use super::selector;
use super::selector::Selector;

/// A spec, taken apart.
#[derive(Default)]
pub(super) struct Spec {
    pub(super) priority: i32,
    pub(super) pod_selector: Selector,
    pub(super) namespace_selector: Selector,
    pub(super) said: Vec<(&'static str, String)>,
    pub(super) warnings: Vec<String>,
    pub(super) mistakes: Vec<Mistake>,
}

/// What is accepted as a priority.
pub(super) const PRIORITY: &str = "expected a whole number such as 10 or -10";

/// What is accepted beside each other, of what a container may use.
const RESOURCES: &str = "expected requests, limits or both, of cpu, memory and ephemeral-storage";

/// Where the fields are that are no annotation's.
const OWN: [&str; 3] = ["namespaceSelector", "podSelector", "priority"];

impl Spec {
    pub(super) fn read(object: &GitVolume, spec: &Value) -> Self {
        let mut read = Self::default();
        let mut mistake = |key, at: &str, text: &str, clause: &str| {
            let sentence = format!("{object}: {at}: {text}: {clause}");
            read.mistakes.push(Mistake::new(key, sentence));
        };
        if annotations::name(&object.name).is_none() {
            let expected = format!("expected {}, and no key", Name::GRAMMAR);
            mistake("repo", "metadata.name", &shown(&object.name), &expected);
        }
        let nothing = Map::new();
        let fields = spec.as_object().unwrap_or(&nothing);
        for row in ANNOTATIONS {
            let Some(value) = field(row).and_then(|field| at(fields, &field)) else {
                continue;
            };
            let at = format!("spec.{}", field(row).unwrap_or_default());
            match text_of(row, value) {
                Ok(text) => match row.check(&text) {
                    Ok(()) => read.said.push((row.key, text)),
                    Err(clause) => mistake(row.key, &at, &shown(&text), &clause),
                },
                Err(expected) => mistake(row.key, &at, &value.to_string(), &expected),
            }
        }
        // Below the link the directory has its own name.
        let says = |key: &str| read.said.iter().any(|(own, _)| *own == key);
        if says("link") && says("subdir") {
            let text = at(fields, "subdir").map(Value::to_string);
            mistake(
                "subdir",
                "spec.subdir",
                &text.unwrap_or_default(),
                BESIDE_LINK,
            );
        }
        match fields.get("priority") {
            None | Some(Value::Null) => {}
            Some(value) => match value.as_i64().and_then(|own| own.try_into().ok()) {
                Some(priority) => read.priority = priority,
                None => mistake("repo", "spec.priority", &value.to_string(), PRIORITY),
            },
        }
        let mut selector = |name: &str| match Selector::read(&fields[name]) {
            Ok(selector) => selector,
            Err(selector::Wrong { at, text, expected }) => {
                mistake("repo", &format!("spec.{name}{at}"), &text, expected);
                Selector::nobody()
            }
        };
        if fields.contains_key("podSelector") {
            read.pod_selector = selector("podSelector");
        }
        let is_cluster = object.kind == Kind::ClusterGitVolume;
        if is_cluster && fields.contains_key("namespaceSelector") {
            read.namespace_selector = selector("namespaceSelector");
        }
        if fields
            .get("resources")
            .is_some_and(|own| !own.is_object() && !own.is_null())
        {
            let text = fields["resources"].to_string();
            mistake("resources.requests.cpu", "spec.resources", &text, RESOURCES);
        }
        for (key, words) in inverted(&read.said) {
            let sentence = format!("{object}: spec.{key}: {words}");
            read.mistakes.push(Mistake::new(key, sentence));
        }
        read.warnings = unknown(fields, is_cluster)
            .map(|field| format!("{object}: spec.{field}: unknown, and without effect"))
            .collect();
        read
    }
}

/// The requests that are above their limits, and what is to be said of each; what the operator or the
/// Pod's own containers set beside them, only a Pod shows.
fn inverted(said: &[(&'static str, String)]) -> Vec<(&'static str, String)> {
    let amount = |key: &str| {
        let (key, text) = said.iter().find(|(own, _)| *own == key)?;
        Some((*key, text.parse::<Quantity>().ok()?))
    };
    let names = RESOURCE_NAMES.iter();
    let inverted = names.filter_map(|name| {
        let (key, request) = amount(&format!("resources.requests.{name}"))?;
        let (_, limit) = amount(&format!("resources.limits.{name}"))?;
        (request > limit).then(|| (key, resources::inverted(&request, &limit)))
    });
    inverted.collect()
}

/// The resources that a syncer may ask for.
pub(super) const RESOURCE_NAMES: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

/// What is said of a directory beside a link.
pub(super) const BESIDE_LINK: &str =
    "expected no spec.link beside it: below the link the directory has its own name";

/// The field below `spec` that means the same as an annotation; `None` of one that no object has.
pub(crate) fn field(row: &Annotation) -> Option<String> {
    if row.scope == Scope::Status || ["use", "gitrepo", "inject"].contains(&row.key) {
        return None;
    }
    Some(field_of(row.key))
}

/// The keys of annotations that are fields.
pub(super) fn keys() -> Vec<&'static str> {
    let rows = ANNOTATIONS.iter().filter(|row| field(row).is_some());
    rows.map(|row| row.key).collect()
}

/// The field of an annotation's key.
pub(crate) fn field_of(key: &str) -> String {
    // The dots of `resources.requests.cpu` are those of a path, and `ephemeral-storage` is
    // Kubernetes' own name.
    if key.contains('.') {
        return key.to_owned();
    }
    let mut words = key.split('-');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut all, word| {
        let mut letters = word.chars();
        all.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        all.extend(letters);
        all
    })
}

/// What is at a field, if anything.
fn at<'a>(spec: &'a Map<String, Value>, field: &str) -> Option<&'a Value> {
    let mut parts = field.split('.');
    let first = spec.get(parts.next()?)?;
    let value = parts.try_fold(first, |value, part| value.get(part))?;
    Some(value).filter(|value| !value.is_null())
}

/// A field's value as the annotation's text: numbers, booleans and lists of names are written as
/// such in an object.
fn text_of(row: &Annotation, value: &Value) -> Result<String, String> {
    let is_list = is_list(row);
    match value {
        Value::String(text) if !is_list => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) if !is_list => Ok(value.to_string()),
        Value::Array(items) if is_list => {
            let names = items.iter().map(|item| {
                let name = item.as_str().filter(|name| !name.contains(','));
                name.ok_or_else(|| format!("expected {}", row.grammar))
            });
            Ok(names.collect::<Result<Vec<&str>, _>>()?.join(","))
        }
        _ if is_list => Err("expected a list of names".to_owned()),
        _ => Err("expected a text".to_owned()),
    }
}

/// What to write in place of the value that a spec has under an annotation's key, where that is known.
pub(super) fn meant(key: &str, spec: &Value) -> Option<String> {
    let row = ANNOTATIONS.iter().find(|row| row.key == key)?;
    let text = at(spec.as_object()?, &field(row)?)?.as_str()?;
    suggest::value(row, text).filter(|_| row.check(text).is_err())
}

/// Whether a field is a list of names, where the annotation has commas.
pub(super) fn is_list(row: &Annotation) -> bool {
    ["containers", "init-containers"].contains(&row.key)
}

/// The fields that nobody knows.
fn unknown(spec: &Map<String, Value>, is_cluster: bool) -> impl Iterator<Item = String> {
    let known: Vec<String> = ANNOTATIONS.iter().filter_map(field).collect();
    let is_known = move |path: &str| {
        let is_own = OWN.contains(&path) && (is_cluster || path != "namespaceSelector");
        let below = format!("{path}.");
        is_own
            || known
                .iter()
                .any(|own| own == path || own.starts_with(&below))
    };
    let mut paths = Vec::new();
    for (key, value) in spec {
        paths.push(key.clone());
        let lists = value.as_object().filter(|_| key == "resources");
        for (list, amounts) in lists.into_iter().flatten() {
            paths.push(format!("{key}.{list}"));
            let names = amounts.as_object().into_iter().flatten();
            paths.extend(names.map(|(name, _)| format!("{key}.{list}.{name}")));
        }
    }
    paths.into_iter().filter(move |path| !is_known(path))
}
