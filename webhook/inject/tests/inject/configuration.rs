//! The page about the operator's settings lists every setting.

use std::fs;
use std::path::Path;

use inject::Settings;
use serde_json::Value;
use serde_json::json;

fn page() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    fs::read_to_string(file).unwrap()
}

/// The names of all settings, from serde's message about an unknown one.
fn names() -> Vec<String> {
    let error = serde_json::from_value::<Settings>(json!({"": 1})).unwrap_err();
    let error = error.to_string();
    let names = error.split('`').skip(1).step_by(2).map(str::to_owned);
    // The version is not a setting; it is in the struct for the hash.
    let known = names.filter(|name| !name.is_empty() && name != "version");
    known.collect()
}

#[test]
fn the_table_has_every_setting_in_order() {
    let page = page();
    let (_, table) = page.split_once("\n| Setting |").unwrap_or_default();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    assert_eq!(rows, names());
}

#[test]
fn the_example_has_every_setting_and_is_valid() {
    let page = page();
    let example = page.split("```").nth(1).unwrap();
    let example: Value = serde_saphyr::from_str(example.trim_start_matches("yaml")).unwrap();
    let named: Vec<&String> = example.as_object().unwrap().keys().collect();
    let mut names = names();
    names.sort();
    let mut sorted: Vec<String> = named.into_iter().cloned().collect();
    sorted.sort();
    assert_eq!(sorted, names);
    serde_json::from_value::<Settings>(example).unwrap();
}
