//! `--subdir`: one directory of the repository instead of the whole repository.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;

use remotes::HttpServer;
use remotes::Repo;

use crate::world::World;
use crate::world::eventually;

/// The names at the mount path, without the syncer's own.
fn entries(world: &World) -> Vec<String> {
    let names = fs::read_dir(world.root()).unwrap();
    let names = names.map(|name| name.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with("..")).collect();
    names.sort();
    names
}

/// The whole tree, of which consumers see a part.
fn whole(world: &World) -> PathBuf {
    let target = fs::read_link(world.root().join("..data")).unwrap();
    world.root().join(target.iter().next().unwrap())
}

/// The commit whose directory is published.
fn published(world: &World) -> Option<String> {
    let target = fs::read_link(world.root().join("..data")).ok()?;
    let name = target.iter().next()?.to_str()?.trim_start_matches('.');
    Some(name.split('-').next()?.to_owned())
}

/// A site with a subdirectory to publish.
fn site(world: &World) -> String {
    let commit = world.repo.commit().write("README", "r");
    let commit = commit.write("src/main", "m").write("src/public/deep", "d");
    commit
        .write("public/index.html", "1")
        .write("public/css/a.css", "1")
        .push()
}

#[test]
fn its_entries_are_those_of_the_root_and_nothing_else_is_checked_out() {
    let world = World::new("projected");
    let first = site(&world);
    let _running = world
        .syncer()
        .flag("subdir", "public/")
        .start(&world.path("log"));
    eventually("the first revision is published", || {
        (published(&world)? == first).then_some(())
    });
    assert_eq!(entries(&world), ["css", "index.html"]);
    assert_eq!(world.read("index.html").as_deref(), Some("1"));
    assert_eq!(
        fs::read_link(world.root().join("index.html")).unwrap(),
        Path::new("..data/index.html")
    );
    assert_eq!(
        fs::read_link(world.root().join("..data")).unwrap(),
        Path::new(&format!("..{first}/public"))
    );
    let checked_out: Vec<_> = fs::read_dir(whole(&world)).unwrap().collect();
    assert_eq!(checked_out.len(), 1, "{checked_out:?}");
    assert_eq!(world.probe(), (true, String::new()));
    let old = whole(&world);

    let second = world.repo.commit().write("public/index.html", "2");
    let second = second.write("public/new", "2").remove("public/css/a.css");
    let second = second.push();
    eventually("the second revision is published", || {
        (published(&world)? == second).then_some(())
    });
    eventually("the old tree is gone", || (!old.exists()).then_some(()));
    assert_eq!(entries(&world), ["index.html", "new"]);
    assert_eq!(world.read("index.html").as_deref(), Some("2"));
    assert_eq!(world.probe(), (true, String::new()));
}

#[test]
fn names_with_signs_of_patterns_and_directories_further_down_are_found() {
    for (subdir, path) in [
        ("src/public", "src/public/deep"),
        ("a [1]*? !#/b\\c ", "a [1]*? !#/b\\c /file"),
        ("#x/!y", "#x/!y/file"),
    ] {
        let world = World::new("projected");
        site(&world);
        world.repo.commit().write(path, "found").push();
        world.sync_once(&[("subdir", subdir)]);
        let name = Path::new(path).file_name().unwrap().to_str().unwrap();
        assert_eq!(world.read(name).as_deref(), Some("found"), "{subdir}");
        assert_eq!(entries(&world), [name], "{subdir}");
        let all = walk(&whole(&world));
        assert_eq!(all, [path], "{subdir}");
    }
}

/// Every file below a directory.
fn walk(top: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut dirs = vec![top.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match fs::symlink_metadata(&path).unwrap().is_dir() {
                true => dirs.push(path),
                false => {
                    let name = path.strip_prefix(top).unwrap();
                    found.push(name.to_str().unwrap().to_owned());
                }
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_revision_without_it_is_a_failure_and_the_last_one_stays() {
    let world = World::new("projected");
    let first = site(&world);
    world.sync_once(&[("subdir", "public")]);
    world.repo.commit().remove("public").push();
    world.repo.commit().write("public", "a file").push();
    for (revision, subdir, words) in [
        (
            "main~1",
            "public",
            r#"no directory "public" (--subdir): no entry of that name was checked out"#,
        ),
        ("main", "public", "public is a file"),
        ("main", "public/a", "public is a file"),
        (
            "main",
            "src/nowhere/a",
            "no entry of that name was checked out",
        ),
    ] {
        let commit = world.repo.run(&["rev-parse", revision]);
        let run = world
            .syncer()
            .flag("ref", commit.trim())
            .flag("subdir", subdir)
            .flag("max-failures", "0")
            .finish();
        run.assert_code(1);
        run.assert_last_error(&words.replace('"', "\\\""));
        assert_eq!(published(&world).as_ref(), Some(&first), "{subdir}");
        assert_eq!(entries(&world), ["css", "index.html"], "{subdir}");
        assert_eq!(world.read("index.html").as_deref(), Some("1"));
        assert_eq!(world.probe(), (true, String::new()), "{subdir}");
    }
    // The revision after it is published.
    let last = site(&world);
    world.sync_once(&[("subdir", "src/public")]);
    assert_eq!(published(&world), Some(last));
    assert_eq!(entries(&world), ["deep"]);
}

#[test]
fn no_component_of_the_path_may_be_a_symlink() {
    for target in ["src", "/etc", ".."] {
        let world = World::new("projected");
        site(&world);
        world.repo.commit().symlink("out", target).push();
        for (subdir, words) in [
            ("out", "out is a symlink"),
            ("out/public", "out is a symlink"),
        ] {
            let run = world
                .syncer()
                .flag("subdir", subdir)
                .flag("max-failures", "0")
                .finish();
            run.assert_code(1);
            run.assert_last_error(words);
            assert_eq!(published(&world), None);
            assert!(!world.probe().0);
        }
    }
}

#[test]
fn two_dots_are_judged_inside_it() {
    let world = World::new("projected");
    let first = world
        .repo
        .commit()
        .write("..out", "1")
        .write("public/a", "1")
        .push();
    world.sync_once(&[("subdir", "public")]);
    assert_eq!(published(&world).as_ref(), Some(&first));
    world.repo.commit().write("public/..in", "2").push();
    let run = world
        .syncer()
        .flag("subdir", "public")
        .flag("max-failures", "0")
        .finish();
    run.assert_code(1);
    run.assert_last_error("begins with two dots");
    assert_eq!(published(&world), Some(first));
}

#[test]
fn another_one_at_the_same_commit_is_another_tree() {
    let world = World::new("projected");
    site(&world);
    let mut before = None;
    for (subdir, expected) in [
        (Some("public"), &["css", "index.html"][..]),
        (Some("src/public"), &["deep"]),
        (None, &["README", "public", "src"]),
        (Some("src"), &["main", "public"]),
        (Some("public/css"), &["a.css"]),
    ] {
        let flag = subdir.map(|subdir| ("subdir", subdir));
        world.sync_once(flag.as_slice());
        assert_eq!(entries(&world), expected, "{subdir:?}");
        assert_eq!(world.probe(), (true, String::new()), "{subdir:?}");
        let inode = fs::metadata(whole(&world)).unwrap().ino();
        // Only compared with the previous one: a file system reuses the inodes of removed trees.
        assert_ne!(before, Some(inode), "{subdir:?}: changed in place");
        before = Some(inode);
        // The next run finds it unchanged.
        world.sync_once(flag.as_slice());
        assert_eq!(fs::metadata(whole(&world)).unwrap().ino(), inode);
    }
}

#[test]
fn without_the_remote_the_published_subdirectory_stays_until_another_is_available() {
    let world = World::new("projected");
    site(&world);
    world.sync_once(&[("subdir", "public")]);
    let away = world.path("away");
    fs::rename(world.repo.path(), &away).unwrap();
    let run = world
        .syncer()
        .flag("subdir", "src")
        .flag("max-failures", "0")
        .finish();
    run.assert_code(1);
    assert_eq!(entries(&world), ["css", "index.html"]);
    assert_eq!(world.probe(), (true, String::new()));
    fs::rename(&away, world.repo.path()).unwrap();
    world.sync_once(&[("subdir", "src")]);
    assert_eq!(entries(&world), ["main", "public"]);
}

#[test]
fn after_a_reboot_it_is_trusted_or_repaired() {
    let world = World::new("projected");
    site(&world);
    let once = |world: &World| world.sync_once(&[("subdir", "public")]);
    once(&world);
    let inode = || fs::metadata(whole(&world)).unwrap().ino();
    let before = inode();
    world.reboot();
    once(&world);
    assert_eq!(inode(), before, "made again");
    for damage in [
        |shown: &Path| fs::write(shown.join("index.html"), "x"),
        |shown: &Path| fs::remove_file(shown.join("css/a.css")),
    ] {
        damage(&world.tree()).unwrap();
        world.reboot();
        once(&world);
        assert_eq!(world.read("index.html").as_deref(), Some("1"));
        assert_eq!(world.read("css/a.css").as_deref(), Some("1"));
        assert_eq!(entries(&world), ["css", "index.html"]);
    }
}

#[test]
fn files_removed_while_the_syncer_runs_are_restored() {
    let world = World::new("projected");
    site(&world);
    let running = world
        .syncer()
        .flag("subdir", "public")
        .start(&world.path("log"));
    eventually("it is published", || world.read("index.html"));
    let shown = || world.tree().canonicalize().unwrap();
    for harm in [
        |world: &World, _: &Path| fs::remove_file(world.root().join("index.html")),
        |world: &World, _: &Path| fs::remove_file(world.root().join("..data")),
        |_: &World, shown: &Path| fs::remove_dir_all(shown),
        |_: &World, shown: &Path| fs::remove_dir_all(shown.parent().unwrap()),
    ] {
        let dir = shown();
        harm(&world, &dir).unwrap();
        eventually("it is back", || world.read("index.html"));
        eventually("the probe is content", || world.probe().0.then_some(()));
    }
    // The link points to the whole tree, as an older syncer would set it.
    let link = world.root().join("..data");
    let tree = whole(&world);
    fs::remove_file(&link).unwrap();
    symlink(tree.file_name().unwrap(), &link).unwrap();
    eventually("they are led to the directory again", || {
        world.read("index.html")
    });
    eventually("the probe is content", || world.probe().0.then_some(()));
    running.assert_not_logged("error syncing");
}

#[test]
fn hooks_run_in_it() {
    let world = World::new("projected");
    let commit = site(&world);
    let told = world.path("told");
    let script = world.script("hook", &format!("pwd >> {0}; ls >> {0}", told.display()));
    let touched = world.path("touched");
    world.sync_once(&[
        ("subdir", "public"),
        ("exechook-command", script.to_str().unwrap()),
        ("touch-file", touched.to_str().unwrap()),
        ("error-file", world.path("error").to_str().unwrap()),
    ]);
    let root = world.root().canonicalize().unwrap();
    let dir = root.join(format!("..{commit}/public"));
    let expected = [dir.to_str().unwrap(), "css", "index.html"];
    assert_eq!(world.lines("told"), expected);
    assert!(touched.exists());
    assert!(!world.path("error").exists());
}

#[test]
fn a_kill_at_any_step_leaves_a_complete_directory_and_the_next_run_continues() {
    let world = World::new("projected");
    let first = site(&world);
    world.sync_once(&[("subdir", "public")]);
    let second = world.repo.commit().write("public/index.html", "2");
    let second = second.write("public/css/a.css", "2").push();
    let mut steps = 0;
    loop {
        let run = world
            .syncer()
            .flag("subdir", "public")
            .flag("one-time", "true")
            .flag("max-failures", "0")
            .env("GITVOLUME_CRASH_AT", steps.to_string())
            .finish();
        let seen = world.read("index.html").unwrap();
        assert_eq!(world.read("css/a.css").as_ref(), Some(&seen));
        assert_eq!(world.probe(), (true, String::new()), "step {steps}");
        let commit = if seen == "1" { &first } else { &second };
        assert_eq!(published(&world).as_ref(), Some(commit));
        if run.status.success() {
            break;
        }
        steps += 1;
    }
    assert_eq!(world.read("index.html").as_deref(), Some("2"));
    assert!(steps > 5, "only {steps} steps");
}

#[test]
fn the_users_patterns_apply_within_the_subdirectory() {
    let world = World::new("projected");
    site(&world);
    world.sync_once(&[("subdir", "public"), ("sparse-checkout", "*.html\n*.none")]);
    assert_eq!(entries(&world), ["index.html"]);
    assert_eq!(walk(&whole(&world)), ["public/index.html"]);
    let run = world
        .syncer()
        .flag("subdir", "public")
        .flag("sparse-checkout", "/src/")
        .flag("max-failures", "0")
        .finish();
    run.assert_code(1);
    run.assert_last_error("no entry of that name was checked out");
    assert_eq!(entries(&world), ["index.html"]);
}

#[test]
fn a_symlink_in_the_subdirectory_reaches_files_that_patterns_select() {
    let world = World::new("projected");
    site(&world);
    let link = world.repo.commit().symlink("public/main", "../src/main");
    link.push();
    world.sync_once(&[("subdir", "public")]);
    assert_eq!(world.read("main"), None);
    assert_eq!(entries(&world), ["css", "index.html", "main"]);
    world.sync_once(&[("subdir", "public"), ("sparse-checkout", "/*")]);
    assert_eq!(world.read("main").as_deref(), Some("m"));
    assert_eq!(entries(&world), ["css", "index.html", "main"]);
}

#[test]
fn with_a_filter_only_its_contents_are_fetched() {
    let world = World::new("projected");
    for key in ["uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"] {
        world.repo.run(&["config", key, "true"]);
    }
    let commit = site(&world);
    world.sync_once(&[("subdir", "public"), ("filter", "blob:none")]);
    let listed = remotes::git()
        .env("GIT_DIR", world.state().join("repo"))
        .args(["rev-list", "--objects", "--missing=print", &commit])
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let missing = listed.lines().filter(|line| line.starts_with('?'));
    assert_eq!(missing.count(), 3, "{listed}");
}

/// A repository with a submodule in the directory, one beside it, and one at the top.
struct Family {
    world: World,
    server: HttpServer,
}

impl Family {
    fn new() -> Self {
        let world = World::new("projected");
        let server = HttpServer::start(&world.path(""));
        let child = Repo::in_dir(&world.path(""), "child.git");
        let file = child.commit().write("file", "1").write("inner/deep", "1");
        let child = file.push();
        let mut list = String::new();
        let mut commit = world.repo.commit().write("public/a", "1");
        for path in ["public/theme", "beside", "other/mod"] {
            let url = server.url("child.git");
            list.push_str(&format!(
                "[submodule \"{path}\"]\n\tpath = {path}\n\turl = {url}\n"
            ));
            commit = commit.submodule(path, &child);
        }
        commit.write(".gitmodules", list).push();
        Self { world, server }
    }

    fn sync_once(&self, flags: &[(&str, &str)]) {
        let url = self.server.url("site.git");
        self.world
            .sync_once(&[&[("repo", url.as_str())], flags].concat());
    }
}

#[test]
fn only_submodules_in_the_subdirectory_are_checked_out() {
    let family = Family::new();
    let flags = [("subdir", "public")];
    family.sync_once(&flags);
    let expected = ["public/a", "public/theme/file", "public/theme/inner/deep"];
    assert_eq!(walk(&whole(&family.world)), expected);
    assert_eq!(entries(&family.world), ["a", "theme"]);
    // After a reboot the tree is compared with its whole selection.
    let inode = || fs::metadata(whole(&family.world)).unwrap().ino();
    let before = inode();
    family.world.reboot();
    family.sync_once(&flags);
    assert_eq!(inode(), before, "made again");
    fs::remove_file(family.world.seen().join("theme/file")).unwrap();
    family.world.reboot();
    family.sync_once(&flags);
    assert_eq!(walk(&whole(&family.world)), expected);
}

#[test]
fn an_unreachable_submodule_outside_of_the_subdirectory_is_ignored() {
    let world = World::new("projected");
    let list = "[submodule \"x\"]\n\tpath = x\n\turl = http://127.0.0.1:1/x.git\n";
    let commit = site(&world);
    let commit = world.repo.commit().submodule("x", &commit);
    commit.write(".gitmodules", list).push();
    world.sync_once(&[("subdir", "public")]);
    assert_eq!(entries(&world), ["css", "index.html"]);
}

#[test]
fn it_may_be_a_submodule_or_in_one() {
    let family = Family::new();
    for (subdir, expected) in [
        ("other/mod", &["file", "inner"][..]),
        ("other/mod/inner", &["deep"]),
        ("beside/inner", &["deep"]),
        ("public/theme", &["file", "inner"]),
    ] {
        family.sync_once(&[("subdir", subdir)]);
        assert_eq!(entries(&family.world), expected, "{subdir}");
    }
    for (subdir, words) in [
        ("beside", "it is empty, possibly a submodule"),
        ("beside/inner", "no entry of that name was checked out"),
    ] {
        let run = family
            .world
            .syncer_of(&family.server.url("site.git"))
            .flag("subdir", subdir)
            .flag("submodules", "off")
            .flag("max-failures", "0")
            .finish();
        run.assert_code(1);
        run.assert_last_error(words);
        assert_eq!(entries(&family.world), ["file", "inner"]);
    }
}

#[test]
fn a_tree_of_an_older_syncer_is_not_made_again() {
    let world = World::new("projected");
    site(&world);
    world.sync_once(&[]);
    let inode = fs::metadata(whole(&world)).unwrap().ino();
    for marker in world.find("*.whole") {
        let text = fs::read_to_string(&marker).unwrap();
        let older = text.replace(r#","subdir":null"#, "");
        assert_ne!(older, text);
        fs::write(marker, older).unwrap();
    }
    world.sync_once(&[]);
    assert_eq!(fs::metadata(whole(&world)).unwrap().ino(), inode);
}

#[test]
fn invalid_values_are_refused_with_one_sentence() {
    for (layout, flags, sentence) in [
        (
            "link",
            &[("subdir", "public")][..],
            "--subdir: \"public\": expected --layout=projected or --layout=files with it, since other layouts publish the whole tree",
        ),
        (
            "clone",
            &[("subdir", "public")],
            "--subdir: \"public\": expected --layout=projected or --layout=files with it, since other layouts publish the whole tree",
        ),
        (
            "projected",
            &[("subdir", "../x")],
            "expected a relative path such as public, without .. or //",
        ),
        (
            "projected",
            &[("sparse-checkout", "/a"), ("sparse-checkout-file", "/b")],
            "--sparse-checkout: expected no value together with --sparse-checkout-file",
        ),
    ] {
        let world = World::new(layout);
        let with =
            |syncer: crate::world::Syncer, &(name, value): &(&str, &str)| syncer.flag(name, value);
        let run = flags.iter().fold(world.syncer(), with).finish();
        run.assert_code(1);
        assert!(run.log.contains(sentence), "{}", run.log);
        assert!(!world.root().exists(), "something was made");
    }
}
