//! What an upgrade of the chart keeps from version 0.1.0 on.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;
use tests::installation::chart::Rendered;
use tests::installation::world::TestResult;
use tests::settings;

fn recorded(name: &str) -> Result<Value, String> {
    let path = settings::root().join("tests/testdata/chart").join(name);
    let text = std::fs::read_to_string(&path);
    let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
    serde_saphyr::from_str(&text).map_err(|error| format!("{name}: {error}"))
}

/// The kind and name of each object.
fn names(rendered: &Rendered) -> BTreeSet<String> {
    let all = rendered.all().iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    all.map(|object| {
        let (kind, name) = (text(&object["kind"]), text(&object["metadata"]["name"]));
        format!("{kind}/{name}")
    })
    .collect()
}

/// An immutable selector or another name would need a new installation; running Pods, alerts and
/// other webhooks refer to the names.
pub(crate) fn a_release_of_0_1_0_keeps_its_names_selector_ports_and_paths() -> TestResult {
    let recorded = recorded("contract-0.1.0.yaml")?;
    let rendered = Rendered::with(&json!({}))?;
    let names = names(&rendered);
    for name in recorded["objects"].as_array().ok_or("no objects")? {
        let name = name.as_str().ok_or("no name")?;
        assert!(names.contains(name), "{name} is not in {names:?}");
    }
    let spec = &rendered.one("Deployment")?["spec"];
    assert_eq!(spec["selector"]["matchLabels"], recorded["selector"]);
    let ports = spec["template"]["spec"]["containers"][0]["ports"].as_array();
    let ports: serde_json::Map<String, Value> = ports
        .into_iter()
        .flatten()
        .filter_map(|port| {
            Some((
                port["name"].as_str()?.to_owned(),
                port["containerPort"].clone(),
            ))
        })
        .collect();
    assert_eq!(Value::Object(ports), recorded["container-ports"]);
    for (service, expected) in recorded["ports"].as_object().ok_or("no ports")? {
        let service = rendered.one(&format!("Service/{service}"))?;
        assert_eq!(service["spec"]["selector"], recorded["selector"]);
        let mut found = service["spec"]["ports"].clone();
        for port in found.as_array_mut().into_iter().flatten() {
            port.as_object_mut().ok_or("no port")?.remove("protocol");
        }
        assert_eq!(found, *expected);
    }
    for (webhook, path) in recorded["paths"].as_object().ok_or("no paths")? {
        let found = &rendered.webhook(webhook)?["clientConfig"]["service"]["path"];
        assert_eq!(found, path, "{webhook}");
    }
    Ok(())
}

/// Each value that a user of 0.1.0 can have set; its defaults give the same objects as today's.
pub(crate) fn the_values_of_0_1_0_are_accepted() -> TestResult {
    let values = recorded("values-0.1.0.yaml")?;
    assert_eq!(
        values["replicas"],
        json!(2),
        "the old names are in the file"
    );
    let (old, new) = (Rendered::with(&values)?, Rendered::with(&json!({}))?);
    for (old, new) in old.all().iter().zip(new.all()) {
        assert_eq!(old, new);
    }
    assert_eq!(names(&old), names(&new));
    Ok(())
}
