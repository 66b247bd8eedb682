//! Where the entries of a file write: each at places of its own, none within another's.

use std::fmt;
use std::fs;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use crate::config::LayoutConfig;
use crate::config::RepoConfig;
use crate::config::file::FileError;

/// A place where an entry writes.
struct Place<'a> {
    entry: &'a str,
    key: &'static str,
    /// As it is written, without `.` and doubled slashes.
    path: PathBuf,
    /// Where it is, free of symlinks and `..` as far as it exists.
    real: PathBuf,
    /// A whole directory is the entry's; else it is one name.
    is_dir: bool,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "repos.{}.{}", self.entry, self.key)
    }
}

/// Refuses two entries of which one would write where the other does: the same place, or one within
/// the other, where its owner would remove it.
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
                        "{:?} {relation}: expected a place of its own",
                        place.path.display().to_string()
                    ),
                });
            }
            taken.push(place);
        }
    }
    Ok(())
}

/// How two places are in each other's way.
fn relation(place: &Place<'_>, other: &Place<'_>) -> Option<&'static str> {
    let is_own = place.entry == other.entry;
    if place.real == other.real {
        return Some("is also");
    }
    // An entry's names may be in its own root, its state may not.
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
            // What is a symlink itself is not followed.
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
        LayoutConfig::Projected { .. } | LayoutConfig::Clone { .. } => None,
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

/// Follows symlinks and `..`, step by step, as far as the path exists.
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
