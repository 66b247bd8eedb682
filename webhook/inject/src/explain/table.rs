use std::fmt::Write;

use serde_json::Value;
use serde_json::json;

use super::text::wrapped;
use crate::ANNOTATIONS;
use crate::PREFIX;
use crate::Scope;

/// All annotations, formatted for a terminal.
pub fn annotations_text() -> String {
    let mut text = String::new();
    for (scope, heading) in [
        (
            Scope::Repository,
            "Repository; prefix the keys of each additional repository with NAME., such as gitvolume.dev/rules.repo",
        ),
        (Scope::Pod, "The Pod"),
        (Scope::Status, "Written by the webhook"),
    ] {
        let _ = writeln!(text, "{heading}\n");
        for row in ANNOTATIONS.iter().filter(|row| row.scope == scope) {
            let _ = writeln!(text, "  {PREFIX}{}", row.key);
            let default = row.default.map(|text| format!("default: {text}"));
            let lines = [
                Some(row.meaning.replace('`', "")),
                Some(format!("expected: {}", row.grammar)),
                default,
                Some(format!("example: {}", row.example)),
            ];
            for line in lines.into_iter().flatten() {
                text.push_str(&wrapped(&line, 6));
            }
            text.push('\n');
        }
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// All annotations, as data.
pub fn annotations_json() -> Value {
    let rows = ANNOTATIONS.iter().map(|row| {
        json!({
            "key": format!("{PREFIX}{}", row.key),
            "scope": match row.scope {
                Scope::Pod => "pod",
                Scope::Repository => "repository",
                Scope::Status => "status",
            },
            "accepted": row.grammar,
            "default": row.default,
            "example": row.example,
            "meaning": row.meaning,
        })
    });
    Value::Array(rows.collect())
}
