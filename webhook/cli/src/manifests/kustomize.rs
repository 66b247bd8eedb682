//! Detects which of the files are Kustomize patches and not complete manifests.

use std::collections::BTreeSet;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use inject::PREFIX;
use serde_json::Value;

use crate::manifests::documents;
use crate::manifests::files::File;
use crate::manifests::workloads::Object;

/// The kustomizations among the files.
#[derive(Debug, Default)]
pub struct Kustomizations {
    /// The files that a kustomization lists as patches.
    patches: BTreeSet<PathBuf>,
    /// The directories that contain a kustomization.
    directories: BTreeSet<PathBuf>,
    /// The files that a kustomization lists as resources.
    resources: BTreeSet<PathBuf>,
}

/// The message for a patch.
const PATCH: &str = "it is a Kustomize patch; inject the output of `kustomize build`";

impl Kustomizations {
    /// The kustomizations among these files; one that cannot be parsed is reported when it is
    /// processed as a file.
    pub fn of_files(files: &[File]) -> Self {
        let mut all = Self::default();
        for file in files {
            let Some(path) = &file.path else { continue };
            if !is_kustomization(file) && !file.text.contains("kustomize.config.k8s.io") {
                continue;
            }
            let directory = path.parent().unwrap_or(Path::new(""));
            for document in documents::read(&file.text).unwrap_or_default() {
                all.add(directory, document.value());
            }
        }
        all
    }

    fn add(&mut self, directory: &Path, own: &Value) {
        self.directories.insert(plain(directory));
        let listed = |key: &str| own[key].as_array().cloned().unwrap_or_default();
        let patches = ["patches", "patchesJson6902", "patchesStrategicMerge"];
        for item in patches.into_iter().flat_map(listed) {
            let path = item.as_str().or_else(|| item["path"].as_str());
            // A patch may be inline in the list.
            if let Some(path) = path.filter(|path| !path.contains('\n')) {
                self.patches.insert(plain(&directory.join(path)));
            }
        }
        for item in listed("resources") {
            let path = item.as_str().unwrap_or_default();
            self.resources.insert(plain(&directory.join(path)));
        }
    }

    /// The reason why an object of this file is skipped, if it is a patch: it is listed as one, has
    /// a directive of strategic merge, or is beside a kustomization that does not list it as a
    /// resource and lacks a field that every complete object has.
    pub fn unfinished(&self, file: &File, object: &Object<'_>) -> Option<&'static str> {
        let path = file.path.as_deref().map(plain);
        let is_named = path
            .as_ref()
            .is_some_and(|path| self.patches.contains(path));
        if is_named || has_directive(object.value) {
            return Some(PATCH);
        }
        let is_beside = path.is_some_and(|path| {
            let directory = path.parent().unwrap_or(Path::new(""));
            self.directories.contains(directory) && !self.resources.contains(&path)
        });
        if is_beside && object.templates().any(|(_, own)| lacks_images(own)) {
            return Some(PATCH);
        }
        let lacks_containers = |own: &Value| own["spec"]["containers"].is_null();
        object
            .templates()
            .any(|(_, own)| lacks_containers(own))
            .then_some(
                "its Pod template has no containers, as in a Kustomize patch; inject the output of `kustomize build`",
            )
    }
}

/// Whether a file has a kustomization's name.
pub fn is_kustomization(file: &File) -> bool {
    let stem = file
        .path
        .as_ref()
        .and_then(|path| path.file_stem()?.to_str());
    stem.is_some_and(|stem| stem.eq_ignore_ascii_case("kustomization"))
}

/// Whether a container has no image, which the API server would reject.
fn lacks_images(template: &Value) -> bool {
    let containers = template["spec"]["containers"].as_array();
    let mut containers = containers.into_iter().flatten();
    containers.any(|own| own["image"].is_null())
}

/// Whether a map has a directive of strategic merge: `$patch`, `$retainKeys`, `$setElementOrder/…`.
fn has_directive(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.iter().any(|(key, child)| {
            let is_directive = key.starts_with("$patch")
                || key.starts_with("$retainKeys")
                || key.starts_with("$setElementOrder")
                || key.starts_with("$deleteFromPrimitiveList");
            // The value of an annotation is an unrelated text.
            is_directive || !key.starts_with(PREFIX) && has_directive(child)
        }),
        Value::Array(items) => items.iter().any(has_directive),
        _ => false,
    }
}

/// A path without `.`, and with `..` resolved as far as possible.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if plain.file_name().is_some() => {
                plain.pop();
            }
            component => plain.push(component),
        }
    }
    plain
}
