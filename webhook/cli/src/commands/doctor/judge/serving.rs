//! Checks of the Service, its endpoints and the replicas.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::commands::doctor::facts::Facts;
use crate::commands::doctor::facts::Install;
use crate::commands::doctor::facts::Replica;
use crate::commands::doctor::finding as f;
use crate::commands::doctor::finding::Finding;
use crate::commands::doctor::finding::Place;

pub(super) fn judge(facts: &Facts, findings: &mut Vec<Finding>) {
    for install in facts.installs.iter().flatten() {
        endpoints(install, findings);
        replicas(install, &facts.own_version, findings);
    }
}

fn endpoints(install: &Install, findings: &mut Vec<Finding>) {
    let Some((namespace, name)) = &install.service else {
        return;
    };
    let at = || Place::within(namespace, "Service", name);
    if install.has_service == Some(false) {
        let what = "There is no such Service.";
        findings.push(Finding::new(f::SERVICE_MISSING, at(), what));
        return;
    }
    let look = format!("kubectl -n {namespace} describe pods -l app.kubernetes.io/name=gitvolume");
    match install.endpoints {
        Some((0, others)) => {
            let what = format!("It has no ready endpoint, and {others} that are not.");
            findings.push(Finding::new(f::NO_ENDPOINTS, at(), what).command(look));
        }
        Some((ready, others)) if others > 0 => {
            let what = format!("{ready} of {} endpoints are ready.", ready + others);
            findings.push(Finding::new(f::ENDPOINTS_NOT_READY, at(), what).command(look));
        }
        _ => {}
    }
}

pub(super) fn place(replica: &Replica) -> Place {
    Place::within(&replica.namespace, "Pod", &replica.name)
}

fn replicas(install: &Install, own: &str, findings: &mut Vec<Finding>) {
    for replica in &install.replicas {
        let Some(readiness) = &replica.readiness else {
            continue;
        };
        let (check, reasons) = match readiness.ready {
            false => (f::REPLICA_NOT_READY, &readiness.missing),
            true if !readiness.warnings.is_empty() => (f::REPLICA_REMARKS, &readiness.warnings),
            true => continue,
        };
        let log = format!("kubectl -n {} logs {}", replica.namespace, replica.name);
        let what = format!("It reports: {}", reasons.join("; "));
        findings.push(Finding::new(check, place(replica), what).command(log));
    }
    // By the reported version, or by the image if none is reported.
    let mut by_version: BTreeMap<&str, usize> = BTreeMap::new();
    for replica in &install.replicas {
        let version = version(replica).unwrap_or(&replica.image);
        *by_version.entry(version).or_default() += 1;
    }
    let (Some(first), Some((namespace, service))) = (install.replicas.first(), &install.service)
    else {
        return;
    };
    let configs = install
        .replicas
        .iter()
        .filter_map(|own| Some(&*own.readiness.as_ref()?.settings_hash));
    let configs: BTreeSet<&str> = configs.collect();
    if configs.len() > 1 {
        let at = Place::within(namespace, "Service", service);
        let all = configs.into_iter().collect::<Vec<_>>().join(", ");
        let what = format!("Their hashes are {all}.");
        findings.push(Finding::new(f::SETTINGS_DIFFER, at, what));
    }
    if by_version.len() > 1 {
        let all = by_version
            .iter()
            .map(|(version, count)| format!("{count} of {version}"));
        let what = format!("There are {}.", all.collect::<Vec<_>>().join(", "));
        let at = Place::within(namespace, "Service", service);
        let command = format!("kubectl -n {namespace} rollout status deployment/{service}");
        findings.push(Finding::new(f::REPLICAS_DIFFER, at, what).command(command));
    } else if let Some(version) = version(first).filter(|version| *version != own) {
        let at = Place::within(namespace, "Service", service);
        let what = format!("The webhook has version {version}, this program has version {own}.");
        findings.push(Finding::new(f::PROGRAM_DIFFERS, at, what));
    }
}

fn version(replica: &Replica) -> Option<&str> {
    let readiness = replica.readiness.as_ref()?;
    Some(&readiness.version)
}
