//! The paths that the entries of a file write to; they must not be equal or nested.

use std::fmt;
use std::fs;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use crate::config::LayoutConfig;
use crate::config::RepoConfig;
use crate::config::file_error::FileError;

/// A path that an entry writes to.
struct Place<'a> {
    entry: &'a str,
    key: &'static str,
    /// The configured path, without `.` and double slashes.
    path: PathBuf,
    /// The real path: symlinks and `..` are resolved as far as it exists.
    real: PathBuf,
    /// The entry owns the whole directory; otherwise only this one name.
    is_dir: bool,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "repos.{}.{}", self.entry, self.key)
    }
}

/// Refuses two entries with equal or nested paths: one of them would remove the other's files.
pub(super) fn check(file: &str, configs: &[RepoConfig]) -> Result<(), FileError> {
    let mut taken: Vec<Place<'_>> = Vec::new();
    for config in configs {
        for place in places(config) {
            let relation = taken.iter().find_map(|other| {
                let relation = relation(&place, other)?;
                Some(format!("{relation} {other}"))
            });
            if let Some(relation) = relation {
                return Err(FileError::Key {
                    file: file.to_owned(),
                    entry: place.entry.to_owned(),
                    key: place.key.to_owned(),
                    why: format!(
                        "{:?} {relation}: expected a path that no other entry uses",
                        place.path.display().to_string()
                    ),
                });
            }
            taken.push(place);
        }
    }
    Ok(())
}

/// How two paths conflict.
fn relation(place: &Place<'_>, other: &Place<'_>) -> Option<&'static str> {
    let is_own = place.entry == other.entry;
    if place.real == other.real {
        return Some("is also");
    }
    // An entry's own names may be in its root, but not its state directory.
    if other.is_dir && place.real.starts_with(&other.real) && (!is_own || place.is_dir) {
        return Some("is inside");
    }
    (place.is_dir && other.real.starts_with(&place.real) && !is_own).then_some("contains")
}

fn places(config: &RepoConfig) -> Vec<Place<'_>> {
    let entry = config.name.as_deref().unwrap_or_default();
    let place = |key, path: &Path, is_dir| {
        let path: PathBuf = config.root.join(path).components().collect();
        let real = match (is_dir, path.parent(), path.file_name()) {
            // A final symlink is not resolved.
            (false, Some(parent), Some(name)) => real(parent).join(name),
            _ => real(&path),
        };
        Place {
            entry,
            key,
            path,
            real,
            is_dir,
        }
    };
    let link = match &config.layout {
        LayoutConfig::Link { link } => Some(link.as_path()),
        LayoutConfig::Projected { .. }
        | LayoutConfig::Files { .. }
        | LayoutConfig::Clone { .. } => None,
    };
    let dirs = [
        ("root", Some(config.root.as_path())),
        ("state", config.state.as_deref()),
    ];
    let names = [("link", link), ("error-file", config.error_file.as_deref())];
    let dirs = dirs
        .into_iter()
        .filter_map(|(key, path)| Some(place(key, path?, true)));
    let names = names
        .into_iter()
        .filter_map(|(key, path)| Some(place(key, path?, false)));
    dirs.chain(names).collect()
}

/// Resolves symlinks and `..` component by component, as far as the path exists.
fn real(path: &Path) -> PathBuf {
    let mut real = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::ParentDir => {
                real.pop();
            }
            Component::Normal(name) => {
                real.push(name);
                if let Ok(found) = fs::canonicalize(&real) {
                    real = found;
                }
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    real
}
