//! The cases from the field (`tests/cases`): the tests that each row names must exist.

use std::fs;
use std::path::Path;

use tests::settings;

/// The problem of a cell that names tests by `FILE::FUNCTION`, or a golden case by its directory;
/// several are separated by `<br>`.
fn problem(root: &Path, cell: &str) -> Option<String> {
    for name in cell.split("<br>").map(str::trim) {
        let quoted = name
            .strip_prefix('`')
            .and_then(|rest| rest.strip_suffix('`'));
        if quoted.is_some_and(|name| name.contains("/testdata/") && root.join(name).is_dir()) {
            continue;
        }
        let Some((file, function)) = quoted.and_then(|name| name.rsplit_once("::")) else {
            return Some(format!(
                "{name:?}: expected `FILE::FUNCTION`, or a golden case's directory"
            ));
        };
        let Ok(source) = fs::read_to_string(root.join(file)) else {
            return Some(format!("{file} does not exist"));
        };
        if !source.contains(&format!("fn {function}(")) {
            return Some(format!("{file} has no function {function}"));
        }
    }
    None
}

#[test]
fn each_case_names_tests_that_exist() {
    let root = settings::root();
    let mut problems = Vec::new();
    let mut rows = 0;
    for entry in fs::read_dir(root.join("tests/cases")).unwrap() {
        let page = entry.unwrap().path();
        if page.extension().is_none_or(|found| found != "md") {
            continue;
        }
        let text = fs::read_to_string(&page).unwrap();
        let lines = (1..).zip(text.lines());
        let is_row = |line: &str| line.starts_with('|') && !line.starts_with("|-");
        for (number, line) in lines.filter(|(_, line)| is_row(line)) {
            // In a cell, `|` is written `\|`.
            let line = line.replace("\\|", "/");
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let problem = match cells[..] {
                [_, _, "test"] => continue,
                [_, _, tests] => problem(&root, tests),
                _ => Some("expected three cells".to_owned()),
            };
            rows += 1;
            if let Some(problem) = problem {
                problems.push(format!(
                    "{}:{number}: {}: {problem}",
                    page.display(),
                    cells[0]
                ));
            }
        }
    }
    assert!(rows > 0, "no case was found");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
