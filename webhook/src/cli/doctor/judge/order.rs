//! Other webhooks that change Pods.

use serde_json::Value;

use crate::cli::doctor::facts::Facts;
use crate::cli::doctor::facts::text;
use crate::cli::doctor::finding as f;
use crate::cli::doctor::finding::Finding;
use crate::cli::doctor::finding::Place;
use crate::cli::doctor::mesh::Mesh;

use super::registration;

pub(super) fn judge(facts: &Facts, findings: &mut Vec<Finding>) {
    for install in facts.installs.iter().flatten() {
        if install.pods_entry().is_none() {
            continue;
        }
        let mut after = Vec::new();
        for other in &facts.others {
            let name = text(other, "/metadata/name");
            let entries = other["webhooks"].as_array().into_iter().flatten();
            let mut entries = entries.filter(|entry| registration::creates_pods(entry));
            let Some(entry) = entries.next() else {
                continue;
            };
            // The API server calls configurations in the order of their names.
            let is_after = name > install.name();
            match Mesh::of_webhook(entry) {
                // What a mesh adds is no annotation of ours, and its init container comes behind
                // ours.
                Some(_) if is_after => {}
                Some(mesh) => findings.extend(before(mesh, entry, name)),
                None if is_after => after.push(name),
                None => {}
            }
        }
        after.sort_unstable();
        if !after.is_empty() {
            let at = Place::cluster(registration::KIND, install.name());
            let what = format!("After it: {}.", after.join(", "));
            findings.push(Finding::new(f::INJECTORS_AFTER, at, what));
        }
    }
}

/// A mesh that is asked before us, and not again after us.
fn before(mesh: &Mesh, entry: &Value, name: &str) -> Option<Finding> {
    let again = text(entry, "/reinvocationPolicy");
    if mesh.moves && again == "IfNeeded" {
        return None;
    }
    let at = Place::cluster(registration::KIND, name);
    let what = format!("It is {}'s, with reinvocationPolicy {again}.", mesh.name);
    Some(Finding::new(f::MESH_BEFORE, at, what))
}
