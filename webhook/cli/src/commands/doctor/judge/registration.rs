//! Checks of the MutatingWebhookConfiguration: that it exists and is configured as intended.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Value;

use crate::commands::doctor::facts::Facts;
use crate::commands::doctor::facts::Install;
use crate::commands::doctor::finding as f;
use crate::commands::doctor::finding::Finding;
use crate::commands::doctor::finding::Place;
use crate::commands::doctor::value::text;
use crate::live::installed::PODS;
use crate::live::labels;

pub(super) const KIND: &str = "MutatingWebhookConfiguration";

pub(super) fn judge(facts: &Facts, findings: &mut Vec<Finding>) {
    let Some(installs) = &facts.installs else {
        return;
    };
    if installs.is_empty() {
        let at = Place::cluster(KIND, "gitvolume");
        let what = "There is no registration with a gitvolume webhook.";
        findings.push(Finding::new(f::NOT_INSTALLED, at, what));
    }
    let complete = installs.iter().filter(|own| own.pods_entry().is_some());
    let names: Vec<&str> = complete.map(Install::name).collect();
    if let [first, others @ ..] = &names[..]
        && !others.is_empty()
    {
        let at = Place::cluster(KIND, first);
        let what = format!("Also registered: {}.", others.join(", "));
        findings.push(Finding::new(f::INSTALLED_TWICE, at, what));
    }
    for install in installs {
        one(facts, install, findings);
    }
}

/// The location of a webhook in a registration.
pub(super) fn place(install: &Install, entry: &Value) -> Place {
    Place::cluster(KIND, install.name()).part(text(entry, "/name"))
}

fn one(facts: &Facts, install: &Install, findings: &mut Vec<Finding>) {
    if install.pods_entry().is_none() {
        let what = format!("There is no webhook {PODS}.");
        let at = Place::cluster(KIND, install.name());
        findings.push(Finding::new(f::ENTRY_MISSING, at, what));
    }
    for entry in install.pods_entry().into_iter().chain(install.auto_entry()) {
        let at = || place(install, entry);
        if !creates_pods(entry) {
            let what = "No rule has the operation CREATE and the resource pods.";
            findings.push(Finding::new(f::ENTRY_MISSES_PODS, at(), what));
        }
        let conditions = entry["matchConditions"].as_array();
        if conditions.is_none_or(Vec::is_empty) {
            let policy = text(entry, "/failurePolicy");
            let what = format!("It has no matchConditions, and failurePolicy {policy}.");
            findings.push(Finding::new(f::ENTRY_UNSCOPED, at(), what));
        }
        let again = text(entry, "/reinvocationPolicy");
        if again != "IfNeeded" {
            let what = format!("Its reinvocationPolicy is {again}.");
            findings.push(Finding::new(f::ENTRY_NEVER_AGAIN, at(), what));
        }
    }
    if let Some(entry) = install.auto_entry() {
        let own = install
            .service
            .as_ref()
            .map(|(namespace, _)| namespace.as_str());
        let system = [
            (own, f::ENTRY_COVERS_ITSELF),
            (Some("kube-system"), f::ENTRY_COVERS_KUBE_SYSTEM),
        ];
        for (namespace, check) in system {
            let Some(namespace) = namespace else { continue };
            if labels::selects(&entry["namespaceSelector"], &facts.known.labels(namespace)) {
                let what = format!("Its namespaceSelector selects the namespace {namespace}.");
                findings.push(Finding::new(check, place(install, entry), what));
            }
        }
    }
    for (manager, fields) in edits(&install.registration) {
        let at = Place::cluster(KIND, install.name());
        let what = format!("{manager} has set {}.", fields.join(", "));
        findings.push(Finding::new(f::ENTRY_EDITED, at, what));
    }
}

/// Whether a webhook is called for the creation of Pods.
pub(super) fn creates_pods(entry: &Value) -> bool {
    let has = |rule: &Value, key: &str, wanted: &[&str]| {
        let mut values = rule[key].as_array().into_iter().flatten();
        values.any(|value| wanted.iter().any(|wanted| value == wanted))
    };
    let mut rules = entry["rules"].as_array().into_iter().flatten();
    rules.any(|rule| {
        has(rule, "operations", &["CREATE", "*"])
            && has(rule, "apiGroups", &["", "*"])
            && has(rule, "resources", &["pods", "*", "*/*"])
            && text(rule, "/scope") != "Cluster"
    })
}

/// The field managers that own fields of the webhooks, other than the one that wrote the
/// registration, each with those fields
/// (<https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management>).
fn edits(registration: &Value) -> Vec<(String, Vec<String>)> {
    let mut by_manager: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let managed = registration["metadata"]["managedFields"].as_array();
    for entry in managed.into_iter().flatten() {
        let manager = text(entry, "/manager").to_owned();
        let fields = by_manager.entry(manager).or_default();
        leaves(&entry["fieldsV1"]["f:webhooks"], "", fields);
    }
    let Some(owner) = by_manager
        .iter()
        .max_by_key(|(_, fields)| fields.len())
        .map(|(manager, _)| manager.clone())
    else {
        return Vec::new();
    };
    let owned = by_manager.remove(&owner).unwrap_or_default();
    by_manager
        .into_iter()
        .map(|(manager, fields)| {
            let others = fields.difference(&owned).filter(|field| !is_others(field));
            (manager, others.cloned().collect::<Vec<_>>())
        })
        .filter(|(_, fields)| !fields.is_empty())
        .collect()
}

/// Whether other managers may legitimately set a field: the caBundle belongs to the webhook or to a
/// certificate manager, and platforms add expressions to selectors to exclude their own namespaces
/// (AKS, GKE Autopilot); the webhook and this program use the live selector for that reason.
fn is_others(field: &str) -> bool {
    field.ends_with("clientConfig.caBundle")
        || ["namespaceSelector", "objectSelector"]
            .iter()
            .any(|selector| field.split('.').any(|part| part == *selector))
}

fn leaves(fields: &Value, path: &str, found: &mut BTreeSet<String>) {
    for (key, value) in fields.as_object().into_iter().flatten() {
        let name = match (key.strip_prefix("f:"), key.strip_prefix("k:")) {
            (Some(field), _) => field.to_owned(),
            (_, Some(item)) => {
                let item: Value = serde_json::from_str(item).unwrap_or_default();
                text(&item, "/name").to_owned()
            }
            // The list item itself, or a value of a set.
            _ => continue,
        };
        let path = match path {
            "" => name,
            path => format!("{path}.{name}"),
        };
        match value.as_object() {
            Some(inner) if inner.keys().any(|key| key != ".") => leaves(value, &path, found),
            _ => {
                found.insert(path);
            }
        }
    }
}
