//! gitRepo volumes: the kubelet's own way to a repository, which no kubelet goes any more since
//! Kubernetes 1.36 (KEP-5040). What it did is what is asked for here: pkg/volume/git_repo.

use args::GitDuration;
use args::Link;
use args::RepoKind;
use args::RepoUrl;
use args::Revision;
use k8s_openapi::api::core::v1::GitRepoVolumeSource;
use k8s_openapi::api::core::v1::PodSpec;

use crate::Mistake;
use crate::PREFIX;
use crate::Settings;
use crate::annotations::Asked;
use crate::annotations::Group;
use crate::container::Role;
use crate::request::DEFAULT_PERIOD;
use crate::request::Fields;
use crate::request::GitRepoMode;
use crate::status::Status;
use crate::value::shown;

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
    /// The Secret with credentials, in the Pod's namespace.
    pub secret: Option<String>,
    /// How long one attempt may take; the operator's choice where it is left out.
    pub timeout: Option<GitDuration>,
    /// How long to wait between checks of the remote, where the volume is to be followed.
    pub follow: Option<GitDuration>,
}

impl GitRepo {
    /// Which of our containers serves it.
    pub(crate) fn role(&self) -> Role {
        match self.follow {
            None => Role::GitRepo,
            Some(_) => Role::Sync,
        }
    }
}

/// What a Pod's gitRepo volumes ask for.
#[derive(Debug, Default)]
pub(crate) struct Found {
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
    namespace: &str,
    settings: &Settings,
) -> Found {
    let _ = (namespace, settings);
    let mut found = Found::default();
    let mode = asked.pod.git_repo.unwrap_or_default();
    if mode == GitRepoMode::Off {
        return found;
    }
    for (index, volume) in pod.volumes.iter().flatten().enumerate() {
        let converted = status.and_then(|status| status.git_repos.get(&volume.name));
        let source = match (&volume.git_repo, converted) {
            (Some(source), _) => source,
            (None, Some(source)) if volume.empty_dir.is_some() => source,
            (None, _) => continue,
        };
        let fields = fields_for(&volume.name, asked);
        match asked_of(index, &volume.name, source, &fields, mode) {
            Ok(volume) => {
                found.warnings.extend(warning(&volume));
                found.volumes.push(volume);
            }
            Err(mistakes) => found.mistakes.extend(mistakes),
        }
    }
    found
}

/// What annotations say about a volume: those that begin with its name, else the unnamed ones.
fn fields_for(volume: &str, asked: &Asked) -> Fields {
    let groups = &asked.groups;
    let named = |group: &&Group| {
        group
            .name
            .as_ref()
            .is_some_and(|name| name.as_str() == volume)
    };
    let own = groups.iter().find(named).map(|group| &group.fields);
    let unnamed = groups.iter().find(|group| group.name.is_none());
    let unnamed = unnamed.map(|group| &group.fields);
    let own = own.filter(|fields| fields.repo.is_none());
    let secret = [own, unnamed]
        .into_iter()
        .flatten()
        .find_map(|fields| fields.secret.clone());
    let timeout = [own, unnamed]
        .into_iter()
        .flatten()
        .find_map(|fields| fields.timeout);
    let period = [own, unnamed]
        .into_iter()
        .flatten()
        .find_map(|fields| fields.period);
    Fields {
        secret,
        timeout,
        period,
        ..Fields::default()
    }
}

/// Reads one volume by the kubelet's rules; what it refused, it refused in these words.
fn asked_of(
    index: usize,
    name: &str,
    source: &GitRepoVolumeSource,
    fields: &Fields,
    mode: GitRepoMode,
) -> Result<GitRepo, Vec<Mistake>> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (revision, directory) = (text(&source.revision), text(&source.directory));
    let mut mistakes = Vec::new();
    let mut refuse = |sentence: String| {
        let name = shown(name);
        mistakes.push(Mistake::new(
            "gitrepo",
            format!("gitRepo volume {name}: {sentence}"),
        ));
    };
    for (what, value) in [
        ("repository", source.repository.as_str()),
        ("revision", revision.as_str()),
        ("directory", directory.as_str()),
    ] {
        if value.starts_with('-') {
            refuse(format!("{} is an invalid value for {what}", shown(value)));
        }
    }
    let clean = cleaned(&directory);
    let is_nested = clean
        .as_ref()
        .is_some_and(|clean| clean.contains(['/', '\\']));
    if !revision.is_empty() && is_nested {
        let directory = shown(&directory);
        refuse(format!(
            "{directory} is not a valid directory, it must not contain a directory separator"
        ));
    }
    if directory.starts_with('/') || clean.is_none() {
        let directory = shown(&directory);
        refuse(format!(
            "directory: {directory}: expected a relative path without .."
        ));
    }
    let repository = source.repository.parse::<RepoUrl>().ok();
    let kind = repository.as_ref().map(RepoUrl::kind);
    if kind.is_none_or(|kind| kind == RepoKind::Local) && !source.repository.starts_with('-') {
        let repository = shown(&source.repository);
        refuse(format!(
            "repository: {repository}: expected the address of a remote repository; a path would \
             be one on the node, which CVE-2025-1767 is about"
        ));
    }
    let wanted = match revision.is_empty() {
        true => Some(Revision::default()),
        false => revision.parse().ok(),
    };
    if wanted.is_none() && !revision.starts_with('-') {
        let revision = shown(&revision);
        refuse(format!(
            "revision: {revision}: expected what git can check out, such as main"
        ));
    }
    let follow = (mode == GitRepoMode::Follow).then(|| fields.period.unwrap_or(DEFAULT_PERIOD));
    if follow.is_some()
        && wanted
            .as_ref()
            .is_some_and(|wanted| wanted.to_rev().is_err())
    {
        let revision = shown(&revision);
        refuse(format!(
            "revision: {revision}: expected a branch, a tag or a full commit hash, since \
             {PREFIX}gitrepo is follow"
        ));
    }
    match (repository, wanted) {
        (Some(repository), Some(revision)) if mistakes.is_empty() => {
            let directory = match directory.as_str() {
                "" => Some(humanish(&source.repository)),
                _ => clean.filter(|clean| clean != "."),
            };
            Ok(GitRepo {
                index,
                volume: name.to_owned(),
                // What cannot be a link's name is the volume itself's.
                directory: directory.and_then(|directory| directory.parse().ok()),
                repository,
                revision,
                secret: fields.secret.clone(),
                timeout: fields.timeout,
                follow,
            })
        }
        _ => Err(mistakes),
    }
}

/// Go's `filepath.Clean` of a relative path; `None` where it climbs.
fn cleaned(path: &str) -> Option<String> {
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            // The API server refuses every such element, wherever it leads.
            ".." => return None,
            name => names.push(name),
        }
    }
    Some(match names.is_empty() {
        true => ".".to_owned(),
        false => names.join("/"),
    })
}

/// The directory that git makes for an address (git-clone(1), builtin/clone.c `guess_dir_name`):
/// the last part of it, without `.git`.
fn humanish(repository: &str) -> String {
    let start = repository.find("://").map_or(0, |at| at + 3);
    let rest = &repository[start..];
    // Credentials end before the path begins.
    let authority = rest.find('/').unwrap_or(rest.len());
    let rest = match rest[..authority].rfind('@') {
        Some(at) => &rest[at + 1..],
        None => rest,
    };
    let rest = rest.trim_end_matches(|c: char| c == '/' || c.is_whitespace());
    let rest = rest
        .strip_suffix("/.git")
        .unwrap_or(rest)
        .trim_end_matches('/');
    // A port is no directory.
    let rest = match (rest.contains('/'), rest.rsplit_once(':')) {
        (false, Some((host, port))) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => rest,
    };
    let last = rest.rsplit(['/', ':']).next().unwrap_or(rest);
    let last = last.strip_suffix(".git").unwrap_or(last);
    let is_blank = |c: char| c.is_control() || c.is_whitespace();
    let words: Vec<&str> = last
        .split(is_blank)
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ")
}

/// What worked on a node, and may not work in a container.
fn warning(volume: &GitRepo) -> Option<String> {
    let needs_key = volume.repository.kind() == RepoKind::Ssh && volume.secret.is_none();
    needs_key.then(|| {
        format!(
            "gitRepo volume {:?}: ssh needs a key: name its Secret with {PREFIX}secret",
            volume.volume
        )
    })
}
