//! The permissions of published files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::world::LAYOUTS;
use crate::world::World;

/// The permission bits of a path's target.
fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Publishes a plain file, a program and a directory, then returns the modes of these three, of the
/// tree and of the touch file.
fn modes(layout: &'static str, flags: &[(&str, &str)]) -> [u32; 5] {
    let world = World::new(layout);
    world
        .repo
        .commit()
        .write("d/plain", "1")
        .write_executable("run", "#!/bin/sh\n")
        .push();
    let touched = world.path("touched/by/us");
    let mut flags = flags.to_vec();
    flags.push(("touch-file", touched.to_str().unwrap()));
    world.sync_once(&flags);
    let tree = world.tree();
    [
        tree.join("d/plain"),
        tree.join("run"),
        tree.join("d"),
        tree,
        touched,
    ]
    .map(|path| mode(&path))
}

#[test]
fn only_the_owner_may_write_without_group_write() {
    for layout in LAYOUTS {
        assert_eq!(
            modes(layout, &[]),
            [0o644, 0o755, 0o755, 0o755, 0o644],
            "{layout}"
        );
        assert_eq!(
            modes(layout, &[("group-write", "true")]),
            [0o664, 0o775, 0o775, 0o775, 0o664],
            "{layout}"
        );
    }
}

#[test]
fn with_group_write_the_group_may_write_everywhere_below_the_root() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    world.sync_once(&[("group-write", "true")]);
    let mut dirs = vec![world.root()];
    while let Some(dir) = dirs.pop() {
        assert_eq!(mode(&dir) & 0o070, 0o070, "{}", dir.display());
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                dirs.push(entry.path());
            }
        }
    }
    assert_eq!(mode(&world.tree().join(".git")), 0o664);
}
