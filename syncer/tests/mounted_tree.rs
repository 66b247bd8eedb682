//! A tree that is a mount point, which no other tree can replace.

use std::fs;
use std::process::Command;

use crate::world::World;
use crate::world::eventually;
use crate::world::namespaces::run_with_own_mounts;

/// A directory mounted on itself until dropped.
struct BindMount(std::path::PathBuf);

impl BindMount {
    fn on(dir: &std::path::Path) -> Self {
        let mounted = Command::new("mount")
            .arg("--bind")
            .args([dir, dir])
            .status();
        assert!(mounted.unwrap().success());
        Self(dir.to_owned())
    }
}

impl Drop for BindMount {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(unmounted.unwrap().success());
    }
}

#[test]
fn its_files_stay_and_it_is_repaired_once_that_is_unmounted() {
    run_with_own_mounts(|| {
        let world = World::new("link");
        let commit = world.repo.commit().write("a", "1").write("b", "2").push();
        world.sync_once(&[]);
        let tree = world.tree().canonicalize().unwrap();
        let mounted = BindMount::on(&tree);
        fs::write(tree.join("a"), "damaged").unwrap();
        // The state of a tree is unknown after a reboot, so it is checked.
        world.reboot();
        let running = world.syncer().start(&world.path("log"));
        eventually("the exchange fails", || {
            running
                .log()
                .contains("Device or resource busy")
                .then_some(())
        });
        assert_eq!(world.read("b").as_deref(), Some("2"));
        assert_eq!(world.published(), Some(commit));
        drop(mounted);
        eventually("the tree is repaired", || {
            (world.read("a")? == "1").then_some(())
        });
    });
}
