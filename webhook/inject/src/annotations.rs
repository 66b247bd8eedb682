//! Reads what a Pod's annotations ask for.

mod table;

use serde_json::Map;
use serde_json::Value;

pub use self::table::ANNOTATIONS;
pub use self::table::Annotation;
pub use self::table::PREFIX;
pub use self::table::Scope;
pub use self::table::annotations_markdown;
pub use self::table::annotations_summary;

use self::table::Read;
use crate::Mistake;
use crate::MountPath;
use crate::Request;
use crate::request::Fields;
use crate::request::PodWide;
use crate::value::Wrong;
use crate::value::shown;

/// What a Pod's annotations ask for.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// One per repository. The unnamed annotations make at most one.
    pub(crate) requests: Vec<Request>,
    pub(crate) pod: PodWide,
    /// Where the repositories are to appear, also of those that something else is wrong with.
    pub(crate) places: Vec<MountPath>,
    pub(crate) warnings: Vec<String>,
    pub(crate) mistakes: Vec<Mistake>,
}

/// Reads all annotations under our prefix; `None` where there is none.
pub(crate) fn read(annotations: Option<&Map<String, Value>>) -> Option<Asked> {
    let ours: Vec<(&str, &Value)> = annotations?
        .iter()
        .filter_map(|(key, value)| Some((key.strip_prefix(PREFIX)?, value)))
        .collect();
    if ours.is_empty() {
        return None;
    }
    let mut asked = Asked::default();
    let mut fields = Fields::default();
    // The first key that asks for something, in the table's order: what needs a repository.
    let mut first_key = None;
    for row in ANNOTATIONS {
        let Some((_, value)) = ours.iter().find(|(key, _)| *key == row.key) else {
            continue;
        };
        // The API server lets only texts through; anything else is no value we know.
        let text = value.as_str();
        let outcome = match row.read {
            Read::Pod(read) => text.map(|text| read(&mut asked.pod, text)),
            Read::Repository(read) => text.map(|text| read(&mut fields, text)),
            Read::Status => continue,
        };
        first_key = first_key.or(Some(row.key));
        if let Err(wrong) = outcome.unwrap_or(Err(Wrong::Grammar)) {
            let text = text.map_or_else(|| value.to_string(), str::to_owned);
            asked.mistakes.push(mistake(row, &text, wrong));
        }
    }
    for (key, _) in &ours {
        if ANNOTATIONS.iter().all(|row| row.key != *key) {
            asked.warnings.push(unknown(key));
        }
    }
    if asked
        .mistakes
        .iter()
        .all(|mistake| mistake.key() != "mount-path")
    {
        asked
            .places
            .push(fields.mount_path.clone().unwrap_or_default());
    }
    let has_repo = ours.iter().any(|(key, _)| *key == "repo");
    match (fields.resolve(), first_key) {
        (Some(request), _) => asked.requests.push(request),
        (None, Some(key)) if !has_repo => {
            let sentence = format!(
                "{PREFIX}repo: missing, but {PREFIX}{key} is set; expected {}",
                ANNOTATIONS[0].grammar
            );
            asked.mistakes.insert(0, Mistake::new("repo", sentence));
        }
        (None, _) => {}
    }
    Some(asked)
}

fn mistake(row: &Annotation, text: &str, wrong: Wrong) -> Mistake {
    let (key, text) = (row.key, shown(text));
    let sentence = match wrong {
        Wrong::Clause(clause) => format!("{PREFIX}{key}: {text}: {clause}"),
        Wrong::Grammar => format!("{PREFIX}{key}: {text}: expected {}", row.grammar),
    };
    Mistake::new(key, sentence)
}

/// The warning for a key that is not in the table, with the key that was perhaps meant.
fn unknown(key: &str) -> String {
    /// Below this two keys have little more in common than their alphabet.
    const ALIKE: f64 = 0.7;
    // Who writes `site.repo` knows the keys.
    let last = key.rsplit('.').next().unwrap_or(key);
    let likeness = |known| strsim::jaro_winkler(key, known).max(strsim::jaro_winkler(last, known));
    let nearest = ANNOTATIONS
        .iter()
        .filter(|row| row.scope != Scope::Status)
        .map(|row| (likeness(row.key), row.key))
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .filter(|(likeness, _)| *likeness >= ALIKE);
    match nearest {
        Some((_, known)) => format!("{PREFIX}{key}: unknown; did you mean {PREFIX}{known}?"),
        None => format!("{PREFIX}{key}: unknown; known: {}", known_keys()),
    }
}

fn known_keys() -> String {
    let rows = ANNOTATIONS.iter().filter(|row| row.scope != Scope::Status);
    rows.map(|row| row.key).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
