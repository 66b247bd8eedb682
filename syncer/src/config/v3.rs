use std::fs;
use std::path::Path;

use args::ParsedSync;
use args::paths;

/// Keeps the path where git-sync v3's image published: if only the image sets the root, and the
/// manifest mounts a volume at v3's root and none at the syncer's, v3's root is used.
pub(crate) fn keep_v3_root(typed: &mut ParsedSync) {
    if !typed.is_root_the_images {
        return;
    }
    // If it cannot be read, which is not expected, nothing is assumed to be mounted.
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

/// Decides by the mounts of this process (`/proc/self/mountinfo`, proc(5)).
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
    fn v3s_root_is_used_if_only_that_is_mounted() {
        let (v3, ours) = (mounted("/tmp/git"), mounted("/git"));
        assert!(is_v3s(&format!("{ROOTS}{v3}")));
        assert!(!is_v3s(&format!("{ROOTS}{v3}{ours}")));
        assert!(!is_v3s(&format!("{ROOTS}{ours}")));
        assert!(!is_v3s(ROOTS));
        assert!(!is_v3s(&mounted("/tmp/git/html")));
        assert!(!is_v3s(""));
    }
}
