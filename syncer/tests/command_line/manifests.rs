//! Manifests of git-sync v2 and v3.

use std::fs;
use std::process::Command;

use crate::command_line::assert_told;
use crate::world::Syncer;
use crate::world::World;
use crate::world::namespaces;
use crate::world::programs::copy_syncer;

#[test]
fn a_legacy_variable_takes_precedence_and_is_logged() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    let run = Syncer::new()
        .env("GITSYNC_REPO", "/nonexistent")
        .env("GIT_SYNC_REPO", world.repo.url())
        .env("GITSYNC_ROOT", world.root())
        .env("GITSYNC_LINK", "new")
        .env("GIT_SYNC_DEST", "old")
        .env("GITSYNC_ONE_TIME", "1")
        .finish();
    run.assert_code(0);
    assert!(world.root().join("old/a").exists());
    assert!(!world.root().join("new").exists());
    assert_told(
        &run,
        "env $GIT_SYNC_REPO has been deprecated, use $GITSYNC_REPO instead",
    );
    assert_told(&run, "env $GITSYNC_REPO was overridden by $GIT_SYNC_REPO");
    assert_told(
        &run,
        "env $GIT_SYNC_DEST has been deprecated, use $GITSYNC_LINK instead",
    );
    assert_told(&run, "GITSYNC_LINK was overridden by GIT_SYNC_DEST");
}

#[test]
fn a_v2_manifest_runs_by_its_environment() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    world.repo.commit().write("a", "2").push();
    let run = Syncer::new()
        .env("GITSYNC_ROOT", "/git")
        .env("GIT_SYNC_REPO", world.repo.url())
        .env("GIT_SYNC_BRANCH", "main")
        .env("GIT_SYNC_ROOT", world.root())
        .env("GIT_SYNC_DEST", "site")
        .env("GIT_SYNC_SSH", "yes")
        .env("GIT_SYNC_ONE_TIME", "true")
        .finish();
    run.assert_code(0);
    assert_eq!(
        fs::read_to_string(world.root().join("site/a")).unwrap(),
        "2"
    );
    assert_eq!(history(&world, "site"), 2, "all history, as v2 fetched it");
}

#[test]
fn a_v3_manifest_runs_with_one_dash() {
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    world.repo.commit().write("a", "2").push();
    let repo = format!("-repo={}", world.repo.url());
    let root = format!("-root={}", world.root().display());
    let run = Syncer::new()
        .args([
            "-ssh",
            &repo,
            &root,
            "-dest=html",
            "-branch",
            "main",
            "-depth=1",
        ])
        .args(["-one-time", "-logtostderr", "-v=2"])
        .finish();
    run.assert_code(0);
    assert_eq!(
        fs::read_to_string(world.root().join("html/a")).unwrap(),
        "2"
    );
    assert_eq!(history(&world, "html"), 1);
    assert_told(&run, "Flag -dest has been deprecated, use --link instead");
}

/// The number of commits that a consumer's git sees in the tree.
fn history(world: &World, link: &str) -> usize {
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "rev-list", "HEAD"])
        .current_dir(world.root().join(link))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().lines().count()
}

/// v3's image published below /tmp/git. The mount is made in a separate namespace, over its own
/// /tmp, so that nothing remains.
#[test]
fn a_v3_manifest_that_mounts_v3s_root_is_served_there() {
    let Some(with_own_mounts) = namespaces::with_own_mounts() else {
        return;
    };
    let world = World::new("link");
    world.repo.commit().write("a", "1").push();
    copy_syncer(&world.path("syncer"));
    let script = "set -e
        mount --bind $WORLD /mnt
        mount -t tmpfs none /tmp
        mkdir -p $WORLD /tmp/git
        mount --bind /mnt $WORLD
        mount -t tmpfs none /tmp/git
        $WORLD/syncer --repo=file://$WORLD/site.git --dest repo --one-time
        cat /tmp/git/repo/a >&2";
    let run = Syncer::program(with_own_mounts[0])
        .args(with_own_mounts[1..].iter().copied())
        .args(["sh", "-c", script])
        .env("WORLD", world.path("."))
        .env("GITSYNC_ROOT", "/git")
        .finish();
    run.assert_code(0);
    assert!(run.log.ends_with("\n1"), "{}", run.log);
    assert_told(
        &run,
        "the root is /tmp/git, as in git-sync v3, because a volume is mounted there and none at \
         /git; --root sets it",
    );
}
