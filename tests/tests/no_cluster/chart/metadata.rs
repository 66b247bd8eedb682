//! Chart.yaml: what Artifact Hub shows is what the chart installs.

use std::collections::BTreeSet;

use inject::GitVolume;
use inject::Settings;
use serde_json::Value;
use serde_json::json;
use tests::installation::chart::Rendered;
use tests::installation::chart::file;
use tests::installation::world::TestResult;
use tests::settings;

pub(crate) fn the_images_and_crds_for_artifact_hub_are_the_charts() -> TestResult {
    let chart: Value = serde_saphyr::from_str(&file("Chart.yaml")?)?;
    let list = |key: &str| -> Result<Vec<Value>, String> {
        let text = chart["annotations"][format!("artifacthub.io/{key}")].as_str();
        let text = text.ok_or_else(|| format!("no artifacthub.io/{key}"))?;
        serde_saphyr::from_str(text).map_err(|error| format!("{key}: {error}"))
    };
    let rendered = Rendered::with(&json!({}))?;
    let container = &rendered.one("Deployment")?["spec"]["template"]["spec"]["containers"][0];
    let args = container["args"].as_array().into_iter().flatten();
    let syncer = args
        .filter_map(Value::as_str)
        .find_map(|arg| arg.strip_prefix("--syncer-image="));
    let images = list("images")?;
    let images: Vec<&Value> = images.iter().map(|image| &image["image"]).collect();
    let expected = [&container["image"], &json!(syncer.ok_or("no syncer")?)];
    assert_eq!(images, expected);

    let listed = list("crds")?;
    let rendered = rendered.of_kind("CustomResourceDefinition");
    let name = |object: &Value| object.as_str().unwrap_or_default().to_owned();
    let all: BTreeSet<String> = listed.iter().map(|own| name(&own["name"])).collect();
    let expected = rendered.iter().map(|own| name(&own["metadata"]["name"]));
    assert_eq!(all, expected.collect());
    for own in &listed {
        let mut definitions = rendered.iter();
        let definition = definitions.find(|other| other["metadata"]["name"] == own["name"]);
        let spec = &definition.ok_or("no definition")?["spec"];
        assert_eq!(spec["names"]["kind"], own["kind"]);
        let mut versions = spec["versions"].as_array().into_iter().flatten();
        assert!(
            versions.any(|version| version["name"] == own["version"]),
            "{own}"
        );
    }
    let settings = Settings::new("gitvolume.dev/gitvolume-syncer:0");
    for example in list("crdsExamples")? {
        let complaints = GitVolume::refused_manifest(&example, &settings);
        assert!(complaints.is_empty(), "{complaints:?}");
    }

    // The icon is a file of the site.
    let home = chart["home"].as_str().ok_or("no home")?;
    let icon = chart["icon"]
        .as_str()
        .and_then(|icon| icon.strip_prefix(home));
    let icon = icon
        .ok_or("the icon is not on the site")?
        .trim_start_matches('/');
    assert!(settings::root().join(icon).is_file(), "{icon}");
    Ok(())
}
