//! The fields that each value sets: one table per template, in `fields/`.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;
use tests::installation::world::TestResult;

use crate::chart::documented;
use tests::installation::chart::Rendered;
use tests::installation::chart::file;

const TABLES: [(&str, &str); 11] = [
    ("arguments", include_str!("fields/arguments.yaml")),
    ("cache", include_str!("fields/cache.yaml")),
    ("certificates", include_str!("fields/certificates.yaml")),
    ("deployment", include_str!("fields/deployment.yaml")),
    ("entries", include_str!("fields/entries.yaml")),
    ("monitoring", include_str!("fields/monitoring.yaml")),
    ("network", include_str!("fields/network.yaml")),
    ("others", include_str!("fields/others.yaml")),
    ("push", include_str!("fields/push.yaml")),
    ("registration", include_str!("fields/registration.yaml")),
    ("switches", include_str!("fields/switches.yaml")),
];

pub(crate) fn each_value_of_the_deployment_reaches_its_field() -> TestResult {
    hold("deployment")
}

pub(crate) fn each_value_of_the_registration_reaches_its_field() -> TestResult {
    hold("registration")
}

pub(crate) fn each_value_of_the_certificates_reaches_its_field() -> TestResult {
    hold("certificates")
}

pub(crate) fn each_value_of_the_cache_reaches_its_field() -> TestResult {
    hold("cache")
}

pub(crate) fn each_value_of_the_push_receiver_reaches_its_field() -> TestResult {
    hold("push")
}

pub(crate) fn each_value_of_the_network_reaches_its_field() -> TestResult {
    hold("network")
}

pub(crate) fn each_value_of_the_monitoring_reaches_its_field() -> TestResult {
    hold("monitoring")
}

pub(crate) fn each_value_of_the_other_objects_reaches_its_field() -> TestResult {
    hold("others")
}

pub(crate) fn each_value_for_the_webhook_becomes_an_argument() -> TestResult {
    let arguments = |values: &Value| -> Result<Vec<Value>, String> {
        let rendered = Rendered::with(values)?;
        let container = &rendered.one("Deployment")?["spec"]["template"]["spec"]["containers"][0];
        Ok(container["args"].as_array().cloned().unwrap_or_default())
    };
    let by_default = arguments(&json!({}))?;
    for row in table("arguments")? {
        let args = arguments(&row["with"])?;
        assert!(args.contains(&row["is"]), "{row}: {args:?}");
        if row["with"] != json!({}) {
            assert!(!by_default.contains(&row["is"]), "{row} proves nothing");
        }
    }
    Ok(())
}

pub(crate) fn each_optional_object_is_rendered_only_if_enabled() -> TestResult {
    for row in table("switches")? {
        let object = row["object"].as_str().ok_or("no object")?;
        let there = Rendered::with(&row["with"])?.one(object).is_ok();
        assert_eq!(json!(there), row["there"], "{row}");
    }
    Ok(())
}

pub(crate) fn each_webhook_of_the_registration_except_the_first_can_be_disabled() -> TestResult {
    for row in table("entries")? {
        let rendered = Rendered::with(&row["with"])?;
        let webhooks = rendered.webhooks()?;
        let names: Value = webhooks.iter().map(|own| own["name"].clone()).collect();
        assert_eq!(names, row["are"], "{row}");
    }
    Ok(())
}

/// A value without a row in a table is untested.
pub(crate) fn each_value_of_the_chart_is_in_one_of_the_tables() -> TestResult {
    fn paths(value: &Value, path: &[String], all: &mut BTreeSet<Vec<String>>) {
        all.insert(path.to_vec());
        for (key, value) in value.as_object().into_iter().flatten() {
            paths(value, &[path, std::slice::from_ref(key)].concat(), all);
        }
    }
    let mut seen = BTreeSet::new();
    for (name, _) in TABLES {
        for row in table(name)? {
            paths(&row["with"], &[], &mut seen);
        }
    }
    // Another test covers the settings file.
    for cache in ["maxStaleness", "namespaceSelector", "trust"] {
        seen.insert(vec!["cache".to_owned(), cache.to_owned()]);
    }
    seen.insert(vec!["settings".to_owned()]);
    seen.insert(vec!["webhook".to_owned(), "onMistake".to_owned()]);
    seen.insert(vec!["test".to_owned(), "repo".to_owned()]);
    let rows = documented::rows(&file("values.yaml")?);
    let unseen = rows.iter().filter(|row| !seen.contains(&row.path));
    let unseen: Vec<String> = unseen.map(documented::Row::name).collect();
    assert!(unseen.is_empty(), "{unseen:?}");
    Ok(())
}

fn table(name: &str) -> Result<Vec<Value>, String> {
    let mut tables = TABLES.iter().filter(|(own, _)| *own == name);
    let (_, text) = tables.next().ok_or_else(|| format!("no table {name}"))?;
    serde_saphyr::from_str(text).map_err(|error| format!("{name}: {error}"))
}

fn hold(name: &str) -> TestResult {
    let by_default = Rendered::with(&json!({}))?;
    for row in table(name)? {
        let text = |key: &str| {
            row[key]
                .as_str()
                .ok_or_else(|| format!("no {key:?} in {row}"))
        };
        let (object, place) = (text("in")?, text("at")?);
        let rendered = Rendered::with(&row["with"]).map_err(|error| format!("{row}: {error}"))?;
        let found = rendered
            .one(object)
            .map_err(|error| format!("{row}: {error}"))?;
        let found = found.pointer(place).unwrap_or(&Value::Null);
        assert_eq!(*found, row["is"], "{row}");
        // With the chart's defaults the field must differ.
        let before = by_default.one(object).ok();
        let before = before
            .and_then(|object| object.pointer(place))
            .unwrap_or(&Value::Null);
        if row["with"] != json!({}) && row.get("as-always").is_none() {
            assert_ne!(before, found, "{row} proves nothing");
        }
    }
    Ok(())
}
