use std::fmt::Write;

use crate::RepoArgs;
use crate::command_line::help::describe;
use crate::command_line::page::code;
use crate::command_line::table;
use crate::command_line::value::Kind;

/// The keys of an entry in a file of several repositories, as the rows of a table.
pub fn keys_markdown() -> String {
    let mut rows = "| Key | Value | Default | Meaning |\n|---|---|---|---|\n".to_owned();
    let usual = serde_json::to_value(RepoArgs::default()).unwrap_or_default();
    let keys = usual.as_object().into_iter().flat_map(|usual| usual.keys());
    let mut flags: Vec<_> = keys.filter_map(|key| table::find(key)).collect();
    flags.sort_by_key(|flag| flag.name);
    for flag in flags {
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
