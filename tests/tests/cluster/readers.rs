//! Programs that walk a directory tree and do not follow symlinks, on a mount of real files.

use serde_json::Value;
use serde_json::json;
use tests::eventually::eventually;
use tests::installation::git_host::GitHost;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::oci::images::HUGO;
use tests::oci::images::OPA;

use crate::app::READY;
use crate::app::SEEN;
use crate::app::restarts;
use crate::app::shell_pod;

/// A policy that allows, or does not.
fn policy(package: &str, allow: bool) -> String {
    format!("package {package}\n\nallow := {allow}\n")
}

pub(crate) fn opa_sees_all_policies_with_the_files_layout_and_reloads_them_on_a_commit(
    world: &World,
) -> TestResult {
    let namespace = world.namespace(&[])?;
    let host = GitHost::start(&namespace)?;
    let policies = host.repository("policies")?;
    policies.commit(&[
        ("app.rego", &policy("app", false)),
        ("teams/a/rules.rego", &policy("teams.a", true)),
        (".ignored/rules.rego", &policy("ignored", true)),
    ])?;
    let annotations = json!({
        "gitvolume.dev/repo": policies.http(),
        "gitvolume.dev/layout": "files",
        "gitvolume.dev/mount-path": "/policies",
        "gitvolume.dev/period": "1s",
    });
    let mut pod = shell_pod("opa", annotations, "");
    let opa = &mut pod["spec"]["containers"][0];
    opa["image"] = json!(OPA);
    opa["command"] = json!([
        "/opa",
        "run",
        "--server",
        "--addr=0.0.0.0:8181",
        "--watch",
        "--ignore=.*",
        "/policies"
    ]);
    opa["readinessProbe"] =
        json!({"httpGet": {"port": 8181, "path": "/health"}, "periodSeconds": 1});
    namespace.apply(&pod.to_string())?;
    namespace.wait_ready("opa", READY)?;
    let ask = |path: &str| -> Result<Value, String> {
        let answer = namespace.page("opa", 8181, path)?;
        serde_json::from_str(&answer).map_err(|error| format!("{error}: {answer}"))
    };
    let loaded = ask("/v1/policies")?;
    let mut names: Vec<&str> = loaded["result"]
        .as_array()
        .ok_or("a list")?
        .iter()
        .filter_map(|policy| policy["id"].as_str())
        .map(|id| id.trim_start_matches('/'))
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["policies/app.rego", "policies/teams/a/rules.rego"]);
    assert_eq!(ask("/v1/data/app/allow")?["result"], false);

    policies.commit(&[("app.rego", &policy("app", true))])?;
    eventually("the new policy", SEEN, || {
        match ask("/v1/data/app/allow")? {
            answer if answer["result"] == true => Ok(()),
            answer => Err(answer.to_string()),
        }
    })?;
    assert_eq!(restarts(&namespace, "opa", "app")?, 0, "OPA went on");
    Ok(())
}

/// A Pod that runs a script once, on a mount with `mode: once` at `/site`.
fn once(name: &str, repository: &str, script: &str) -> Value {
    let annotations = json!({
        "gitvolume.dev/repo": repository,
        "gitvolume.dev/mode": "once",
        "gitvolume.dev/mount-path": "/site",
    });
    let mut pod = shell_pod(name, annotations, script);
    pod["spec"]["restartPolicy"] = json!("Never");
    pod
}

pub(crate) fn hugo_builds_a_site_from_a_mount_with_mode_once(world: &World) -> TestResult {
    let namespace = world.namespace(&[])?;
    let host = GitHost::start(&namespace)?;
    let site = host.repository("site")?;
    site.commit(&[
        ("config.toml", "baseURL = \"http://site.example/\"\ntitle = \"Site\"\ndisableKinds = [\"taxonomy\", \"term\"]\n"),
        ("layouts/_default/single.html", "page: {{ .Title }}\n"),
        ("layouts/index.html", "{{ range .Site.RegularPages }}{{ .Title }} {{ end }}\n"),
        ("content/posts/first.md", "---\ntitle: one\nweight: 1\n---\ntext\n"),
        ("content/posts/deep/second.md", "---\ntitle: two\nweight: 2\n---\ntext\n"),
    ])?;
    let script = "HUGO_RESOURCEDIR=/tmp/resources hugo --quiet --source /site --destination /tmp/public --cacheDir /tmp/cache --noBuildLock && cat /tmp/public/index.html /tmp/public/posts/deep/second/index.html";
    let mut pod = once("hugo", &site.http(), script);
    pod["spec"]["containers"][0]["image"] = json!(HUGO);
    namespace.apply(&pod.to_string())?;
    namespace.wait_for("pod/hugo", "jsonpath={.status.phase}=Succeeded", READY)?;
    namespace.wait_for_log("hugo", "app", "one two \npage: two\n")?;
    Ok(())
}

pub(crate) fn find_lists_the_files_of_a_mount_with_mode_once_as_git_does(
    world: &World,
) -> TestResult {
    let namespace = world.namespace(&[])?;
    let host = GitHost::start(&namespace)?;
    let data = host.repository("data")?;
    data.commit(&[
        ("top", "1"),
        ("dir/file", "2"),
        ("dir/deeper/file", "3"),
        (".hidden/file", "4"),
    ])?;
    let listed = data.work("git ls-files | LC_ALL=C sort")?;
    assert_eq!(listed.lines().count(), 4, "{listed}");
    let script = "cd /site && find . -type f | sed 's,^./,,' | LC_ALL=C sort";
    namespace.apply(&once("find", &data.http(), script).to_string())?;
    namespace.wait_for("pod/find", "jsonpath={.status.phase}=Succeeded", READY)?;
    namespace.wait_for_log("find", "app", &listed)?;
    Ok(())
}
