//! Every metric of gitvolume that a page names is in the reference page, which the programs' own
//! tests check.

use std::fs;

use tests::settings;

use crate::docs::pages::pages;

#[test]
fn every_metric_that_a_page_names_is_in_the_metrics_reference() {
    let table = |page: &str| fs::read_to_string(settings::root().join("docs").join(page)).unwrap();
    let (webhook, syncer) = (table("metrics.md"), table("http.md"));
    let (cache, push) = (table("cache.md"), table("push.md"));
    let mut wrong = Vec::new();
    let mut seen = 0;
    for page in pages() {
        let is_part = |char: char| char.is_ascii_lowercase() || char == '_';
        let words = page.text.split(|char| !is_part(char));
        // A prefix alone is not a metric.
        for name in words.filter(|word| word.starts_with("gitvolume_") && !word.ends_with('_')) {
            seen += 1;
            let table = match name {
                name if name.starts_with("gitvolume_webhook_") => &webhook,
                name if name.starts_with("gitvolume_push_") => &push,
                name if name.starts_with("gitvolume_cache_") => &cache,
                _ => &syncer,
            };
            if !table.contains(&format!("| `{name}` |")) {
                wrong.push(format!("{}: {name}", page.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 40, "only {seen} metrics were found");
}
