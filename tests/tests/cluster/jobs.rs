//! Pods that run to completion.

use serde_json::Value;
use serde_json::json;
use tests::installation::git_host::GitHost;
use tests::installation::world::TestResult;
use tests::installation::world::World;

use crate::app::READY;
use crate::app::container_status;
use crate::app::shell_pod;

fn job(name: &str, annotations: Value) -> Value {
    let pod = shell_pod(name, annotations, "cat /git/file");
    let mut template = json!({"metadata": {"annotations": pod["metadata"]["annotations"]}});
    template["spec"] = pod["spec"].clone();
    template["spec"]["restartPolicy"] = json!("Never");
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
        "spec": {"template": template, "backoffLimit": 0},
    })
}

pub(crate) fn a_job_completes_with_the_sidecar_and_with_mode_once(world: &World) -> TestResult {
    let namespace = world.namespace(&[])?;
    let host = GitHost::start(&namespace)?;
    let data = host.repository("data")?;
    data.commit(&[("file", "content\n")])?;

    let sync = json!({"gitvolume.dev/repo": data.http()});
    let once = json!({"gitvolume.dev/repo": data.http(), "gitvolume.dev/mode": "once"});
    for (name, annotations) in [("sync", sync), ("once", once)] {
        namespace.apply(&job(name, annotations).to_string())?;
        namespace.wait_for(&format!("job/{name}"), "condition=Complete", READY)?;
        let pod = namespace.run(&[
            "get",
            "pods",
            &format!("--selector=job-name={name}"),
            "-o=jsonpath={.items[0].metadata.name}",
        ])?;
        namespace.wait_for_log(&pod, "app", "content\n")?;
        let spec = namespace.get_json(&["pod", &pod])?["spec"].clone();
        let injected = &spec["initContainers"][0];
        let always = injected["restartPolicy"] == "Always";
        assert_eq!(always, name == "sync", "{name}: {injected}");
        let container = injected["name"].as_str().unwrap_or_default();
        let status = container_status(&namespace, &pod, container)?;
        assert_eq!(
            status["state"]["terminated"]["exitCode"], 0,
            "{name}: {status}"
        );
    }
    Ok(())
}
