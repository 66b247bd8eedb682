//! Every link has a target, and the index lists every page.

use std::collections::BTreeSet;
use std::fs;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use tests::settings;

use crate::docs::pages::NAVIGATION;
use crate::docs::pages::Page;
use crate::docs::pages::pages;

/// The targets of a page's links, with their line numbers.
pub(crate) fn links(page: &Page) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    // A link may continue on the next line, so its text may be on the line before.
    for (line, text) in page.prose() {
        let without_code: String = text.split('`').step_by(2).collect();
        for rest in without_code.split("](").skip(1) {
            let target = rest.split(')').next().unwrap_or_default();
            links.push((line, target.to_owned()));
        }
    }
    links
}

/// The anchors of a page's headings, as Markdown renderers generate them.
fn anchors(page: &str) -> BTreeSet<String> {
    let page = Page {
        path: PathBuf::new(),
        text: page.to_owned(),
    };
    let mut anchors = BTreeSet::new();
    for (_, line) in page.prose() {
        let Some(title) = line.strip_prefix('#') else {
            continue;
        };
        let title = title.trim_start_matches('#').trim();
        // Of a link in a heading only its text counts.
        let mut words = String::new();
        for (nth, part) in title.split("](").enumerate() {
            let shown = if nth == 0 {
                part
            } else {
                part.split_once(')').map_or("", |(_, rest)| rest)
            };
            words.push_str(shown);
        }
        let kept = |char: &char| char.is_alphanumeric() || " -_".contains(*char);
        let anchor: String = words.to_lowercase().chars().filter(kept).collect();
        let anchor = anchor.replace(' ', "-");
        let mut unique = anchor.clone();
        for nth in 1.. {
            if anchors.insert(unique) {
                break;
            }
            unique = format!("{anchor}-{nth}");
        }
    }
    anchors
}

/// A path without `..`, from the checkout's root; `None` if it is outside.
pub(crate) fn resolved(page: &Path, link: &str) -> Option<PathBuf> {
    let mut path = page.parent()?.to_path_buf();
    for component in Path::new(link).components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::ParentDir if path.pop() => {}
            Component::CurDir => {}
            _ => return None,
        }
    }
    Some(path)
}

/// The problem of a link, if any.
fn problem(page: &Page, link: &str) -> Option<String> {
    if link.starts_with("https://") {
        return (link.contains(' ')).then(|| "has a space".to_owned());
    }
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = if path.is_empty() {
        page.path.clone()
    } else {
        let Some(target) = resolved(&page.path, path) else {
            return Some("leads out of the checkout".to_owned());
        };
        target
    };
    let there = settings::root().join(&target);
    if !there.exists() {
        return Some(format!("{} is not there", target.display()));
    }
    if anchor.is_empty() {
        return None;
    }
    let anchors = anchors(&fs::read_to_string(there).unwrap_or_default());
    (!anchors.contains(anchor))
        .then(|| format!("{} has no such heading, only {anchors:?}", target.display()))
}

#[test]
fn every_link_and_every_anchor_has_a_target() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for page in pages() {
        for (line, link) in links(&page) {
            seen += 1;
            if let Some(problem) = problem(&page, &link) {
                wrong.push(format!("{}:{line}: {link} {problem}", page.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 50, "only {seen} links were found");
}

#[test]
fn a_broken_link_is_detected() {
    let page = Page {
        path: "docs/x.md".into(),
        text: "# What `a-b` is, and *why*\n## Why\n## Why\n".to_owned(),
    };
    for link in ["Makefile", "../../README.md", "gitrepo.md#none"] {
        assert!(problem(&page, link).is_some(), "{link}");
    }
    assert_eq!(problem(&page, "../README.md#install"), None);
    let anchors = anchors(&page.text);
    let expected = ["what-a-b-is-and-why", "why", "why-1"];
    assert_eq!(anchors, expected.map(str::to_owned).into());
}

#[test]
fn the_index_has_every_page() {
    let pages = pages();
    let index = Path::new("docs/README.md");
    let index = pages.iter().find(|page| page.path == index);
    let index = index.expect("docs/README.md");
    let linked: BTreeSet<PathBuf> = links(index)
        .into_iter()
        .filter_map(|(_, link)| resolved(&index.path, link.split('#').next()?))
        .collect();
    for page in pages.iter().filter(|page| page.path != index.path) {
        if page.path.starts_with("docs") && page.path != Path::new(NAVIGATION) {
            assert!(
                linked.contains(&page.path),
                "docs/README.md has no link to {}",
                page.path.display()
            );
        }
    }
}
