//! The page about annotations is generated from the table of annotations.

use std::fs;
use std::path::Path;

use inject::ANNOTATIONS;
use inject::PREFIX;
use inject::annotations_markdown;

use crate::pods::is_update;

#[test]
fn the_page_about_annotations_is_current() {
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
    let known: Vec<&str> = ANNOTATIONS.iter().map(|row| row.key.as_str()).collect();
    assert_eq!(keys, known);
}
