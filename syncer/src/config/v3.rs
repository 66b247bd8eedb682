use std::fs;
use std::path::Path;

use args::Typed;
use args::paths;

/// Keeps the place where git-sync v3's image published: if nobody but the image says where the root
/// is, and the manifest mounts a volume at v3's root and none at ours, v3's it is.
pub(crate) fn keep_v3_root(typed: &mut Typed) {
    if !typed.is_root_the_images {
        return;
    }
    // Where it cannot be read, which is nowhere we run, nothing is mounted for all we know.
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    if is_v3s(&mounts) {
        typed.sync.repo.root = Some(paths::V3_IMAGE_ROOT.into());
        typed.notices.push(format!(
            "the root is {}, as in git-sync v3, because a volume is mounted there and none at {}; \
             --root sets it",
            paths::V3_IMAGE_ROOT,
            paths::IMAGE_ROOT
        ));
    }
}

/// Judges by the mounts of this process (`/proc/self/mountinfo`, proc(5)).
fn is_v3s(mounts: &str) -> bool {
    let is_mounted = |path: &str| {
        let mut points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
        points.any(|point| Path::new(point) == Path::new(path))
    };
    is_mounted(paths::V3_IMAGE_ROOT) && !is_mounted(paths::IMAGE_ROOT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOTS: &str = "\
        581 480 0:55 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/a\n\
        582 581 0:58 / /proc rw,nosuid - proc proc rw\n";

    fn mounted(at: &str) -> String {
        format!("590 581 8:1 /var/lib/kubelet/x {at} rw,relatime - ext4 /dev/sda1 rw\n")
    }

    #[test]
    fn the_root_is_v3s_where_only_that_is_mounted() {
        let (v3, ours) = (mounted("/tmp/git"), mounted("/git"));
        assert!(is_v3s(&format!("{ROOTS}{v3}")));
        assert!(!is_v3s(&format!("{ROOTS}{v3}{ours}")));
        assert!(!is_v3s(&format!("{ROOTS}{ours}")));
        assert!(!is_v3s(ROOTS));
        assert!(!is_v3s(&mounted("/tmp/git/html")));
        assert!(!is_v3s(""));
    }
}
