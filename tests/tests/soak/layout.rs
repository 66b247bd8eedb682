//! The layouts that the syncers of the soak test use, and the app that reads each.

use std::path::Path;
use std::path::PathBuf;

/// What the app does with the published files.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum AppKind {
    /// It reads the tree that the link names, as one revision.
    ReadsRevisions,
    /// It reads each file; two files may be of different revisions.
    ReadsFiles,
    /// It edits the files of each revision.
    Writes,
}

/// A layout of a follower.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FollowedLayout {
    pub(crate) name: &'static str,
    /// The value of `--layout`.
    layout: &'static str,
    links_trees: bool,
    pub(crate) app: AppKind,
}

/// All that are followed. Trees are linked only where no consumer writes.
pub(crate) const FOLLOWED: [FollowedLayout; 5] = [
    FollowedLayout {
        name: "link",
        layout: "link",
        links_trees: true,
        app: AppKind::ReadsRevisions,
    },
    FollowedLayout {
        name: "projected",
        layout: "projected",
        links_trees: true,
        app: AppKind::ReadsRevisions,
    },
    FollowedLayout {
        name: "files",
        layout: "files",
        links_trees: false,
        app: AppKind::ReadsFiles,
    },
    FollowedLayout {
        name: "link-edited",
        layout: "link",
        links_trees: false,
        app: AppKind::Writes,
    },
    FollowedLayout {
        name: "projected-edited",
        layout: "projected",
        links_trees: false,
        app: AppKind::Writes,
    },
];

impl FollowedLayout {
    /// The flags of the syncer.
    pub(crate) fn flags(&self, state: &Path) -> Vec<String> {
        let mut flags = vec![format!("--layout={}", self.layout)];
        if self.layout == "link" {
            flags.push("--link=now".to_owned());
        } else {
            flags.push(format!("--state={}", state.display()));
        }
        if self.links_trees {
            flags.push("--link-trees".to_owned());
        }
        flags
    }

    /// The directory of the published files, or the link to it.
    pub(crate) fn tree(&self, root: &Path) -> PathBuf {
        root.join(match self.layout {
            "link" => "now",
            "projected" => "..data",
            _ => "tree",
        })
    }
}
