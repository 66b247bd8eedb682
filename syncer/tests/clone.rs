//! `--layout=clone`: the kubelet's behaviour for a `gitRepo` volume.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::chown;
use std::path::Path;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use remotes::BasicAuth;
use remotes::HttpServer;
use remotes::Trouble;

use crate::world::Finished;
use crate::world::Syncer;
use crate::world::World;
use crate::world::eventually;
use crate::world::git;
use crate::world::programs::copy_syncer;

/// A repository of two branches, a tag and three commits.
struct Origin {
    world: World,
    commits: Vec<String>,
}

impl Origin {
    fn new() -> Self {
        let world = World::new("clone");
        let write = |text: &str| world.repo.commit().write("a", text).write("d/b", text);
        let commits: Vec<String> = ["1", "2", "3"].map(|text| write(text).push()).to_vec();
        world.repo.branch("old", &commits[0]);
        world.repo.annotated_tag("v2", &commits[1]);
        Self { world, commits }
    }

    fn syncer(&self, flags: &[(&str, &str)]) -> Syncer {
        let syncer = self.world.syncer().flag("one-time", "true");
        let syncer = syncer.flag("max-failures", "0");
        let with = |syncer: Syncer, &(name, value): &(&str, &str)| syncer.flag(name, value);
        flags.iter().fold(syncer, with)
    }

    fn finish(&self, flags: &[(&str, &str)]) -> Finished {
        self.syncer(flags).finish()
    }

    /// The output of git in the clone.
    #[track_caller]
    fn git(&self, args: &[&str]) -> String {
        git(&self.world.root(), args)
    }
}

fn names_in(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn without_a_revision_the_default_branch_is_checked_out_and_follows_its_remote() {
    let origin = Origin::new();
    origin.finish(&[]).assert_code(0);
    assert_eq!(names_in(&origin.world.root()), [".git", "a", "d"]);
    assert_eq!(
        fs::read_to_string(origin.world.root().join("a")).unwrap(),
        "3"
    );
    assert_eq!(origin.git(&["rev-parse", "HEAD"]), origin.commits[2]);
    assert_eq!(origin.git(&["rev-list", "--count", "HEAD"]), "3");
    assert_eq!(origin.git(&["symbolic-ref", "--short", "HEAD"]), "main");
    assert_eq!(
        origin.git(&["rev-parse", "--abbrev-ref", "@{upstream}"]),
        "origin/main"
    );
    assert_eq!(
        origin.git(&["branch", "--remotes", "--list", "origin/old"]),
        "  origin/old"
    );
    assert_eq!(origin.git(&["tag"]), "v2");
    assert_eq!(origin.git(&["status", "--porcelain"]), "");
    assert_eq!(
        origin.git(&["remote", "get-url", "origin"]),
        origin.world.repo.url()
    );
    assert_eq!(origin.world.probe(), (true, String::new()));
}

#[test]
fn a_revision_is_whatever_git_can_check_out() {
    // Each origin has the same commits.
    let commits = Origin::new().commits;
    for (revision, expected, branch) in [
        ("old", 0, "old"),
        ("main", 2, "main"),
        ("v2", 1, "HEAD"),
        ("v2^{commit}", 1, "HEAD"),
        ("refs/tags/v2", 1, "HEAD"),
        ("origin/old", 0, "HEAD"),
        ("origin/main~1", 1, "HEAD"),
        ("main~1", 1, "HEAD"),
        ("HEAD~2", 0, "HEAD"),
        ("HEAD", 2, "main"),
        (&commits[1], 1, "HEAD"),
        (&commits[0][..8], 0, "HEAD"),
    ] {
        let origin = Origin::new();
        origin.finish(&[("ref", revision)]).assert_code(0);
        let head = origin.git(&["rev-parse", "HEAD"]);
        assert_eq!(head, origin.commits[expected], "{revision}");
        let on = origin.git(&["rev-parse", "--abbrev-ref", "HEAD"]);
        assert_eq!(on, branch, "{revision}");
        assert_eq!(origin.git(&["status", "--porcelain"]), "");
        if branch != "HEAD" {
            let upstream = origin.git(&["rev-parse", "--abbrev-ref", "@{upstream}"]);
            assert_eq!(upstream, format!("origin/{branch}"));
        }
    }
    let origin = Origin::new();
    let run = origin.finish(&[("ref", "nowhere")]);
    run.assert_code(1);
    run.assert_last_error("nowhere");
    let run = origin.finish(&[("ref", "--detach")]);
    run.assert_code(1);
}

#[test]
fn a_revision_that_is_also_a_files_name_is_the_revision() {
    let origin = Origin::new();
    origin.world.repo.branch("a", &origin.commits[0]);
    origin.world.repo.tag("d", &origin.commits[1]);
    origin.finish(&[("ref", "a")]).assert_code(0);
    assert_eq!(origin.git(&["rev-parse", "HEAD"]), origin.commits[0]);
    assert_eq!(origin.git(&["symbolic-ref", "--short", "HEAD"]), "a");
    assert_eq!(
        origin.git(&["rev-parse", "--abbrev-ref", "@{upstream}"]),
        "origin/a"
    );
    fs::remove_dir_all(origin.world.root()).unwrap();
    origin.finish(&[("ref", "d")]).assert_code(0);
    assert_eq!(origin.git(&["rev-parse", "HEAD"]), origin.commits[1]);
    assert_eq!(origin.git(&["rev-parse", "--abbrev-ref", "HEAD"]), "HEAD");
    // A file is not a clone.
    fs::remove_dir_all(origin.world.root()).unwrap();
    origin.world.repo.commit().write("only", "a file").push();
    let run = origin.finish(&[("ref", "only")]);
    run.assert_code(1);
    assert_eq!(names_in(&origin.world.root()), [".gitvolume-clone"]);
}

#[test]
fn the_link_names_a_directory_below_the_root() {
    let origin = Origin::new();
    origin.finish(&[("link", "x/y")]).assert_code(0);
    assert_eq!(names_in(&origin.world.root()), ["x"]);
    let clone = origin.world.root().join("x/y");
    assert_eq!(names_in(&clone), [".git", "a", "d"]);
    assert_eq!(git(&clone, &["rev-parse", "HEAD"]), origin.commits[2]);
    let run = origin.finish(&[("link", "../out")]);
    run.assert_code(1);
    assert!(run.log.contains("a directory below --root"), "{}", run.log);
}

#[test]
fn a_finished_clone_is_never_touched_again() {
    let origin = Origin::new();
    origin.finish(&[]).assert_code(0);
    let file = origin.world.root().join("a");
    fs::write(&file, "the app's own").unwrap();
    fs::remove_dir_all(origin.world.root().join("d")).unwrap();
    origin.world.repo.commit().write("a", "4").push();
    origin.finish(&[]).assert_code(0);
    // The remote is not contacted at all.
    fs::rename(origin.world.repo.path(), origin.world.path("away")).unwrap();
    origin.finish(&[("ref", "old")]).assert_code(0);
    assert_eq!(fs::read_to_string(file).unwrap(), "the app's own");
    assert!(!origin.world.root().join("d").exists());
    assert_eq!(origin.git(&["rev-parse", "HEAD"]), origin.commits[2]);
}

#[test]
fn a_later_run_does_not_touch_the_apps_changes() {
    let origin = Origin::new();
    origin.finish(&[("link", "x/y")]).assert_code(0);
    let clone = origin.world.root().join("x/y");
    let run = |args: &[&str]| {
        git(&clone, &["config", "user.name", "app"]);
        git(&clone, &["config", "user.email", "app@example.org"]);
        git(&clone, args)
    };
    run(&["checkout", "--quiet", "-b", "work", "origin/old"]);
    fs::write(clone.join("a"), "committed").unwrap();
    run(&["commit", "--quiet", "--all", "--message=x"]);
    fs::write(clone.join("staged"), "staged").unwrap();
    run(&["add", "staged"]);
    fs::write(clone.join("d/b"), "edited").unwrap();
    fs::write(clone.join("untracked"), "untracked").unwrap();
    run(&["remote", "set-url", "origin", "https://elsewhere.example/x"]);
    let seen = || {
        let status = git(&clone, &["status", "--porcelain", "--branch"]);
        let log = git(&clone, &["log", "--format=%H %s", "--all"]);
        let config = fs::read_to_string(clone.join(".git/config")).unwrap();
        (status, log, config)
    };
    let before = seen();
    assert!(before.0.contains("## work"), "{}", before.0);
    fs::remove_dir_all(origin.world.repo.path()).unwrap();
    for flags in [&[][..], &[("ref", "v2")]] {
        origin
            .finish(&[&[("link", "x/y")], flags].concat())
            .assert_code(0);
        assert_eq!(seen(), before);
        assert_eq!(origin.world.probe(), (true, String::new()));
    }
    // Without `.git` it still belongs to the app.
    fs::remove_dir_all(clone.join(".git")).unwrap();
    let names = names_in(&clone);
    origin.finish(&[("link", "x/y")]).assert_code(0);
    assert_eq!(names_in(&clone), names);
    assert_eq!(fs::read_to_string(clone.join("a")).unwrap(), "committed");
    assert_eq!(origin.world.probe(), (true, String::new()));
}

#[test]
fn a_directory_that_leads_out_of_the_root_is_refused() {
    let origin = Origin::new();
    let away = origin.world.path("away");
    fs::create_dir_all(&away).unwrap();
    fs::create_dir_all(origin.world.root()).unwrap();
    std::os::unix::fs::symlink(&away, origin.world.root().join("x")).unwrap();
    let run = origin.finish(&[("link", "x")]);
    run.assert_code(1);
    run.assert_last_error("the root directory of --layout=clone");
    assert_eq!(names_in(&away), [""; 0]);
}

#[test]
fn a_directory_that_is_not_empty_is_refused_and_stays() {
    let origin = Origin::new();
    fs::create_dir_all(origin.world.root().join("lost+found")).unwrap();
    fs::write(origin.world.root().join("mine"), "precious").unwrap();
    let run = origin.finish(&[]);
    run.assert_code(1);
    run.assert_last_error("mine is in the way: a clone needs an empty directory");
    assert_eq!(names_in(&origin.world.root()), ["lost+found", "mine"]);
    fs::remove_file(origin.world.root().join("mine")).unwrap();
    origin.finish(&[]).assert_code(0);
    assert_eq!(
        names_in(&origin.world.root()),
        [".git", "a", "d", "lost+found"]
    );
}

#[test]
fn a_clone_killed_alone_at_any_step_is_completed_without_leftovers() {
    let origin = Origin::new();
    let root = origin.world.root();
    for step in 0.. {
        fs::create_dir_all(root.join("lost+found")).unwrap();
        fs::write(root.join("lost+found/theirs"), "precious").unwrap();
        let run = origin
            .syncer(&[("ref", "v2")])
            .env("GITVOLUME_CRASH_AT", step.to_string())
            .finish();
        let was_killed = run.status.code().is_none();
        assert!(was_killed || run.status.success(), "{}", run.log);
        origin.finish(&[("ref", "v2")]).assert_code(0);
        assert_eq!(
            names_in(&root),
            [".git", "a", "d", "lost+found"],
            "step {step}"
        );
        assert_eq!(names_in(&root.join("lost+found")), ["theirs"]);
        assert_eq!(origin.git(&["rev-parse", "HEAD"]), origin.commits[1]);
        assert_eq!(origin.git(&["status", "--porcelain"]), "?? lost+found/");
        assert_eq!(origin.world.probe(), (true, String::new()));
        if !was_killed {
            assert!(step > 8, "only {step} steps");
            break;
        }
        for dir in [root.clone(), origin.world.state()] {
            fs::remove_dir_all(dir).unwrap();
        }
    }
}

#[test]
fn files_that_appear_during_the_clone_are_not_overwritten() {
    let origin = Origin::new();
    let root = origin.world.root();
    let made = root.join(".gitvolume-clone/.git/gitvolume-cloned");
    // Until the clone is complete.
    for step in 0.. {
        let syncer = origin.syncer(&[]);
        let run = syncer.env("GITVOLUME_CRASH_AT", step.to_string()).finish();
        assert_eq!(run.status.code(), None, "{}", run.log);
        if made.exists() {
            break;
        }
    }
    // The entries that were not moved yet.
    let names = names_in(&root.join(".gitvolume-clone"));
    let name = names.last().unwrap();
    let file = root.join(name);
    fs::write(&file, "theirs").unwrap();
    let run = origin.finish(&[]);
    run.assert_code(1);
    run.assert_last_error(&format!("{name} is in the way"));
    assert_eq!(fs::read_to_string(&file).unwrap(), "theirs");
    assert_eq!(names_in(&root.join(".gitvolume-clone")), names);
    fs::remove_file(&file).unwrap();
    origin.finish(&[]).assert_code(0);
    assert_eq!(names_in(&root), [".git", "a", "d"]);
}

#[test]
fn a_clone_killed_at_any_step_is_completed_by_the_next_run() {
    let origin = Origin::new();
    let mut steps = 0;
    loop {
        let run = origin
            .syncer(&[("ref", "old")])
            .env("GITVOLUME_CRASH_AT", steps.to_string())
            .finish();
        if run.status.success() {
            break;
        }
        assert_eq!(run.status.code(), None, "{}", run.log);
        steps += 1;
        // From this state, and from an empty directory.
        if steps % 2 == 0 {
            origin.finish(&[("ref", "old")]).assert_code(0);
        }
        let complete = origin.world.root().join(".git").exists();
        if complete {
            assert_eq!(names_in(&origin.world.root()), [".git", "a", "d"]);
            assert_eq!(origin.git(&["status", "--porcelain"]), "");
            assert_eq!(origin.git(&["rev-parse", "HEAD"]), origin.commits[0]);
            fs::remove_dir_all(origin.world.root()).unwrap();
        }
    }
    assert!(steps > 8, "only {steps} steps");
}

#[test]
fn without_one_time_it_waits_when_the_clone_is_made() {
    let origin = Origin::new();
    let mut running = origin.world.syncer().start(&origin.world.path("log"));
    let file = origin.world.root().join("a");
    eventually("the clone is made", || file.exists().then_some(()));
    eventually("it is logged", || {
        running
            .log()
            .contains("no further sync needed")
            .then_some(())
    });
    origin.world.repo.commit().write("a", "4").push();
    assert!(!running.has_ended());
    assert_eq!(fs::read_to_string(file).unwrap(), "3");
    running.signal(Signal::SIGTERM);
    running.wait();
}

#[test]
fn a_remote_that_fails_is_tried_again_and_half_a_clone_is_not_kept() {
    let origin = Origin::new();
    let server = HttpServer::start(origin.world.repo.path().parent().unwrap());
    server.trouble(Some(Trouble::TruncatedPack));
    let running = origin
        .world
        .syncer_of(&server.url("site.git"))
        .start(&origin.world.path("log"));
    eventually("the error is logged", || {
        (running.log().matches("error syncing").count() > 1).then_some(())
    });
    assert!(!origin.world.probe().0);
    server.trouble(None);
    eventually("the clone is made", || origin.world.probe().0.then_some(()));
    assert_eq!(names_in(&origin.world.root()), [".git", "a", "d"]);
}

#[test]
fn an_empty_repository_is_a_clone_too() {
    let world = World::new("clone");
    world.sync_once(&[]);
    assert_eq!(names_in(&world.root()), [".git"]);
    assert_eq!(world.probe(), (true, String::new()));
    world.sync_once(&[]);
    fs::remove_dir_all(world.root()).unwrap();
    let run = world
        .syncer()
        .flag("ref", "main")
        .flag("max-failures", "0")
        .finish();
    run.assert_code(1);
    run.assert_last_error("main");
}

#[test]
fn submodules_are_not_checked_out() {
    let world = World::new("clone");
    let commit = world.repo.commit().write("a", "1").push();
    let list = "[submodule \"x\"]\n\tpath = x\n\turl = http://127.0.0.1:1/x.git\n";
    let with = world.repo.commit().submodule("x", &commit);
    with.write(".gitmodules", list).push();
    world.sync_once(&[("submodules", "off")]);
    assert_eq!(names_in(&world.root().join("x")), [""; 0]);
    assert_eq!(git(&world.root(), &["status", "--porcelain"]), "");
}

/// The files below a directory that contain a text; symlinks are not followed.
fn holding(dir: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (path, is) in all_in(dir) {
        if is.is_file() {
            let content = fs::read(&path).unwrap();
            if content.windows(text.len()).any(|at| at == text.as_bytes()) {
                found.push(path);
            }
        }
    }
    found
}

/// Everything below a directory, itself included.
fn all_in(dir: &Path) -> Vec<(PathBuf, fs::Metadata)> {
    let mut all = Vec::new();
    let mut rest = vec![dir.to_owned()];
    while let Some(path) = rest.pop() {
        let found = fs::symlink_metadata(&path).unwrap();
        if found.is_dir() {
            let entries = fs::read_dir(&path).unwrap();
            rest.extend(entries.map(|entry| entry.unwrap().path()));
        }
        all.push((path, found));
    }
    all
}

#[test]
fn no_credential_is_left_in_the_clone() {
    const PASSWORD: &str = "correct-horse-battery";
    for in_address in [true, false] {
        let origin = Origin::new();
        let server = HttpServer::start(origin.world.repo.path().parent().unwrap());
        server.require(Some(BasicAuth::Password(
            "somebody".into(),
            PASSWORD.into(),
        )));
        let url = server.url("site.git");
        let secret = origin.world.path("secret");
        let syncer = if in_address {
            let with = format!("http://somebody:{PASSWORD}@");
            origin.world.syncer_of(&url.replace("http://", &with))
        } else {
            fs::create_dir(&secret).unwrap();
            fs::write(secret.join("username"), "somebody").unwrap();
            fs::write(secret.join("password"), PASSWORD).unwrap();
            origin.world.syncer_of(&url).flag("secret-dir", &secret)
        };
        let run = syncer.flag("one-time", "true").flag("ref", "old").finish();
        run.assert_code(0);
        assert_eq!(origin.git(&["remote", "get-url", "origin"]), url);
        let config = fs::read_to_string(origin.world.root().join(".git/config")).unwrap();
        for text in [PASSWORD, "somebody", "helper", "secret", "state"] {
            assert!(!config.contains(text), "{text}: {config}");
        }
        assert_eq!(
            holding(&origin.world.root(), PASSWORD),
            Vec::<PathBuf>::new()
        );
        assert!(!run.log.contains(PASSWORD), "{}", run.log);
    }
}

/// Makes the root read-only except for the first directory, then runs the remaining arguments as a
/// command.
const READ_ONLY_ROOT: &str =
    r#"mount --bind "$0" "$0" && mount -o remount,bind,ro / && ! touch /tmp/x 2>&- && exec "$@""#;

#[test]
#[ignore = "needs root to become another user; make test-cluster runs it"]
fn an_unknown_user_clones_into_another_users_volume() {
    for (link, group_write) in [("", true), ("a/b", true), ("", false), ("a/b", false)] {
        let world = World::new("clone");
        let commit = world.repo.commit().write("plain", "1").write("d/e/f", "1");
        let head = commit.write_executable("run", "#!/bin/sh\n").push();
        fs::set_permissions(world.path(""), fs::Permissions::from_mode(0o711)).unwrap();
        let program = world.path("gitvolume-syncer");
        copy_syncer(&program);
        // The mode of the kubelet's emptyDir, with and without an fsGroup.
        let mode = if group_write { 0o2777 } else { 0o777 };
        for dir in [world.root(), world.state()] {
            fs::create_dir(&dir).unwrap();
            if group_write {
                chown(&dir, Some(0), Some(4321)).unwrap();
            }
            fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).unwrap();
        }
        let mut server = HttpServer::start(&world.path(""));
        let url = server.url("site.git");
        let syncer = || {
            let syncer = Syncer::program("unshare")
                .arg("--mount")
                .args(["sh", "-c", READ_ONLY_ROOT])
                .arg(world.path(""))
                .arg("setpriv")
                .args(["--reuid=65533", "--regid=65533", "--groups=4321"])
                .args(["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"])
                .arg(&program)
                .flag("repo", &url)
                .flag("ref", "main")
                .flag("root", world.root())
                .flag("layout", "clone")
                .flag("state", world.state())
                .flag("depth", "0")
                .flag("one-time", "true")
                .flag("max-failures", "0")
                .flag("group-write", group_write.to_string())
                .env("HOME", world.state().join("home"))
                .env("TMPDIR", world.state().join("tmp"));
            match link {
                "" => syncer,
                link => syncer.flag("link", link),
            }
        };
        let run = syncer().finish();
        run.assert_code(0);
        let clone = world.root().join(link);
        let told = format!("\"commit\":\"{head}\"");
        assert!(run.log.contains(&told), "{}", run.log);
        assert_eq!(fs::read_to_string(clone.join("d/e/f")).unwrap(), "1");
        let objects = clone.join(".git/objects");
        for (path, found) in all_in(&world.root()) {
            let mode = found.permissions().mode();
            let shown = path.display();
            if path == world.root() {
                continue;
            }
            assert_eq!(found.uid(), 65533, "{shown}");
            let expected = match (found.is_dir(), group_write) {
                (true, true) => 0o2775,
                (true, false) => 0o755,
                // git's own objects are never changed.
                (false, _) if path.starts_with(&objects) => 0o444,
                (false, true) => 0o664,
                (false, false) => 0o644,
            };
            let is_program = mode & 0o100 != 0 && found.is_file();
            let expected = expected | if is_program { 0o111 } else { 0 };
            assert_eq!(mode & 0o7777, expected, "{shown}: {mode:o}");
            assert_eq!(
                found.gid(),
                if group_write { 4321 } else { 65533 },
                "{shown}"
            );
        }
        // A restart of the container while the remote is down.
        server.stop();
        syncer().finish().assert_code(0);
    }
}
