//! gitRepo volumes: the kubelet's own way to a repository, which no kubelet goes any more since
//! Kubernetes 1.36 (KEP-5040). What it did is what is asked for here (pkg/volume/git_repo and
//! pkg/apis/core/validation of Kubernetes), and what it refused is refused in its words.

mod address;
mod keys;
mod rules;
mod surprises;

use std::collections::BTreeMap;

use args::GitDuration;
use args::Link;
use args::RepoUrl;
use args::Revision;
use args::Submodules;
use k8s_openapi::api::core::v1::GitRepoVolumeSource;
use k8s_openapi::api::core::v1::PodSpec;
use serde_json::Value;

use crate::Medium;
use crate::Mistake;
use crate::PREFIX;
use crate::Quantity;
use crate::Settings;
use crate::annotations::Asked;
use crate::container::Role;
use crate::injected;
use crate::request::GitRepoMode;
use crate::status::Status;

pub(crate) use self::address::without_credentials;
pub(crate) use self::surprises::warnings;

use self::keys::Keys;

/// A gitRepo volume of the Pod that becomes a volume of ours.
#[derive(Clone, Debug, PartialEq)]
pub struct GitRepo {
    /// Its place in the Pod's volumes.
    pub index: usize,
    /// The volume's name, which stays.
    pub volume: String,
    /// What to clone.
    pub repository: RepoUrl,
    /// What to check out; `HEAD` is the default branch.
    pub revision: Revision,
    /// Where in the volume; `None` is the volume itself.
    pub directory: Option<Link>,
    /// The Secret with credentials that an annotation names, in the Pod's namespace.
    pub secret: Option<String>,
    /// How long one attempt may take; the operator's choice where it is left out.
    pub timeout: Option<GitDuration>,
    /// The size at which the Pod is evicted; the kubelet's volumes had none.
    pub size_limit: Option<Quantity>,
    /// What the files are kept in.
    pub medium: Medium,
    /// Whether it came after our container for the others.
    pub is_late: bool,
    /// How the volume is followed; `None` is a clone that is made once, as the kubelet's.
    pub follow: Option<Follow>,
}

/// How a gitRepo volume is followed.
#[derive(Clone, Debug, PartialEq)]
pub struct Follow {
    /// How long to wait between checks of the remote.
    pub period: GitDuration,
    /// How many commits of history to fetch; 0 is all.
    pub depth: u32,
    /// Which submodules come with it; the kubelet fetched none.
    pub submodules: Submodules,
    /// Which objects are left out until they are needed.
    pub filter: Option<String>,
    /// Patterns that say which files are checked out, one per line.
    pub sparse_checkout: Option<String>,
    /// An address to call once each new revision is published.
    pub notify: Option<String>,
}

impl GitRepo {
    /// Which of our containers serves it.
    pub(crate) fn role(&self) -> Role {
        match self.follow {
            None if self.is_late => Role::GitRepoLate,
            None => Role::GitRepo,
            Some(_) => Role::Sync,
        }
    }
}

/// What a Pod's gitRepo volumes ask for.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The names of all of them, also of those that are wrong or left alone.
    pub(crate) names: Vec<String>,
    pub(crate) volumes: Vec<GitRepo>,
    pub(crate) warnings: Vec<String>,
    pub(crate) mistakes: Vec<Mistake>,
}

/// Reads the gitRepo volumes of a Pod, and those that were such before they were converted, as the
/// status tells: a second call must see what the first one saw.
pub(crate) fn read(
    pod: &PodSpec,
    asked: &Asked,
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
    let mode = asked.pod.git_repo.unwrap_or_default();
    if found.names.is_empty() || mode == GitRepoMode::Off {
        return found;
    }
    if !settings.git_repo {
        found.warnings.push(
            "gitRepo volumes are left alone, as the operator wants; since Kubernetes 1.36 such a \
             Pod never starts"
                .to_owned(),
        );
        return found;
    }
    found.mistakes = keys::mistakes(&found.names, asked, mode);
    for (name, (index, source)) in found.names.iter().zip(sources) {
        let keys = Keys::of(name, asked);
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

/// Tells whether our container is there already and has nothing to do with this volume: what it was
/// told stays as it is, and another one is told of the rest.
fn is_late(pod: &PodSpec, volume: &str) -> bool {
    let mut inits = pod.init_containers.iter().flatten();
    let ours = inits.find(|own| own.name == Role::GitRepo.container());
    ours.is_some_and(|ours| {
        let mut mounts = ours.volume_mounts.iter().flatten();
        mounts.all(|mount| mount.name != volume)
    })
}

/// The sources of the Pod's converted gitRepo volumes by their names, as they were written: for
/// whoever takes an injection back. The status names them without credentials, which are in one
/// place only: in what the container is told.
pub(crate) fn sources(status: &Status, pod: &PodSpec) -> BTreeMap<String, GitRepoVolumeSource> {
    if status.git_repos.is_empty() {
        return BTreeMap::new();
    }
    let told = told(pod);
    let sources = status.git_repos.iter().map(|(volume, source)| {
        let mut source = source.clone();
        let is_it = |(name, address): &&(String, String)| {
            // A number follows where the name was taken.
            name.starts_with(volume.as_str()) && without_credentials(address) == source.repository
        };
        if let Some((_, address)) = told.iter().find(is_it) {
            source.repository.clone_from(address);
        }
        (volume.clone(), source)
    });
    sources.collect()
}

/// The names and addresses of the repositories that our containers are told in configurations.
fn told(pod: &PodSpec) -> Vec<(String, String)> {
    let containers = Role::ALL.into_iter().flat_map(|role| {
        let inits = pod.init_containers.iter().flatten();
        inits.filter(move |own| own.name == role.container())
    });
    let mut told = Vec::new();
    for container in containers {
        let config = injected::config_of(container).unwrap_or_default();
        // As the kubelet hands it on.
        let config: Value = serde_json::from_str(&config.replace("$$", "$")).unwrap_or_default();
        let repos = config["repos"].as_object();
        told.extend(
            repos.into_iter().flatten().filter_map(|(name, entry)| {
                Some((name.clone(), entry["repo"].as_str()?.to_owned()))
            }),
        );
    }
    told
}

/// A mistake about a volume.
pub(crate) fn mistake(volume: &str, sentence: &str) -> Mistake {
    let volume = crate::value::shown(volume);
    Mistake::new("gitrepo", format!("gitRepo volume {volume}: {sentence}"))
}

/// The annotation that turns a clone into a volume that is followed.
fn follow_key() -> String {
    format!("{PREFIX}gitrepo: follow")
}

#[cfg(test)]
mod tests;
