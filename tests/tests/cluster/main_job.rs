//! The main purpose of the product: an annotated Pod gets its repository before it starts, and
//! follows it.

use serde_json::json;
use tests::eventually::eventually;
use tests::installation::git_host::GitHost;
use tests::installation::world::TestResult;
use tests::installation::world::World;

use crate::app::READY;
use crate::app::SEEN;
use crate::app::SYNCER;
use crate::app::restarts;
use crate::app::web_pod;

pub(crate) fn an_annotated_pod_has_its_files_before_it_starts_and_follows_the_branch(
    world: &World,
) -> TestResult {
    let namespace = world.namespace(&[])?;
    let host = GitHost::start(&namespace)?;
    let site = host.repository("site")?;
    let first = site.commit(&[
        ("index.html", "repository: one\n"),
        ("css/site.css", "a{}\n"),
    ])?;

    let pod = web_pod(
        "web",
        json!({
            "gitvolume.dev/repo": site.http(),
            "gitvolume.dev/mount-path": "/usr/share/nginx/html",
            "gitvolume.dev/period": "1s",
        }),
    );
    namespace.apply(&pod.to_string())?;
    namespace.wait_ready("web", READY)?;

    assert_eq!(
        restarts(&namespace, "web", "web")?,
        0,
        "the page was there at once"
    );
    assert_eq!(namespace.page("web", 8080, "/")?, "repository: one\n");
    assert_eq!(namespace.page("web", 8080, "/css/site.css")?, "a{}\n");

    let second = site.commit(&[("index.html", "repository: two\n")])?;
    eventually("the new page", SEEN, || {
        match namespace.page("web", 8080, "/")? {
            page if page == "repository: two\n" => Ok(()),
            page => Err(page),
        }
    })?;
    assert_eq!(restarts(&namespace, "web", "web")?, 0, "nginx went on");

    let log = namespace.logs("web", SYNCER)?;
    let line = log
        .lines()
        .find(|line| line.contains(&second))
        .unwrap_or_default();
    for part in [first.as_str(), "HEAD"] {
        assert!(
            line.contains(part),
            "which revision and why: {part} in {line}\n{log}"
        );
    }
    Ok(())
}
