//! `--ref=semver:RANGE`: the highest version tag in a range.

use std::fs;

use remotes::HttpServer;

use crate::world::LAYOUTS;
use crate::world::Syncer;
use crate::world::World;
use crate::world::ask;
use crate::world::eventually;
use crate::world::git;

/// Commits a file and tags the commit, with annotated tags if the name has no `v`.
fn release(world: &World, name: &str) -> String {
    let commit = world.repo.commit().write("a", name).push();
    tag(world, name, &commit);
    commit
}

fn tag(world: &World, name: &str, commit: &str) {
    if name.starts_with('v') {
        world.repo.tag(name, commit);
    } else {
        world.repo.annotated_tag(name, commit);
    }
}

fn following(world: &World, range: &str) -> Syncer {
    world.syncer().flag("ref", format!("semver:{range}"))
}

fn once(syncer: Syncer) -> Syncer {
    syncer.flag("one-time", "true").flag("max-failures", "0")
}

#[test]
fn the_highest_tag_in_the_range_is_published_and_followed() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        release(&world, "v1.9.0");
        let first = release(&world, "1.10.0");
        let pre_release = release(&world, "v1.11.0-rc.1");
        release(&world, "v2.0.0");
        let syncer = following(&world, "^1.2").flag("http-bind", "127.0.0.1:0");
        let running = syncer.start(&world.path("log"));
        world.eventually_published(&first);
        running.assert_logged("\"ref\":\"semver:^1.2\",\"tag\":\"1.10.0\"");
        let shows = |tag: &str| {
            eventually("/status shows the tag", || {
                let page = ask(running.port(), "GET", "/status")?;
                page.contains(&format!("\"tag\":\"{tag}\"")).then_some(())
            });
        };
        shows("1.10.0");
        let second = release(&world, "v1.11.0");
        world.eventually_published(&second);
        shows("v1.11.0");
        // The same tag at another commit.
        let moved = release(&world, "v1.11.0");
        world.eventually_published(&moved);
        // The highest tag is removed.
        world.repo.remove_tag("v1.11.0");
        world.eventually_published(&first);
        shows("1.10.0");
        // Of two names of a version the longer one is used.
        let longer = release(&world, "v1.10.0");
        world.eventually_published(&longer);
        running.assert_not_logged("failCount");
        running.assert_not_logged(&pre_release);
    }
}

#[test]
fn pre_releases_are_followed_if_the_range_names_one() {
    let world = World::new("projected");
    release(&world, "v1.0.0");
    let first = release(&world, "v1.1.0-rc.1");
    let running = following(&world, ">=1.0.0-0 <2.0.0-0").start(&world.path("log"));
    world.eventually_published(&first);
    let second = release(&world, "v1.1.0-rc.10");
    world.eventually_published(&second);
    let third = release(&world, "v1.1.0");
    world.eventually_published(&third);
    release(&world, "v2.0.0-rc.1");
    let last = release(&world, "v1.1.1-alpha");
    world.eventually_published(&last);
    running.assert_not_logged("failCount");
}

#[test]
fn a_range_without_a_tag_is_a_failure_and_the_last_revision_stays_published() {
    for layout in LAYOUTS {
        let world = World::new(layout);
        let first = release(&world, "v1.2.0");
        let running = following(&world, "^1.2").start(&world.path("log"));
        world.eventually_published(&first);
        for name in ["v1.1.0", "v3.0.0", "v1.3.0-rc.1"] {
            release(&world, name);
        }
        world.repo.remove_tag("v1.2.0");
        running.eventually_logs(
            r#"the repository has no tag in the range \"^1.2\": the nearest tags are v1.1.0, v1.3.0-rc.1, v3.0.0"#,
        );
        assert_eq!(world.published(), Some(first), "{layout}");
        let next = release(&world, "v1.2.1");
        world.eventually_published(&next);
    }
}

#[test]
fn each_reason_for_no_tag_has_its_own_sentence() {
    let world = World::new("link");
    let fails = |words: &str| {
        let failed = once(following(&world, "^1.2")).finish();
        failed.assert_code(1);
        failed.assert_last_error(words);
    };
    fails("the repository is empty: it has no commit yet");
    let commit = world.repo.commit().write("a", "1").push();
    fails(r#"the repository has no tag in the range \"^1.2\": it has no tags"#);
    world.repo.tag("latest", &commit);
    world.repo.annotated_tag("nightly", &commit);
    fails("none of its 2 tags is a version such as v1.2.0");
    let blob = world.repo.run(&["rev-parse", "main:a"]);
    world.repo.tag("v1.2.0", &blob);
    fails(r#"\"refs/tags/v1.2.0\" names a file, not a commit"#);
}

#[test]
fn an_invalid_range_ends_the_program_with_one_sentence() {
    for layout in ["link", "projected", "clone"] {
        let world = World::new(layout);
        let refused = once(following(&world, "^1.2 || latest")).finish();
        refused.assert_code(1);
        let sentence = "--ref: \"semver:^1.2 || latest\": expected semver: and version comparators";
        assert!(refused.log.contains(sentence), "{}", refused.log);
        assert!(!world.root().exists());
    }
}

#[test]
fn a_clone_has_the_highest_tag_of_its_time() {
    let world = World::new("clone");
    release(&world, "v1.2.0");
    let newest = release(&world, "1.3.0");
    world.repo.branch("v1.4.0", &release(&world, "v2.0.0"));
    once(following(&world, "^1.2")).finish().assert_code(0);
    assert_eq!(git(&world.root(), &["rev-parse", "HEAD"]), newest);
    // A branch of the tag's name is not meant.
    let other = World::new("clone");
    let tagged = release(&other, "v1.0.0");
    other.repo.branch("v1.0.0", &release(&other, "v0.1.0"));
    once(following(&other, "1")).finish().assert_code(0);
    assert_eq!(git(&other.root(), &["rev-parse", "HEAD"]), tagged);
    // Nothing is left of a clone without a tag in the range.
    let none = World::new("clone");
    release(&none, "v2.0.0");
    let failed = once(following(&none, "1")).finish();
    failed.assert_code(1);
    failed.assert_last_error(r#"no tag in the range \"1\": the nearest tags are v2.0.0"#);
    assert!(!none.root().join("a").exists());
}

#[test]
fn a_second_syncer_of_the_same_root_waits_for_the_tag_that_it_wants() {
    let world = World::new("link");
    release(&world, "v1.0.0");
    let first = release(&world, "1.1.0");
    let running = following(&world, "^1").start(&world.path("log"));
    world.eventually_published(&first);
    let again = once(following(&world, "~1.1")).finish();
    again.assert_code(0);
    running.assert_not_logged("failCount");
}

#[test]
fn a_range_in_a_variable_and_in_an_entry_of_a_file_is_followed_over_http() {
    let world = World::new("projected");
    let server = HttpServer::start(&world.path(""));
    let first = release(&world, "v1.0.0");
    release(&world, "v2.0.0");
    let syncer = world.syncer_of(&server.url("site.git"));
    let syncer = once(syncer).env("GITSYNC_REF", "semver:<2, >=0.1");
    syncer.finish().assert_code(0);
    assert_eq!(world.published(), Some(first.clone()));
    let config = format!(
        "repos:\n  site:\n    repo: {}\n    ref: \"semver:<2, >=0.1\"\n",
        server.url("site.git")
    );
    fs::write(world.path("repos.yaml"), config).unwrap();
    let syncer = Syncer::new()
        .flag("config", world.path("repos.yaml"))
        .flag("root", world.path("roots"))
        .flag("layout", "projected")
        .flag("state", world.path("states"));
    once(syncer).finish().assert_code(0);
    let data = fs::read_link(world.path("roots/site/..data")).unwrap();
    assert!(data.display().to_string().contains(&first), "{data:?}");
}
