//! Warnings about mounts of a repository's volume that the Pod's author wrote.

use args::Layout;
use args::paths;
use k8s_openapi::api::core::v1::VolumeMount;

use crate::Plan;
use crate::model::role::Role;
use crate::plan::input::PlanInput;
use crate::pod::reader;

/// A volume with a repository's files.
struct Content<'a> {
    volume: &'a str,
    layout: Layout,
    /// Whether the syncer changes the files while the Pod runs.
    is_followed: bool,
}

/// The warnings for mounts that do not show what their author expects.
pub(super) fn warnings(input: &PlanInput<'_>, plan: &Plan) -> Vec<String> {
    let contents = contents(input, plan);
    let problem = |mount: &VolumeMount| {
        let content = contents.iter().find(|own| own.volume == mount.name)?;
        problem(mount, content)
    };
    reader::all(input.pod)
        .filter_map(|reader| {
            let mut mounts = reader.container.volume_mounts.iter().flatten();
            let (mount, problem) = mounts.find_map(|mount| Some((mount, problem(mount)?)))?;
            Some(format!(
                "container {}: {} mounts {} {problem}",
                reader.container.name, mount.mount_path, mount.name
            ))
        })
        .collect()
}

fn contents<'a>(input: &'a PlanInput<'_>, plan: &'a Plan) -> Vec<Content<'a>> {
    let followed = input.git_repos.iter().filter(|own| own.follow.is_some());
    let mut contents: Vec<Content<'_>> = followed
        .map(|own| Content {
            volume: &own.volume,
            layout: Layout::Projected,
            is_followed: true,
        })
        .collect();
    for syncer in &plan.syncers {
        let mounts = syncer.mounts.iter();
        let mounts = mounts.filter(|mount| mount.path.starts_with(paths::CONTENT));
        // The entries of a role and its volumes have the same order.
        for (mount, entry) in mounts.zip(input.entries(syncer.role)) {
            contents.push(Content {
                volume: &mount.volume,
                layout: entry.args.layout,
                is_followed: syncer.role == Role::Sync,
            });
        }
    }
    contents
}

fn problem(mount: &VolumeMount, content: &Content<'_>) -> Option<&'static str> {
    let path = mount.sub_path.as_deref().or(mount.sub_path_expr.as_deref());
    let path = path.unwrap_or_default().trim_matches('/');
    match content.layout {
        Layout::Files => {
            let below = path.strip_prefix(paths::TREE);
            let is_in_tree = below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            let last = path.rsplit('/').next().unwrap_or_default();
            if path.is_empty() {
                return Some("whole, with the syncer's own files: mount its subPath tree");
            }
            if !is_in_tree {
                return Some("by another subPath than tree, which has the repository's files");
            }
            // The syncer replaces a file, but only changes the content of a directory.
            let is_file = last.trim_start_matches('.').contains('.');
            (is_file && content.is_followed).then_some(
                "by subPath: the kubelet never updates a single file after the first revision",
            )
        }
        // The mount is bound once and stays at the first revision when the tree is swapped.
        _ => (content.is_followed && !path.is_empty())
            .then_some("by subPath: the kubelet never updates it after the first revision"),
    }
}
