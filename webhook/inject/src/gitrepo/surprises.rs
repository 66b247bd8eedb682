//! What worked on a node, or is otherwise allowed, and may yet surprise: each said in one line, with
//! what helps at its beginning, since long lines are cut.

use args::Layout;
use args::RepoKind;

use crate::GitRepo;
use crate::PREFIX;
use crate::container::Role;
use crate::entry::Entry;
use crate::gitrepo::follow_key;
use crate::plan::configures_git;
use crate::reader::Reader;
use crate::reader::all;
use crate::wanted::Wanted;
use crate::warnings::ssh_needs;

/// The warnings about the Pod's gitRepo volumes.
pub(crate) fn warnings(wanted: &Wanted<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    for volume in wanted.git_repos {
        warnings.extend(about_the_address(volume, wanted));
        if volume.follow.is_some() {
            warnings.extend(about_following(volume));
        }
    }
    let roles = [Role::GitRepo, Role::GitRepoLate, Role::Sync];
    warnings.extend(roles.into_iter().filter_map(|role| owner(role, wanted)));
    warnings
}

fn about_the_address(volume: &GitRepo, wanted: &Wanted<'_>) -> Option<String> {
    let name = &volume.volume;
    match volume.repository.kind() {
        RepoKind::Ssh
            if wanted
                .secret_of(volume.secret.as_ref(), &volume.repository)
                .is_none() =>
        {
            Some(format!(
                "{PREFIX}secret: missing: ssh needs {} for gitRepo volume {name:?}",
                ssh_needs(wanted)
            ))
        }
        RepoKind::Git => Some(format!(
            "gitRepo volume {name:?}: git:// has no encryption: anyone on the way can change the \
             files"
        )),
        _ if volume.repository.user_info().has_secret() => Some(format!(
            "{PREFIX}secret would hide what the address of gitRepo volume {name:?} shows: its \
             credentials"
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
            "{follow}: gitRepo volume {name:?} names one commit, which never changes"
        ));
    }
    if volume.directory.is_none() {
        let follow = follow_key();
        warnings.push(format!(
            "{follow}: gitRepo volume {name:?} has no .git, since its directory is \".\""
        ));
    }
    warnings
}

/// git refuses to work in another user's repository. The kubelet's were root's; ours are those of a
/// user whom not every container is known to be.
fn owner(role: Role, wanted: &Wanted<'_>) -> Option<String> {
    if wanted.wide.safe_directory {
        return None;
    }
    let served = wanted.entries(role);
    let with_git: Vec<&str> = served.iter().filter_map(git_of_a_pods_volume).collect();
    let user = wanted.user(role);
    let is_other = |reader: &Reader<'_>| {
        let pod = wanted.pod.security_context.as_ref();
        let own = reader.container.security_context.as_ref();
        let uid = own
            .and_then(|own| own.run_as_user)
            .or(pod.and_then(|pod| pod.run_as_user));
        // Where the namespace hands out users, all get the same one.
        user.map_or(uid.is_some(), |user| uid != Some(user.uid))
    };
    let others: Vec<&str> = all(wanted.pod)
        .filter(|reader| reader.mounts_any(&with_git))
        .filter(|reader| is_other(reader) && !configures_git(reader))
        .map(|reader| reader.container.name.as_str())
        .collect();
    if others.is_empty() {
        return None;
    }
    Some(format!(
        "{PREFIX}safe-directory: \"true\" lets git work in gitRepo volumes (\"dubious ownership\"): \
         {}",
        others.join(", ")
    ))
}

/// The Pod's volume that an entry has a `.git` on, if it does.
fn git_of_a_pods_volume(entry: &Entry) -> Option<&str> {
    match &entry.content {
        crate::entry::Content::Pods { volume, .. } if entry.args.layout != Layout::Projected => {
            Some(volume)
        }
        _ => None,
    }
}
