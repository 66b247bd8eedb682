//! gitRepo volumes on a node of Kubernetes 1.36, whose kubelet no longer supports them.

use serde_json::Value;
use serde_json::json;
use tests::eventually::eventually;
use tests::installation::git_host::GitHost;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::kubernetes::kubectl::Kubectl;
use tests::oci::images::BUSYBOX;
use tests::oci::images::NGINX;

use crate::app::READY;
use crate::app::SEEN;
use crate::app::container_status;
use crate::app::restarts;
use crate::app::shell_pod;

/// The injected container.
const CLONER: &str = "gitvolume-gitrepo";

/// The example of the Kubernetes documentation that most old manifests derive from
/// (concepts/storage/volumes, gitRepo); the image is one that the node has.
fn documented(repository: &str, revision: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Pod
metadata:
  name: server
spec:
  containers:
  - image: {NGINX}
    name: nginx
    volumeMounts:
    - mountPath: /mypath
      name: git-volume
  volumes:
  - name: git-volume
    gitRepo:
      repository: \"{repository}\"
      revision: \"{revision}\"
"
    )
}

/// A Pod with these gitRepo volumes; its container mounts them below `/src`.
fn pod(name: &str, annotations: Value, volumes: &[(&str, Value)], script: &str) -> Value {
    let mut pod = shell_pod(name, annotations, script);
    for (volume, source) in volumes {
        let path = format!("/src/{volume}");
        push(
            &mut pod["spec"]["containers"][0]["volumeMounts"],
            json!({"name": volume, "mountPath": path}),
        );
        push(
            &mut pod["spec"]["volumes"],
            json!({"name": volume, "gitRepo": source}),
        );
    }
    pod
}

fn push(list: &mut Value, item: Value) {
    if let Some(list) = list.as_array_mut() {
        list.push(item);
    }
}

fn sh(kubectl: &Kubectl, pod: &str, script: &str) -> Result<String, String> {
    kubectl.exec(pod, None, &["sh", "-euc", script])
}

pub(crate) fn the_documentations_git_repo_pod_and_its_variants_run(world: &World) -> TestResult {
    let namespace = world.namespace(&[])?;
    let host = GitHost::start(&namespace)?;
    let site = host.repository("site")?;
    let first = site.commit(&[("index.html", "one\n"), ("docs/page", "page one\n")])?;
    site.commit(&[("index.html", "two\n"), ("docs/page", "page two\n")])?;
    site.work("git checkout -q -b next && git push -q -u origin next && git checkout -q main")?;
    let source = |more: Value| {
        let mut source = json!({"repository": site.http()});
        if let (Some(source), Some(more)) = (source.as_object_mut(), more.as_object()) {
            source.extend(more.clone());
        }
        source
    };

    // The kubelet retried forever; a failed init container ends a Pod that never restarts.
    host.vanish()?;
    let mut late = pod(
        "late",
        json!({}),
        &[("src", source(json!({})))],
        "cat /src/src/site/index.html",
    );
    late["spec"]["restartPolicy"] = json!("Never");
    namespace.apply(&late.to_string())?;
    eventually("an attempt that fails", READY, || {
        match namespace.logs("late", CLONER)? {
            log if log.contains("will retry") => Ok(()),
            log => Err(log),
        }
    })?;
    host.return_again()?;

    namespace.apply(&documented(&site.http(), &first))?;
    let mut many = pod(
        "many",
        json!({}),
        &[
            ("branch", source(json!({"revision": "next"}))),
            ("top", source(json!({"directory": "."}))),
        ],
        "cat /docs/page && exec sleep 3600",
    );
    let spec = &mut many["spec"];
    spec["securityContext"] = json!({"runAsUser": 1000});
    // To end the Pod's sandbox from inside.
    spec["shareProcessNamespace"] = json!(true);
    let by_sub_path = json!({"name": "branch", "mountPath": "/docs", "subPath": "site/docs"});
    push(&mut spec["containers"][0]["volumeMounts"], by_sub_path);
    spec["initContainers"] = json!([{
        "name": "build", "image": BUSYBOX, "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", "cat /src/index.html"],
        "volumeMounts": [{"name": "top", "mountPath": "/src", "readOnly": true}],
    }]);
    namespace.apply(&many.to_string())?;

    namespace.wait_ready("server", READY)?;
    let checkout = "cd /mypath/site && cat index.html docs/page .git/HEAD && ls /mypath";
    let expected = format!("one\npage one\n{first}\nsite\n");
    assert_eq!(sh(&namespace, "server", checkout)?, expected);

    namespace.wait_ready("many", READY)?;
    namespace.wait_for_log("many", "build", "two\n")?;
    namespace.wait_for_log("many", "app", "page two\n")?;
    let checkout = "cat /src/branch/site/.git/HEAD /src/top/.git/HEAD && ls /src/top /src/branch";
    assert_eq!(
        sh(&namespace, "many", checkout)?,
        "ref: refs/heads/next\nref: refs/heads/main\n/src/branch:\nsite\n\n/src/top:\ndocs\nindex.html\n"
    );
    let config = sh(&namespace, "many", "cat /src/branch/site/.git/config")?;
    for part in ["[remote \"origin\"]", &site.http(), "[branch \"next\"]"] {
        assert!(config.contains(part), "no {part} in {config}");
    }

    let phase = "jsonpath={.status.phase}=Succeeded";
    namespace.wait_for("pod/late", phase, READY)?;
    namespace.wait_for_log("late", "app", "two\n")?;
    assert_eq!(restarts(&namespace, "late", CLONER)?, 0, "it went on");

    // As after a reboot of the node: the volumes remain, and all containers run again, ours too.
    sh(
        &namespace,
        "many",
        "echo mine > /src/branch/site/index.html; rm -r /src/top/docs",
    )?;
    site.commit(&[("index.html", "three\n")])?;
    let before = container_status(&namespace, "many", CLONER)?["containerID"].clone();
    let _ = sh(&namespace, "many", "kill 1");
    eventually("another run of ours", READY, || {
        let status = container_status(&namespace, "many", CLONER)?;
        let has_ended = status["state"]["terminated"]["exitCode"] == 0;
        match has_ended && status["containerID"] != before {
            true => Ok(()),
            false => Err(status.to_string()),
        }
    })?;
    namespace.wait_ready("many", READY)?;
    let written = "cat /src/branch/site/index.html /src/top/index.html; ls /src/top";
    assert_eq!(sh(&namespace, "many", written)?, "mine\ntwo\nindex.html\n");
    Ok(())
}

pub(crate) fn a_private_and_a_followed_volume_run_under_the_restricted_level(
    world: &World,
) -> TestResult {
    let remote = world.namespace(&[])?;
    let host = GitHost::start(&remote)?;
    let site = host.repository("site")?;
    site.commit(&[("index.html", "one\n")])?;
    let namespace = world.namespace(&[("pod-security.kubernetes.io/enforce", "restricted")])?;
    let keys = host.keys();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "site-git"},
        "stringData": {"ssh": keys.client, "known_hosts": keys.known_hosts},
    });
    namespace.apply(&secret.to_string())?;

    let script = "cat /src/site/site/index.html && exec sleep 3600";
    let private = pod(
        "private",
        json!({"gitvolume.dev/secret": "site-git"}),
        &[(
            "site",
            json!({"repository": site.ssh(), "revision": "main"}),
        )],
        script,
    );
    let output = namespace.apply(&private.to_string())?;
    assert!(
        !output.contains("deprecated"),
        "nothing is left of it: {output}"
    );
    let followed = pod(
        "followed",
        json!({"gitvolume.dev/gitrepo": "follow", "gitvolume.dev/site.period": "1s"}),
        &[(
            "site",
            json!({"repository": site.http(), "revision": "main"}),
        )],
        script,
    );
    namespace.apply(&followed.to_string())?;
    for name in ["private", "followed"] {
        namespace.wait_ready(name, READY)?;
        namespace.wait_for_log(name, "app", "one\n")?;
    }

    site.commit(&[("index.html", "two\n")])?;
    let page = |pod: &str| sh(&namespace, pod, "cat /src/site/site/index.html");
    eventually("the new revision", SEEN, || match page("followed")? {
        page if page == "two\n" => Ok(()),
        page => Err(page),
    })?;
    assert_eq!(page("private")?, "one\n", "the other one is the app's");
    Ok(())
}
