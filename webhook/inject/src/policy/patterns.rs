//! Lists in which a `*` at the end stands for anything.

use args::is_label;
use serde::Deserialize;

use super::wrong;

/// Tells whether a text is in a list, where a `*` at the end stands for anything.
pub(super) fn is_one_of(list: &[String], text: &str) -> bool {
    list.iter().any(|own| match own.strip_suffix('*') {
        Some(start) => text.starts_with(start),
        None => text == own,
    })
}

/// Reads a list of namespaces.
pub(super) fn namespaces<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    let namespaces = Vec::<String>::deserialize(deserializer)?;
    for text in &namespaces {
        let is_start = |start: &str| start.is_empty() || is_label(start.trim_end_matches('-'));
        if !is_label(text) && !text.strip_suffix('*').is_some_and(is_start) {
            return Err(wrong(text, "a namespace, or the beginning of some and *"));
        }
    }
    Ok(namespaces)
}
