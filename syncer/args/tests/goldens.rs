//! Golden files: help, manual and the pages about flags; `make goldens` rewrites them from the
//! tables.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use args::Action;

fn printed(flag: &str) -> String {
    match args::read([OsString::from(flag)], []) {
        Ok(Action::Print(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn hold_equal(file: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::vars_os().any(|(name, _)| name == "UPDATE_GOLDENS") {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == text,
        "{} is old (UPDATE_GOLDENS=1 writes it)",
        file.display()
    );
}

#[test]
fn the_help_equals_its_golden() {
    hold_equal("testdata/help.txt", &printed("--help"));
}

#[test]
fn the_manual_equals_its_golden_and_fits_a_terminal() {
    let manual = printed("--man");
    hold_equal("testdata/manual.txt", &manual);
    for line in manual.lines().filter(|line| !line.contains(", $GITSYNC_")) {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn the_page_about_flags_is_generated_from_the_tables() {
    hold_equal("../../docs/flags.md", &args::flags_markdown());
}

#[test]
fn the_page_about_several_repositories_has_every_key() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/config.md");
    let page = fs::read_to_string(file).unwrap();
    let (before, rest) = page.split_once("<!-- keys: `make goldens` -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end of keys -->").unwrap();
    let keys = args::keys_markdown();
    let page = format!("{before}<!-- keys: `make goldens` -->\n{keys}<!-- end of keys -->{after}");
    hold_equal("../../docs/config.md", &page);
}
