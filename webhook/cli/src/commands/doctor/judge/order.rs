//! Checks of other mutating webhooks for Pods.

use serde_json::Value;

use super::registration;
use crate::commands::doctor::facts::Facts;
use crate::commands::doctor::finding as f;
use crate::commands::doctor::finding::Finding;
use crate::commands::doctor::finding::Place;
use crate::commands::doctor::mesh::Mesh;
use crate::commands::doctor::value::text;

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
            // The API server calls webhook configurations in the order of their names.
            let is_after = name > install.name();
            match Mesh::of_webhook(entry) {
                // A mesh adds no annotation of gitvolume, and its init container comes after the
                // injected one.
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

/// The finding for a mesh whose webhook is called before gitvolume's and not again after it.
fn before(mesh: &Mesh, entry: &Value, name: &str) -> Option<Finding> {
    let again = text(entry, "/reinvocationPolicy");
    if mesh.moves && again == "IfNeeded" {
        return None;
    }
    let at = Place::cluster(registration::KIND, name);
    let what = format!("It is {}'s, with reinvocationPolicy {again}.", mesh.name);
    Some(Finding::new(f::MESH_BEFORE, at, what))
}
