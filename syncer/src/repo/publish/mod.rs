//! Publication: three layouts, one set of steps.

pub(crate) mod error;
mod files;
pub(crate) mod layout;
mod link;
mod projected;
mod subdir;
mod tree_name;

use crate::config::LayoutConfig;
use crate::config::RepoConfig;
use crate::repo::publish::files::FilesLayout;
use crate::repo::publish::layout::Layout;
use crate::repo::publish::link::LinkLayout;
use crate::repo::publish::projected::ProjectedLayout;
use std::sync::Arc;

/// The layout of a configuration; `None` for a clone, which is not published.
pub(crate) fn layout_of(config: &RepoConfig) -> Option<Arc<dyn Layout>> {
    let root = config.root.clone();
    match &config.layout {
        LayoutConfig::Link { link } => Some(Arc::new(LinkLayout::new(root, link.clone()))),
        LayoutConfig::Projected { state, subdir } => {
            Some(Arc::new(ProjectedLayout::new(root, state, subdir.clone())))
        }
        LayoutConfig::Files { state, subdir } => {
            let request = format!("{}\n{}\n", config.repo.url, config.rev);
            let subdir = subdir.clone();
            Some(Arc::new(FilesLayout::new(&root, state, subdir, request)))
        }
        LayoutConfig::Clone { .. } => None,
    }
}
