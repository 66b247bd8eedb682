//! Output of `kubectl apply` for wrong annotations.

use serde_json::Value;
use serde_json::json;
use tests::installation::serving::Serving;
use tests::installation::serving::WEBHOOK;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::oci::images;

use crate::shared::SETTINGS;
use crate::shared::UNASKED;

fn pod(annotations: &Value) -> String {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web", "annotations": annotations},
        "spec": {
            "containers": [{
                "name": "web", "image": "nginx",
                "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
            }],
            "volumes": [{"name": "cache", "emptyDir": {}}],
        },
    })
    .to_string()
}

pub(crate) fn each_mistake_is_refused_in_one_sentence_with_key_value_and_accepted_form(
    world: &World,
) -> TestResult {
    let namespace = world.namespace(&[])?;
    for (key, value, parts) in [
        ("mode", "always", &["\"always\"", "sync", "once"][..]),
        ("mount-path", "html", &["\"html\"", "absolute"]),
        (
            "mount-path",
            "/cache",
            &["\"/cache\"", "container", "web", "cache"],
        ),
        ("period", "5 min", &["\"5 min\"", "30s"]),
        ("repo", "/etc", &["\"/etc\"", "https://"]),
        (
            "repo",
            "--upload-pack=x",
            &["\"--upload-pack=x\"", "https://"],
        ),
        ("containers", "wbe", &["\"wbe\"", "web"]),
    ] {
        let mut annotations = json!({"gitvolume.dev/repo": "https://git.example/site.git"});
        annotations[format!("gitvolume.dev/{key}")] = json!(value);
        let refusal = match namespace.apply(&pod(&annotations)) {
            Err(refusal) => refusal,
            Ok(output) => return Err(format!("{key}: {value} was admitted: {output}").into()),
        };
        for part in [&format!("gitvolume.dev/{key}")[..], "pods.gitvolume.dev"]
            .iter()
            .chain(parts)
        {
            assert!(
                refusal.contains(part),
                "{key}: {value}: no {part} in {refusal}"
            );
        }
        assert_eq!(refusal.trim().lines().count(), 1, "one sentence: {refusal}");
    }
    Ok(())
}

pub(crate) fn an_unknown_key_is_admitted_with_a_warning_that_names_the_nearest(
    world: &World,
) -> TestResult {
    let namespace = world.namespace(&[])?;
    let output = namespace.apply(&pod(&json!({
        "gitvolume.dev/repo": "https://git.example/site.git",
        "gitvolume.dev/mount-pth": "/srv",
    })))?;
    let warning = output
        .lines()
        .find(|line| line.starts_with("Warning:"))
        .unwrap_or_default();
    for part in ["gitvolume.dev/mount-pth", "mount-path"] {
        assert!(warning.contains(part), "no {part} in {output}");
    }
    assert!(output.contains("pod/web created"), "{output}");
    Ok(())
}

pub(crate) fn with_on_mistake_warn_the_pod_records_why_it_has_no_repository(
    world: &World,
) -> TestResult {
    let dir = tempfile::tempdir()?;
    let settings = json!({"image": images::SYNCER, "onMistake": "warn"});
    let serving = Serving::start_with(dir.path(), &settings)?;
    let labels = [(UNASKED, "true"), (SETTINGS, "warn")];
    let namespaces = json!([{"key": SETTINGS, "operator": "In", "values": ["warn"]}]);
    serving.register(world.cluster(), "warn", &[(WEBHOOK, namespaces)], &labels)?;
    let namespace = world.namespace(&labels)?;
    let output = namespace.apply(&pod(&json!({
        "gitvolume.dev/repo": "https://git.example/site.git",
        "gitvolume.dev/mode": "always",
    })))?;
    let sentence = "gitvolume.dev/mode: \"always\": expected sync or once";
    assert!(output.contains(&format!("Warning: {sentence}")), "{output}");
    assert!(output.contains("pod/web created"), "{output}");

    let pod = namespace.get_json(&["pod", "web"])?;
    assert!(pod["spec"]["initContainers"].is_null(), "{pod}");
    let status = pod["metadata"]["annotations"]["gitvolume.dev/status"].as_str();
    let status: Value = serde_json::from_str(status.ok_or("no status")?)?;
    assert_eq!(status["refused"], sentence);
    Ok(())
}
