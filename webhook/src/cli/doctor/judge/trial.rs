//! What became of a trial Pod: the one look that goes the whole way, from the API server to the
//! webhook and back, with the caBundle that counts.

use crate::cli::doctor::facts::Facts;
use crate::cli::doctor::facts::Trial;
use crate::cli::doctor::finding as f;
use crate::cli::doctor::finding::Finding;
use crate::cli::doctor::finding::Place;
use crate::cli::live::installed::PODS;

use super::registration;

pub(super) fn judge(facts: &Facts, findings: &mut Vec<Finding>) {
    let Some([install, ..]) = facts.installs.as_deref() else {
        return;
    };
    let at = || Place::cluster(registration::KIND, install.name()).part(PODS);
    match &facts.trial {
        None | Some(Trial::Admitted(Some(_))) => {}
        Some(Trial::Admitted(None)) => {
            let what =
                "A Pod with gitvolume.dev/repo, in a server-side dry run, came back as it was.";
            findings.push(Finding::new(f::TRIAL_NOT_INJECTED, at(), what));
        }
        Some(Trial::Refused(message)) => {
            if let Some(check) = read(message) {
                findings.push(Finding::new(check, at(), message.clone()));
            }
        }
    }
}

/// What a refusal means; `None` where the webhook itself refuses, which is an answer of its.
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
