use std::fmt::Write;

use crate::command_line::help::describe;
use crate::command_line::old_names::MEANINGLESS_FLAGS;
use crate::command_line::old_names::OLD_FLAGS;
use crate::command_line::table::FLAGS;
use crate::command_line::table::Source;
use crate::command_line::value::Kind;

/// The page about flags and variables, written from the tables.
pub fn flags_markdown() -> String {
    let mut page = INTRODUCTION.to_owned();
    for (source, title) in [
        (Source::GitSync, "## git-sync's flags"),
        (Source::Ours, "## Additions"),
    ] {
        let _ = write!(page, "\n{title}\n\n");
        page.push_str("| Flag | Environment | Old names | Value | Default | Meaning |\n");
        page.push_str("|---|---|---|---|---|---|\n");
        for flag in FLAGS.iter().filter(|flag| flag.source == source) {
            let about = describe(flag.name);
            let name = match flag.kind {
                Kind::Secret => "(none)".to_owned(),
                _ => format!("`--{}`", flag.name),
            };
            let name = if flag.name == "verbose" {
                format!("`-v`, {name}")
            } else {
                name
            };
            let _ = writeln!(
                page,
                "| {name} | {} | {} | {} | {} | {} |",
                code(flag.env.unwrap_or_default()),
                flag.old_env
                    .iter()
                    .map(|name| code(name))
                    .collect::<Vec<_>>()
                    .join(", "),
                code(&about.value.replace('|', "\\|")),
                code(&about.default),
                about.meaning.replace('|', "\\|"),
            );
        }
    }
    page.push_str(OLD);
    for flag in OLD_FLAGS {
        let _ = writeln!(
            page,
            "| `--{}` | {} | {} |",
            flag.name,
            code(flag.env.unwrap_or_default()),
            match (flag.name, flag.instead) {
                ("change-permissions", _) => "refused unless 0; see `--group-write`".to_owned(),
                ("password", _) => "`GITSYNC_PASSWORD`, or better `--password-file`".to_owned(),
                ("timeout" | "wait", Some(present)) => format!("`--{present}`, in seconds"),
                (_, present) => code(&format!("--{}", present.unwrap_or_default())),
            }
        );
    }
    let meaningless: Vec<String> = MEANINGLESS_FLAGS
        .iter()
        .map(|flag| format!("`--{}`", flag.name))
        .collect();
    let _ = writeln!(
        page,
        "\nWithout a meaning, and accepted with a word in the log: {}, and the variable \
         `GIT_SYNC_SSH`.",
        meaningless.join(", ")
    );
    page
}

pub(super) fn code(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!("`{text}`")
    }
}

const INTRODUCTION: &str = "\
<!-- Written from the tables in syncer/args/src/command_line by `make goldens`; edit those. -->
# Flags and variables of the syncer

Everything that git-sync v4.7.1 takes, with the spellings of v2 and v3: change the image, keep the
manifest. `gitvolume-syncer --man` says more about each.

- The command line wins over the environment, and that over the default. A variable that is set to
  nothing is set.
- Flags are written `--flag=value` or `--flag value`; a boolean is `--flag` or `--flag=false`, and
  never takes the next argument. The last of several wins, but `--credential`, `--git-config-add`
  and `--ssh-key-file` add up. With one dash (`-flag`), as v3 had it, a flag is read too.
- Whole numbers may be written `0x10`, durations as `1m30s` or `500ms`, booleans as `1`, `t`, `true`,
  `0`, `f`, `false`.
- Where both are set, an old name wins over the present one, as in git-sync since v4.4. The log
  tells of each old name that is used, and of each variable that begins with `GITSYNC_` or
  `GIT_SYNC_` and is none of these, with the nearest one that is.
- What is no flag, or no value of its kind, ends the program with code 2 on the command line and
  with code 1 in the environment; whatever else is wrong, with code 1. The sentence goes to standard
  error, and to `--error-file`.
- Of a v3 manifest two defaults are kept, and the log says so: where an old flag or variable of the
  last table, or a flag with one dash, is used and `--depth` is not, all history is fetched; where
  the root is set by the image alone, `/tmp/git` is a mount and `/git` is not, the root is `/tmp/git`.
";

const OLD: &str = "
## Flags of git-sync v2 and v3

They win over the present ones, as in git-sync.

| Flag | Environment | In its place |
|---|---|---|
";
