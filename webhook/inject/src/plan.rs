pub(crate) mod cache;
pub(crate) mod conflicts;
pub(crate) mod container;
pub(crate) mod entry;
pub(crate) mod injected;
pub(crate) mod input;
pub(crate) mod outcome;
pub(crate) mod position;
pub(crate) mod warnings;
use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::GitRepoVolumeSource;

use crate::GitRepo;
use crate::GitVolume;
use crate::Mount;
use crate::Request;
use crate::Syncer;
use crate::Volume;
use crate::model::role::Role;
use crate::model::volume::Source;
use crate::model::volume::Volumes;
use crate::plan::container::What;
use crate::plan::entry::Content;
use crate::plan::entry::Entry;
use crate::plan::input::PlanInput;
use crate::pod::evictable;
use crate::pod::reader::List;
use crate::pod::reader::Reader;
use crate::sources::gitrepo;

/// The plan for a Pod: everything that is added to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The repositories that annotations and objects request.
    pub requests: Vec<Request>,
    /// The objects that contribute to the requests, in order of precedence.
    pub objects: Vec<Arc<GitVolume>>,
    /// The gitRepo volumes to convert.
    pub git_repos: Vec<GitRepo>,
    /// The original sources of those volumes, by name; addresses are without credentials.
    pub replaced: BTreeMap<String, GitRepoVolumeSource>,
    /// The init containers that are added, in order.
    pub syncers: Vec<Syncer>,
    /// The volumes that are added.
    pub volumes: Vec<Volume>,
    /// The Pod's own containers that are changed.
    pub consumers: Vec<Consumer>,
    /// The names of pull secrets that are added.
    pub pull_secrets: Vec<String>,
    /// The new value of the annotation about volumes that may be lost with a node.
    pub evictable: Option<String>,
}

impl Plan {
    /// Whether every repository of annotations comes from an object: then the Pod itself may have
    /// requested nothing.
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
    /// The list that it is in.
    pub list: List,
    /// Its index in that list.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// The mounts that are added to it.
    pub mounts: Vec<Mount>,
    /// The variables that are added to it.
    pub env: Vec<(&'static str, &'static str)>,
}

/// Variables that make git in a container accept repositories of another user (git-config(1),
/// `GIT_CONFIG_COUNT`).
pub(crate) const SAFE_DIRECTORY: [(&str, &str); 3] = [
    ("GIT_CONFIG_COUNT", "1"),
    ("GIT_CONFIG_KEY_0", "safe.directory"),
    ("GIT_CONFIG_VALUE_0", "*"),
];

/// Plans the containers of the missing roles, for a Pod that allows the input.
pub(crate) fn plan(input: &PlanInput<'_>, missing: &[Role], evictable: Option<&str>) -> Plan {
    let pod = input.pod;
    let mut volumes = Volumes::new(pod);
    let mut syncers = Vec::new();
    // The volume of each request, in the order of the requests of a role.
    let mut contents: Vec<(Role, Vec<String>)> = Vec::new();
    for role in Role::ALL.into_iter().filter(|role| missing.contains(role)) {
        let entries = input.entries(role);
        if entries.is_empty() {
            continue;
        }
        let (syncer, content) = syncer(role, entries, input, &mut volumes);
        syncers.push(syncer);
        contents.push((role, content));
    }
    // Of two at the same index, the later role comes second.
    syncers.sort_by_key(|syncer: &Syncer| syncer.position.index);
    let planned = |role: Role| missing.contains(&role);
    let git_repos: Vec<GitRepo> = input
        .git_repos
        .iter()
        .filter(|volume| planned(volume.role()))
        .cloned()
        .collect();
    let requests: Vec<Request> = input
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
        consumers: consumers(input, &requests, &git_repos, &contents),
        objects: input.requested.objects.clone(),
        pull_secrets: pull_secrets(input),
        replaced,
        requests,
        git_repos,
        syncers,
        volumes,
    }
}

/// Plans the container of a role; returns the volume of each of its entries too.
fn syncer(
    role: Role,
    entries: &[Entry],
    input: &PlanInput<'_>,
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
            sub_path: None,
            read_only: place.read_only,
        });
    }
    let told_to_all = input.told_to_all();
    let of_operator = &input.settings.resources;
    let (resources, resources_rule) = of_operator.for_pod(input.pod, &input.wide.resources);
    let of_role = input.role(role);
    let syncer = Syncer {
        role,
        position: position::of(role, input),
        syncer_config: container::syncer_config(role, entries, told_to_all),
        kinds: container::kinds(entries),
        mounts,
        resources,
        resources_rule,
        user: of_role.user,
        user_rule: of_role.user_rule,
        image: input.wide.image.clone(),
        metrics_port: container::metrics_port(role, told_to_all),
        cache_ca: container::cache_ca(entries, input.cache),
    };
    (syncer, contents)
}

/// The additions to the Pod's own containers: a mount for each request, and variables where they
/// are requested.
fn consumers(
    input: &PlanInput<'_>,
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
                sub_path: request.sub_path(),
                read_only: request.read_only,
            });
        }
    }
    // An earlier call may have added those mounts already.
    let selected = if requests.is_empty() {
        &[]
    } else {
        &input.readers[..]
    };
    let volumes: Vec<&str> = git_repos.iter().map(|own| own.volume.as_str()).collect();
    let has_link = requests.iter().any(|request| request.link.is_some());
    let consumer = |reader: Reader<'_>| {
        let is_selected = selected.iter().any(|other| other.is(&reader));
        let reads_git = reader.mounts_any(&volumes) || has_link && is_selected;
        let env = if input.wide.safe_directory && reads_git && !configures_git(&reader) {
            SAFE_DIRECTORY.to_vec()
        } else {
            Vec::new()
        };
        Consumer {
            list: reader.list,
            index: reader.index,
            name: reader.container.name.clone(),
            mounts: if is_selected {
                mounts.clone()
            } else {
                Vec::new()
            },
            env,
        }
    };
    crate::pod::reader::all(input.pod)
        .map(consumer)
        .filter(|consumer| !consumer.mounts.is_empty() || !consumer.env.is_empty())
        .collect()
}

/// Whether a container has variables of its own whose meaning the added ones would change.
pub(crate) fn configures_git(reader: &Reader<'_>) -> bool {
    let env = reader.container.env.iter().flatten();
    env.into_iter()
        .any(|own| own.name.starts_with("GIT_CONFIG_"))
}

/// The operator's pull secrets that the Pod does not have yet.
fn pull_secrets(input: &PlanInput<'_>) -> Vec<String> {
    let own = input.pod.image_pull_secrets.as_deref().unwrap_or_default();
    let names = input.settings.image_pull_secrets.iter();
    names
        .filter(|name| own.iter().all(|own| own.name != **name))
        .cloned()
        .collect()
}
