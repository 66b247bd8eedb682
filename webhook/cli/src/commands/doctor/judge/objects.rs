//! Checks of GitVolumes and ClusterGitVolumes, by the conditions that the webhook wrote.

use serde_json::Value;

use crate::commands::doctor::facts::Facts;
use crate::commands::doctor::finding as f;
use crate::commands::doctor::finding::Finding;
use crate::commands::doctor::finding::Place;
use crate::commands::doctor::value::text;

pub(super) fn judge(facts: &Facts, findings: &mut Vec<Finding>) {
    for object in &facts.objects {
        let kind = text(object, "/kind");
        let name = text(object, "/metadata/name");
        let at = || match text(object, "/metadata/namespace") {
            "" => Place::cluster(kind, name),
            namespace => Place::within(namespace, kind, name),
        };
        let generation = &object["metadata"]["generation"];
        let accepted = condition(object, "Accepted");
        let is_judged = accepted.is_some_and(|own| {
            let observed = &own["observedGeneration"];
            observed.is_null() || observed == generation
        });
        if !is_judged {
            // The webhook needs a moment to write the status. The API server's times compare as
            // strings.
            let is_new = text(object, "/metadata/creationTimestamp") > facts.minute_ago.as_str();
            if !is_new {
                let what = match accepted {
                    None => "It has no condition Accepted.",
                    Some(_) => "Its condition Accepted is about an earlier generation.",
                };
                findings.push(Finding::new(f::OBJECT_UNJUDGED, at(), what));
            }
            continue;
        }
        for (name, check) in [
            ("Accepted", f::OBJECT_REFUSED),
            ("Effective", f::OBJECT_WITHOUT_EFFECT),
        ] {
            if let Some(own) = condition(object, name).filter(|own| own["status"] == "False") {
                let what = match text(own, "/message") {
                    "" => text(own, "/reason"),
                    message => message,
                };
                findings.push(Finding::new(check, at(), what));
                break;
            }
        }
    }
}

fn condition<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    let conditions = object["status"]["conditions"].as_array()?;
    conditions.iter().find(|own| own["type"] == name)
}
