//! The parser of an object's `spec`, by the table of annotations.

use serde_json::Map;
use serde_json::Value;

use crate::ANNOTATIONS;
use crate::GitVolume;
use crate::Key;
use crate::Kind;
use crate::Mistake;
use crate::Name;
use crate::Quantity;
use crate::keys;
use crate::keys::suggest;
use crate::keys::table::Annotation;
use crate::keys::table::Scope;
use crate::keys::value::shown;
use crate::pod::resources;
use crate::policy::selector;
use crate::policy::selector::Selector;

/// A parsed spec.
#[derive(Default)]
pub(super) struct Spec {
    pub(super) priority: i32,
    pub(super) pod_selector: Selector,
    pub(super) namespace_selector: Selector,
    pub(super) said: Vec<(Key, String)>,
    pub(super) warnings: Vec<String>,
    pub(super) mistakes: Vec<Mistake>,
}

/// The accepted form of a priority.
pub(super) const PRIORITY: &str = "expected a whole number such as 10 or -10";

/// The accepted form of `resources`.
const RESOURCES: &str = "expected requests, limits or both, of cpu, memory and ephemeral-storage";

/// The fields that have no annotation.
const OWN: [&str; 3] = ["namespaceSelector", "podSelector", "priority"];

impl Spec {
    pub(super) fn read(object: &GitVolume, spec: &Value) -> Self {
        let mut read = Self::default();
        let mut mistake = |key, at: &str, text: &str, clause: &str| {
            let sentence = format!("{object}: {at}: {text}: {clause}");
            read.mistakes.push(Mistake::new(key, sentence));
        };
        if keys::key::name(&object.name).is_none() {
            let expected = format!(
                "expected {}, that is not itself an annotation key",
                Name::GRAMMAR
            );
            mistake(Key::Repo, "metadata.name", &shown(&object.name), &expected);
        }
        let nothing = Map::new();
        let fields = spec.as_object().unwrap_or(&nothing);
        for row in ANNOTATIONS {
            let Some(value) = field(row.key).and_then(|field| at(fields, &field)) else {
                continue;
            };
            let at = format!("spec.{}", field(row.key).unwrap_or_default());
            match text_of(row, value) {
                Ok(text) => match row.check(&text) {
                    Ok(()) => read.said.push((row.key, text)),
                    Err(clause) => mistake(row.key, &at, &shown(&text), &clause),
                },
                Err(expected) => mistake(row.key, &at, &value.to_string(), &expected),
            }
        }
        // With a link the directory keeps its own path below it.
        let says = |key: Key| read.said.iter().any(|(own, _)| *own == key);
        if says(Key::Link) && says(Key::Subdir) {
            let text = at(fields, "subdir").map(Value::to_string);
            mistake(
                Key::Subdir,
                "spec.subdir",
                &text.unwrap_or_default(),
                BESIDE_LINK,
            );
        }
        if says(Key::Link) && says(Key::Layout) {
            let text = at(fields, "layout").map(Value::to_string);
            mistake(
                Key::Layout,
                "spec.layout",
                &text.unwrap_or_default(),
                LAYOUT_BESIDE_LINK,
            );
        }
        match fields.get("priority") {
            None | Some(Value::Null) => {}
            Some(value) => match value.as_i64().and_then(|own| own.try_into().ok()) {
                Some(priority) => read.priority = priority,
                None => mistake(Key::Repo, "spec.priority", &value.to_string(), PRIORITY),
            },
        }
        let mut selector = |name: &str| match Selector::read(&fields[name]) {
            Ok(selector) => selector,
            Err(selector::Wrong { at, text, expected }) => {
                mistake(Key::Repo, &format!("spec.{name}{at}"), &text, expected);
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
            mistake(Key::RequestsCpu, "spec.resources", &text, RESOURCES);
        }
        for (key, words) in inverted(&read.said) {
            let sentence = format!("{object}: spec.{}: {words}", field_of(key));
            read.mistakes.push(Mistake::new(key, sentence));
        }
        read.warnings = unknown(fields, is_cluster)
            .map(|field| format!("{object}: spec.{field}: unknown field, ignored"))
            .collect();
        read
    }
}

/// The requests above their limits, each with its message. Requests or limits from the operator or
/// the Pod's own containers are not known here.
fn inverted(said: &[(Key, String)]) -> Vec<(Key, String)> {
    let amount = |list: &str, name: &str| {
        let key = Key::of_resource(list, name)?;
        let (_, text) = said.iter().find(|(own, _)| *own == key)?;
        Some((key, text.parse::<Quantity>().ok()?))
    };
    let names = RESOURCE_NAMES.iter();
    let inverted = names.filter_map(|name| {
        let (key, request) = amount("requests", name)?;
        let (_, limit) = amount("limits", name)?;
        (request > limit).then(|| (key, resources::inverted(&request, &limit)))
    });
    inverted.collect()
}

/// The resources that a syncer may request.
pub(super) const RESOURCE_NAMES: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

/// The message about a subdirectory together with a link.
pub(super) const BESIDE_LINK: &str = "expected no spec.link together with it: the whole repository is below the link, including this directory";

/// The message about a layout together with a link.
pub(super) const LAYOUT_BESIDE_LINK: &str =
    "expected no spec.link together with it: a link selects the link layout";

/// The field below `spec` that corresponds to an annotation; `None` where there is none.
pub(crate) fn field(key: Key) -> Option<String> {
    let is_field = match key {
        Key::Use | Key::GitRepo | Key::Inject => false,
        _ => key.row().scope != Scope::Status,
    };
    is_field.then(|| field_of(key))
}

/// The keys of annotations with a field.
pub(super) fn keys() -> Vec<Key> {
    let keys = ANNOTATIONS.iter().map(|row| row.key);
    keys.filter(|key| field(*key).is_some()).collect()
}

/// The field of an annotation's key.
pub(crate) fn field_of(key: Key) -> String {
    field_of_text(key.as_str())
}

/// The field of a key, or of a pattern of keys.
pub(super) fn field_of_text(key: &str) -> String {
    // The dots of `resources.requests.cpu` are path separators, and `ephemeral-storage` is
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

/// The value of a field, if present.
fn at<'a>(spec: &'a Map<String, Value>, field: &str) -> Option<&'a Value> {
    let mut parts = field.split('.');
    let first = spec.get(parts.next()?)?;
    let value = parts.try_fold(first, |value, part| value.get(part))?;
    Some(value).filter(|value| !value.is_null())
}

/// A field's value as the annotation's text: an object has numbers, booleans and lists instead of
/// strings.
fn text_of(row: &Annotation, value: &Value) -> Result<String, String> {
    let is_list = is_list(row.key);
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
        _ => Err("expected a string".to_owned()),
    }
}

/// The suggested replacement for a refused value of a spec, where there is one.
pub(super) fn meant(key: Key, spec: &Value) -> Option<String> {
    let row = key.row();
    let text = at(spec.as_object()?, &field(key)?)?.as_str()?;
    suggest::value(row, text).filter(|_| row.check(text).is_err())
}

/// Whether a field is a list of names; the annotation separates them by commas.
pub(super) fn is_list(key: Key) -> bool {
    matches!(key, Key::Containers | Key::InitContainers)
}

/// The unknown fields.
fn unknown(spec: &Map<String, Value>, is_cluster: bool) -> impl Iterator<Item = String> {
    let known: Vec<String> = ANNOTATIONS
        .iter()
        .filter_map(|row| field(row.key))
        .collect();
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
