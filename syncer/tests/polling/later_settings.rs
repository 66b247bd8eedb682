//! Settings that change while the syncer polls: the poller follows git.

use std::fs;

use remotes::Repo;

use crate::polling::POLL;
use crate::polling::Watched;
use crate::world::eventually;

#[test]
fn a_netrc_that_is_written_later_turns_the_poller_off_and_its_removal_on() {
    let watched = Watched::new("link");
    let server = watched.serve();
    let first = watched.commit("1");
    let home = watched.world.path("home");
    fs::create_dir(&home).unwrap();
    let _running = watched.start(watched.syncer(&server).env("HOME", &home));
    watched.world.eventually_published(&first);
    watched.assert_polls(&server, POLL);
    fs::write(home.join(".netrc"), "").unwrap();
    watched.assert_asks_git();
    fs::remove_file(home.join(".netrc")).unwrap();
    watched.assert_polls(&server, POLL);
}

#[test]
fn another_address_in_the_repositorys_configuration_is_followed() {
    let watched = Watched::new("link");
    let server = watched.serve();
    let first = watched.commit("1");
    let other = Repo::in_dir(&watched.world.path(""), "other.git");
    let moved = other.commit().write("a", "moved").push();
    let running = watched.start(watched.syncer(&server));
    watched.world.eventually_published(&first);
    watched.assert_idle(&running);
    let key = format!("url.{}.insteadOf", server.url("other.git"));
    watched
        .world
        .git(&["config", &key, &server.url("site.git")]);
    watched.world.eventually_published(&moved);
    eventually("the log names the setting", || {
        let log = running.log();
        log.contains("the syncer runs git at each pass")
            .then_some(())
    });
}
