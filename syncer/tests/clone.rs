//! `--layout=clone`: what the kubelet did for a `gitRepo` volume.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod world;

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;
use remotes::HttpServer;
use remotes::Trouble;
use world::Finished;
use world::Syncer;
use world::World;
use world::eventually;

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

    /// What git says in the clone.
    #[track_caller]
    fn git(&self, args: &[&str]) -> String {
        git(&self.world.root(), args)
    }
}

#[track_caller]
fn git(dir: &Path, args: &[&str]) -> String {
    let output = remotes::git().arg("-C").arg(dir).args(args).output();
    let output = output.unwrap();
    assert!(output.status.success(), "git {args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
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
        "origin/old"
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
        ("v2", 1, "HEAD"),
        ("origin/old", 0, "HEAD"),
        ("main~1", 1, "HEAD"),
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
    }
    let origin = Origin::new();
    let run = origin.finish(&[("ref", "nowhere")]);
    run.assert_code(1);
    run.assert_last_error("nowhere");
    let run = origin.finish(&[("ref", "--detach")]);
    run.assert_code(1);
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
    // Not even the remote is asked.
    fs::rename(origin.world.repo.path(), origin.world.path("away")).unwrap();
    origin.finish(&[("ref", "old")]).assert_code(0);
    assert_eq!(fs::read_to_string(file).unwrap(), "the app's own");
    assert!(!origin.world.root().join("d").exists());
    assert_eq!(origin.git(&["rev-parse", "HEAD"]), origin.commits[2]);
}

#[test]
fn a_directory_that_is_not_empty_is_refused_and_stays() {
    let origin = Origin::new();
    fs::create_dir_all(origin.world.root().join("lost+found")).unwrap();
    fs::write(origin.world.root().join("mine"), "precious").unwrap();
    let run = origin.finish(&[]);
    run.assert_code(1);
    run.assert_last_error("mine is in the way: a clone is made in an empty directory");
    assert_eq!(names_in(&origin.world.root()), ["lost+found", "mine"]);
    fs::remove_file(origin.world.root().join("mine")).unwrap();
    origin.finish(&[]).assert_code(0);
    assert_eq!(
        names_in(&origin.world.root()),
        [".git", "a", "d", "lost+found"]
    );
}

#[test]
fn killed_at_any_step_the_next_run_makes_it_whole() {
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
        // From here, and from nothing.
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
    eventually("it is told", || {
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
    eventually("the trouble is told", || {
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
}
