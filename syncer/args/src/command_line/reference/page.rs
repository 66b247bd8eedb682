use std::fmt::Write;

use crate::command_line::legacy_flags::MEANINGLESS_FLAGS;
use crate::command_line::legacy_flags::OLD_FLAGS;
use crate::command_line::reference::help::describe;
use crate::flags::FLAGS;
use crate::flags::flag::Source;
use crate::flags::kind::Kind;

/// The page about flags and variables, generated from the tables.
pub fn flags_markdown() -> String {
    let mut page = INTRODUCTION.to_owned();
    for (source, title) in [
        (Source::GitSync, "## git-sync flags"),
        (Source::Ours, "## Additional flags"),
    ] {
        let _ = write!(page, "\n{title}\n\n");
        page.push_str("| Flag | Environment | Legacy names | Value | Default | Meaning |\n");
        page.push_str("|---|---|---|---|---|---|\n");
        for flag in FLAGS.iter().filter(|flag| flag.source == source) {
            let about = describe(flag);
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
                code(flag.variable().unwrap_or_default()),
                flag.old_variables()
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
                ("change-permissions", _) => "refused unless 0; use `--group-write`".to_owned(),
                ("password", _) => "`GITSYNC_PASSWORD`; `--password-file` is safer".to_owned(),
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
        "\nAccepted and ignored, with a log message: {}, and the variable \
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
<!-- Written from the declarations in syncer/args/src/flags by `make goldens`; edit those. -->
# Syncer flags and environment variables

The syncer accepts all flags and variables of git-sync v4.7.1, and the legacy names of v2 and v3. To migrate,
replace the image. From v4 nothing else changes, unless the manifest uses flag names of v2 or v3
([Depth](from-git-sync.md#depth)). From v2 or v3 read [From v2 and v3](from-git-sync.md#from-v2-and-v3) first.
`gitvolume-syncer --man` describes each flag in detail.

- The command line overrides the environment, which overrides the default. A variable with an empty value
  counts as set.
- Flags are written `--flag=value` or `--flag value`; a boolean is `--flag` or `--flag=false` and never takes
  the next argument. If a flag is repeated, the last value wins; `--credential`, `--git-config-add` and
  `--ssh-key-file` accumulate. Flags with one dash (`-flag`), as in v3, are accepted.
- Integers may be written as `0x10`, durations as `1m30s` or `500ms`, booleans as `1`, `t`, `true`, `0`, `f`,
  `false`.
- If a legacy variable and its current name are both set, the legacy variable wins, as in git-sync since v4.4.
  The syncer logs each legacy name that is used, and each unknown variable that begins with `GITSYNC_` or
  `GIT_SYNC_` together with the closest known name.
- An unknown flag or a value of the wrong type ends the program with exit code 2 on the command line and with
  exit code 1 in the environment; every other error has exit code 1. The error is printed to standard error and
  written to `--error-file`.
- Two defaults of v3 are kept for v3 manifests, with a log message.
  - Depth: if no depth is set, the syncer fetches the full history if the manifest uses a flag of the section
    about legacy flags (also an ignored one), a variable of that section with a value that is not empty, or a
    long flag with one dash. Variables in the column *Legacy names*, such as `GIT_SYNC_REPO`, do not count.
  - Root: the root is `/tmp/git` if only the image sets it, `/tmp/git` is a mount point and `/git` is not.
";

const OLD: &str = "
## Legacy flags of git-sync v2 and v3

A legacy flag overrides the current one, as in git-sync.

| Flag | Environment | Replacement |
|---|---|---|
";
