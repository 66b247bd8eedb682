//! The comparison of two trees: names, types, modes and content.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The type, the mode and the content of every path, without git's own files.
fn listing(dir: &Path) -> BTreeMap<Vec<u8>, String> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(parent) = dirs.pop() {
        for entry in fs::read_dir(&parent).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap() == ".git" {
                continue;
            }
            let metadata = fs::symlink_metadata(&path).unwrap();
            let content = if metadata.is_dir() {
                dirs.push(path.clone());
                Vec::new()
            } else if metadata.is_symlink() {
                fs::read_link(&path)
                    .unwrap()
                    .as_os_str()
                    .as_bytes()
                    .to_vec()
            } else {
                fs::read(&path).unwrap()
            };
            let name = path.strip_prefix(dir).unwrap().as_os_str().as_bytes();
            let shown = format!("{:o} {}", metadata.mode(), content.escape_ascii());
            found.insert(name.to_vec(), shown);
        }
    }
    found
}

/// Asserts that a published tree equals a clone; `what` names the revision.
#[track_caller]
pub(crate) fn assert_equals_clone(tree: &Path, clone: &Path, what: &str) {
    let (found, expected) = (listing(&tree.canonicalize().unwrap()), listing(clone));
    for (path, expected) in &expected {
        let found = found.get(path);
        assert_eq!(found, Some(expected), "{what}: {}", path.escape_ascii());
    }
    assert_eq!(found.len(), expected.len(), "{what}: more files");
}
