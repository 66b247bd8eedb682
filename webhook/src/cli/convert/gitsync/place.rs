//! Where a container of git-sync's publishes.

use args::RepoArgs;
use k8s_openapi::api::core::v1::Container;
use k8s_openapi::api::core::v1::PodSpec;

use crate::cli::convert::view::below;
use crate::cli::convert::view::clean;
use crate::cli::convert::view::mount_of;

/// Where a syncer publishes.
pub(super) struct Place {
    pub(super) volume: String,
    /// The root below the volume's top.
    pub(super) root: String,
    /// The link below the root, where it is there.
    pub(super) link: Option<String>,
    /// The link below the volume's top.
    pub(super) whole: String,
}

/// Where a syncer publishes, if it is in a volume of the Pod's that is only for it.
pub(super) fn place(
    pod: &PodSpec,
    container: &Container,
    repo: &RepoArgs,
    default_link: &str,
) -> Result<Place, String> {
    let root = repo.root.as_ref().map(|root| root.display().to_string());
    let root = clean(&root.unwrap_or_default());
    let Some((mount, rest)) = mount_of(container, &root) else {
        return Err(format!("its root {root} is in no volume of the Pod"));
    };
    if mount.sub_path.is_some() || mount.sub_path_expr.is_some() {
        return Err(format!(
            "it publishes in a part of volume {} (subPath)",
            mount.name
        ));
    }
    let mounts = container.volume_mounts.iter().flatten();
    if mounts.filter(|own| own.name == mount.name).count() > 1 {
        return Err(format!("it mounts volume {} more than once", mount.name));
    }
    let mut volumes = pod.volumes.iter().flatten();
    let volume = volumes.find(|volume| volume.name == mount.name);
    if volume.is_none_or(|volume| volume.empty_dir.is_none()) {
        return Err(format!(
            "its volume {} is no emptyDir: what is in it stays when the Pod goes, or others have \
             it too; the injected syncer's volume is the Pod's alone",
            mount.name
        ));
    }
    let link = repo.link.as_ref().map(ToString::to_string);
    let link = link.unwrap_or_else(|| default_link.to_owned());
    let link = match link.starts_with('/') {
        true => clean(&link),
        false => clean(&format!("{root}/{link}")),
    };
    let top = clean(&mount.mount_path);
    let whole = below(&top, &link).filter(|whole| !whole.is_empty());
    let Some(whole) = whole else {
        return Err(format!(
            "its link {link} is not below the volume {} at {top}",
            mount.name
        ));
    };
    Ok(Place {
        volume: mount.name.clone(),
        root: rest,
        link: below(&root, &link).filter(|link| !link.is_empty()),
        whole,
    })
}
