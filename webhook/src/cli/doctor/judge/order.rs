//! Other webhooks that change Pods.

use crate::cli::doctor::facts::Facts;
use crate::cli::doctor::facts::text;
use crate::cli::doctor::finding as f;
use crate::cli::doctor::finding::Finding;
use crate::cli::doctor::finding::Place;

use super::registration;

pub(super) fn judge(facts: &Facts, findings: &mut Vec<Finding>) {
    for install in facts.installs.iter().flatten() {
        if install.pods_entry().is_none() {
            continue;
        }
        // The API server calls configurations in the order of their names.
        let after = facts.others.iter().filter(|other| {
            let entries = other["webhooks"].as_array().into_iter().flatten();
            text(other, "/metadata/name") > install.name()
                && entries.clone().any(registration::creates_pods)
        });
        let mut names: Vec<&str> = after.map(|own| text(own, "/metadata/name")).collect();
        names.sort_unstable();
        if !names.is_empty() {
            let at = Place::cluster(registration::KIND, install.name());
            let what = format!("After it: {}.", names.join(", "));
            findings.push(Finding::new(f::INJECTORS_AFTER, at, what));
        }
    }
}
