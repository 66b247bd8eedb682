//! Separate trees share the blocks of their files where the file system can do that.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use remotes::not_run;

use crate::linked::inode;
use crate::world::SWITCHED;
use crate::world::World;

/// The size of the file that no commit changes.
const LARGE: usize = 8 << 20;

/// A mounted file system whose files can share blocks.
struct Mounted(PathBuf);

impl Mounted {
    /// Creates an XFS file system in a file, and mounts it; `None` if the kernel has no XFS or no loop
    /// devices.
    fn at(dir: &Path, image: &Path) -> Option<Self> {
        fs::create_dir_all(dir).unwrap();
        // The smallest that mkfs.xfs makes.
        fs::File::create(image).unwrap().set_len(320 << 20).unwrap();
        run("mkfs.xfs", &["-q"], &[image]);
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-o", "loop"]).args([image, dir]).output();
        let mounted = mounted.unwrap();
        if !mounted.status.success() {
            let complaint = String::from_utf8_lossy(&mounted.stderr);
            not_run(&format!(
                "the kernel mounts no XFS here ({})",
                complaint.trim_end()
            ));
            return None;
        }
        Some(Self(dir.to_owned()))
    }

    /// The used space in bytes.
    fn used(&self) -> u64 {
        run("sync", &["-f"], &[&self.0]);
        let found = nix::sys::statvfs::statvfs(&self.0).unwrap();
        (found.blocks() - found.blocks_free()) * found.fragment_size()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        run("umount", &["--lazy"], &[&self.0]);
    }
}

#[track_caller]
fn run(program: &str, flags: &[&str], paths: &[&Path]) {
    let output = Command::new(program).args(flags).args(paths).output();
    let output =
        output.unwrap_or_else(|error| panic!("{program}: {error}; make prerequisites installs it"));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {text}");
}

#[test]
#[ignore = "needs root to mount a file system; make test-cluster runs it"]
fn a_revision_needs_space_for_its_changes_alone_and_has_no_edit_of_an_app() {
    for layout in SWITCHED {
        let world = World::new(layout);
        let Some(mounted) = Mounted::at(&world.root(), &world.path("image")) else {
            return;
        };
        let large: Vec<u8> = (0..LARGE).map(|_| fastrand::u8(..)).collect();
        let mut commit = world.repo.commit().write("changed", "1");
        for name in ["appended", "same", "chmod", "set-back", "kept"] {
            commit = commit.write(&format!("d/{name}"), "1");
        }
        let first = commit.write("large", large.clone()).push();
        let _running = world
            .syncer()
            .flag("stale-worktree-timeout", "1h")
            .start(&world.path("log"));
        world.eventually_published(&first);
        // The first tree of a process is written, and lends its files to the next.
        let old = world.tree().canonicalize().unwrap();
        let path = |name: &str| old.join("d").join(name);
        fs::write(path("appended"), "1 and more").unwrap();
        fs::set_permissions(path("chmod"), fs::Permissions::from_mode(0o600)).unwrap();
        let before = fs::metadata(path("set-back")).unwrap().modified().unwrap();
        fs::write(path("set-back"), "2").unwrap();
        let file = fs::File::options().write(true).open(path("set-back"));
        file.unwrap().set_modified(before).unwrap();
        let used = mounted.used();
        let second = world.repo.commit().write("changed", "2").push();
        world.eventually_published(&second);

        let grown = mounted.used() - used;
        assert!(grown < (LARGE / 4) as u64, "{layout}: {grown} bytes more");
        let new = world.tree().canonicalize().unwrap();
        assert_ne!(inode(old.join("large")), inode(new.join("large")));
        assert_eq!(fs::read(new.join("large")).unwrap(), large, "{layout}");
        for name in ["appended", "same", "chmod", "set-back", "kept"] {
            let file = new.join("d").join(name);
            assert_eq!(fs::read_to_string(&file).unwrap(), "1", "{layout}: {name}");
            let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o644, "{layout}: {name}");
        }
        if layout == "link" {
            assert_eq!(world.git(&["diff-files", "--name-only"]), "");
        }
        // A later edit of the new tree leaves the old one as it is.
        fs::write(new.join("d/kept"), "edited").unwrap();
        assert_eq!(fs::read_to_string(path("kept")).unwrap(), "1", "{layout}");
    }
}
