//! The input of a plan: the Pod, its requests from all sources, and the operator's settings.

use args::RepoKind;
use args::RepoUrl;
use k8s_openapi::api::core::v1::Container;
use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::api::core::v1::VolumeMount;

use crate::GitRepo;
use crate::Key;
use crate::Name;
use crate::Namespace;
use crate::Request;
use crate::Settings;
use crate::User;
use crate::model::request::PodOptions;
use crate::model::role::Role;
use crate::model::user::UserRule;
use crate::plan::cache::CacheChoice;
use crate::plan::entry::Content;
use crate::plan::entry::Entry;
use crate::plan::entry::Wide;
use crate::pod::reader;
use crate::pod::reader::Reader;
use crate::policy::RunAs;
use crate::sources::requested::RequestedVolumes;
use crate::sources::sourced::Origin;
use crate::sources::sourced::Sourced;
use crate::sources::sourced::Values;

/// The input of a plan: a Pod, its requests and the settings, resolved once.
#[derive(Debug)]
pub(crate) struct PlanInput<'a> {
    pub(crate) pod: &'a PodSpec,
    pub(crate) wide: &'a PodOptions,
    /// The values of all sources, with their origins.
    pub(crate) requested: &'a RequestedVolumes,
    pub(crate) requests: &'a [Request],
    pub(crate) git_repos: &'a [GitRepo],
    pub(crate) settings: &'a Settings,
    pub(crate) namespace: &'a Namespace,
    /// The Secret that the operator chose for the namespace.
    pub(crate) default_secret: Option<&'a str>,
    /// The pull-through cache for repositories over http(s).
    pub(crate) cache: CacheChoice<'a>,
    /// The Pod's containers that get the files of the requests.
    pub(crate) readers: Vec<Reader<'a>>,
    /// The input of each role, in the order of [`Role::ALL`].
    roles: [RoleInput<'a>; Role::ALL.len()],
}

/// The input for the container of one role; empty where the role has no repositories.
#[derive(Debug, Default)]
pub(crate) struct RoleInput<'a> {
    /// The repositories that it serves, with distinct names.
    pub(crate) entries: Vec<Entry>,
    /// The Pod's containers that read what it publishes.
    pub(crate) readers: Vec<Reader<'a>>,
    /// The user it runs as; `None` where the namespace decides.
    pub(crate) user: Option<User>,
    /// The rule that chose the user.
    pub(crate) user_rule: UserRule,
}

impl<'a> PlanInput<'a> {
    /// The name of a key in sentences, by its origin.
    pub(crate) fn key(&self, name: Option<&Name>, key: Key) -> String {
        self.requested.key(name, key)
    }

    /// Resolves the input of a plan.
    pub(crate) fn new(
        pod: &'a PodSpec,
        requested: &'a RequestedVolumes,
        requests: &'a [Request],
        git_repos: &'a [GitRepo],
        settings: &'a Settings,
        (namespace, name): (&'a Namespace, &str),
    ) -> Self {
        let mut input = Self {
            pod,
            wide: &requested.pod,
            requested,
            requests,
            git_repos,
            settings,
            namespace,
            default_secret: settings.default_secret(name),
            cache: CacheChoice::new(&settings.cache, pod, namespace, name),
            readers: if requests.is_empty() {
                Vec::new()
            } else {
                reader::selected(pod, &requested.pod)
            },
            roles: Default::default(),
        };
        input.roles = Role::ALL.map(|role| input.resolved(role));
        input
    }

    /// The input for the container of a role.
    pub(crate) fn role(&self, role: Role) -> &RoleInput<'a> {
        &self.roles[role as usize]
    }

    /// The repositories that the container of a role serves.
    pub(crate) fn entries(&self, role: Role) -> &[Entry] {
        &self.role(role).entries
    }

    fn resolved(&self, role: Role) -> RoleInput<'a> {
        let entries = self.entries_of(role);
        if entries.is_empty() {
            return RoleInput::default();
        }
        let readers = self.readers_of(role);
        let (user, user_rule) = self.user_of(&readers);
        RoleInput {
            entries,
            readers,
            user,
            user_rule,
        }
    }

    /// Whether the author mounts the volume of a repository writable in a container.
    fn is_written_by_hand(&self, entry: &Entry) -> bool {
        let Content::Ours { base, .. } = &entry.content else {
            return false;
        };
        let is_syncer = |reader: &Reader<'_>| Role::is_container_name(&reader.container.name);
        let is_writable =
            |mount: &VolumeMount| mount.name == *base && mount.read_only != Some(true);
        reader::all(self.pod)
            .filter(|reader| !is_syncer(reader))
            .any(|reader| {
                let mut mounts = reader.container.volume_mounts.iter().flatten();
                mounts.any(is_writable)
            })
    }

    fn entries_of(&self, role: Role) -> Vec<Entry> {
        let requests = self.requests.iter();
        let requests = requests.filter(|request| Role::of_mode(request.mode) == role);
        let requests = requests.map(|request| {
            let secret = self.secret_of_request(request);
            let mut entry = Entry::of_request(request, secret, self.settings);
            entry.args.link_trees &= !self.is_written_by_hand(&entry);
            entry
        });
        let git_repos = self.git_repos.iter();
        let git_repos = git_repos.filter(|volume| volume.role() == role);
        let git_repos = git_repos.map(|volume| {
            let secret = self.secret_of_volume(volume);
            Entry::of_git_repo(volume, secret, self.settings)
        });
        let mut entries: Vec<Entry> = Vec::new();
        for mut entry in requests.chain(git_repos) {
            // A volume may have the name of a repository.
            let base = entry.name.clone();
            let mut number = 2;
            while entries.iter().any(|other| other.name == entry.name) {
                entry.name = format!("{base}-{number}");
                number += 1;
            }
            entry.set_cache(self.cache.used());
            entries.push(entry);
        }
        entries
    }

    /// The Secret of a request.
    pub(crate) fn secret_of_request(&self, request: &Request) -> Option<Sourced<String>> {
        let group = self.requested.group(request.name.as_ref());
        let values = group.map(|group| &group.values);
        self.secret_of(request.secret.as_ref(), values, &request.repo)
    }

    /// The Secret of a gitRepo volume.
    pub(crate) fn secret_of_volume(&self, volume: &GitRepo) -> Option<Sourced<String>> {
        let own = volume.secret.as_ref();
        self.secret_of(own, Some(&volume.values), &volume.repository)
    }

    /// The Secret of a repository: the author's, or else the namespace's. The latter is only for
    /// encrypted addresses without credentials of their own.
    fn secret_of(
        &self,
        own: Option<&String>,
        values: Option<&Values>,
        repo: &RepoUrl,
    ) -> Option<Sourced<String>> {
        let is_safe = || match repo.kind() {
            RepoKind::Ssh => true,
            RepoKind::Http => repo.reveal().starts_with("https:") && !repo.user_info().has_secret(),
            RepoKind::Git | RepoKind::Local => false,
        };
        let author = own.and_then(|_| values?.get(Key::Secret).cloned());
        author.or_else(|| {
            let name = self.default_secret.filter(|_| is_safe())?;
            Some(Sourced::new(name.to_owned(), Origin::Operator))
        })
    }

    /// The syncer's configuration that does not depend on a single repository.
    pub(crate) fn told_to_all(&self) -> Wide {
        let security = self.pod.security_context.as_ref();
        Wide {
            metrics_port: self.wide.metrics_port,
            fs_group: security.is_some_and(|own| own.fs_group.is_some()),
        }
    }

    fn user_of(&self, readers: &[Reader<'_>]) -> (Option<User>, UserRule) {
        let readers: Vec<&Container> = readers.iter().map(|reader| reader.container).collect();
        match self.wide.user {
            Some((uid, gid)) => {
                let user = User::chosen(uid, gid, self.pod, &readers);
                (Some(user), UserRule::Author)
            }
            None if self.has_uid_range() => (None, UserRule::Namespace),
            None => {
                let (user, rule) = User::for_pod(self.pod, &readers);
                (Some(user), rule)
            }
        }
    }

    /// Whether the namespace assigns users and would refuse one that the webhook sets.
    pub(crate) fn has_uid_range(&self) -> bool {
        self.namespace.has_uid_range || self.settings.run_as == RunAs::Namespace
    }

    fn readers_of(&self, role: Role) -> Vec<Reader<'a>> {
        let volumes = self.git_repos.iter().filter(|volume| volume.role() == role);
        let volumes: Vec<&str> = volumes.map(|volume| volume.volume.as_str()).collect();
        let has_request = self
            .requests
            .iter()
            .any(|request| Role::of_mode(request.mode) == role);
        reader::all(self.pod)
            .filter(|reader| {
                let is_selected = || self.readers.iter().any(|other| other.is(reader));
                reader.mounts_any(&volumes) || has_request && is_selected()
            })
            .collect()
    }
}
