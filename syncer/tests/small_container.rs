//! A container with little memory: git's work on the volume stays within the limit.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use remotes::not_run;

use crate::world::World;
use crate::world::eventually;

const LIMIT: usize = 64 << 20;

/// A control group, removed when dropped.
struct ControlGroup(PathBuf);

impl ControlGroup {
    /// Creates a control group with a memory limit, in the kernel's hierarchy; `None` without the
    /// permission.
    fn with_limit(limit: usize) -> Option<Self> {
        let hierarchies = [
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            ("/sys/fs/cgroup", "memory.max"),
        ];
        hierarchies.into_iter().find_map(|(hierarchy, file)| {
            let name = format!("gitvolume-test-{}", std::process::id());
            let group = Self(Path::new(hierarchy).join(name));
            fs::create_dir(&group.0).ok()?;
            fs::write(group.0.join(file), limit.to_string()).ok()?;
            Some(group)
        })
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        // Its last process may still be a zombie.
        eventually("the control group is empty", || {
            (fs::remove_dir(&self.0).is_ok() || !self.0.exists()).then_some(())
        });
    }
}

fn noise(length: usize) -> Vec<u8> {
    let mut noise = vec![0; length];
    let mut source = fs::File::open("/dev/urandom").unwrap();
    source.read_exact(&mut noise).unwrap();
    noise
}

#[test]
fn a_repack_of_more_than_the_memory_is_not_killed() {
    let Some(group) = ControlGroup::with_limit(LIMIT) else {
        return not_run("no control group with a memory limit can be made here");
    };
    let world = World::new("link");
    let large = || noise(LIMIT * 9 / 16);
    let first = world.repo.commit().write("a", large()).write("b", large());
    let first = first.push();
    let enter = format!(
        "echo $$ > '{}/cgroup.procs'; exec \"$@\"",
        group.0.display()
    );
    let running = world
        .syncer_under(&["sh", "-c", &enter, "sh"])
        .flag("git-gc", "always")
        .flag("verbose", "5")
        .start(&world.path("log"));
    world.eventually_published(&first);
    // A repack pays when the garbage is more than half of the largest pack.
    for _ in 0..2 {
        let next = world.repo.commit().write("a", large()).push();
        world.eventually_published(&next);
    }
    running.eventually_logs("git repack");
    // The next pass starts after the clean-up of the last one.
    let third = world.repo.commit().write("c", "3").push();
    world.eventually_published(&third);
    let log = running.log();
    assert!(!log.contains("killed by signal"), "{log}");
    assert!(!log.contains("failed to clean up"), "{log}");
    running.terminate();
}
