use std::collections::BTreeSet;
use std::fmt::Write;

use crate::RepoArgs;
use crate::command_line::help::describe;
use crate::command_line::old_names::OLD_FLAGS;
use crate::command_line::page::code;
use crate::command_line::table;
use crate::command_line::value::Kind;
use crate::nearest::nearest;

/// Says of a name that is no key of an entry in a file of several repositories what may be meant.
pub fn about_unknown_key(name: &str) -> String {
    let keys = keys();
    let old = OLD_FLAGS.iter().find(|old| old.name == name);
    let present = old.map_or(Some(name), |old| old.instead);
    match present {
        Some(present) if keys.contains(present) => format!("an old name: expected {present}"),
        Some(present) if table::find(present).is_some() => {
            "is for the whole process: expected beside the file, as a flag".to_owned()
        }
        _ => match nearest(name, keys.iter().map(String::as_str)) {
            Some(meant) => format!("there is no such key: did you mean {meant}?"),
            None => {
                "there is no such key: expected the name of a flag of one repository".to_owned()
            }
        },
    }
}

fn keys() -> BTreeSet<String> {
    let usual = serde_json::to_value(RepoArgs::default()).unwrap_or_default();
    let usual = usual.as_object().cloned().unwrap_or_default();
    usual.into_iter().map(|(key, _)| key).collect()
}

/// The keys of an entry in a file of several repositories, as the rows of a table.
pub fn keys_markdown() -> String {
    let mut rows = "| Key | Value | Default | Meaning |\n|---|---|---|---|\n".to_owned();
    for flag in keys().iter().filter_map(|key| table::find(key)) {
        let about = describe(flag.name);
        let value = match flag.kind {
            Kind::Bool => "`true` or `false`".to_owned(),
            Kind::Credentials => {
                "list of {`url`, `username`, `password` or `password-file`}".to_owned()
            }
            Kind::Duration => "text such as `1m30s`".to_owned(),
            Kind::Float | Kind::Int => "number".to_owned(),
            Kind::Paths | Kind::Texts => "list of texts".to_owned(),
            Kind::Path | Kind::Secret | Kind::Text => match about.value.split('|') {
                choices if about.value.contains('|') => {
                    choices.map(code).collect::<Vec<_>>().join(", ")
                }
                _ => "text".to_owned(),
            },
        };
        // Writing to a String does not fail.
        let _ = writeln!(
            rows,
            "| `{}` | {value} | {} | {} |",
            flag.name,
            code(&about.default),
            about.meaning.replace('|', "\\|"),
        );
    }
    rows
}
