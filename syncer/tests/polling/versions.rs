//! Polls for the highest tag in a range of versions.

use remotes::Dialect;

use crate::polling::BEGINNING;
use crate::polling::MANY;
use crate::polling::POLL;
use crate::polling::Watched;
use crate::world::eventually;

#[test]
fn a_range_is_polled_with_one_request_and_git_runs_only_for_its_highest_tag() {
    for (dialect, line) in [(Dialect::Any, POLL), (Dialect::V0, BEGINNING)] {
        let watched = Watched::new("projected");
        let repo = &watched.world.repo;
        let server = watched.serve();
        server.speak(dialect);
        let old = watched.commit("1");
        repo.tag("v1.2.0", &old);
        let first = watched.commit("2");
        repo.annotated_tag("v1.3.0", &first);
        let running = watched.start(watched.syncer(&server).flag("ref", "semver:^1.2"));
        watched.world.eventually_published(&first);
        watched.assert_polls(&server, line);
        let calls = watched.git_calls();
        // Tags that are not the highest one in the range, and other refs.
        let second = watched.commit("3");
        for name in [
            "v1.2.9",
            "v1.4.0-rc.1",
            "v2.0.0",
            "v9",
            "latest",
            "a/v1.9.0",
        ] {
            repo.tag(name, &second);
        }
        repo.branch("v1.9.9", &second);
        let seen = server.seen().len();
        eventually("more polls are made", || {
            (server.seen().len() > seen + MANY).then_some(())
        });
        assert_eq!(watched.git_calls(), calls);
        // A new tag, lightweight; the same tag moved, twice; then removed.
        repo.tag("v1.4.0", &second);
        watched.world.eventually_published(&second);
        watched.assert_polls(&server, line);
        repo.tag("v1.4.0", &old);
        watched.world.eventually_published(&old);
        watched.assert_polls(&server, line);
        repo.annotated_tag("v1.4.0", &second);
        watched.world.eventually_published(&second);
        watched.assert_polls(&server, line);
        repo.remove_tag("v1.4.0");
        watched.world.eventually_published(&first);
        watched.assert_polls(&server, line);
        // Another tag of the same commit is no change of the files.
        repo.tag("v1.5.0", &first);
        running.eventually_logs("\"tag\":\"v1.5.0\"");
        watched.assert_polls(&server, line);
        assert_eq!(watched.world.published(), Some(first));
        running.assert_not_logged("failCount");
    }
}
