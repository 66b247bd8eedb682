//! The files layout: real directories and files, replaced one by one.

mod changes;
mod consumers;
mod interrupted;
mod once;
mod selections;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::world::Syncer;
use crate::world::World;

/// A path of a tree: its kind, whether it is executable, and its content or target.
type Entries = BTreeMap<String, (char, String)>;

/// Everything in a directory except `.git`, by path.
pub(super) fn entries(top: &Path) -> Entries {
    let mut entries = Entries::new();
    let mut dirs = vec![top.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(top).unwrap().display().to_string();
            if name == ".git" {
                continue;
            }
            let found = fs::symlink_metadata(&path).unwrap();
            let value = if found.is_dir() {
                dirs.push(path);
                ('d', String::new())
            } else if found.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                ('l', target.display().to_string())
            } else {
                let is_executable = found.permissions().mode() & 0o100 != 0;
                let text = fs::read(&path).unwrap();
                let text = String::from_utf8_lossy(&text).into_owned();
                (if is_executable { 'x' } else { 'f' }, text)
            };
            entries.insert(name, value);
        }
    }
    entries
}

/// Asserts that the tree is what a fresh clone has, without anything else.
#[track_caller]
pub(super) fn assert_equals_a_clone(world: &World) {
    let clone = world.path("fresh-clone");
    let _ = fs::remove_dir_all(&clone);
    let mut clone_command = remotes::git();
    clone_command.args(["clone", "-q"]).arg(world.repo.path());
    assert!(clone_command.arg(&clone).status().unwrap().success());
    assert_eq!(entries(&world.tree()), entries(&clone));
}

/// A one-time run, as the init container of `mode: once`.
pub(super) fn once(world: &World) -> Syncer {
    world
        .syncer()
        .flag("one-time", "true")
        .flag("max-failures", "0")
}
