//! Writes values in the style of the surrounding text.

use serde_json::Map;
use serde_json::Value;

/// The members that come first, in this order, as people expect them; the others follow by name.
const FIRST: [&str; 9] = [
    "apiVersion",
    "kind",
    "name",
    "image",
    "restartPolicy",
    "command",
    "args",
    "key",
    "repo",
];

/// The style of a text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Style {
    /// Whether it is JSON.
    pub(super) is_json: bool,
    /// The indentation of a map in a map, in spaces.
    pub(super) step: usize,
    /// Whether lists in a map are indented.
    pub(super) indents_lists: bool,
}

/// A value in block style: complete lines, indented by `column`.
pub(super) fn block(value: &Value, column: usize, style: Style) -> String {
    let margin = " ".repeat(column);
    let lines = lines(value, style);
    lines
        .iter()
        .map(|line| format!("{margin}{line}\n"))
        .collect()
}

fn lines(value: &Value, style: Style) -> Vec<String> {
    let below = |value: &Value, indentation: usize| {
        let margin = " ".repeat(indentation);
        let lines = lines(value, style).into_iter();
        lines.map(move |line| format!("{margin}{line}"))
    };
    let mut written = Vec::new();
    match value {
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let mut item = lines(item, style).into_iter();
                let first = item.next().unwrap_or_default();
                written.push(format!("- {first}"));
                written.extend(item.map(|line| format!("  {line}")));
            }
        }
        Value::Object(members) if !members.is_empty() => {
            for (key, value) in ordered(members) {
                let key = scalar(&Value::from(key.as_str()));
                let indentation = match value {
                    Value::Array(items) if !items.is_empty() => match style.indents_lists {
                        true => style.step,
                        false => 0,
                    },
                    Value::Object(members) if !members.is_empty() => style.step,
                    value => {
                        written.push(format!("{key}: {}", scalar(value)));
                        continue;
                    }
                };
                written.push(format!("{key}:"));
                written.extend(below(value, indentation));
            }
        }
        value => written.push(scalar(value)),
    }
    written
}

/// A scalar on one line; unquoted only if the library, which knows all words with a special
/// meaning, accepts that.
fn scalar(value: &Value) -> String {
    let Value::String(text) = value else {
        return value.to_string();
    };
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    let written = serde_saphyr::to_string_with_options(text, options).unwrap_or_default();
    let written = written.trim_end();
    let is_plain = !is_like_a_number(text) && !written.starts_with(['"', '\'', '|', '>']);
    if is_plain && !written.contains('\n') && written == text {
        text.clone()
    } else if text.contains('"') && !text.contains(char::is_control) {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        value.to_string()
    }
}

/// Whether a text looks like a number or date, also of YAML 1.1, which kubectl's parser still
/// accepts (`1_000`, `0b1`, `1:30`).
fn is_like_a_number(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-', '.']);
    let is_part = |c: char| c.is_ascii_hexdigit() || "_.:+-xXoO".contains(c);
    digits.starts_with(|c: char| c.is_ascii_digit()) && digits.chars().all(is_part)
}

/// A value in flow style: on several lines, all but the first indented by `margin`, or on one line.
pub(super) fn flow(value: &Value, margin: Option<&str>, style: Style) -> String {
    let inner = margin.map(|margin| format!("{margin}{}", " ".repeat(style.step)));
    let inner = inner.as_deref();
    let parts: Vec<String> = match value {
        Value::Array(items) if !items.is_empty() => {
            items.iter().map(|item| flow(item, inner, style)).collect()
        }
        Value::Object(members) if !members.is_empty() => ordered(members)
            .map(|(key, value)| member(key, value, inner, style))
            .collect(),
        Value::String(text) => return string(text, style),
        other => return other.to_string(),
    };
    let (open, close) = if value.is_array() {
        ("[", "]")
    } else {
        ("{", "}")
    };
    match (margin, inner) {
        (Some(margin), Some(inner)) => {
            let parts = parts.join(&format!(",\n{inner}"));
            format!("{open}\n{inner}{parts}\n{margin}{close}")
        }
        _ => format!("{open}{}{close}", parts.join(", ")),
    }
}

/// A member of a map in flow style.
pub(super) fn member(key: &str, value: &Value, margin: Option<&str>, style: Style) -> String {
    format!("{}: {}", string(key, style), flow(value, margin, style))
}

/// A string: quoted as in JSON, which is valid YAML, or unquoted if it is unambiguous.
fn string(text: &str, style: Style) -> String {
    const OTHER: [&str; 9] = ["false", "n", "no", "null", "off", "on", "true", "y", "yes"];
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '/' | '_'))
        && !OTHER.contains(&text.to_ascii_lowercase().as_str());
    match is_plain && !style.is_json {
        true => text.to_owned(),
        false => Value::from(text).to_string(),
    }
}

fn ordered(members: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    let first = FIRST.iter().filter_map(|key| members.get_key_value(*key));
    let others = members
        .iter()
        .filter(|(key, _)| !FIRST.contains(&key.as_str()));
    first.chain(others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ambiguous_text_is_quoted() {
        for text in [
            "1_000",
            "0b1",
            "0o7",
            "007",
            "1e3",
            "1:30",
            ".5",
            "+1",
            "-0x1F",
            "2026-01-01",
            "yes",
            "No",
            "on",
            "y",
            "n",
            "null",
            "~",
            "",
            "=",
            "<<",
            "*a",
            "&a",
            "!a",
            "%a",
            "@a",
            "`a",
            "- a",
            "? a",
            "a: b",
            "a #b",
            "#a",
            "[a",
            "{a",
            "a ",
            " a",
            ".inf",
            "NaN",
            "---",
            "...",
            "'a",
            "\"a",
            "a:",
            "|",
            ">",
        ] {
            let written = scalar(&Value::from(text));
            assert!(written.starts_with(['"', '\'']), "{text:?}: {written}");
            let read: String = serde_saphyr::from_str(&written).unwrap();
            assert_eq!(read, text);
        }
        for text in [
            "10s",
            "64Mi",
            "--depth=1",
            "/git",
            "a.b/c:1.29",
            "https://x/y#z",
            "it's",
        ] {
            assert_eq!(scalar(&Value::from(text)), text);
        }
    }
}
