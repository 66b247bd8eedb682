use std::fmt::Write;

use crate::RepoArgs;
use crate::command_line::legacy_flags::OLD_FLAGS;
use crate::command_line::reference::help::describe;
use crate::command_line::reference::page::code;
use crate::flags;
use crate::flags::FLAGS;
use crate::flags::kind::Kind;
use crate::nearest::nearest;

/// Suggestion for an unknown key in an entry of `--config`.
pub fn about_unknown_key(name: &str) -> String {
    let old = OLD_FLAGS.iter().find(|old| old.name == name);
    let present = old.map_or(Some(name), |old| old.instead);
    match present {
        Some(present) if RepoArgs::is_key(present) => {
            format!("a legacy name: expected {present}")
        }
        Some(present) if flags::find(present).is_some() => {
            "applies to the whole process: expected as a flag, not in the file".to_owned()
        }
        _ => match nearest(name, RepoArgs::FLAGS.iter().map(|flag| flag.name)) {
            Some(meant) => format!("unknown key: did you mean {meant}?"),
            None => "unknown key: expected the name of a repository flag".to_owned(),
        },
    }
}

/// The keys of an entry of `--config`, as the rows of a table.
pub fn keys_markdown() -> String {
    let mut rows = "| Key | Value | Default | Meaning |\n|---|---|---|---|\n".to_owned();
    for flag in FLAGS.iter().filter(|flag| RepoArgs::is_key(flag.name)) {
        let about = describe(flag);
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
