//! Where the containers of a Pod see a volume.

use k8s_openapi::api::core::v1::Container;
use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::api::core::v1::VolumeMount;

/// How the readers of a volume see it: all in one place, since a repository has one `mount-path`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct View {
    pub(super) mount_path: String,
    /// The part of the volume that they see.
    pub(super) sub_path: Option<String>,
    pub(super) read_only: bool,
    /// Whether some of them may write and others may not.
    pub(super) is_mixed: bool,
    pub(super) containers: Vec<String>,
    pub(super) init_containers: Vec<String>,
}

/// All containers of a Pod with whether each is an init container, in the order of their start.
pub(super) fn all(pod: &PodSpec) -> impl Iterator<Item = (&Container, bool)> {
    let inits = pod.init_containers.iter().flatten();
    let inits = inits.map(|own| (own, true));
    inits.chain(pod.containers.iter().map(|own| (own, false)))
}

/// Where the containers of a Pod see a volume, but for those named; an error says why no annotation
/// can show it to them in the same way.
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
                "container {name} mounts volume {volume} more than once, and a repository has one \
                 mount-path"
            ));
        };
        if mount.sub_path_expr.is_some() {
            return Err(format!(
                "container {name} mounts volume {volume} by subPathExpr, which no annotation says"
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
                "its files are at {} and, in container {name}, at {mount_path}, and a repository \
                 has one mount-path",
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
            "of volume {volume} init containers alone read, and a repository is for containers"
        )),
        Some(view) => Ok(view),
        None => Err(format!("no other container mounts volume {volume}")),
    }
}

/// The mount of a container that a path is on, with the path below it; the innermost one counts.
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

/// The rest of a path below a directory: empty where it is that directory.
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

/// Works out what `.`, `..` and more slashes than one say (Go's `filepath.Clean`).
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
    fn paths_are_compared_by_what_they_mean() {
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
