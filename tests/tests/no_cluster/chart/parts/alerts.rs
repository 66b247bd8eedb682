//! Alerts of an optional part of the chart.

use serde_json::Value;
use serde_json::json;
use tests::installation::chart::Rendered;
use tests::installation::world::TestResult;

/// The alerts of a part (`cache`, `push`), which contain this job, are rendered if the part is
/// enabled, and each of their metrics is in the table of its page.
pub(crate) fn are_rendered_only_if_enabled(
    part: &str,
    job: &str,
    page: &str,
    values: &dyn Fn(bool) -> Value,
) -> TestResult {
    let page = std::fs::read_to_string(tests::settings::root().join(page))?;
    let rules = |is_enabled: bool| -> Result<Vec<Value>, String> {
        let mut values = values(is_enabled);
        values["metrics"] = json!({"prometheusRule": {"enabled": true}});
        let rendered = Rendered::with(&values)?;
        let rules = rendered.one("PrometheusRule")?["spec"]["groups"][0]["rules"].clone();
        rules.as_array().cloned().ok_or_else(|| rules.to_string())
    };
    let is_own = |rule: &Value| rule.to_string().contains(&format!("job=\\\"{job}\\\""));
    assert!(!rules(false)?.iter().any(is_own));
    let alerts: Vec<Value> = rules(true)?.into_iter().filter(is_own).collect();
    assert!(alerts.len() >= 3, "{alerts:?}");
    let prefix = format!("gitvolume_{part}_");
    for alert in alerts {
        let expression = alert["expr"].as_str().ok_or("no expression")?;
        let is_word = |char: char| char.is_ascii_alphanumeric() || char == '_';
        let words = expression.split(|char| !is_word(char));
        for metric in words.filter(|word| word.starts_with("gitvolume_")) {
            assert!(
                metric.starts_with(&prefix) && page.contains(&format!("| `{metric}` |")),
                "{metric} in {alert}"
            );
        }
    }
    Ok(())
}
