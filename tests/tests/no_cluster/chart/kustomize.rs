//! The base for Kustomize: the chart with its default values.

use std::process::Command;

use serde_json::Value;
use serde_json::json;
use tests::installation::chart::Rendered;
use tests::installation::product;
use tests::installation::world::TestResult;
use tests::settings;
use tests::tools::found_or_not_run;

/// Joins the words of each text: Kustomize breaks folded texts elsewhere, and white space has no
/// meaning in CEL.
fn joined(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.split_whitespace().collect::<Vec<_>>().join(" "),
        Value::Array(items) => items.iter_mut().for_each(joined),
        Value::Object(members) => members.values_mut().for_each(joined),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

pub(crate) fn the_base_for_kustomize_equals_the_chart() -> TestResult {
    let Some(kubectl) = found_or_not_run("kubectl") else {
        return Ok(());
    };
    let base = settings::root().join("charts/kustomize");
    let output = Command::new(kubectl).arg("kustomize").arg(&base).output()?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let built: Vec<Value> = serde_saphyr::from_multiple(&String::from_utf8(output.stdout)?)?;
    let mut expected = Rendered::with(&json!({}))?.all().to_vec();
    for object in &mut expected {
        object["metadata"]["labels"]["app.kubernetes.io/managed-by"] = json!("kustomize");
    }
    expected.push(json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {
            "name": product::NAMESPACE,
            "labels": {"app.kubernetes.io/managed-by": "kustomize"},
        },
    }));
    let sorted = |mut objects: Vec<Value>| {
        objects.iter_mut().for_each(joined);
        objects.sort_by_key(|object| format!("{} {}", object["kind"], object["metadata"]["name"]));
        objects
    };
    let (built, expected) = (sorted(built), sorted(expected));
    assert_eq!(built.len(), expected.len());
    for (built, expected) in built.iter().zip(&expected) {
        assert_eq!(built, expected);
    }
    Ok(())
}
