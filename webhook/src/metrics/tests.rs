use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use inject::Settings;

use super::*;

/// Whether golden files are updated (`make goldens`).
#[expect(clippy::disallowed_methods, reason = "tests have no arguments")]
fn is_update() -> bool {
    std::env::var_os("UPDATE_GOLDENS").is_some()
}

/// The `/metrics` of a webhook that has just started.
fn exposed() -> String {
    let known = Known::only(Settings::new("syncer:1"));
    let metrics = Metrics::new();
    metrics
        .text(&certs::Serving::new(), &known, Stage::Serving)
        .unwrap()
}

/// The metrics of a Prometheus text, as a Markdown table.
fn table(text: &str) -> String {
    let mut table = "| name | type | labels | what it is |\n|---|---|---|---|\n".to_owned();
    for family in text.split("# HELP ").skip(1) {
        let (name, rest) = family.split_once(' ').unwrap();
        let (help, rest) = rest.split_once('\n').unwrap();
        let kind = rest.lines().next().unwrap().rsplit(' ').next().unwrap();
        let samples = || rest.lines().filter(|line| line.starts_with(name));
        // The suffix that the format adds to the family's name.
        let added = match kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let labels = samples().filter_map(|line| Some(line.split_once('{')?.1.split_once('}')?.0));
        let labels: BTreeSet<&str> = labels
            .flat_map(|labels| labels.split("\","))
            .filter_map(|label| Some(label.split_once('=')?.0))
            .filter(|label| *label != "le")
            .collect();
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        let help = help.trim_end_matches('.');
        writeln!(
            table,
            "| `{name}{added}` | {kind} | {} | {help} |",
            labels.join(", ")
        )
        .unwrap();
    }
    table
}

#[test]
fn the_page_has_every_metric() {
    const START: &str = "<!-- metrics: written by the tests, from what is shown -->\n";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let page = fs::read_to_string(&file).unwrap();
    let (before, _) = page.split_once(START).unwrap();
    let expected = format!("{before}{START}{}", table(&exposed()));
    if is_update() {
        fs::write(&file, &expected).unwrap();
    }
    assert!(
        fs::read_to_string(&file).unwrap() == expected,
        "docs/metrics.md is old (UPDATE_GOLDENS=1 writes it)"
    );
}

/// `increase()` does not see the first event of a series that is not exposed before it.
#[test]
fn errors_are_at_zero_before_there_is_one() {
    let exposed = exposed();
    for trouble in Trouble::ALL {
        let reason = trouble.as_str();
        let line = format!(
            "gitvolume_webhook_requests_total{{decision=\"error\",reason=\"{reason}\"}} 0\n"
        );
        assert!(exposed.contains(&line), "{line}{exposed}");
    }
}
