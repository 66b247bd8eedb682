//! Converts gitRepo volumes to annotations.

use args::Rev;
use args::Submodules;
use inject::Follow;
use inject::GitRepo;
use inject::Key;
use inject::Medium;
use inject::Outcome;
use inject::PREFIX;
use k8s_openapi::api::core::v1::PodSpec;
use serde_json::Value;

use super::view;
use super::view::View;
use crate::conversion::source::Left;
use crate::conversion::source::Source;
use crate::conversion::source::answered;

/// The gitRepo volumes of a Pod. The injector itself reports those that it would reject.
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
    // Reported here: without any other request the injector reports nothing.
    let off = template
        .pointer("/metadata/annotations")
        .and_then(|all| all.get(Key::GitRepo.annotation()));
    if off.and_then(Value::as_str) == Some("off") {
        let why = format!("{} is off", Key::GitRepo.annotation());
        return names
            .iter()
            .map(|name| Err(left(name, why.clone())))
            .collect();
    }
    let planned = match answered(template) {
        Ok(Outcome::Inject(plan)) => Ok(plan.git_repos),
        Ok(Outcome::Deny(refusal)) => Err(format!("the injector refuses it: {refusal}")),
        Ok(Outcome::Skip(reason)) => Err(format!("the injector skips the Pod: {reason}")),
        Err(error) => Err(error),
    };
    let source = |name: &&str| match &planned {
        Ok(planned) => match planned.iter().find(|volume| volume.volume == **name) {
            Some(volume) => source(pod, volume).map_err(|why| left(name, why)),
            None => Err(left(name, "the injector would not change it".to_owned())),
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
        values: _,
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
    let mut keys = vec![(Key::Repo, repository.reveal().to_owned())];
    if rev.as_str() != "HEAD" {
        keys.push((Key::Ref, rev.to_string()));
    }
    keys.push((Key::MountPath, view.mount_path.clone()));
    let has_history = link.is_some();
    keys.extend(link.map(|link| (Key::Link, link)));
    match follow {
        None => {
            keys.push((Key::Mode, "once".to_owned()));
            // The kubelet cloned the full history, without submodules.
            if has_history {
                keys.push((Key::Depth, "0".to_owned()));
            }
            keys.push((Key::Submodules, "off".to_owned()));
        }
        Some(follow) => followed(follow, &mut keys),
    }
    if !view.read_only {
        keys.push((Key::ReadOnly, "false".to_owned()));
    }
    keys.extend(secret.clone().map(|secret| (Key::Secret, secret)));
    keys.extend(timeout.map(|timeout| (Key::Timeout, timeout.to_string())));
    let limit = size_limit.as_ref().map(ToString::to_string);
    keys.extend(limit.map(|limit| (Key::SizeLimit, limit)));
    if *medium == Medium::Memory {
        keys.push((Key::Medium, "memory".to_owned()));
    }
    if repository.kind() == args::RepoKind::Ssh && secret.is_none() {
        notes.push(format!(
            "the kubelet used the node's ssh key: name a Secret with ssh and known_hosts by \
             {PREFIX}secret"
        ));
    }
    if view.is_mixed {
        notes.push(
            "some of the containers mounted it read-only, and now all of them can write".to_owned(),
        );
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

/// The annotations of a volume that is kept up to date.
fn followed(follow: &Follow, keys: &mut Vec<(Key, String)>) {
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
    keys.push((Key::Period, period.to_string()));
    keys.extend(max_staleness.map(|longest| (Key::MaxStaleness, longest.to_string())));
    if *depth != 1 {
        keys.push((Key::Depth, depth.to_string()));
    }
    match submodules {
        Submodules::Recursive => {}
        Submodules::Shallow => keys.push((Key::Submodules, "shallow".to_owned())),
        Submodules::Off => keys.push((Key::Submodules, "off".to_owned())),
    }
    if *lfs {
        keys.push((Key::Lfs, "true".to_owned()));
    }
    for (key, text) in [
        (Key::Filter, filter),
        (Key::SparseCheckout, sparse_checkout),
        (Key::Notify, notify),
    ] {
        keys.extend(text.clone().map(|text| (key, text)));
    }
}

/// The link relative to the mount path at which readers of this mount expect the files, and a note
/// about what is missing there; an error if no annotation is equivalent.
fn placed(
    view: &View,
    directory: Option<&str>,
) -> Result<(Option<String>, Option<String>), String> {
    let without_git = || {
        Some(
            "there is no .git next to the files any more; a container that runs git there needs gitvolume.dev/link, or the original volume"
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

/// The message about a subPath: it may name a single file, which no annotation mounts.
pub(super) fn sub_path(sub: &str, tree: &str) -> String {
    let inner = match tree {
        "" => Some(sub.to_owned()),
        tree => view::below(tree, sub),
    };
    match inner {
        Some(inner) => format!(
            "it is mounted by subPath {sub:?}, which may be a file; if it is a directory, use \
             {PREFIX}subdir: {inner} instead"
        ),
        None => format!("it is mounted by subPath {sub:?}, which is not where the files are"),
    }
}

fn unfollowable(revision: &str) -> String {
    format!(
        "revision {revision:?} can be resolved only with the full history; expected a branch, a tag or \
         a full commit hash"
    )
}

/// Whether a revision looks like an abbreviated commit hash; a branch rarely does.
fn is_short_hash(rev: &Rev) -> bool {
    let text = rev.as_str();
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let has_digit = text.bytes().any(|byte| byte.is_ascii_digit());
    is_hex && has_digit && (4..40).contains(&text.len())
}
