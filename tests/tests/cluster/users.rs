//! Any UID, with a read-only root and without an entry in /etc/passwd: https and ssh work.

use std::time::Duration;

use serde_json::json;
use tests::installation::git_host::GitHost;
use tests::installation::world::TestResult;
use tests::installation::world::World;

use crate::app::READY;
use crate::app::kill_syncer;
use crate::app::shell_pod;

pub(crate) fn https_and_ssh_sync_under_uid_101_and_under_a_random_uid(world: &World) -> TestResult {
    let namespace = world.namespace(&[])?;
    let host = GitHost::start(&namespace)?;
    let site = host.repository("site")?;
    site.commit(&[("file", "content\n")])?;
    let keys = host.keys();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "git"},
        "stringData": {"ssh": keys.client, "known_hosts": keys.known_hosts, "ca.crt": keys.ca},
    });
    namespace.apply(&secret.to_string())?;

    let mut names = Vec::new();
    for uid in [101, 1_234_567_890] {
        for (kind, url) in [("https", site.https()), ("ssh", site.ssh())] {
            let name = format!("{kind}-{uid}");
            let annotations = json!({
                "gitvolume.dev/repo": url,
                "gitvolume.dev/secret": "git",
                "gitvolume.dev/period": "1s",
            });
            let mut pod = shell_pod(&name, annotations, "cat /git/file && exec sleep 3600");
            pod["spec"]["securityContext"] = json!({"runAsUser": uid});
            namespace.apply(&pod.to_string())?;
            names.push((name, uid));
        }
    }
    for (name, uid) in &names {
        namespace.wait_ready(name, READY)?;
        namespace.wait_for_log(name, "app", "content\n")?;
        let id = namespace.exec(
            name,
            Some("gitvolume"),
            &["sh", "-c", "id -u; touch /x 2>&1"],
        );
        let id = id.unwrap_or_else(|error| error);
        assert!(id.contains(&uid.to_string()), "{name}: {id}");
        assert!(id.contains("Read-only file system"), "{name}: {id}");
    }
    Ok(())
}

pub(crate) fn a_syncer_killed_while_the_remote_is_down_is_ready_again_in_seconds(
    world: &World,
) -> TestResult {
    let namespace = world.namespace(&[])?;
    let host = GitHost::start(&namespace)?;
    let site = host.repository("site")?;
    site.commit(&[("file", "content\n")])?;
    let annotations = json!({"gitvolume.dev/repo": site.http(), "gitvolume.dev/period": "1s"});
    namespace.apply(&shell_pod("app", annotations, "exec sleep 3600").to_string())?;
    namespace.wait_ready("app", READY)?;

    host.vanish()?;
    kill_syncer(&namespace, "app")?;
    // The kubelet waits ten seconds before it restarts a container.
    namespace.wait_ready("app", Duration::from_secs(60))?;
    assert_eq!(
        namespace.exec("app", Some("app"), &["cat", "/git/file"])?,
        "content\n"
    );
    Ok(())
}
