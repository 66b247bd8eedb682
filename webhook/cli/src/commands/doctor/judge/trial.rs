//! Check of the trial Pod: the only check of the whole path from the API server to the webhook and
//! back, with the caBundle that the API server really uses.

use crate::commands::doctor::facts::Facts;
use crate::commands::doctor::facts::Trial;
use crate::commands::doctor::finding as f;
use crate::commands::doctor::finding::Finding;
use crate::commands::doctor::finding::Place;
use crate::live::installed::PODS;

use super::registration;

pub(super) fn judge(facts: &Facts, findings: &mut Vec<Finding>) {
    let Some([install, ..]) = facts.installs.as_deref() else {
        return;
    };
    let at = || Place::cluster(registration::KIND, install.name()).part(PODS);
    match &facts.trial {
        None | Some(Trial::Admitted(Some(_))) => {}
        Some(Trial::Admitted(None)) => {
            let what = "A Pod with gitvolume.dev/repo, in a server-side dry run, was not injected.";
            findings.push(Finding::new(f::TRIAL_NOT_INJECTED, at(), what));
        }
        Some(Trial::Refused(message)) => {
            if let Some(check) = read(message) {
                findings.push(Finding::new(check, at(), message.clone()));
            }
        }
    }
}

/// The check that a rejection belongs to; `None` if the webhook itself rejects the Pod, which
/// proves that it answers.
fn read(message: &str) -> Option<&'static f::Check> {
    if message.contains("failed calling webhook") {
        let is_trust = ["x509:", "certificate", "tls:"]
            .iter()
            .any(|word| message.contains(word));
        return Some(match is_trust {
            true => f::CA_BUNDLE_UNTRUSTED,
            false => f::UNREACHABLE,
        });
    }
    message
        .contains("ValidatingAdmissionPolicy")
        .then_some(f::TRIAL_REFUSED)
}
