//! Turns facts into findings: pure functions, one per part of the cluster.

mod cache;
mod certificates;
mod guard;
mod objects;
mod order;
mod registration;
mod serving;
mod syncers;
mod trial;
mod workloads;

use super::facts::Facts;
use super::finding::CHECKS;
use super::finding::Finding;

pub(super) use certificates::time;
pub(super) use workloads::is_about_us;

/// All findings, in the order of the table of checks.
pub fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let judges = [
        registration::judge,
        serving::judge,
        certificates::judge,
        cache::judge,
        trial::judge,
        guard::judge,
        order::judge,
        objects::judge,
        workloads::judge,
        syncers::judge,
    ];
    for judge in judges {
        judge(facts, &mut findings);
    }
    let place = |finding: &Finding| CHECKS.iter().position(|check| *check == finding.check);
    findings.sort_by_key(|finding| (finding.check.severity, place(finding), finding.at.clone()));
    findings
}

#[cfg(test)]
mod tests;
