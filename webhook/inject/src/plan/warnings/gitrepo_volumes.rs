//! Warnings about converted gitRepo volumes: differences from the kubelet's volumes that may be
//! unexpected. Each is one line with the remedy at its beginning, since long lines are cut.

use args::Layout;
use args::RepoKind;

use crate::GitRepo;
use crate::Key;
use crate::model::role::Role;
use crate::model::user::uid_of;
use crate::plan::configures_git;
use crate::plan::entry::Entry;
use crate::plan::input::PlanInput;
use crate::plan::warnings::ssh::ssh_needs;
use crate::pod::reader::Reader;
use crate::pod::reader::all;
use crate::sources::gitrepo::volume::follow_key;

/// The warnings about the Pod's gitRepo volumes.
pub(crate) fn warnings(input: &PlanInput<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    for volume in input.git_repos {
        warnings.extend(about_the_address(volume, input));
        if volume.follow.is_some() {
            warnings.extend(about_following(volume));
        }
    }
    let roles = [Role::GitRepo, Role::GitRepoLate, Role::Sync];
    warnings.extend(roles.into_iter().filter_map(|role| owner(role, input)));
    warnings
}

fn about_the_address(volume: &GitRepo, input: &PlanInput<'_>) -> Option<String> {
    let name = &volume.volume;
    match volume.repository.kind() {
        RepoKind::Ssh if input.secret_of_volume(volume).is_none() => Some(format!(
            "{}: missing: ssh needs {} for gitRepo volume {name:?}",
            Key::Secret.annotation(),
            ssh_needs(input)
        )),
        RepoKind::Git => Some(format!(
            "gitRepo volume {name:?}: git:// is unencrypted: anyone on the network path can change the files"
        )),
        _ if volume.repository.user_info().has_secret() => Some(format!(
            "{} should hold the credentials that the address of gitRepo volume {name:?} exposes to everyone who can read the Pod",
            Key::Secret.annotation()
        )),
        _ => None,
    }
}

fn about_following(volume: &GitRepo) -> Vec<String> {
    let name = &volume.volume;
    let mut warnings = Vec::new();
    let revision = volume.revision.as_str();
    if [40, 64].contains(&revision.len()) && revision.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let follow = follow_key();
        warnings.push(format!(
            "{follow}: gitRepo volume {name:?} names a single commit, which never changes, so there is nothing to follow"
        ));
    }
    if volume.directory.is_none() {
        let follow = follow_key();
        warnings.push(format!(
            "{follow}: gitRepo volume {name:?} gets no .git directory, because its directory is \".\""
        ));
    }
    warnings
}

/// The warning for git's ownership check: git refuses to work in another user's repository. The
/// kubelet's volumes belonged to root; converted ones belong to a user that not every container
/// runs as.
fn owner(role: Role, input: &PlanInput<'_>) -> Option<String> {
    if input.wide.safe_directory {
        return None;
    }
    let served = input.entries(role);
    let with_git: Vec<&str> = served.iter().filter_map(git_of_a_pods_volume).collect();
    let user = input.role(role).user;
    let is_other = |reader: &Reader<'_>| {
        let uid = uid_of(input.pod, reader.container);
        // Where the namespace assigns users, all containers get the same one.
        user.map_or(uid.is_some(), |user| uid != Some(user.uid))
    };
    let others: Vec<&str> = all(input.pod)
        .filter(|reader| reader.mounts_any(&with_git))
        .filter(|reader| is_other(reader) && !configures_git(reader))
        .map(|reader| reader.container.name.as_str())
        .collect();
    if others.is_empty() {
        return None;
    }
    Some(format!(
        "{}: \"true\" is required for git to work in gitRepo volumes (\"dubious ownership\"): {}",
        Key::SafeDirectory.annotation(),
        others.join(", ")
    ))
}

/// The Pod's volume that the entry puts a `.git` on, if any.
fn git_of_a_pods_volume(entry: &Entry) -> Option<&str> {
    match &entry.content {
        crate::plan::entry::Content::Pods { volume, .. }
            if entry.args.layout != Layout::Projected =>
        {
            Some(volume)
        }
        _ => None,
    }
}
