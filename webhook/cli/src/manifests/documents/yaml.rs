//! YAML documents, parsed as by kubectl: with the octal numbers and booleans of YAML 1.1, and with
//! the last value of a duplicate key.

use granit_parser::Parser;
use serde_json::Value;

use super::edit::line_end_of;
use super::split::Segment;
use super::split::segments;
use crate::manifests::documents::document::Document;
use crate::manifests::documents::document::PatchError;
use crate::manifests::documents::document::ReadError;
use crate::manifests::documents::document::Syntax;
use crate::manifests::documents::document::Unread;

/// Splits a YAML text into documents.
pub(super) fn read(text: &str) -> Result<Vec<Document>, ReadError> {
    let mut number = 0;
    let mut documents = Vec::new();
    for segment in segments(text) {
        let Segment {
            range,
            line,
            has_content,
        } = segment;
        number += usize::from(has_content);
        let text = &text[range];
        let (value, unread) = match has_content {
            true => match content(text, line)? {
                Ok(value) => (value, None),
                Err(unread) => (Value::Null, Some(unread)),
            },
            false => (Value::Null, None),
        };
        documents.push(Document {
            text: text.to_owned(),
            value,
            syntax: Syntax::Yaml,
            number,
            line,
            unread,
        });
    }
    Ok(documents)
}

fn content(text: &str, line: usize) -> Result<Result<Value, Unread>, ReadError> {
    if let Some(value) = value(text) {
        return Ok(Ok(value));
    }
    // The parser's messages describe the syntax only and quote nothing of the text.
    let broken = Parser::new_from_str(bare(text)).find_map(Result::err);
    match broken {
        Some(_) if text.contains("{{") => Ok(Err(Unread::Template)),
        Some(error) => Err(ReadError {
            line: line + error.marker().line().saturating_sub(1),
            problem: error.info(),
        }),
        None => Ok(Err(Unread::Foreign)),
    }
}

/// Parses a document; `None` if it is not YAML, or has no equivalent in JSON.
pub(super) fn value(text: &str) -> Option<Value> {
    let options = serde_saphyr::options! {
        // The user chose the file, and a List of a cluster's Pods is long.
        budget: None,
        // As kubectl does (sigs.k8s.io/yaml).
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
        legacy_octal_numbers: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(bare(text), options).ok()
}

/// The text without a byte order mark.
pub(super) fn bare(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Writes a value between the lines before and after the old one.
pub(super) fn rewritten(text: &str, wanted: &Value) -> Result<String, PatchError> {
    let mut head = String::new();
    let mut tail = String::new();
    for line in super::split::lines(text) {
        let is_before = head.is_empty() || head.trim_start().starts_with(['%', '#']);
        let own = bare(line);
        if is_before && (own.starts_with(['%', '#']) || own.trim().is_empty()) {
            head.push_str(line);
        } else if own.starts_with("---") && is_before {
            // Text after a marker on its line is content, or a comment on it.
            let mark = line.len() - own.len();
            head.push_str(&line[..mark + 3]);
            head.push_str(line_end_of(text));
        } else if own.starts_with("...") {
            tail.push_str(line);
        }
    }
    let options = serde_saphyr::ser_options! {
        compact_list_indent: true,
        empty_as_braces: true,
    };
    let body =
        serde_saphyr::to_string_with_options(wanted, options).map_err(|_| PatchError::Write)?;
    let written = [&head, &*body.replace('\n', line_end_of(text)), &tail].concat();
    match value(&written) {
        Some(value) if value == *wanted => Ok(written),
        _ => Err(PatchError::Write),
    }
}
