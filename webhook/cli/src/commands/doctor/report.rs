//! Prints the findings, as text for people and as JSON for programs.

use std::fmt::Write;

use serde_json::Value;
use serde_json::json;

use super::facts::Facts;
use super::finding::Finding;
use super::finding::Severity;
use crate::report::one_line;

/// The identifier of the JSON schema; the schema never changes without it.
const SCHEMA: &str = "gitvolume.dev/doctor/v1";

/// The number of findings by severity.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Findings of severity `error`.
    pub errors: usize,
    /// Findings of severity `warning`.
    pub warnings: usize,
    /// Findings of severity `info`.
    pub infos: usize,
}

impl Counts {
    /// Counts findings by severity.
    pub fn of(findings: &[Finding]) -> Self {
        let of = |severity: Severity| {
            let own = findings.iter().filter(|own| own.check.severity == severity);
            own.count()
        };
        Self {
            errors: of(Severity::Error),
            warnings: of(Severity::Warning),
            infos: of(Severity::Info),
        }
    }
}

/// The report as text: each finding with its remedy, then the unavailable parts, then a summary
/// line.
pub fn to_text(facts: &Facts, findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let Finding {
            check,
            at,
            more,
            what,
            command,
        } = finding;
        let severity = check.severity.as_str();
        let more = match more {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let at = one_line(&at.to_string());
        let _ = writeln!(text, "{severity}: {at}{more} ({})", check.id);
        for line in [
            one_line(what),
            check.means.to_owned(),
            format!("To do: {}", check.to_do),
        ] {
            text.push_str(&inject::wrapped(&line, 4));
        }
        if let Some(command) = command {
            let _ = writeln!(text, "    $ {}", one_line(command));
        }
    }
    for (what, why) in &facts.unseen {
        let _ = writeln!(text, "not checked: {what}: {}", one_line(why));
    }
    let looked: Vec<String> = facts
        .seen
        .iter()
        .map(|(what, count)| format!("{count} {what}"))
        .collect();
    let looked = looked.join(", ");
    let Counts {
        errors,
        warnings,
        infos,
    } = Counts::of(findings);
    let _ = match findings.is_empty() {
        true => writeln!(text, "no problems found; checked {looked}"),
        false => writeln!(
            text,
            "{errors} errors, {warnings} warnings, {infos} notes; checked {looked}"
        ),
    };
    text
}

/// The report as JSON.
pub fn to_json(facts: &Facts, findings: &[Finding]) -> Value {
    let Counts {
        errors,
        warnings,
        infos,
    } = Counts::of(findings);
    let unseen = facts.unseen.iter();
    let unseen = unseen.map(|(what, why)| json!({"what": what, "why": why}));
    json!({
        "schema": SCHEMA,
        "findings": findings,
        "notLookedAt": unseen.collect::<Vec<_>>(),
        "lookedAt": facts.seen,
        "summary": {"errors": errors, "warnings": warnings, "infos": infos},
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding as f;
    use crate::commands::doctor::finding::Place;

    fn findings() -> Vec<Finding> {
        let pod = Place::within("shop", "Pod", "web-1").part("of ReplicaSet web");
        let registration = Place::cluster("MutatingWebhookConfiguration", "gitvolume");
        vec![
            Finding::new(f::POD_REFUSED, pod, "two\nlines")
                .and_more(2)
                .command("kubectl get pods"),
            Finding::new(f::GUARD_MISSING, registration, "There is none."),
        ]
    }

    fn facts() -> Facts {
        Facts {
            unseen: vec![("the nodes".to_owned(), "nodes is forbidden".to_owned())],
            seen: [("pods", 14), ("nodes", 0)].into(),
            ..Facts::default()
        }
    }

    #[test]
    fn the_text_shows_each_finding_with_its_remedy() {
        assert_eq!(
            to_text(&facts(), &findings()),
            "warning: Pod shop/web-1, of ReplicaSet web, and 2 more (pod-refused)\n    \
             two lines\n    \
             A Pod was admitted without its repository, because of a mistake in its annotations\n    \
             (webhook.onMistake: warn).\n    \
             To do: Correct the annotation in the manifest that creates the Pod.\n    \
             $ kubectl get pods\n\
             info: MutatingWebhookConfiguration gitvolume (guard-missing)\n    \
             There is none.\n    \
             There is no guard: a Pod starts even if another webhook has removed or damaged its injection.\n    \
             To do: Set the value guard.enabled: true.\n\
             not checked: the nodes: nodes is forbidden\n\
             0 errors, 1 warnings, 1 notes; checked 0 nodes, 14 pods\n"
        );
        let facts = Facts {
            unseen: Vec::new(),
            ..facts()
        };
        assert_eq!(
            to_text(&facts, &[]),
            "no problems found; checked 0 nodes, 14 pods\n"
        );
    }

    #[test]
    fn the_json_has_the_members_that_the_page_documents() {
        let document = to_json(&facts(), &findings());
        assert_eq!(
            document,
            json!({
                "schema": "gitvolume.dev/doctor/v1",
                "findings": [
                    {
                        "id": "pod-refused", "severity": "warning",
                        "means": f::POD_REFUSED.means, "toDo": f::POD_REFUSED.to_do,
                        "at": {"kind": "Pod", "namespace": "shop", "name": "web-1",
                               "part": "of ReplicaSet web"},
                        "more": 2, "what": "two\nlines", "command": "kubectl get pods",
                    },
                    {
                        "id": "guard-missing", "severity": "info",
                        "means": f::GUARD_MISSING.means, "toDo": f::GUARD_MISSING.to_do,
                        "at": {"kind": "MutatingWebhookConfiguration", "name": "gitvolume"},
                        "more": 0, "what": "There is none.",
                    },
                ],
                "notLookedAt": [{"what": "the nodes", "why": "nodes is forbidden"}],
                "lookedAt": {"nodes": 0, "pods": 14},
                "summary": {"errors": 0, "warnings": 1, "infos": 1},
            })
        );
    }
}
