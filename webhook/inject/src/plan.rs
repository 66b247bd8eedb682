use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::GitRepoVolumeSource;

use crate::GitRepo;
use crate::GitVolume;
use crate::Mount;
use crate::Request;
use crate::Syncer;
use crate::Volume;
use crate::container;
use crate::container::Role;
use crate::container::What;
use crate::entry::Content;
use crate::entry::Entry;
use crate::evictable;
use crate::gitrepo;
use crate::position;
use crate::reader::List;
use crate::reader::Reader;
use crate::volume::Source;
use crate::volume::Volumes;
use crate::wanted::Wanted;

/// What a Pod gets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The repositories, as asked for by annotations and objects.
    pub requests: Vec<Request>,
    /// The objects that said some of it, the highest first.
    pub objects: Vec<Arc<GitVolume>>,
    /// The gitRepo volumes that become volumes of ours.
    pub git_repos: Vec<GitRepo>,
    /// What those volumes were, by name; addresses are without credentials.
    pub replaced: BTreeMap<String, GitRepoVolumeSource>,
    /// The init containers that are added, in order.
    pub syncers: Vec<Syncer>,
    /// The volumes that are added.
    pub volumes: Vec<Volume>,
    /// The Pod's own containers that get something.
    pub consumers: Vec<Consumer>,
    /// The names of pull secrets that are added.
    pub pull_secrets: Vec<String>,
    /// The new value of the annotation about volumes that may be lost with a node.
    pub evictable: Option<String>,
}

impl Plan {
    /// Whether every repository of annotations is one of an object's: then the Pod need not have
    /// asked for anything.
    pub(crate) fn is_by_objects(&self) -> bool {
        self.requests.iter().all(|request| {
            let mut objects = self.objects.iter();
            objects.any(|object| object.repository() == request.name.as_ref())
        })
    }
}

/// One of the Pod's own containers that gets files.
#[derive(Clone, Debug, PartialEq)]
pub struct Consumer {
    /// Which list it is in.
    pub list: List,
    /// Its place in that list.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// What it mounts in addition.
    pub mounts: Vec<Mount>,
    /// The variables it gets in addition.
    pub env: Vec<(&'static str, &'static str)>,
}

/// What tells git in a container to work in repositories of another user, by its environment
/// (git-config(1), `GIT_CONFIG_COUNT`).
pub(crate) const SAFE_DIRECTORY: [(&str, &str); 3] = [
    ("GIT_CONFIG_COUNT", "1"),
    ("GIT_CONFIG_KEY_0", "safe.directory"),
    ("GIT_CONFIG_VALUE_0", "*"),
];

/// Plans what is wanted, for a Pod that allows it, but for the roles whose containers are there.
pub(crate) fn plan(wanted: &Wanted<'_>, missing: &[Role], evictable: Option<&str>) -> Plan {
    let pod = wanted.pod;
    let mut volumes = Volumes::new(pod);
    let mut syncers = Vec::new();
    // The volume of each request, in their order within a role.
    let mut contents: Vec<(Role, Vec<String>)> = Vec::new();
    for role in Role::ALL.into_iter().filter(|role| missing.contains(role)) {
        let entries = wanted.entries(role);
        if entries.is_empty() {
            continue;
        }
        let (syncer, content) = syncer(role, entries, wanted, &mut volumes);
        syncers.push(syncer);
        contents.push((role, content));
    }
    // A later one goes behind an earlier one of the same place.
    syncers.sort_by_key(|syncer: &Syncer| syncer.position);
    let planned = |role: Role| missing.contains(&role);
    let git_repos: Vec<GitRepo> = wanted
        .git_repos
        .iter()
        .filter(|volume| planned(volume.role()))
        .cloned()
        .collect();
    let requests: Vec<Request> = wanted
        .requests
        .iter()
        .filter(|request| planned(Role::of_mode(request.mode)))
        .cloned()
        .collect();
    let own = pod.volumes.iter().flatten();
    let replaced: BTreeMap<String, GitRepoVolumeSource> = own
        .filter(|volume| {
            git_repos
                .iter()
                .any(|git_repo| git_repo.volume == volume.name)
        })
        .filter_map(|volume| {
            let mut source = volume.git_repo.clone()?;
            source.repository = gitrepo::without_credentials(&source.repository);
            Some((volume.name.clone(), source))
        })
        .collect();
    let volumes = volumes.into_vec();
    let lost = volumes
        .iter()
        .filter(|volume| matches!(volume.source, Source::Empty { .. }))
        .map(|volume| volume.name.as_str())
        .chain(git_repos.iter().map(|volume| volume.volume.as_str()));
    Plan {
        evictable: evictable::merged(evictable, lost),
        consumers: consumers(wanted, &requests, &git_repos, &contents),
        objects: wanted.sources.objects.clone(),
        pull_secrets: pull_secrets(wanted),
        replaced,
        requests,
        git_repos,
        syncers,
        volumes,
    }
}

/// Plans the container of a role, and gives the volume of each of its entries.
fn syncer(
    role: Role,
    entries: &[Entry],
    wanted: &Wanted<'_>,
    volumes: &mut Volumes<'_>,
) -> (Syncer, Vec<String>) {
    let mut contents = Vec::new();
    let mut mounts = Vec::new();
    for place in container::places(role, entries) {
        let volume = match place.what {
            What::Content(Content::Ours { base, source }) => volumes.add(base, source.clone()),
            What::Content(Content::Pods { volume, .. }) => volume.clone(),
            What::State(base) => volumes.add(base, Source::EMPTY),
            What::Secret { name, is_optional } => {
                let source = Source::Secret {
                    name: name.to_owned(),
                    is_optional,
                };
                volumes.share("gitvolume-secret", source)
            }
            What::NoToken => volumes.share("gitvolume-no-token", Source::EMPTY),
        };
        if let What::Content(_) = place.what {
            contents.push(volume.clone());
        }
        mounts.push(Mount {
            volume,
            path: place.path,
            read_only: place.read_only,
        });
    }
    let told_to_all = wanted.told_to_all();
    let resources = &wanted.settings.resources;
    let syncer = Syncer {
        role,
        position: position::of(role, wanted),
        told: container::told(role, entries, told_to_all),
        kinds: container::kinds(entries),
        mounts,
        resources: resources.for_pod(wanted.pod, &wanted.wide.resources),
        user: wanted.user(role),
        image: wanted.wide.image.clone(),
        metrics_port: container::metrics_port(role, told_to_all),
    };
    (syncer, contents)
}

/// What the Pod's own containers get: a mount for each request, and variables where they are asked
/// for.
fn consumers(
    wanted: &Wanted<'_>,
    requests: &[Request],
    git_repos: &[GitRepo],
    contents: &[(Role, Vec<String>)],
) -> Vec<Consumer> {
    let mut mounts = Vec::new();
    for (role, volumes) in contents {
        // The entries of a role begin with its requests.
        let served = requests
            .iter()
            .filter(|request| Role::of_mode(request.mode) == *role);
        for (request, volume) in served.zip(volumes) {
            mounts.push(Mount {
                volume: volume.clone(),
                path: request.mount_path.to_string(),
                read_only: request.read_only,
            });
        }
    }
    let selected = match requests.is_empty() {
        true => Vec::new(),
        false => wanted.readers(),
    };
    let volumes: Vec<&str> = git_repos.iter().map(|own| own.volume.as_str()).collect();
    let has_link = requests.iter().any(|request| request.link.is_some());
    let consumer = |reader: Reader<'_>| {
        let is_selected = selected.iter().any(|other| other.is(&reader));
        let reads_git = reader.mounts_any(&volumes) || has_link && is_selected;
        let env = match wanted.wide.safe_directory && reads_git && !configures_git(&reader) {
            true => SAFE_DIRECTORY.to_vec(),
            false => Vec::new(),
        };
        Consumer {
            list: reader.list,
            index: reader.index,
            name: reader.container.name.clone(),
            mounts: match is_selected {
                true => mounts.clone(),
                false => Vec::new(),
            },
            env,
        }
    };
    crate::reader::all(wanted.pod)
        .map(consumer)
        .filter(|consumer| !consumer.mounts.is_empty() || !consumer.env.is_empty())
        .collect()
}

/// Tells whether a container has variables of its own that ours would change the meaning of.
pub(crate) fn configures_git(reader: &Reader<'_>) -> bool {
    let env = reader.container.env.iter().flatten();
    env.into_iter()
        .any(|own| own.name.starts_with("GIT_CONFIG_"))
}

/// The operator's pull secrets that the Pod does not have.
fn pull_secrets(wanted: &Wanted<'_>) -> Vec<String> {
    let own = wanted.pod.image_pull_secrets.as_deref().unwrap_or_default();
    let names = wanted.settings.image_pull_secrets.iter();
    names
        .filter(|name| own.iter().all(|own| own.name != **name))
        .cloned()
        .collect()
}
