//! git's resource limits, derived from the container's control group: by default git starts a
//! thread per processor of the machine and uses unlimited memory.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::thread;

const MIB: u64 = 1 << 20;

/// A limit above this value means unlimited: that is how cgroup v1 writes it.
const UNLIMITED: u64 = 1 << 60;

/// Each configured buffer gets a 16th of the memory: a repack needs about five of them.
const SHARE: u64 = 16;

/// The memory per thread of git, since each thread has its own buffers.
const MEMORY_OF_THREAD: u64 = 256 * MIB;

/// git's own limit for files that it reads as a whole.
const LARGEST_BIG_FILE: u64 = 512 * MIB;

/// The keys of git's configuration. Computed once, since the limits never change in a container.
pub(crate) fn settings() -> &'static [(&'static str, String)] {
    static SETTINGS: LazyLock<Vec<(&str, String)>> = LazyLock::new(|| {
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let memory = memory_limit(&groups, Path::new("/sys/fs/cgroup"));
        // It includes the CPU quota of the control group.
        let threads = thread::available_parallelism().map_or(1, usize::from);
        settings_for(memory, threads as u64)
    });
    &SETTINGS
}

fn settings_for(memory: Option<u64>, threads: u64) -> Vec<(&'static str, String)> {
    let by_memory = memory.map_or(threads, |memory| memory / MEMORY_OF_THREAD);
    let threads = by_memory.clamp(1, threads.max(1));
    let mut settings = vec![
        ("pack.threads", threads.to_string()),
        ("index.threads", threads.to_string()),
    ];
    if threads == 1 {
        // It has a separate number of threads.
        settings.push(("core.preloadIndex", "false".to_owned()));
    }
    if let Some(memory) = memory {
        let share = (memory / SHARE).max(MIB);
        let of_thread = (share / threads).max(MIB);
        settings.extend([
            ("pack.windowMemory", of_thread.to_string()),
            ("pack.deltaCacheSize", share.to_string()),
            ("core.deltaBaseCacheLimit", of_thread.to_string()),
            (
                "core.bigFileThreshold",
                share.min(LARGEST_BIG_FILE).to_string(),
            ),
            ("core.packedGitWindowSize", share.to_string()),
            ("core.packedGitLimit", (4 * share).to_string()),
        ]);
    }
    settings
}

/// The smallest memory limit of a process's control groups, in bytes. `groups` is the content of
/// `/proc/self/cgroup`; a container may see its own group as the root of the file system.
fn memory_limit(groups: &str, mount: &Path) -> Option<u64> {
    let limits = groups.lines().flat_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let controllers = parts.next().unwrap_or_default();
        let group = parts.next().unwrap_or_default().trim_start_matches('/');
        let (roots, files): (Vec<PathBuf>, &[&str]) = if controllers.is_empty() {
            let roots = vec![mount.to_owned(), mount.join("unified")];
            (roots, &["memory.max", "memory.high"])
        } else if controllers.split(',').any(|name| name == "memory") {
            (vec![mount.join(controllers)], &["memory.limit_in_bytes"])
        } else {
            (Vec::new(), &[])
        };
        let dirs = roots.into_iter().flat_map(|root| {
            let groups: Vec<&Path> = Path::new(group).ancestors().collect();
            groups
                .into_iter()
                .map(|group| root.join(group))
                .collect::<Vec<_>>()
        });
        dirs.flat_map(|dir| {
            files
                .iter()
                .filter_map(move |file| limit_in(&dir.join(file)))
        })
        .collect::<Vec<_>>()
    });
    limits.min()
}

/// Reads a limit; `None` if the file contains `max` or does not exist.
fn limit_in(file: &Path) -> Option<u64> {
    let limit = fs::read_to_string(file).ok()?.trim().parse().ok()?;
    (limit < UNLIMITED).then_some(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cgroup file system with these files.
    fn mount(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        dir
    }

    #[test]
    fn the_smallest_limit_of_either_version_is_used() {
        let pod = "kubepods/pod1/container1";
        for (groups, files, expected) in [
            // Version 2, inside and outside a namespace.
            ("0::/\n", vec![("memory.max", "67108864\n")], Some(64)),
            (
                "0::/kubepods/pod1/container1\n",
                vec![
                    ("kubepods/pod1/memory.max", "134217728\n"),
                    ("kubepods/pod1/container1/memory.max", "max\n"),
                ],
                Some(128),
            ),
            ("0::/\n", vec![("memory.max", "max\n")], None),
            (
                "0::/\n",
                vec![("memory.max", "max\n"), ("memory.high", "33554432\n")],
                Some(32),
            ),
            // Version 1.
            (
                "5:cpu,cpuacct:/x\n4:memory:/kubepods/pod1/container1\n0::/\n",
                vec![
                    (
                        "memory/kubepods/pod1/container1/memory.limit_in_bytes",
                        "67108864\n",
                    ),
                    ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
                ],
                Some(64),
            ),
            // The path is the node's, the mount the container's.
            (
                "4:memory:/kubepods/pod1/container1\n",
                vec![("memory/memory.limit_in_bytes", "67108864\n")],
                Some(64),
            ),
            (
                "4:memory:/\n",
                vec![("memory/memory.limit_in_bytes", "9223372036854771712\n")],
                None,
            ),
            ("", vec![], None),
        ] {
            let mount = mount(&files);
            let limit = memory_limit(groups, mount.path());
            assert_eq!(limit, expected.map(|limit| limit * MIB), "{groups} {pod}");
        }
    }

    #[test]
    fn gits_limits_grow_with_the_available_resources() {
        let value = |memory, threads, key: &str| {
            let settings = settings_for(memory, threads);
            let found = settings.into_iter().find(|(own, _)| *own == key);
            found.map(|(_, value)| value)
        };
        for (memory, threads, key, expected) in [
            (None, 4, "pack.threads", Some("4")),
            (None, 4, "pack.windowMemory", None),
            (Some(64 * MIB), 64, "pack.threads", Some("1")),
            (Some(64 * MIB), 64, "index.threads", Some("1")),
            (Some(64 * MIB), 64, "core.preloadIndex", Some("false")),
            (Some(64 * MIB), 64, "pack.windowMemory", Some("4194304")),
            (Some(64 * MIB), 64, "core.bigFileThreshold", Some("4194304")),
            (Some(64 * MIB), 64, "core.packedGitLimit", Some("16777216")),
            (Some(1024 * MIB), 64, "pack.threads", Some("4")),
            (Some(1024 * MIB), 64, "pack.windowMemory", Some("16777216")),
            (Some(MIB), 1, "pack.windowMemory", Some("1048576")),
            (
                Some(64 << 30),
                8,
                "core.bigFileThreshold",
                Some("536870912"),
            ),
        ] {
            assert_eq!(
                value(memory, threads, key).as_deref(),
                expected,
                "{memory:?} {key}"
            );
        }
    }
}
