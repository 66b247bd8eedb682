//! gitRepo volumes as annotations say them.

use args::Rev;
use args::Submodules;
use inject::Follow;
use inject::GitRepo;
use inject::Medium;
use inject::Outcome;
use inject::PREFIX;
use k8s_openapi::api::core::v1::PodSpec;
use serde_json::Value;

use super::Left;
use super::Source;
use super::answered;
use super::view;
use super::view::View;

/// Each gitRepo volume of a Pod. What the injector would refuse of them it says itself.
pub(super) fn sources(template: &Value, pod: &PodSpec) -> Vec<Result<Source, Left>> {
    let volumes = pod.volumes.iter().flatten();
    let names: Vec<&str> = volumes
        .filter(|volume| volume.git_repo.is_some())
        .map(|volume| volume.name.as_str())
        .collect();
    if names.is_empty() {
        return Vec::new();
    }
    let left = |name: &str, why: String| Left {
        about: format!("gitRepo volume {name}"),
        why,
    };
    // Told by hand: where nothing else is asked for, the injector has nothing to say.
    let off = template
        .pointer("/metadata/annotations")
        .and_then(|all| all.get(format!("{PREFIX}gitrepo")));
    if off.and_then(Value::as_str) == Some("off") {
        let why = format!("{PREFIX}gitrepo is off");
        return names
            .iter()
            .map(|name| Err(left(name, why.clone())))
            .collect();
    }
    let planned = match answered(template) {
        Ok(Outcome::Inject(plan)) => Ok(plan.git_repos),
        Ok(Outcome::Deny(refusal)) => Err(format!("the injector refuses it: {refusal}")),
        Ok(Outcome::Skip(reason)) => Err(format!("the injector leaves the Pod alone: {reason}")),
        Err(error) => Err(error),
    };
    let source = |name: &&str| match &planned {
        Ok(planned) => match planned.iter().find(|volume| volume.volume == **name) {
            Some(volume) => source(pod, volume).map_err(|why| left(name, why)),
            None => Err(left(name, "the injector would not touch it".to_owned())),
        },
        Err(why) => Err(left(name, why.clone())),
    };
    names.iter().map(source).collect()
}

fn source(pod: &PodSpec, volume: &GitRepo) -> Result<Source, String> {
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
    let rev = revision
        .to_rev()
        .map_err(|_| unfollowable(revision.as_str()))?;
    if is_short_hash(&rev) {
        return Err(unfollowable(rev.as_str()));
    }
    let view = view::of(pod, volume, &[])?;
    let directory = directory.as_ref().map(ToString::to_string);
    let (link, notes) = placed(&view, directory.as_deref())?;
    let mut notes: Vec<String> = notes.into_iter().collect();
    let mut keys = vec![("repo", repository.reveal().to_owned())];
    if rev.as_str() != "HEAD" {
        keys.push(("ref", rev.to_string()));
    }
    keys.push(("mount-path", view.mount_path.clone()));
    let has_history = link.is_some();
    keys.extend(link.map(|link| ("link", link)));
    match follow {
        None => {
            keys.push(("mode", "once".to_owned()));
            // The kubelet's clone had all of it, and no submodules.
            if has_history {
                keys.push(("depth", "0".to_owned()));
            }
            keys.push(("submodules", "off".to_owned()));
        }
        Some(follow) => followed(follow, &mut keys),
    }
    if !view.read_only {
        keys.push(("read-only", "false".to_owned()));
    }
    keys.extend(secret.clone().map(|secret| ("secret", secret)));
    keys.extend(timeout.map(|timeout| ("timeout", timeout.to_string())));
    let limit = size_limit.as_ref().map(ToString::to_string);
    keys.extend(limit.map(|limit| ("size-limit", limit)));
    if *medium == Medium::Memory {
        keys.push(("medium", "memory".to_owned()));
    }
    if repository.kind() == args::RepoKind::Ssh && secret.is_none() {
        notes.push(format!(
            "the kubelet used the node's ssh key: name a Secret with ssh and known_hosts by \
             {PREFIX}secret"
        ));
    }
    if view.is_mixed {
        notes.push("some of its readers could not write, and now all can".to_owned());
    }
    Ok(Source {
        about: format!("gitRepo volume {volume}"),
        base: volume.clone(),
        keys,
        wide: Vec::new(),
        containers: view.containers,
        init_containers: view.init_containers,
        removed: Vec::new(),
        volume: volume.clone(),
        notes,
    })
}

/// What a followed volume says of itself by annotations.
fn followed(follow: &Follow, keys: &mut Vec<(&'static str, String)>) {
    let Follow {
        period,
        depth,
        submodules,
        filter,
        sparse_checkout,
        notify,
    } = follow;
    keys.push(("period", period.to_string()));
    if *depth != 1 {
        keys.push(("depth", depth.to_string()));
    }
    match submodules {
        Submodules::Recursive => {}
        Submodules::Shallow => keys.push(("submodules", "shallow".to_owned())),
        Submodules::Off => keys.push(("submodules", "off".to_owned())),
    }
    for (key, text) in [
        ("filter", filter),
        ("sparse-checkout", sparse_checkout),
        ("notify", notify),
    ] {
        keys.extend(text.clone().map(|text| (key, text)));
    }
}

/// Where the files are to appear for readers who have the volume as it is viewed: the link below the
/// mount path, and what they will miss.
fn placed(
    view: &View,
    directory: Option<&str>,
) -> Result<(Option<String>, Option<String>), String> {
    let without_git = || {
        Some(
            "there is no .git beside the files any more; a reader that runs git there needs \
             gitvolume.dev/link, or the volume as it was"
                .to_owned(),
        )
    };
    match (view.sub_path.as_deref().map(view::clean), directory) {
        (None, None) => Ok((None, without_git())),
        (None, Some(directory)) => Ok((Some(directory.to_owned()), None)),
        (Some(sub), directory) if sub == directory.unwrap_or_default() => Ok((None, without_git())),
        (Some(sub), directory) => Err(sub_path(&sub, directory.unwrap_or_default())),
    }
}

/// A subPath may name one file, which no annotation mounts.
pub(super) fn sub_path(sub: &str, tree: &str) -> String {
    let inner = match tree {
        "" => Some(sub.to_owned()),
        tree => view::below(tree, sub),
    };
    match inner {
        Some(inner) => format!(
            "it is mounted by subPath {sub:?}, which may be one file; if it is a directory, \
             {PREFIX}subdir: {inner} says the same"
        ),
        None => format!("it is mounted by subPath {sub:?}, which is not where the files are"),
    }
}

fn unfollowable(revision: &str) -> String {
    format!(
        "revision {revision:?} is known only once all history is there; expected a branch, a tag or \
         a full commit hash"
    )
}

/// A branch may look so too, but hardly does.
fn is_short_hash(rev: &Rev) -> bool {
    let text = rev.as_str();
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let has_digit = text.bytes().any(|byte| byte.is_ascii_digit());
    is_hex && has_digit && (4..40).contains(&text.len())
}
