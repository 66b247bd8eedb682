//! Everything that is wanted for a Pod, wherever it was asked for.

use std::cell::OnceCell;

use args::RepoKind;
use args::RepoUrl;
use k8s_openapi::api::core::v1::Container;
use k8s_openapi::api::core::v1::PodSpec;

use crate::GitRepo;
use crate::Name;
use crate::Namespace;
use crate::Request;
use crate::Settings;
use crate::User;
use crate::container::Role;
use crate::container::Wide;
use crate::entry::Entry;
use crate::entry::SecretName;
use crate::objects::Sources;
use crate::policy::RunAs;
use crate::reader;
use crate::reader::Reader;
use crate::request::PodWide;

/// What is wanted for a Pod, and the Pod it is wanted for.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) pod: &'a PodSpec,
    pub(crate) wide: &'a PodWide,
    /// Who said what of it, where that was not the Pod.
    pub(crate) sources: &'a Sources,
    pub(crate) requests: &'a [Request],
    pub(crate) git_repos: &'a [GitRepo],
    pub(crate) settings: &'a Settings,
    pub(crate) namespace: &'a Namespace,
    /// The Secret that the operator chose for the namespace.
    pub(crate) default_secret: Option<&'a str>,
    /// What each role serves, once somebody has asked.
    pub(crate) served: Served,
}

/// The repositories of each role.
pub(crate) type Served = OnceCell<[Vec<Entry>; Role::ALL.len()]>;

impl<'a> Wanted<'a> {
    /// How a sentence names what somebody said.
    pub(crate) fn key(&self, name: Option<&Name>, key: &str) -> String {
        self.sources.key(name, key)
    }

    /// The repositories that the container of a role serves; their names differ.
    pub(crate) fn entries(&self, role: Role) -> &[Entry] {
        let served = self
            .served
            .get_or_init(|| Role::ALL.map(|role| self.served_by(role)));
        &served[role as usize]
    }

    fn served_by(&self, role: Role) -> Vec<Entry> {
        let requests = self.requests.iter();
        let requests = requests.map(|request| Entry::of_request(request, self));
        let git_repos = self.git_repos.iter();
        let git_repos = git_repos.map(|volume| Entry::of_git_repo(volume, self));
        let mut entries: Vec<Entry> = Vec::new();
        for mut entry in requests.chain(git_repos).filter(|entry| entry.role == role) {
            // A volume may be called like a repository.
            let base = entry.name.clone();
            let mut number = 2;
            while entries.iter().any(|other| other.name == entry.name) {
                entry.name = format!("{base}-{number}");
                number += 1;
            }
            entries.push(entry);
        }
        entries
    }

    /// The Secret of a repository: the one that its author names, or the namespace's. The latter is
    /// for addresses that are encrypted, and have no credentials of their own.
    pub(crate) fn secret_of(&self, own: Option<&String>, repo: &RepoUrl) -> Option<SecretName> {
        let is_safe = || match repo.kind() {
            RepoKind::Ssh => true,
            RepoKind::Http => repo.reveal().starts_with("https:") && !repo.user_info().has_secret(),
            RepoKind::Git | RepoKind::Local => false,
        };
        let default = self.default_secret.filter(|_| is_safe());
        let named = own.map(|name| (name.as_str(), false));
        let (name, is_default) = named.or(default.map(|name| (name, true)))?;
        Some(SecretName {
            name: name.to_owned(),
            is_default,
        })
    }

    /// What is told beside the repositories.
    pub(crate) fn told_to_all(&self) -> Wide {
        let security = self.pod.security_context.as_ref();
        Wide {
            metrics_port: self.wide.metrics_port,
            fs_group: security.is_some_and(|own| own.fs_group.is_some()),
        }
    }

    /// Who the container of a role runs as; `None` where the namespace decides.
    pub(crate) fn user(&self, role: Role) -> Option<User> {
        let readers = self.readers_of(role);
        let readers: Vec<&Container> = readers.iter().map(|reader| reader.container).collect();
        match self.wide.user {
            Some((uid, gid)) => Some(User::chosen(uid, gid, self.pod, &readers)),
            None if self.hands_out_users() => None,
            None => Some(User::for_pod(self.pod, &readers)),
        }
    }

    /// Whether a user of ours would be refused.
    pub(crate) fn hands_out_users(&self) -> bool {
        self.namespace.hands_out_users || self.settings.run_as == RunAs::Namespace
    }

    /// The Pod's containers that get the files of requests.
    pub(crate) fn readers(&self) -> Vec<Reader<'a>> {
        match self.requests.is_empty() {
            true => Vec::new(),
            false => reader::selected(self.pod, self.wide),
        }
    }

    /// The Pod's containers that read what the container of a role publishes.
    pub(crate) fn readers_of(&self, role: Role) -> Vec<Reader<'a>> {
        let volumes = self.git_repos.iter().filter(|volume| volume.role() == role);
        let volumes: Vec<&str> = volumes.map(|volume| volume.volume.as_str()).collect();
        let has_request = self
            .requests
            .iter()
            .any(|request| Role::of_mode(request.mode) == role);
        let selected = reader::selected(self.pod, self.wide);
        reader::all(self.pod)
            .filter(|reader| {
                let is_selected = || selected.iter().any(|other| other.is(reader));
                reader.mounts_any(&volumes) || has_request && is_selected()
            })
            .collect()
    }
}
