//! Lists of patterns in which a trailing `*` matches any suffix.

use args::is_label;
use serde::Deserialize;

use crate::ANNOTATIONS;
use crate::PREFIX;
use crate::keys::suggest;
use crate::policy::invalid::wrong;

/// Whether a pattern of a list matches a text.
pub(super) fn is_one_of(list: &[String], text: &str) -> bool {
    list.iter().any(|own| is_match(own, text))
}

/// Whether a pattern matches a text.
pub(super) fn is_match(own: &str, text: &str) -> bool {
    match own.strip_suffix('*') {
        Some(start) => text.starts_with(start),
        None => text == own,
    }
}

/// Reads a list of namespace patterns.
pub(super) fn namespaces<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    let namespaces = Vec::<String>::deserialize(deserializer)?;
    for text in &namespaces {
        let is_start = |start: &str| start.is_empty() || is_label(start.trim_end_matches('-'));
        if !is_label(text) && !text.strip_suffix('*').is_some_and(is_start) {
            return Err(wrong(text, "a namespace, or a prefix followed by *"));
        }
    }
    Ok(namespaces)
}

/// Reads a list of key patterns. A pattern that matches no annotation is an error: it would allow
/// nothing, and the cause would be hard to find.
pub(super) fn annotations<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    let patterns = Vec::<String>::deserialize(deserializer)?;
    for text in &patterns {
        if !ANNOTATIONS
            .iter()
            .any(|row| is_match(text, row.key.as_str()))
        {
            let key = text.strip_prefix(PREFIX).unwrap_or(text);
            let nearest = suggest::nearest(key.trim_end_matches(['*', '.']));
            let nearest = nearest.map(|(_, row)| format!("; did you mean {}?", row.key));
            let expected = format!(
                "an annotation key such as mount-path, or a prefix followed by *{}",
                nearest.unwrap_or_default()
            );
            return Err(wrong(text, &expected));
        }
    }
    Ok(patterns)
}
