use args::RepoKind;
use args::Submodules;
use serde::Serialize;

use crate::Cache;
use crate::Follow;
use crate::GitRepo;
use crate::Key;
use crate::Medium;
use crate::Role;
use crate::Scope;
use crate::explain::setting::Setting;
use crate::keys::value::without_secrets;
use crate::plan::cache::CacheChoice;
use crate::plan::input::PlanInput;
use crate::pod::reader;
use crate::sources::requested::Group;
use crate::sources::sourced::Origin;
use crate::sources::sourced::Sourced;

/// One repository with all its settings.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Repository {
    /// Such as `repository site`, or `gitRepo volume src`.
    pub called: String,
    /// Every setting, defaults included, in the table's order.
    pub settings: Vec<Setting>,
    /// The mounts of its files in the Pod's containers; empty where there are none.
    pub seen: Vec<Seen>,
}

/// A mount of a repository's files in a container.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// The container's name.
    pub container: String,
    /// The path in it.
    pub path: String,
    /// Whether the mount is read-only.
    pub read_only: bool,
}

/// The repositories of annotations and objects, including invalid ones, and those of gitRepo
/// volumes.
pub(super) fn all(input: &PlanInput<'_>) -> Vec<Repository> {
    // Keys without a repository may apply to volumes, which are listed with their own keys.
    let groups = input.requested.groups.iter();
    let groups = groups.filter(|group| !group.has_no_repo() || input.git_repos.is_empty());
    let requested = groups.map(|group| of_group(input, group));
    let volumes = input.git_repos.iter();
    requested
        .chain(volumes.map(|volume| of_volume(input, volume)))
        .collect()
}

fn of_group(input: &PlanInput<'_>, group: &Group) -> Repository {
    let name = group.name.as_ref();
    let request = input
        .requests
        .iter()
        .find(|request| request.name == group.name);
    let mut values = group.values.clone();
    if let Some(secret) = request.and_then(|request| input.secret_of_request(request)) {
        values.add(Key::Secret, secret);
    }
    let kind = request.map(|request| request.repo.kind());
    if let Some(longest) = stale_cache(input, kind).and_then(|cache| cache.max_staleness) {
        let longest = Sourced::new(longest.to_string(), Origin::Operator);
        values.add(Key::MaxStaleness, longest);
    }
    let values = values.or_defaults(Scope::Repository, name, input.settings);
    let settings = values.iter().map(|(key, value)| Setting::new(key, value));
    let mut settings: Vec<Setting> = settings.collect();
    if kind.is_some() {
        note_staleness(&mut settings, input, kind);
    }
    let seen = request.into_iter().flat_map(|request| {
        let link = request.link.as_ref().map(|link| format!("/{link}"));
        let path = format!("{}{}", request.mount_path, link.unwrap_or_default());
        let readers = input.readers.iter();
        readers.map(move |reader| Seen {
            container: reader.container.name.clone(),
            path: path.clone(),
            read_only: request.read_only,
        })
    });
    Repository {
        called: match name {
            None => "repository".to_owned(),
            Some(name) => format!("repository {name}"),
        },
        settings,
        seen: seen.collect(),
    }
}

fn of_volume(input: &PlanInput<'_>, volume: &GitRepo) -> Repository {
    let secret = input.secret_of_volume(volume);
    // Destructured without `..`: a field that is not explained does not compile.
    let GitRepo {
        index: _,
        volume,
        repository,
        revision,
        directory,
        secret: _,
        timeout,
        size_limit,
        medium,
        is_late: _,
        values,
        follow,
    } = volume;
    let kind = Some(repository.kind());
    let directory = directory.as_ref().map(ToString::to_string);
    // The default name is derived from the address.
    let directory = directory.map_or_else(|| ".".to_owned(), |own| without_secrets(&own));
    let of_volume = [
        ("repository", repository.to_string()),
        ("revision", revision.to_string()),
        ("directory", directory.clone()),
    ];
    let of_volume = of_volume.into_iter().map(|(key, value)| Setting {
        key: key.to_owned(),
        value: without_secrets(&value),
        from: "the volume".to_owned(),
        no_effect: None,
    });
    let mut settings: Vec<Setting> = of_volume.collect();
    let mut add = |key: Key, value: Option<String>, otherwise: Origin| {
        let origin = values.get(key).map(|value| value.origin.clone());
        let origin = origin.unwrap_or(otherwise);
        settings.extend(value.map(|value| Setting::new(key, &Sourced::new(value, origin))));
    };
    let text = |value: &dyn ToString| Some(value.to_string());
    if let Some(follow) = follow {
        let Follow {
            period,
            max_staleness,
            depth,
            submodules,
            filter,
            lfs,
            sparse_checkout,
            notify,
        } = follow;
        add(Key::Period, text(period), Origin::Default);
        let longest = max_staleness.or_else(|| stale_cache(input, kind)?.max_staleness);
        let longest = longest.map(|longest| longest.to_string());
        add(Key::MaxStaleness, longest, Origin::Operator);
        add(Key::Depth, text(depth), Origin::Default);
        let submodules = match submodules {
            Submodules::Recursive => "recursive",
            Submodules::Shallow => "shallow",
            Submodules::Off => "off",
        };
        add(Key::Submodules, text(&submodules), Origin::Default);
        add(Key::Filter, filter.clone(), Origin::Default);
        add(
            Key::SparseCheckout,
            sparse_checkout.clone(),
            Origin::Default,
        );
        add(Key::Lfs, text(lfs), Origin::Default);
        add(Key::Notify, notify.clone(), Origin::Default);
    }
    add(
        Key::Secret,
        secret.map(|secret| secret.value),
        Origin::Operator,
    );
    let timeout = timeout.unwrap_or(input.settings.sync_timeout);
    add(Key::Timeout, text(&timeout), Origin::Operator);
    let limit = size_limit.as_ref();
    add(
        Key::SizeLimit,
        limit.map(ToString::to_string),
        Origin::Default,
    );
    let medium = match medium {
        Medium::Disk => "disk",
        Medium::Memory => "memory",
    };
    add(Key::Medium, text(&medium), Origin::Default);
    note_staleness(&mut settings, input, kind);
    let mut seen = Vec::new();
    for reader in reader::all(input.pod) {
        let mounts = reader.container.volume_mounts.iter().flatten();
        for mount in mounts.filter(|mount| mount.name == *volume) {
            seen.push(Seen {
                container: reader.container.name.clone(),
                path: match (&mount.sub_path, directory.as_str()) {
                    (Some(_), _) | (None, ".") => mount.mount_path.clone(),
                    (None, directory) => {
                        format!("{}/{directory}", mount.mount_path.trim_end_matches('/'))
                    }
                },
                read_only: mount.read_only.unwrap_or(false),
            });
        }
    }
    // An injected container mounts it too, after an earlier injection.
    let ours = Role::ALL.map(Role::container);
    seen.retain(|seen| !ours.contains(&seen.container.as_str()));
    Repository {
        called: format!("gitRepo volume {volume}"),
        settings,
        seen,
    }
}

/// The cache with whose answers the Pod may start while the git host is unreachable.
fn stale_cache<'a>(input: &PlanInput<'a>, kind: Option<RepoKind>) -> Option<&'a Cache> {
    let cache = input.cache.used().filter(|cache| cache.serves_stale());
    cache.filter(|_| kind == Some(RepoKind::Http))
}

/// Notes where the author's maximum staleness has no effect.
fn note_staleness(settings: &mut [Setting], input: &PlanInput<'_>, kind: Option<RepoKind>) {
    let is_unknown = matches!(input.cache, CacheChoice::UnknownLabels);
    if is_unknown || stale_cache(input, kind).is_some() {
        return;
    }
    for setting in settings {
        if setting.key == Key::MaxStaleness.as_str() {
            setting.no_effect = Some("no cache with trust full is used for this repository");
        }
    }
}
