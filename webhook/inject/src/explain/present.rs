use serde_json::Value;

use crate::InternalError;
use crate::Namespace;
use crate::Outcome;
use crate::Review;
use crate::Role;
use crate::Settings;
use crate::answer;
use crate::uninject;

/// Takes the injection out, asks anew, and compares our containers as they are and as they would be.
pub(super) fn differences(
    review: &Review,
    settings: &Settings,
    namespace: &Namespace,
) -> Result<Vec<String>, InternalError> {
    let present = review.object();
    let mut pod = present.clone();
    if let Some(patch) = uninject(present)? {
        json_patch::patch(&mut pod, &patch).map_err(not_applied)?;
    }
    let fresh = Review::of_pod(pod.clone()).in_namespace(review.namespace());
    let answer = answer(&fresh, settings, namespace)?;
    match (&answer.outcome, &answer.patch) {
        (Outcome::Deny(_), _) => return Ok(vec!["it would be refused".to_owned()]),
        (Outcome::Inject(_), Some(patch)) => {
            json_patch::patch(&mut pod, patch).map_err(not_applied)?;
        }
        _ => {}
    }
    let mut differences = Vec::new();
    for name in Role::ALL.map(Role::container) {
        match (container(present, name), container(&pod, name)) {
            (None, None) => {}
            (None, Some(_)) => differences.push(format!("container {name} is missing")),
            (Some(_), None) => differences.push(format!("container {name} would not be there")),
            (Some(is), Some(would_be)) => {
                let fields = fields(is, would_be);
                if !fields.is_empty() {
                    differences.push(format!("container {name}: {}", fields.join(", ")));
                }
            }
        }
    }
    Ok(differences)
}

fn not_applied(error: json_patch::PatchError) -> InternalError {
    InternalError::Patch(Box::new(error))
}

fn container<'a>(pod: &'a Value, name: &str) -> Option<&'a Value> {
    let inits = pod.pointer("/spec/initContainers")?.as_array()?;
    inits.iter().find(|own| own["name"] == name)
}

/// The fields that would be others. What somebody added to a list, or the API server to a map, is no
/// difference.
fn fields<'a>(is: &Value, would_be: &'a Value) -> Vec<&'a str> {
    let fields = would_be.as_object().into_iter().flatten();
    fields
        .filter(|(key, value)| !has(&is[key.as_str()], value))
        .map(|(key, _)| key.as_str())
        .collect()
}

fn has(is: &Value, wanted: &Value) -> bool {
    match (is, wanted) {
        (Value::Object(is), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, value)| is.get(key).is_some_and(|own| has(own, value))),
        // The arguments are one text; other lists may have more items.
        (Value::Array(is), Value::Array(wanted)) => match wanted.first() {
            Some(Value::Object(_)) => wanted
                .iter()
                .all(|item| is.iter().any(|own| has(own, item))),
            _ => is == wanted,
        },
        (is, wanted) => is == wanted,
    }
}
