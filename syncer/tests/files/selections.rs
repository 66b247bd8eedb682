//! A subdirectory, sparse-checkout patterns and submodules in the files layout.

use std::fs;
use std::os::unix::fs::MetadataExt;

use remotes::HttpServer;
use remotes::Repo;

use super::once;
use crate::world::World;
use crate::world::eventually;

#[test]
fn the_content_of_a_subdirectory_is_the_tree() {
    let world = World::new("files");
    let first = world
        .repo
        .commit()
        .write("README", "1")
        .write("src/site/index.html", "1")
        .write("src/site/css/a.css", "1")
        .write("src/other", "1")
        .push();
    let flags = [("subdir", "src/site")];
    let start = || {
        let syncer = world.syncer().flag("subdir", "src/site");
        syncer.start(&world.path("log"))
    };
    let running = start();
    world.eventually_published(&first);
    assert_eq!(world.files(), ["css/a.css", "index.html"]);
    let inode = || fs::metadata(world.tree().join("css/a.css")).unwrap().ino();
    let before = inode();
    let commit = world.repo.commit().write("src/site/index.html", "2");
    let commit = commit.write("src/site/new/a", "2").write("README", "2");
    let second = commit.push();
    world.eventually_published(&second);
    assert_eq!(world.files(), ["css/a.css", "index.html", "new/a"]);
    assert_eq!(world.read("index.html").as_deref(), Some("2"));
    assert_eq!(inode(), before);
    let third = world.repo.commit().write("README", "3").push();
    world.eventually_published(&third);
    assert_eq!(inode(), before);

    // A revision without the directory leaves the last one.
    let fourth = world.repo.commit();
    let fourth = fourth
        .remove("src/site/index.html")
        .remove("src/site/css/a.css");
    fourth
        .remove("src/site/new/a")
        .write("src/site", "a file")
        .push();
    running.eventually_logs(
        "the revision has no directory \\\"src/site\\\" (--subdir): src/site is a file",
    );
    assert_eq!(world.files(), ["css/a.css", "index.html", "new/a"]);
    assert_eq!(world.published().as_ref(), Some(&third));
    drop(running);
    world.repo.run(&["update-ref", "refs/heads/main", &third]);

    // After a reboot every file is compared, and repaired without the remote.
    fs::write(world.tree().join("index.html"), "damaged").unwrap();
    world.reboot();
    let away = world.path("away.git");
    fs::rename(world.repo.path(), &away).unwrap();
    let running = start();
    eventually("the tree is complete", || world.probe().0.then_some(()));
    assert_eq!(world.read("index.html").as_deref(), Some("2"));
    assert_eq!(inode(), before, "only what differs is replaced");
    drop(running);
    fs::rename(&away, world.repo.path()).unwrap();

    // Another selection.
    once(&world).flag("subdir", "src").finish().assert_code(0);
    assert_eq!(
        world.files(),
        ["other", "site/css/a.css", "site/index.html", "site/new/a"]
    );
    world.sync_once(&flags);
    assert_eq!(world.files(), ["css/a.css", "index.html", "new/a"]);
}

#[test]
fn sparse_checkout_patterns_select_the_files() {
    let world = World::new("files");
    let commit = world
        .repo
        .commit()
        .write("docs/a", "1")
        .write("docs/b", "1");
    let first = commit.write("src/a", "1").push();
    let _running = world
        .syncer()
        .flag("sparse-checkout", "/docs/*\n!/docs/b")
        .start(&world.path("log"));
    world.eventually_published(&first);
    assert_eq!(world.files(), ["docs/a"]);
    let commit = world
        .repo
        .commit()
        .write("docs/a", "2")
        .write("docs/b", "2");
    let second = commit.write("docs/c", "2").write("src/a", "2").push();
    world.eventually_published(&second);
    assert_eq!(world.files(), ["docs/a", "docs/c"]);
    assert_eq!(world.read("docs/a").as_deref(), Some("2"));
}

#[test]
fn files_of_submodules_are_files_of_the_tree() {
    let world = World::new("files");
    let server = HttpServer::start(&world.path(""));
    let child = Repo::in_dir(&world.path(""), "child.git");
    let child_url = server.url("child.git");
    let list = format!("[submodule \"sub\"]\n\tpath = sub\n\turl = {child_url}\n");
    let inner = child.commit().write("file", "1").write("gone", "1").push();
    let first = world
        .repo
        .commit()
        .write("top", "1")
        .write(".gitmodules", list)
        .submodule("sub", &inner)
        .push();
    let running = world
        .syncer_of(&server.url("site.git"))
        .start(&world.path("log"));
    world.eventually_published(&first);
    assert_eq!(
        world.files(),
        [".gitmodules", "sub/file", "sub/gone", "top"]
    );
    let inode = fs::metadata(world.tree().join("sub/file")).unwrap().ino();
    let inner = child.commit().remove("gone").write("new", "2").push();
    let second = world.repo.commit().submodule("sub", &inner).push();
    world.eventually_published(&second);
    assert_eq!(world.files(), [".gitmodules", "sub/file", "sub/new", "top"]);
    assert_eq!(
        fs::metadata(world.tree().join("sub/file")).unwrap().ino(),
        inode
    );

    // The submodule becomes a directory, and then a file.
    let commit = world.repo.commit().remove(".gitmodules").remove("sub");
    let third = commit.write("sub/file", "1").push();
    world.eventually_published(&third);
    assert_eq!(world.files(), ["sub/file", "top"]);
    let fourth = world.repo.commit().remove("sub/file").write("sub", "4");
    let fourth = fourth.push();
    world.eventually_published(&fourth);
    assert_eq!(world.files(), ["sub", "top"]);
    running.assert_not_logged("\"error\"");
}

#[test]
fn with_group_write_the_group_may_write_each_file_and_directory() {
    let world = World::new("files");
    world.repo.commit().write("d/a", "1").push();
    let mode = |name: &str| fs::metadata(world.tree().join(name)).unwrap().mode() & 0o777;
    once(&world).finish().assert_code(0);
    assert_eq!((mode("d/a"), mode("d")), (0o644, 0o755));
    let second = world.repo.commit().write("d/b", "1").push();
    let _running = world
        .syncer()
        .flag("group-write", "true")
        .start(&world.path("log"));
    world.eventually_published(&second);
    // A file that was made without it is replaced.
    assert_eq!((mode("d/a"), mode("d/b")), (0o664, 0o664));
    assert_eq!((mode("d"), mode("")), (0o775, 0o775));
}
