//! Lists in which a `*` at the end stands for anything.

use args::is_label;
use serde::Deserialize;

use super::wrong;
use crate::ANNOTATIONS;
use crate::PREFIX;
use crate::suggest;

/// Tells whether a list has a text.
pub(super) fn is_one_of(list: &[String], text: &str) -> bool {
    list.iter().any(|own| is_match(own, text))
}

/// Tells whether an entry of a list stands for a text.
pub(super) fn is_match(own: &str, text: &str) -> bool {
    match own.strip_suffix('*') {
        Some(start) => text.starts_with(start),
        None => text == own,
    }
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

/// Reads a list of annotations' keys. One that no annotation has would allow nothing, and nobody
/// would know why.
pub(super) fn annotations<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    let patterns = Vec::<String>::deserialize(deserializer)?;
    for text in &patterns {
        if !ANNOTATIONS.iter().any(|row| is_match(text, row.key)) {
            let key = text.strip_prefix(PREFIX).unwrap_or(text);
            let nearest = suggest::nearest(key.trim_end_matches(['*', '.']));
            let nearest = nearest.map(|(_, row)| format!("; did you mean {}?", row.key));
            let expected = format!(
                "an annotation's key such as mount-path, or the beginning of some and *{}",
                nearest.unwrap_or_default()
            );
            return Err(wrong(text, &expected));
        }
    }
    Ok(patterns)
}
