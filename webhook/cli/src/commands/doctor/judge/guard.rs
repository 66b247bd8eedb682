//! Checks of the ValidatingAdmissionPolicy that rejects Pods which were not injected.

use super::registration;
use crate::commands::doctor::facts::Facts;
use crate::commands::doctor::facts::Guard;
use crate::commands::doctor::facts::Install;
use crate::commands::doctor::finding as f;
use crate::commands::doctor::finding::Finding;
use crate::commands::doctor::finding::Place;
use crate::commands::doctor::value::text;

const KIND: &str = "ValidatingAdmissionPolicy";

pub(super) fn judge(facts: &Facts, findings: &mut Vec<Finding>) {
    let (Some(guards), Some([install, ..])) = (&facts.guards, facts.installs.as_deref()) else {
        return;
    };
    for guard in guards {
        let name = text(&guard.policy, "/metadata/name");
        if guard.actions.as_ref().is_some_and(Vec::is_empty) {
            let what = "No ValidatingAdmissionPolicyBinding names it.";
            findings.push(Finding::new(
                f::GUARD_UNBOUND,
                Place::cluster(KIND, name),
                what,
            ));
        }
        let warnings = guard.policy["status"]["typeChecking"]["expressionWarnings"].as_array();
        if let Some(warning) = warnings.and_then(|warnings| warnings.first()) {
            let at = Place::cluster(KIND, name).part(text(warning, "/fieldRef"));
            let what = text(warning, "/warning").trim().replace('\n', " ");
            findings.push(Finding::new(f::GUARD_BROKEN, at, what));
        }
    }
    let is_ignored = |install: &&Install| {
        let mut entries = install.pods_entry().into_iter().chain(install.auto_entry());
        entries.any(|entry| text(entry, "/failurePolicy") == "Ignore")
    };
    let ignored = facts.installs.iter().flatten().find(is_ignored);
    match ignored {
        Some(install) if !guards.iter().any(denies) => {
            let at = Place::cluster(registration::KIND, install.name());
            let what = "One of its webhooks has failurePolicy Ignore.";
            findings.push(Finding::new(f::SILENT_SKIP, at, what));
        }
        None if guards.is_empty() => {
            let at = Place::cluster(registration::KIND, install.name());
            let what = "There is no ValidatingAdmissionPolicy of gitvolume.";
            findings.push(Finding::new(f::GUARD_MISSING, at, what));
        }
        _ => {}
    }
}

/// Whether the guard rejects Pods; assumed if its bindings could not be read.
fn denies(guard: &Guard) -> bool {
    guard.actions.as_ref().is_none_or(|bindings| {
        bindings
            .iter()
            .any(|actions| actions.iter().any(|action| action == "Deny"))
    })
}
