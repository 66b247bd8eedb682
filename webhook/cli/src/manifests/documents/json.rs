//! Consecutive JSON values, as `kubectl get -o json` and `jq` print them.

use serde::Serialize;
use serde_json::Deserializer;
use serde_json::Value;
use serde_json::ser::PrettyFormatter;
use serde_json::ser::Serializer;

use crate::manifests::documents::document::Document;
use crate::manifests::documents::document::Syntax;

/// Splits a text that is entirely JSON; `None` for any other text.
pub(super) fn read(text: &str) -> Option<Vec<Document>> {
    let bare = text.strip_prefix('\u{feff}').unwrap_or(text);
    if !bare.trim_start().starts_with(['{', '[']) {
        return None;
    }
    let mark = text.len() - bare.len();
    let mut documents: Vec<Document> = Vec::new();
    let mut values = Deserializer::from_str(bare).into_iter::<Value>();
    let mut start = 0;
    let mut line = 1;
    while let Some(value) = values.next() {
        let value = value.ok()?;
        let end = mark + values.byte_offset();
        let own = &text[start..end];
        documents.push(Document {
            text: own.to_owned(),
            value,
            syntax: Syntax::Json,
            number: documents.len() + 1,
            line,
            unread: None,
        });
        line += own.matches('\n').count();
        start = end;
    }
    // The rest is white space.
    documents.last_mut()?.text.push_str(&text[start..]);
    Some(documents)
}

/// Writes a value with the white space around the old one, and with its indentation.
pub(super) fn rewritten(text: &str, value: &Value) -> String {
    let is_space = |c: char| c.is_whitespace() || c == '\u{feff}';
    let body = text.trim_matches(is_space);
    let start = text.find(body).unwrap_or_default();
    let written = match indentation(body) {
        None => value.to_string(),
        Some(indentation) => pretty(value, indentation),
    };
    let line_end = if body.contains("\r\n") { "\r\n" } else { "\n" };
    [
        &text[..start],
        &written.replace('\n', line_end),
        &text[start + body.len()..],
    ]
    .concat()
}

/// The indentation of the second line; `None` if there is only one line.
fn indentation(body: &str) -> Option<&str> {
    let (_, second) = body.split_once('\n')?;
    let end = second.find(|c: char| !matches!(c, ' ' | '\t'))?;
    Some(&second[..end]).filter(|indentation| !indentation.is_empty())
}

fn pretty(value: &Value, indentation: &str) -> String {
    let mut bytes = Vec::new();
    let formatter = PrettyFormatter::with_indent(indentation.as_bytes());
    let mut serializer = Serializer::with_formatter(&mut bytes, formatter);
    match value.serialize(&mut serializer) {
        Ok(()) => String::from_utf8(bytes).unwrap_or_else(|_| value.to_string()),
        Err(_) => value.to_string(),
    }
}
