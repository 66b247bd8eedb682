//! Every annotation, once: what the parser reads, what a refusal says is accepted, and what the
//! page in `docs` shows.

use std::fmt::Write;

use crate::request::Fields;
use crate::request::PodWide;
use crate::value;
use crate::value::Wrong;

/// What every annotation of ours begins with.
pub const PREFIX: &str = "gitvolume.dev/";

/// One annotation: its grammar for refusals and docs, and its reader.
#[derive(Clone, Copy, Debug)]
pub struct Annotation {
    /// The key without [`PREFIX`].
    pub key: &'static str,
    /// What it is about.
    pub scope: Scope,
    /// What is accepted, as the object of "expected".
    pub grammar: &'static str,
    /// What holds without it; `None` where it has no value then.
    pub default: Option<&'static str>,
    /// A value that is accepted.
    pub example: &'static str,
    /// What it does, for the docs.
    pub meaning: &'static str,
    pub(super) read: Read,
}

/// What an annotation is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// The whole Pod.
    Pod,
    /// One repository.
    Repository,
    /// Written by the webhook; read by people and programs.
    Status,
}

type Reader<T> = fn(&mut T, &str) -> Result<(), Wrong>;

#[derive(Clone, Copy, Debug)]
pub(super) enum Read {
    Pod(Reader<PodWide>),
    Repository(Reader<Fields>),
    /// Anything goes: the webhook writes it, and trusts nothing because of it.
    Status,
}

const fn repository(
    key: &'static str,
    grammar: &'static str,
    example: &'static str,
    meaning: &'static str,
    read: Reader<Fields>,
) -> Annotation {
    Annotation {
        key,
        scope: Scope::Repository,
        grammar,
        default: None,
        example,
        meaning,
        read: Read::Repository(read),
    }
}

const fn pod(
    key: &'static str,
    grammar: &'static str,
    example: &'static str,
    meaning: &'static str,
    read: Reader<PodWide>,
) -> Annotation {
    Annotation {
        key,
        scope: Scope::Pod,
        grammar,
        default: None,
        example,
        meaning,
        read: Read::Pod(read),
    }
}

impl Annotation {
    const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }
}

/// Every annotation that is known, in the order in which mistakes are reported.
pub const ANNOTATIONS: &[Annotation] = &[
    repository(
        "repo",
        "the address of a remote repository: https://, http://, ssh:// or user@host:path",
        "https://git.example/site.git",
        "The repository. All that a Pod needs; without it the other keys are refused. Credentials \
         do not belong in the address (see `secret`).",
        |fields, text| value::repo(text).map(|value| fields.repo = Some(value)),
    ),
    repository(
        "ref",
        "a branch, a tag or a full commit hash such as main, v1.2.0 or refs/heads/main",
        "main",
        "What to follow. `HEAD` is the remote's default branch.",
        |fields, text| {
            let rev = text.parse().map_err(|_| Wrong::Grammar)?;
            fields.rev = Some(rev);
            Ok(())
        },
    )
    .or("HEAD"),
    repository(
        "mount-path",
        "an absolute path such as /usr/share/nginx/html, without .., // or a colon",
        "/usr/share/nginx/html",
        "Where the files appear in the containers, read-only. No other volume may be mounted there.",
        |fields, text| {
            let path = text.parse().map_err(|()| Wrong::Grammar)?;
            fields.mount_path = Some(path);
            Ok(())
        },
    )
    .or("/git"),
    repository(
        "link",
        "a relative path such as current, without ..",
        "current",
        "Publish as git-sync does: a symlink of this name below the mount path, to a tree with a \
         working `.git`. Without it the files are at the mount path itself, without `.git`.",
        |fields, text| value::link(text).map(|value| fields.link = Some(value)),
    ),
    repository(
        "mode",
        "sync or once",
        "once",
        "`sync` follows the ref for as long as the Pod runs, in a sidecar; `once` fetches before \
         the containers start, in an init container.",
        |fields, text| value::mode(text).map(|value| fields.mode = Some(value)),
    )
    .or("sync"),
    repository(
        "period",
        "a duration such as 30s, 5m or 1h30m",
        "1m",
        "How long to wait between checks of the remote; at least 10ms.",
        |fields, text| value::period(text).map(|value| fields.period = Some(value)),
    )
    .or("10s"),
    repository(
        "depth",
        "a whole number such as 1, or 0 for all history",
        "50",
        "How many commits of history to fetch; `0` is all.",
        |fields, text| value::depth(text).map(|value| fields.depth = Some(value)),
    )
    .or("1"),
    repository(
        "secret",
        "the name of a Secret in the Pod's namespace such as git-credentials",
        "git-credentials",
        "The Secret with credentials; only the syncer mounts it. Its keys say what they are: \
         `ssh` or `ssh-privatekey` with `known_hosts`, `username` with `password`, `token`, \
         `cookie_file`, `ca.crt`, a GitHub App's `github-app-…`.",
        |fields, text| value::secret(text).map(|value| fields.secret = Some(value)),
    ),
    pod(
        "containers",
        "names of containers of the Pod, separated by commas",
        "web,worker",
        "The containers that get the files. All of them by default; init containers get none.",
        |pod, text| value::containers(text).map(|value| pod.containers = Some(value)),
    ),
    pod(
        "inject",
        "true or false",
        "false",
        "`false` leaves the Pod alone, whatever else is asked for.",
        |pod, text| value::boolean(text).map(|value| pod.inject = Some(value)),
    )
    .or("true"),
    Annotation {
        key: "status",
        scope: Scope::Status,
        grammar: "JSON",
        default: None,
        example: r#"{"config":"0123456789abcdef","containers":["gitvolume"],"version":"0.1.0"}"#,
        meaning: "Written by the webhook: the names of what it added, its version, and a hash of \
                  its configuration; or why it added nothing.",
        read: Read::Status,
    },
];

/// Writes the page `docs/annotations.md`; a test holds the file equal.
pub fn annotations_markdown() -> String {
    let mut page = String::from(INTRODUCTION);
    for (scope, heading) in [
        (Scope::Repository, "## The repository"),
        (Scope::Pod, "## The Pod"),
        (Scope::Status, "## Written by the webhook"),
    ] {
        let _ = write!(
            page,
            "\n{heading}\n\n| Annotation | Accepted | Default | Example | Meaning |\n\
             |---|---|---|---|---|\n"
        );
        for row in ANNOTATIONS.iter().filter(|row| row.scope == scope) {
            let default = row
                .default
                .map(|text| format!("`{text}`"))
                .unwrap_or_default();
            let _ = writeln!(
                page,
                "| `{PREFIX}{}` | {} | {default} | `{}` | {} |",
                row.key, row.grammar, row.example, row.meaning
            );
        }
    }
    page
}

/// Writes the short table of the README; a test holds the file's part equal.
pub fn annotations_summary() -> String {
    let mut table = String::from(
        "| `gitvolume.dev/…` | what it says | example | default |\n|---|---|---|---|\n",
    );
    for row in ANNOTATIONS.iter().filter(|row| row.scope != Scope::Status) {
        let default = row
            .default
            .map(|text| format!("`{text}`"))
            .unwrap_or_default();
        // The first sentence; the page has the rest.
        let meaning = row
            .meaning
            .split_once(". ")
            .map_or(row.meaning, |(first, _)| first);
        let meaning = meaning.trim_end_matches('.');
        let _ = writeln!(
            table,
            "| `{}` | {meaning} | `{}` | {default} |",
            row.key, row.example
        );
    }
    table
}

const INTRODUCTION: &str = "\
<!-- Written from the table in webhook/inject/src/annotations/table.rs by
     `UPDATE_GOLDENS=1 cargo test -p inject`; edit that table. -->
# Annotations

They go on the Pod, or in a Deployment, StatefulSet, Job or the like on the Pod template
(`spec.template.metadata.annotations`). Every value is a text: quote numbers and booleans in YAML.

A value that is not accepted refuses the Pod with a sentence that names the key, the value and
what is accepted; a key under `gitvolume.dev/` that is not in these tables gives a warning with
the nearest one that is, or with all of them where none is near.
";
