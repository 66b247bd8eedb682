//! The pages that are generated from the table of annotations.

use std::fmt::Write;

use crate::keys::table::ANNOTATIONS;
use crate::keys::table::PREFIX;
use crate::keys::table::Scope;

/// The page `docs/annotations.md`; a test compares the file with it.
pub fn annotations_markdown() -> String {
    let mut page = String::from(INTRODUCTION);
    for (scope, heading) in [
        (Scope::Repository, "## The repository"),
        (Scope::Pod, "## The Pod"),
        (Scope::Status, "## Written by the webhook"),
    ] {
        let _ = write!(
            page,
            "\n{heading}\n\n| Annotation | Value | Default | Example | Description |\n\
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

const INTRODUCTION: &str = "\
<!-- Written from the table in webhook/inject/src/keys/table.rs by
     `make goldens`; edit that table. -->
# Annotations

Set annotations on the Pod; in a Deployment, StatefulSet, Job and the like, on the Pod template
(`spec.template.metadata.annotations`). Values are strings: quote numbers and booleans in YAML.

The webhook denies a Pod with an invalid value; the error names the annotation, the value and
the expected format. For an unknown annotation under `gitvolume.dev/`, it returns a warning
that suggests the most similar known one, if there is one.

A Pod can have several repositories. The keys of each additional one start with its name, a
DNS label of at most 40 characters: `gitvolume.dev/rules.repo`, `gitvolume.dev/rules.ref`. One
sidecar syncs all of them.
";
