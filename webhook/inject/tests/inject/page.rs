//! The page about annotations is the table of annotations.

use std::fs;
use std::path::Path;

use inject::ANNOTATIONS;
use inject::PREFIX;
use inject::annotations_markdown;
use inject::annotations_summary;

use crate::pods::is_update;

#[test]
fn the_page_says_what_the_parser_reads() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/annotations.md");
    let page = annotations_markdown();
    if is_update() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, &page).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == page,
        "docs/annotations.md is old (UPDATE_GOLDENS=1 writes it)"
    );
    let keys: Vec<&str> = page
        .lines()
        .filter_map(|line| {
            line.strip_prefix("| `")?
                .strip_prefix(PREFIX)?
                .split('`')
                .next()
        })
        .collect();
    let known: Vec<&str> = ANNOTATIONS.iter().map(|row| row.key).collect();
    assert_eq!(keys, known);
}

#[test]
fn the_readme_has_the_same_table_in_short() {
    const START: &str = "<!-- annotations: written by `make goldens` -->\n";
    const END: &str = "<!-- /annotations -->";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = fs::read_to_string(&file).unwrap();
    let (before, rest) = readme
        .split_once(START)
        .expect("the README has the start's mark");
    let (_, after) = rest.split_once(END).expect("the README has the end's mark");
    let expected = format!("{before}{START}{}{END}{after}", annotations_summary());
    if is_update() {
        fs::write(&file, &expected).unwrap();
    }
    assert!(
        fs::read_to_string(&file).unwrap() == expected,
        "README.md's table is old (make goldens writes it)"
    );
}
