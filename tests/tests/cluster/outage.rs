//! Remotes that become unreachable, and syncers that are killed.

use std::thread::sleep;
use std::time::Duration;

use serde_json::json;
use tests::eventually::eventually;
use tests::installation::git_host::GitHost;
use tests::installation::world::TestResult;
use tests::installation::world::World;

use crate::app::READY;
use crate::app::SEEN;
use crate::app::SYNCER;
use crate::app::kill_syncer;
use crate::app::shell_pod;

pub(crate) fn the_last_revision_is_served_while_the_remote_is_unreachable_for_a_minute(
    world: &World,
) -> TestResult {
    let namespace = world.namespace(&[])?;
    let host = GitHost::start(&namespace)?;
    let site = host.repository("site")?;
    site.commit(&[("file", "one\n")])?;
    let annotations = json!({"gitvolume.dev/repo": site.http(), "gitvolume.dev/period": "1s"});
    namespace.apply(&shell_pod("app", annotations, "exec sleep 3600").to_string())?;
    namespace.wait_ready("app", READY)?;

    host.vanish()?;
    // Commits in the old repository's clone, whose push bypasses the Service.
    site.commit(&[("file", "two\n")])?;
    for _ in 0..12 {
        sleep(Duration::from_secs(5));
        assert_eq!(
            namespace.exec("app", Some("app"), &["cat", "/git/file"])?,
            "one\n"
        );
    }
    let ready = namespace.get_json(&["pod", "app"])?["status"]["conditions"].to_string();
    let log = namespace.logs("app", SYNCER)?;
    let failures = log
        .lines()
        .filter(|line| line.contains("\"error\""))
        .count();
    assert!(
        (2..=25).contains(&failures),
        "{failures} tries in a minute: no back-off?\n{log}"
    );
    assert!(!ready.contains("\"Ready\",\"status\":\"False\""), "{ready}");

    host.return_again()?;
    // By now the backoff may have grown to its maximum of one minute, plus a fifth for jitter.
    eventually(
        "the new revision",
        Duration::from_secs(90),
        || match namespace.exec("app", Some("app"), &["cat", "/git/file"])? {
            file if file == "two\n" => Ok(()),
            file => Err(file),
        },
    )?;
    Ok(())
}

pub(crate) fn a_syncer_killed_three_times_continues_from_a_complete_tree(
    world: &World,
) -> TestResult {
    let namespace = world.namespace(&[])?;
    let host = GitHost::start(&namespace)?;
    let site = host.repository("site")?;
    site.commit(&[("a", "0\n"), ("b", "0\n")])?;
    let annotations = json!({"gitvolume.dev/repo": site.http(), "gitvolume.dev/period": "100ms"});
    namespace.apply(&shell_pod("app", annotations, "exec sleep 3600").to_string())?;
    namespace.wait_ready("app", READY)?;

    for round in 1..=3 {
        let content = format!("{round}\n");
        site.commit(&[("a", &content), ("b", &content)])?;
        kill_syncer(&namespace, "app")?;
        let pair = namespace.exec(
            "app",
            Some("app"),
            &["sh", "-c", "cd -P /git/..data; cat a b"],
        )?;
        let lines: Vec<&str> = pair.lines().collect();
        assert!(
            lines.len() == 2 && lines[0] == lines[1],
            "half a revision: {pair}"
        );
        eventually("the newest revision", SEEN, || {
            match namespace.exec("app", Some("app"), &["cat", "/git/b"])? {
                file if file == content => Ok(()),
                file => Err(file),
            }
        })?;
    }
    Ok(())
}
