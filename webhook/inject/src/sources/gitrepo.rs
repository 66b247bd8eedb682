//! gitRepo volumes, which the kubelet does not support since Kubernetes 1.36 (KEP-5040). The
//! conversion does what the kubelet did (pkg/volume/git_repo and pkg/apis/core/validation of
//! Kubernetes), and refuses what it refused, with its messages.

mod address;
mod keys;
mod rules;
pub(crate) mod volume;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::GitRepoVolumeSource;
use k8s_openapi::api::core::v1::PodSpec;
use serde_json::Value;

use self::keys::Keys;
use crate::Mistake;
use crate::Settings;
use crate::model::request::GitRepoMode;
use crate::model::role::Role;
use crate::pod::inline_config;
use crate::sources::gitrepo::volume::GitRepo;
use crate::sources::requested::RequestedVolumes;
use crate::sources::status::Status;

pub(crate) use self::address::without_credentials;

/// The gitRepo volumes of a Pod.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The names of all of them, including invalid and unconverted ones.
    pub(crate) names: Vec<String>,
    pub(crate) volumes: Vec<GitRepo>,
    pub(crate) warnings: Vec<String>,
    pub(crate) mistakes: Vec<Mistake>,
}

/// Reads the gitRepo volumes of a Pod, and the converted ones from the status: a second call must
/// get the same input as the first one.
pub(crate) fn read(
    pod: &PodSpec,
    requested: &RequestedVolumes,
    status: Option<&Status>,
    settings: &Settings,
) -> Found {
    let converted = status.map(|status| sources(status, pod));
    let converted = converted.unwrap_or_default();
    let mut found = Found::default();
    let mut sources = Vec::new();
    for (index, volume) in pod.volumes.iter().flatten().enumerate() {
        let source = match (&volume.git_repo, converted.get(&volume.name)) {
            (Some(source), _) => source,
            (None, Some(source)) if volume.empty_dir.is_some() => source,
            (None, _) => continue,
        };
        found.names.push(volume.name.clone());
        sources.push((index, source));
    }
    let mode = requested.pod.git_repo.unwrap_or_default();
    if found.names.is_empty() || mode == GitRepoMode::Off {
        return found;
    }
    if !settings.git_repo {
        found.warnings.push(
            "gitRepo volumes are not converted: the cluster's gitvolume settings disable it; since Kubernetes 1.36 such a Pod never starts"
                .to_owned(),
        );
        return found;
    }
    found.mistakes = keys::mistakes(&found.names, requested, mode);
    for (name, (index, source)) in found.names.iter().zip(sources) {
        let keys = Keys::of(name, requested);
        match rules::volume(index, name, source, &keys, mode) {
            Ok(volume) => found.volumes.push(GitRepo {
                is_late: is_late(pod, name),
                ..volume
            }),
            Err(mistakes) => found.mistakes.extend(mistakes),
        }
    }
    found
}

/// Whether the injected container exists already and does not mount this volume: its configuration
/// stays unchanged, and the volume gets another container.
fn is_late(pod: &PodSpec, volume: &str) -> bool {
    let mut inits = pod.init_containers.iter().flatten();
    let ours = inits.find(|own| own.name == Role::GitRepo.container());
    ours.is_some_and(|ours| {
        let mut mounts = ours.volume_mounts.iter().flatten();
        mounts.all(|mount| mount.name != volume)
    })
}

/// The original sources of the Pod's converted gitRepo volumes by their names, for the removal of
/// an injection. The status has their addresses without credentials, which are only in the
/// configuration of the injected container.
pub(crate) fn sources(status: &Status, pod: &PodSpec) -> BTreeMap<String, GitRepoVolumeSource> {
    if status.git_repos.is_empty() {
        return BTreeMap::new();
    }
    let configured = configured_repositories(pod);
    let sources = status.git_repos.iter().map(|(volume, source)| {
        let mut source = source.clone();
        let is_it = |(name, address): &&(String, String)| {
            // A number is appended where the name was taken.
            name.starts_with(volume.as_str()) && without_credentials(address) == source.repository
        };
        if let Some((_, address)) = configured.iter().find(is_it) {
            source.repository.clone_from(address);
        }
        (volume.clone(), source)
    });
    sources.collect()
}

/// The names and addresses of the repositories in the inline configurations of injected containers.
fn configured_repositories(pod: &PodSpec) -> Vec<(String, String)> {
    let containers = Role::ALL.into_iter().flat_map(|role| {
        let inits = pod.init_containers.iter().flatten();
        inits.filter(move |own| own.name == role.container())
    });
    let mut configured = Vec::new();
    for container in containers {
        let config = inline_config::config_of(container).unwrap_or_default();
        // As the kubelet passes it on.
        let config: Value = serde_json::from_str(&config.replace("$$", "$")).unwrap_or_default();
        let repos = config["repos"].as_object();
        configured.extend(
            repos.into_iter().flatten().filter_map(|(name, entry)| {
                Some((name.clone(), entry["repo"].as_str()?.to_owned()))
            }),
        );
    }
    configured
}

#[cfg(test)]
mod tests;
