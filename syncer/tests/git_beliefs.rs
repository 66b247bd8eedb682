//! The syncer's assumptions about git, one test each, so that a new version of git that breaks one
//! is identified.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;

use remotes::Repo;
use remotes::git;
use tempfile::TempDir;

use crate::world::programs::write_script;

struct Fixture {
    dir: TempDir,
    repo: Repo,
    first: String,
}

impl Fixture {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let repo = Repo::in_dir(dir.path(), "remote.git");
        let first = repo.commit().write("a", "1").write("d/b", "2").push();
        Self { dir, repo, first }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A mirror as in the projected layout.
    fn mirror(&self) -> PathBuf {
        let mirror = self.path("mirror");
        fs::create_dir(&mirror).unwrap();
        succeeds(
            git()
                .env("GIT_DIR", &mirror)
                .args(["init", "-q", "-b", "git-sync"]),
        );
        mirror
    }

    fn fetch(&self, mirror: &Path, rev: &str) -> Output {
        let mut fetch = git();
        fetch
            .env("GIT_DIR", mirror)
            .args(["fetch", "--no-progress", "--depth", "1", "--"])
            .args([&self.repo.url(), rev]);
        fetch.output().unwrap()
    }

    fn fetch_head(&self, mirror: &Path, rev: &str) -> String {
        let output = self.fetch(mirror, rev);
        assert!(output.status.success(), "{output:?}");
        let head = fs::read_to_string(mirror.join("FETCH_HEAD")).unwrap();
        head.split_whitespace().next().unwrap().to_owned()
    }
}

#[track_caller]
fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn the_local_variables_are_listed_and_spare_the_users() {
    let listed = succeeds(git().args(["rev-parse", "--local-env-vars"]));
    let listed: Vec<&str> = listed.lines().collect();
    for name in [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_CONFIG_COUNT",
    ] {
        assert!(listed.contains(&name), "{name}");
    }
    for name in [
        "GIT_CONFIG_GLOBAL",
        "GIT_SSH_COMMAND",
        "GIT_TRACE",
        "GIT_ASKPASS",
    ] {
        assert!(!listed.contains(&name), "{name}");
    }
}

#[test]
fn fetch_writes_the_refs_own_object_first_into_fetch_head() {
    let fixture = Fixture::new();
    let mirror = fixture.mirror();
    let tag = fixture.repo.annotated_tag("v1", &fixture.first);
    assert_eq!(fixture.fetch_head(&mirror, "main"), fixture.first);
    assert_eq!(fixture.fetch_head(&mirror, "HEAD"), fixture.first);
    assert_eq!(fixture.fetch_head(&mirror, &fixture.first), fixture.first);
    assert_eq!(fixture.fetch_head(&mirror, "v1"), tag);
    let peeled = succeeds(git().env("GIT_DIR", &mirror).args([
        "rev-parse",
        "--verify",
        "FETCH_HEAD^{commit}",
    ]));
    assert_eq!(peeled, fixture.first);
}

#[test]
fn fetch_prefers_a_tag_to_a_branch_of_the_same_name() {
    let fixture = Fixture::new();
    let mirror = fixture.mirror();
    let second = fixture.repo.commit().write("a", "2").push();
    fixture.repo.branch("both", &second);
    fixture.repo.tag("both", &fixture.first);
    assert_eq!(fixture.fetch_head(&mirror, "both"), fixture.first);
}

#[test]
fn fetch_by_address_moves_no_ref_even_where_the_address_is_a_named_remote() {
    let fixture = Fixture::new();
    let mirror = fixture.mirror();
    let mut add = git();
    add.env("GIT_DIR", &mirror);
    succeeds(add.args(["remote", "add", "origin", &fixture.repo.url()]));
    fixture.fetch_head(&mirror, "main");
    assert_eq!(
        succeeds(git().env("GIT_DIR", &mirror).arg("for-each-ref")),
        ""
    );
}

#[test]
fn a_shallow_fetch_of_a_moved_branch_stays_shallow() {
    let fixture = Fixture::new();
    let mirror = fixture.mirror();
    for n in 0..3 {
        fixture.repo.commit().write("a", n.to_string()).push();
        let head = fixture.fetch_head(&mirror, "main");
        let mut count = git();
        count.env("GIT_DIR", &mirror);
        assert_eq!(succeeds(count.args(["rev-list", "--count", &head])), "1");
    }
}

#[test]
fn read_tree_fills_an_empty_tree_and_a_fresh_index_finds_each_damage() {
    let fixture = Fixture::new();
    let mirror = fixture.mirror();
    let commit = fixture.fetch_head(&mirror, "main");
    let tree = fixture.path("tree");
    fs::create_dir(&tree).unwrap();
    let run = |index: &str, args: &[&str]| {
        git()
            .env("GIT_DIR", &mirror)
            .env("GIT_WORK_TREE", &tree)
            .env("GIT_INDEX_FILE", fixture.path(index))
            .current_dir(&tree)
            .args(args)
            .output()
            .unwrap()
    };
    assert!(
        run("index", &["read-tree", "-m", "-u", &commit])
            .status
            .success()
    );
    assert_eq!(fs::read_to_string(tree.join("d/b")).unwrap(), "2");
    let is_clean = |index: &str| {
        assert!(run(index, &["read-tree", &commit]).status.success());
        run(index, &["update-index", "--refresh"]).status.success()
    };
    assert!(is_clean("fresh-1"));
    // The same length as the right content, and the empty file of a crash.
    for (n, content) in ["9", ""].iter().enumerate() {
        fs::write(tree.join("a"), content).unwrap();
        assert!(!is_clean(&format!("fresh-2-{n}")), "{content:?}");
    }
    fs::remove_file(tree.join("a")).unwrap();
    assert!(!is_clean("fresh-3"));
}

#[test]
fn an_admin_directory_made_by_hand_is_a_linked_worktree() {
    let fixture = Fixture::new();
    let root = fixture.path("root");
    succeeds(git().args(["init", "-q", "-b", "git-sync"]).arg(&root));
    let git_dir = root.join(".git");
    let commit = fixture.fetch_head(&git_dir, "main");
    let admin = git_dir.join("worktrees").join(&commit);
    let tree = root.join(".worktrees").join(&commit);
    fs::create_dir_all(&admin).unwrap();
    fs::create_dir_all(&tree).unwrap();
    fs::write(admin.join("HEAD"), format!("{commit}\n")).unwrap();
    fs::write(admin.join("commondir"), "../..\n").unwrap();
    fs::write(admin.join("gitdir"), format!("{}/.git\n", tree.display())).unwrap();
    let gitlink = format!("gitdir: ../../.git/worktrees/{commit}\n");
    fs::write(tree.join(".git"), gitlink).unwrap();
    succeeds(
        git()
            .arg("-C")
            .arg(&tree)
            .args(["read-tree", "-m", "-u", &commit]),
    );
    assert_eq!(
        succeeds(git().arg("-C").arg(&tree).args(["status", "--porcelain"])),
        ""
    );
    let listed = succeeds(git().arg("-C").arg(&root).args(["worktree", "list"]));
    assert!(listed.contains(&commit), "{listed}");
    // Only its HEAD keeps the commit from gc.
    succeeds(
        git()
            .arg("-C")
            .arg(&root)
            .args(["-c", "gc.pruneExpire=now", "gc", "-q"]),
    );
    succeeds(git().arg("-C").arg(&tree).args(["cat-file", "-e", &commit]));
    assert!(admin.exists());
}

#[test]
fn a_kept_ref_protects_a_shallow_commit_from_gc_until_it_is_removed() {
    let fixture = Fixture::new();
    let mirror = fixture.mirror();
    let commit = fixture.fetch_head(&mirror, "main");
    let run = |args: &[&str]| {
        git()
            .env("GIT_DIR", &mirror)
            .args(args)
            .status()
            .unwrap()
            .success()
    };
    assert!(run(&["update-ref", "refs/gitvolume/trees/x", &commit]));
    fixture.repo.commit().write("a", "2").push();
    fixture.fetch_head(&mirror, "main");
    let collect = || {
        assert!(run(&[
            "reflog",
            "expire",
            "--expire-unreachable=all",
            "--all"
        ]));
        assert!(run(&["-c", "gc.pruneExpire=now", "gc", "--quiet"]));
    };
    collect();
    assert!(run(&["cat-file", "-e", &commit]));
    // gc has packed the ref, so only git itself can remove it.
    assert!(run(&["update-ref", "-d", "refs/gitvolume/trees/x"]));
    collect();
    assert!(!run(&["cat-file", "-e", &commit]));
    assert!(run(&["fsck", "--connectivity-only"]));
}

#[test]
fn a_credential_helper_may_be_a_shell_line_with_a_quoted_path() {
    let fixture = Fixture::new();
    let dir = fixture.path("it's a dir");
    fs::create_dir(&dir).unwrap();
    let helper = dir.join("helper");
    write_script(&helper, "echo username=$1\necho password=$2");
    let quoted = helper.to_str().unwrap().replace('\'', "'\\''");
    let config = fixture.path("gitconfig");
    fs::write(
        &config,
        format!(
            "[credential]\n\thelper = \"!'{}' me\"\n",
            quoted.replace('\\', "\\\\")
        ),
    )
    .unwrap();
    let script = "printf 'protocol=https\nhost=h\n\n' | git credential fill";
    let filled = succeeds(
        Command::new("sh")
            .args(["-c", script])
            .env("GIT_CONFIG_GLOBAL", config)
            .env("GIT_CONFIG_NOSYSTEM", "true"),
    );
    assert!(filled.contains("username=me\npassword=get"), "{filled}");
}

#[test]
#[ignore = "needs root to become another user; make test-cluster runs it"]
fn safe_directory_in_the_global_file_reaches_the_server_side_of_a_file_remote() {
    let fixture = Fixture::new();
    let mirror = fixture.mirror();
    succeeds(
        Command::new("chown")
            .args(["-R", "12345"])
            .arg(fixture.repo.path()),
    );
    assert!(!fixture.fetch(&mirror, "main").status.success());
    let config = fixture.path("gitconfig");
    fs::write(&config, "[safe]\n\tdirectory = *\n").unwrap();
    let mut fetch = git();
    fetch
        .env("GIT_DIR", &mirror)
        .env("GIT_CONFIG_GLOBAL", config)
        .args(["fetch", "-q", "--", &fixture.repo.url(), "main"]);
    succeeds(&mut fetch);
}
