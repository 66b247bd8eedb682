//! The manifests under `examples/`, and the values for charts of other projects among them.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use crate::settings;

/// A file of an example.
#[derive(Clone, Debug)]
pub struct ExampleFile {
    /// The directory of the example, such as `nginx`.
    pub example: String,
    /// The path from the checkout's root.
    pub path: PathBuf,
    /// The content.
    pub text: String,
}

/// The manifests, which `kubectl apply` accepts, by path.
pub fn manifests() -> Result<Vec<ExampleFile>, String> {
    files(|name| name.ends_with(".yaml") && name != "values.yaml")
}

/// The values for charts of other projects, by path.
pub fn values() -> Result<Vec<ExampleFile>, String> {
    files(|name| name == "values.yaml")
}

/// The pages, by path.
pub fn pages() -> Result<Vec<ExampleFile>, String> {
    files(|name| name == "README.md")
}

fn files(is_wanted: impl Fn(&str) -> bool) -> Result<Vec<ExampleFile>, String> {
    let mut found = Vec::new();
    for example in entries(Path::new("examples"))? {
        if !settings::root().join(&example).is_dir() {
            continue;
        }
        let name = |path: &Path| {
            let name = path.file_name().unwrap_or_default();
            name.to_string_lossy().into_owned()
        };
        for path in entries(&example)? {
            if is_wanted(&name(&path)) {
                let text = fs::read_to_string(settings::root().join(&path));
                let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
                let example = name(&example);
                found.push(ExampleFile {
                    example,
                    path,
                    text,
                });
            }
        }
    }
    Ok(found)
}

/// The paths in a directory of the checkout, sorted.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(settings::root().join(folder));
    let entries = entries.map_err(|error| format!("{}: {error}", folder.display()))?;
    let paths: Result<Vec<PathBuf>, _> = entries
        .map(|entry| entry.map(|entry| folder.join(entry.file_name())))
        .collect();
    let mut paths = paths.map_err(|error| error.to_string())?;
    paths.sort();
    Ok(paths)
}
