//! The paths at which the containers of a Pod see a volume.

use k8s_openapi::api::core::v1::Container;
use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::api::core::v1::VolumeMount;

/// The mount of a volume, the same for all of its readers, since a repository has one `mount-path`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct View {
    pub(super) mount_path: String,
    /// The `subPath` of the mounts.
    pub(super) sub_path: Option<String>,
    pub(super) read_only: bool,
    /// Whether some mounts are read-write and others read-only.
    pub(super) is_mixed: bool,
    pub(super) containers: Vec<String>,
    pub(super) init_containers: Vec<String>,
}

/// All containers of a Pod in the order of their start, each with whether it is an init container.
pub(super) fn all(pod: &PodSpec) -> impl Iterator<Item = (&Container, bool)> {
    let inits = pod.init_containers.iter().flatten();
    let inits = inits.map(|own| (own, true));
    inits.chain(pod.containers.iter().map(|own| (own, false)))
}

/// The mount of a volume in all containers except some; an error is the reason why no annotation is
/// equivalent.
pub(super) fn of(pod: &PodSpec, volume: &str, except: &[&str]) -> Result<View, String> {
    let mut view: Option<View> = None;
    for (container, is_init) in all(pod) {
        let mounts = container.volume_mounts.iter().flatten();
        let mounts: Vec<&VolumeMount> = mounts.filter(|mount| mount.name == volume).collect();
        if mounts.is_empty() || except.contains(&container.name.as_str()) {
            continue;
        }
        let name = &container.name;
        let [mount] = mounts[..] else {
            return Err(format!(
                "container {name} mounts volume {volume} more than once, but a repository has only one mount-path"
            ));
        };
        if mount.sub_path_expr.is_some() {
            return Err(format!(
                "container {name} mounts volume {volume} by subPathExpr, which no annotation can express"
            ));
        }
        let mount_path = clean(&mount.mount_path);
        let sub_path = mount.sub_path.clone().filter(|sub| !sub.is_empty());
        let read_only = mount.read_only.unwrap_or(false);
        let view = view.get_or_insert_with(|| View {
            mount_path: mount_path.clone(),
            sub_path: sub_path.clone(),
            read_only,
            is_mixed: false,
            containers: Vec::new(),
            init_containers: Vec::new(),
        });
        if view.mount_path != mount_path || view.sub_path != sub_path {
            return Err(format!(
                "its files are at {} and, in container {name}, at {mount_path}, but a repository has only one mount-path",
                view.mount_path
            ));
        }
        view.is_mixed |= view.read_only != read_only;
        view.read_only &= read_only;
        match is_init {
            true => view.init_containers.push(name.clone()),
            false => view.containers.push(name.clone()),
        }
    }
    match view {
        Some(view) if view.containers.is_empty() => Err(format!(
            "only init containers mount volume {volume}, but the webhook mounts repositories into app containers"
        )),
        Some(view) => Ok(view),
        None => Err(format!("no other container mounts volume {volume}")),
    }
}

/// The innermost mount of a container that contains a path, with the path relative to it.
pub(super) fn mount_of<'a>(
    container: &'a Container,
    path: &str,
) -> Option<(&'a VolumeMount, String)> {
    let path = clean(path);
    let mounts = container.volume_mounts.iter().flatten();
    mounts
        .filter_map(|mount| Some((mount, below(&clean(&mount.mount_path), &path)?)))
        .min_by_key(|(_, rest)| rest.len())
}

/// A path relative to a directory; empty for the directory itself.
pub(super) fn below(dir: &str, path: &str) -> Option<String> {
    let rest = path.strip_prefix(dir)?;
    match rest.strip_prefix('/') {
        Some(rest) => Some(rest.to_owned()),
        None if rest.is_empty() || dir == "/" => Some(rest.to_owned()),
        None => None,
    }
}

pub(super) fn joined(dir: &str, rest: &str) -> String {
    match rest {
        "" => dir.to_owned(),
        rest => format!("{}/{rest}", dir.trim_end_matches('/')),
    }
}

/// Resolves `.`, `..` and repeated slashes (Go's `filepath.Clean`).
pub(super) fn clean(path: &str) -> String {
    let is_absolute = path.starts_with('/');
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." if names.last().is_some_and(|last| *last != "..") => {
                names.pop();
            }
            ".." if is_absolute => {}
            name => names.push(name),
        }
    }
    let clean = names.join("/");
    if is_absolute {
        format!("/{clean}")
    } else {
        clean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_compared_after_cleaning() {
        for (path, expected) in [
            ("/git/", "/git"),
            ("//git/./a/../b", "/git/b"),
            ("/../x", "/x"),
            ("/", "/"),
            ("a/./b/", "a/b"),
            ("../a", "../a"),
            (".", ""),
        ] {
            assert_eq!(clean(path), expected, "{path}");
        }
        assert_eq!(below("/git", "/git"), Some(String::new()));
        assert_eq!(below("/git", "/git/a/b"), Some("a/b".to_owned()));
        assert_eq!(below("/git", "/gits"), None);
        assert_eq!(below("/", "/gits"), Some("gits".to_owned()));
        assert_eq!(joined("/git", ""), "/git");
        assert_eq!(joined("/git", "a"), "/git/a");
        assert_eq!(joined("/", "a"), "/a");
    }
}
