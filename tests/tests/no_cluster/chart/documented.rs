//! The comments of values.yaml are the only description of a value: the README's table and the
//! schema's descriptions are generated from them.

use std::fmt::Write as _;

use serde_json::Value;
use serde_json::json;
use tests::installation::world::TestResult;

use crate::chart::golden::is_golden;
use tests::installation::chart::file;

/// A value with a comment above it.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Row {
    /// Its path, such as `image.tag`.
    pub(crate) path: Vec<String>,
    /// The comment's lines, joined.
    pub(crate) meaning: String,
    /// The heading (`## …`) above it.
    heading: String,
}

impl Row {
    pub(crate) fn name(&self) -> String {
        self.path.join(".")
    }
}

/// Parses the values that have a comment, in order.
pub(crate) fn rows(values: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut heading = String::new();
    let mut comment: Vec<&str> = Vec::new();
    // The enclosing keys, with their indentation.
    let mut within: Vec<(usize, String)> = Vec::new();
    for line in values.lines() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if text.is_empty() {
            comment.clear();
        } else if let Some(title) = text.strip_prefix("## ") {
            title.clone_into(&mut heading);
        } else if let Some(more) = text.strip_prefix('#') {
            comment.push(more.trim());
        } else if let Some((key, _)) = text.split_once(':').filter(|_| !text.starts_with('-')) {
            within.retain(|(outer, _)| *outer < indent);
            within.push((indent, key.to_owned()));
            if !comment.is_empty() {
                rows.push(Row {
                    path: within.iter().map(|(_, key)| key.clone()).collect(),
                    meaning: comment.join(" "),
                    heading: heading.clone(),
                });
                comment.clear();
            }
        }
    }
    rows
}

/// The default of a value.
pub(crate) fn default_of<'a>(values: &'a Value, path: &[String]) -> &'a Value {
    path.iter().fold(values, |value, key| &value[key])
}

pub(crate) fn each_value_has_a_comment() -> TestResult {
    fn leaves(value: &Value, path: &[String], rows: &[Row], bare: &mut Vec<String>) {
        if rows.iter().any(|row| row.path == path) {
            return;
        }
        match value.as_object().filter(|map| !map.is_empty()) {
            None => bare.push(path.join(".")),
            Some(map) => {
                for (key, value) in map {
                    leaves(
                        value,
                        &[path, std::slice::from_ref(key)].concat(),
                        rows,
                        bare,
                    );
                }
            }
        }
    }
    let text = file("values.yaml")?;
    let rows = rows(&text);
    let values: Value = serde_saphyr::from_str(&text)?;
    let mut bare = Vec::new();
    leaves(&values, &[], &rows, &mut bare);
    assert!(bare.is_empty(), "no comment above {bare:?}");
    Ok(())
}

pub(crate) fn the_schema_describes_each_value_as_its_comment_does() -> TestResult {
    let rows = rows(&file("values.yaml")?);
    let mut schema: Value = serde_json::from_str(&file("values.schema.json")?)?;
    for row in &rows {
        let mut place = &mut schema;
        for key in &row.path {
            place = place["properties"]
                .get_mut(key)
                .ok_or_else(|| format!("the schema lacks {}", row.name()))?;
        }
        place["description"] = json!(row.meaning);
    }
    let text = format!("{schema:#}\n");
    is_golden("charts/gitvolume/values.schema.json", &text)
}

pub(crate) fn the_readme_has_each_value_and_each_alert() -> TestResult {
    let readme = file("README.md")?;
    let readme = between(&readme, "values", &values_table()?)?;
    let readme = between(&readme, "alerts", &alerts_table()?)?;
    is_golden("charts/gitvolume/README.md", &readme)
}

fn values_table() -> Result<String, libtest_mimic::Failed> {
    let text = file("values.yaml")?;
    let values: Value = serde_saphyr::from_str(&text)?;
    let mut table = String::new();
    let mut heading = String::new();
    for row in rows(&text) {
        if row.heading != heading {
            write!(
                table,
                "\n### {}\n| value | default | |\n|---|---|---|\n",
                row.heading
            )?;
            heading.clone_from(&row.heading);
        }
        let default = default_of(&values, &row.path);
        let meaning = row.meaning.replace('|', "\\|");
        writeln!(table, "| `{}` | `{default}` | {meaning} |", row.name())?;
    }
    Ok(table)
}

fn alerts_table() -> Result<String, libtest_mimic::Failed> {
    let mut alerts = Vec::<Value>::new();
    for name in ["alerts", "cache-alerts", "push-alerts"] {
        let text = file(&format!("files/{name}.yaml"))?;
        alerts.extend(serde_saphyr::from_str::<Vec<Value>>(&text)?);
    }
    let mut table = "\n| alert | severity | when |\n|---|---|---|\n".to_owned();
    for alert in &alerts {
        let text = |value: &Value| value.as_str().unwrap_or_default().replace('|', "\\|");
        let summary = text(&alert["annotations"]["summary"]);
        let summary = summary.replace("{{ $labels.", "").replace(" }}", "");
        let (name, severity) = (text(&alert["alert"]), text(&alert["labels"]["severity"]));
        writeln!(table, "| `{name}` | {severity} | {summary} |")?;
    }
    Ok(table)
}

/// Replaces the text between `<!-- NAME: … -->` and `<!-- /NAME -->`.
fn between(readme: &str, name: &str, text: &str) -> Result<String, String> {
    let missing = || format!("README.md lacks the marks of {name}");
    let begin = readme.find(&format!("<!-- {name}:")).ok_or_else(missing)?;
    let begin = begin + readme[begin..].find("-->\n").ok_or_else(missing)? + 4;
    let end = readme
        .find(&format!("<!-- /{name} -->"))
        .ok_or_else(missing)?;
    Ok(format!("{}{text}\n{}", &readme[..begin], &readme[end..]))
}
