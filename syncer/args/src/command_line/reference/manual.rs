use std::fmt::Write;

use crate::command_line::legacy_flags::MEANINGLESS_FLAGS;
use crate::command_line::legacy_flags::OLD_FLAGS;
use crate::command_line::legacy_flags::OldFlag;
use crate::command_line::reference::help::describe;
use crate::flags::FLAGS;
use crate::flags::flag::Source;
use crate::flags::kind::Kind;

/// Width of the manual in columns; a terminal has 80.
const WIDTH: usize = 78;

/// The whole manual, as plain text.
pub(crate) fn manual() -> String {
    let mut text = include_str!("manual/before.txt").to_owned();
    text.push_str("\nOPTIONS\n");
    for flag in FLAGS.iter() {
        let about = describe(flag);
        let value = match about.value.as_str() {
            "BOOL" => String::new(),
            value => format!(" <{value}>"),
        };
        let dashes = match (flag.name, flag.kind) {
            (_, Kind::Secret) => None,
            ("verbose", _) => Some(format!("-v, --verbose{value}")),
            (name, _) => Some(format!("--{name}{value}")),
        };
        let variable = flag.variable().map(|env| format!("${env}"));
        let spellings: Vec<String> = dashes.into_iter().chain(variable).collect();
        let _ = writeln!(text, "    {}", spellings.join(", "));
        let mut paragraph = format!("{}.", about.meaning);
        if !about.default.is_empty() && about.value != "BOOL" {
            let _ = write!(paragraph, " The default is {}.", about.default);
        } else if about.default == "true" {
            paragraph.push_str(" This is the default.");
        }
        if flag.source == Source::Ours {
            paragraph.push_str(" (Not in git-sync.)");
        }
        wrap(&mut text, &paragraph);
        for paragraph in flag.paragraphs().skip(1) {
            text.push('\n');
            wrap(&mut text, &paragraph);
        }
        if !flag.old_variables().is_empty() {
            let old = flag.old_variables().iter().map(|name| format!("${name}"));
            let old: Vec<String> = old.collect();
            text.push('\n');
            wrap(&mut text, &format!("Legacy names: {}.", old.join(", ")));
        }
        text.push('\n');
    }
    text.push_str("LEGACY OPTIONS OF git-sync v2 AND v3\n");
    for flag in OLD_FLAGS {
        let variable = flag.env.map_or_else(String::new, |env| format!(", ${env}"));
        let _ = writeln!(text, "    --{}{variable}", flag.name);
        wrap(&mut text, &meaning_of_old(flag));
    }
    let names = MEANINGLESS_FLAGS
        .iter()
        .map(|flag| format!("--{}", flag.name));
    let names: Vec<String> = names.collect();
    text.push_str("    --ssh, $GIT_SYNC_SSH, and the log flags of v3\n");
    let sentence = format!("Accepted and ignored: {}.", names.join(", "));
    wrap(&mut text, &sentence);
    text.push('\n');
    text.push_str(include_str!("manual/after.txt"));
    text
}

fn meaning_of_old(flag: &OldFlag) -> String {
    let instead = flag.instead.unwrap_or_default();
    match flag.name {
        "branch" | "rev" => {
            "Legacy name of --ref; overrides it. Only one of the two may be set, unless the \
                             revision is HEAD."
                .to_owned()
        }
        "change-permissions" => {
            "No longer supported; refused unless 0. Use --group-write.".to_owned()
        }
        "password" => {
            "Legacy flag for $GITSYNC_PASSWORD; overrides it. Every user who can list processes \
                       can read it."
                .to_owned()
        }
        "timeout" | "wait" => {
            format!("Legacy flag for --{instead}, in seconds; overrides it unless 0.")
        }
        _ => format!("Legacy name of --{instead}; overrides it."),
    }
}

/// Appends a paragraph below an option.
fn wrap(text: &mut String, paragraph: &str) {
    const INDENT: &str = "            ";
    let mut line = INDENT.to_owned();
    for word in paragraph.split_whitespace() {
        if line.len() > INDENT.len() {
            if line.chars().count() + 1 + word.chars().count() > WIDTH {
                text.push_str(&line);
                text.push('\n');
                INDENT.clone_into(&mut line);
            } else {
                line.push(' ');
            }
        }
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}
