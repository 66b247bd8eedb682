//! The documentation as a site: its navigation, and the links of what mdBook builds.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use tests::settings;
use tests::tools::found_or_not_run;

use crate::docs::links::links;
use crate::docs::links::resolved;
use crate::docs::pages::NAVIGATION;
use crate::docs::pages::pages;

#[test]
fn the_navigation_has_every_page_once() {
    let pages = pages();
    let navigation = pages.iter().find(|page| page.path == Path::new(NAVIGATION));
    let navigation = navigation.expect(NAVIGATION);
    let mut listed = BTreeSet::new();
    for (line, link) in links(navigation) {
        let target = resolved(&navigation.path, &link).expect("a path in the checkout");
        assert!(
            listed.insert(target),
            "{NAVIGATION}:{line}: {link} is listed twice"
        );
    }
    for page in pages.iter().filter(|page| page.path != navigation.path) {
        let path = &page.path;
        assert!(
            listed.contains(path),
            "{NAVIGATION} has no {}",
            path.display()
        );
    }
}

/// The files of a built site, by path from its root, with the text of its pages.
fn built(root: &Path, folder: &Path, files: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            built(root, &path, files);
            continue;
        }
        let is_page = path.extension().is_some_and(|found| found == "html");
        let text = if is_page {
            fs::read_to_string(&path).unwrap()
        } else {
            String::new()
        };
        files.insert(path.strip_prefix(root).unwrap().to_owned(), text);
    }
}

/// The values of an attribute in a page.
fn attributes<'a>(page: &'a str, name: &str) -> BTreeSet<&'a str> {
    let start = format!(" {name}=\"");
    let values = page.split(start.as_str()).skip(1);
    values.filter_map(|rest| rest.split('"').next()).collect()
}

/// The links of a site's pages that lead nowhere.
fn broken(files: &BTreeMap<PathBuf, String>) -> Vec<String> {
    let mut broken = Vec::new();
    for (path, text) in files {
        // The page for unknown addresses has absolute links; the printed page repeats all others.
        if ["404.html", "print.html"]
            .iter()
            .any(|name| path.ends_with(name))
        {
            continue;
        }
        for link in attributes(text, "href").union(&attributes(text, "src")) {
            if link.contains(':') {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => Some(path.clone()),
                file => resolved(path, file),
            };
            let found = target.and_then(|target| files.get(&target));
            let has_anchor =
                |text: &String| anchor.is_empty() || attributes(text, "id").contains(anchor);
            if !found.is_some_and(has_anchor) {
                broken.push(format!("{}: {link}", path.display()));
            }
        }
    }
    broken
}

#[test]
fn every_link_of_the_built_site_has_a_target() {
    if found_or_not_run("mdbook").is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut site = Command::new(settings::root().join("tests/tools/site.sh"));
    let output = site.arg(dir.path()).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    assert!(!complaint.contains("WARN"), "{complaint}");
    let mut files = BTreeMap::new();
    let root = dir.path().join("book");
    built(&root, &root, &mut files);
    let broken = broken(&files);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    let count = files.keys().filter(|path| path.starts_with("docs")).count();
    assert!(count > 30, "only {count} files of docs are in the site");
    // The search function has an index.
    let is_index = |path: &PathBuf| path.to_string_lossy().starts_with("searchindex");
    assert!(files.keys().any(is_index), "{:?}", files.keys());
}

#[test]
fn a_broken_link_of_a_site_is_detected() {
    let page = |text: &str| BTreeMap::from([(PathBuf::from("docs/a.html"), text.to_owned())]);
    let good = r##"<h2 id="x"> <a href="a.html#x"> <a href="#x"> <a href="https://git.example">"##;
    assert_eq!(broken(&page(good)), Vec::<String>::new());
    for link in ["b.html", "a.html#y", "../../a.html"] {
        let text = format!("<h2 id=\"x\"> <a href=\"{link}\">");
        assert_eq!(broken(&page(&text)), [format!("docs/a.html: {link}")]);
    }
}
