use args::Submodules;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;

use super::DEFAULT;
use super::OPERATOR;
use super::Setting;
use super::shown;
use crate::ANNOTATIONS;
use crate::Follow;
use crate::GitRepo;
use crate::Medium;
use crate::MountPath;
use crate::Name;
use crate::Request;
use crate::Role;
use crate::Scope;
use crate::annotations::Asked;
use crate::annotations::full_key;
use crate::reader;
use crate::value::without_secrets;
use crate::wanted::Wanted;

/// One repository, with all that holds for it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Repository {
    /// Such as `repository site`, or `gitRepo volume src`.
    pub called: String,
    /// Every setting, in the table's order, those that hold by default too.
    pub settings: Vec<Setting>,
    /// Where the Pod's containers see its files; empty where they do not.
    pub seen: Vec<Seen>,
}

/// Where a container sees files.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// The container's name.
    pub container: String,
    /// The path in it.
    pub path: String,
    /// Whether it may only read.
    pub read_only: bool,
}

/// The repositories of annotations, wrong ones too, and those of gitRepo volumes.
pub(super) fn all(
    wanted: &Wanted<'_>,
    asked: &Asked,
    annotations: Option<&Map<String, Value>>,
) -> Vec<Repository> {
    let mut all = Vec::new();
    for group in &asked.groups {
        let name = group.name.as_ref();
        let request = wanted.requests.iter().find(|own| own.name == group.name);
        // Keys without a repository may be about volumes, which have them too.
        let has_repo = annotations.is_some_and(|all| all.contains_key(&full_key(name, "repo")))
            || wanted.sources.text(name, "repo").is_some();
        if has_repo || wanted.git_repos.is_empty() {
            all.push(of_annotations(wanted, name, request, annotations));
        }
    }
    let volumes = wanted.git_repos.iter();
    all.extend(volumes.map(|volume| of_volume(wanted, volume, annotations)));
    all
}

fn of_annotations(
    wanted: &Wanted<'_>,
    name: Option<&Name>,
    request: Option<&Request>,
    annotations: Option<&Map<String, Value>>,
) -> Repository {
    let rows = ANNOTATIONS
        .iter()
        .filter(|row| row.scope == Scope::Repository);
    let settings = rows.filter_map(|row| {
        let key = wanted.key(name, row.key);
        let given = annotations.and_then(|all| all.get(&full_key(name, row.key)));
        let by_object = || {
            let text = wanted.sources.text(name, row.key)?;
            Some(without_secrets(text))
        };
        let given = given.map(shown).or_else(by_object);
        let default = || match row.key {
            "mount-path" => Some(MountPath::default_for(name).to_string()),
            _ => row.default.map(str::to_owned),
        };
        let secret = || {
            let secret = wanted.secret_of(None, &request?.repo)?;
            Some(secret.name)
        };
        let operators = || match row.key {
            "secret" => secret(),
            "timeout" => Some(wanted.settings.sync_timeout.to_string()),
            _ => None,
        };
        let (value, from) = match (given, operators()) {
            (Some(value), _) => (value, key),
            (None, Some(value)) => (value, OPERATOR.to_owned()),
            (None, None) => (default()?, DEFAULT.to_owned()),
        };
        Some(Setting {
            key: row.key.to_owned(),
            value,
            from,
        })
    });
    let seen = request.into_iter().flat_map(|request| {
        let link = request.link.as_ref().map(|link| format!("/{link}"));
        let path = format!("{}{}", request.mount_path, link.unwrap_or_default());
        let readers = wanted.readers().into_iter();
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
        settings: settings.collect(),
        seen: seen.collect(),
    }
}

fn of_volume(
    wanted: &Wanted<'_>,
    volume: &GitRepo,
    annotations: Option<&Map<String, Value>>,
) -> Repository {
    const VOLUME: &str = "the volume";
    // Taken apart without `..`: what is not told does not compile.
    let GitRepo {
        index: _,
        volume,
        repository,
        revision,
        directory,
        secret,
        timeout,
        size_limit,
        medium,
        is_late: _,
        follow,
    } = volume;
    let name: Option<Name> = volume.parse().ok();
    let has = |key: &String| annotations.is_some_and(|all| all.contains_key(key));
    // A key of the volume's own name, else the unnamed one; those beside a `repo` are that one's.
    let said = |key: &str| {
        let names = [name.as_ref().map(Some), Some(None)];
        names
            .into_iter()
            .flatten()
            .filter(|name| !has(&full_key(*name, "repo")))
            .map(|name| full_key(name, key))
            .find(has)
    };
    let directory = directory.as_ref().map(ToString::to_string);
    // By default it is called by the address.
    let directory = directory.map_or_else(|| ".".to_owned(), |own| without_secrets(&own));
    let mut settings = Vec::new();
    let mut add = |key: &str, value: Option<String>, otherwise: &str| {
        settings.extend(value.map(|value| Setting {
            key: key.to_owned(),
            value: without_secrets(&value),
            from: match otherwise {
                VOLUME => VOLUME.to_owned(),
                _ => said(key).unwrap_or_else(|| otherwise.to_owned()),
            },
        }));
    };
    let text = |value: &dyn ToString| Some(value.to_string());
    add("repository", text(repository), VOLUME);
    add("revision", text(revision), VOLUME);
    add("directory", Some(directory.clone()), VOLUME);
    if let Some(follow) = follow {
        let Follow {
            period,
            depth,
            submodules,
            filter,
            sparse_checkout,
            notify,
        } = follow;
        add("period", text(period), DEFAULT);
        add("depth", text(depth), DEFAULT);
        let submodules = match submodules {
            Submodules::Recursive => "recursive",
            Submodules::Shallow => "shallow",
            Submodules::Off => "off",
        };
        add("submodules", text(&submodules), DEFAULT);
        add("filter", filter.clone(), DEFAULT);
        add("sparse-checkout", sparse_checkout.clone(), DEFAULT);
        add("notify", notify.clone(), DEFAULT);
    }
    let secret = wanted.secret_of(secret.as_ref(), repository);
    add("secret", secret.map(|secret| secret.name), OPERATOR);
    let timeout = timeout.unwrap_or(wanted.settings.sync_timeout);
    add("timeout", text(&timeout), OPERATOR);
    let limit = size_limit.as_ref();
    add("size-limit", limit.map(ToString::to_string), DEFAULT);
    let medium = match medium {
        Medium::Disk => "disk",
        Medium::Memory => "memory",
    };
    add("medium", text(&medium), DEFAULT);
    let mut seen = Vec::new();
    for reader in reader::all(wanted.pod) {
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
    // Ours mounts it too, where it was injected already.
    let ours = Role::ALL.map(Role::container);
    seen.retain(|seen| !ours.contains(&seen.container.as_str()));
    Repository {
        called: format!("gitRepo volume {volume}"),
        settings,
        seen,
    }
}
