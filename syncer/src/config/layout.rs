use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use args::Layout;
use args::Link;
use args::RepoUrl;
use args::Subdir;

use crate::config::ConfigError;

/// The layout of the published tree, with its own settings.
#[derive(Clone, Debug)]
pub(crate) enum LayoutConfig {
    /// git-sync's layout: the path of the link, absolute or relative to the root.
    Link { link: PathBuf },
    /// The layout of a ConfigMap volume: git's own directory, and the subdirectory that is
    /// published.
    Projected {
        state: PathBuf,
        subdir: Option<Subdir>,
    },
    /// Real directories and files: git's own directory, and the subdirectory that is published.
    Files {
        state: PathBuf,
        subdir: Option<Subdir>,
    },
    /// The layout of a gitRepo volume: the clone's path, relative to the root.
    Clone { dir: PathBuf },
}

impl LayoutConfig {
    /// The subdirectory that is published instead of the whole repository.
    pub(crate) fn subdir(&self) -> Option<&Subdir> {
        match self {
            Self::Projected { subdir, .. } | Self::Files { subdir, .. } => subdir.as_ref(),
            Self::Link { .. } | Self::Clone { .. } => None,
        }
    }

    /// Checks that the values are consistent.
    pub(super) fn new(
        layout: Layout,
        link: Option<Link>,
        subdir: Option<Subdir>,
        repo: &RepoUrl,
        root: &Path,
        state: Option<&Path>,
    ) -> Result<Self, ConfigError> {
        let has_subdirs = matches!(layout, Layout::Projected | Layout::Files);
        if let Some(subdir) = subdir.as_ref().filter(|_| !has_subdirs) {
            let expected = "--layout=projected or --layout=files with it, since other layouts publish the whole tree";
            return Err(ConfigError::value("subdir", subdir, expected));
        }
        match (layout, link, state) {
            (Layout::Link, Some(link), _) => Ok(Self::Link {
                link: climbed(root, link.as_path()),
            }),
            (Layout::Link, None, _) => Ok(Self::Link {
                link: PathBuf::from(repo.last_component()),
            }),
            (Layout::Clone, None, _) => Ok(Self::Clone {
                dir: PathBuf::new(),
            }),
            (Layout::Clone, Some(link), _) => {
                let is_name = |part| matches!(part, Component::Normal(_) | Component::CurDir);
                if !link.as_path().components().all(is_name) {
                    let expected = "a directory below --root with --layout=clone";
                    return Err(ConfigError::value("link", &link, expected));
                }
                Ok(Self::Clone {
                    dir: link.as_path().to_owned(),
                })
            }
            (Layout::Projected, None, Some(state)) => Ok(Self::Projected {
                state: state.to_owned(),
                subdir,
            }),
            (Layout::Projected, Some(link), Some(_)) => {
                let expected = "no value with --layout=projected, which has no link";
                Err(ConfigError::value("link", &link, expected))
            }
            (Layout::Projected, _, None) => {
                let expected = "a directory outside --root, which --layout=projected needs";
                Err(ConfigError::missing("state", expected))
            }
            (Layout::Files, None, Some(state)) => Ok(Self::Files {
                state: state.to_owned(),
                subdir,
            }),
            (Layout::Files, Some(link), Some(_)) => {
                let expected = "no value with --layout=files, which has no link";
                Err(ConfigError::value("link", &link, expected))
            }
            (Layout::Files, _, None) => {
                let expected = "a directory outside --root, which --layout=files needs";
                Err(ConfigError::missing("state", expected))
            }
        }
    }
}

/// Resolves the leading `..` of a link out of the root, in the text alone, as git-sync does; other
/// links stay unchanged.
fn climbed(root: &Path, link: &Path) -> PathBuf {
    let mut base = root;
    let mut rest = link;
    while let Ok(below) = rest.strip_prefix("..") {
        base = base.parent().unwrap_or(base);
        rest = below;
    }
    if rest == link {
        link.to_owned()
    } else {
        base.join(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_may_climb_out_of_the_root() {
        for (link, expected) in [("a/b", "a/b"), ("../x", "/srv/x"), ("../../../x/y", "/x/y")] {
            assert_eq!(
                climbed(Path::new("/srv/git"), Path::new(link)),
                Path::new(expected)
            );
        }
    }
}
