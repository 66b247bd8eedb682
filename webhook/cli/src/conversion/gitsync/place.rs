//! The path at which a git-sync container publishes.

use args::RepoArgs;
use k8s_openapi::api::core::v1::Container;
use k8s_openapi::api::core::v1::PodSpec;

use crate::conversion::view::below;
use crate::conversion::view::clean;
use crate::conversion::view::mount_of;

/// The volume and paths at which a syncer publishes.
pub(super) struct Place {
    pub(super) volume: String,
    /// The root, relative to the volume.
    pub(super) root: String,
    /// The link relative to the root, if it is below it.
    pub(super) link: Option<String>,
    /// The link, relative to the volume.
    pub(super) whole: String,
}

/// The place at which a syncer publishes, if it is in a volume that only this syncer uses.
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
            "its volume {} is not an emptyDir: its content outlives the Pod or is shared; the injected syncer's volume belongs to the Pod alone",
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
