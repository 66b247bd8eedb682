//! The layers of each crate: imports point in one direction, between files and between the folders
//! of a crate.

mod imports;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use tests::settings;

use self::imports::Imports;

/// Maximum number of files in a folder, without its `mod.rs` and tests.
const MAX_FILES: usize = 14;

/// The first file of every crate of the workspace, and of every test program.
fn crate_roots() -> Vec<PathBuf> {
    let manifest = fs::read_to_string(settings::root().join("Cargo.toml")).unwrap();
    let members = manifest.split_once("members = [").expect("members").1;
    let members = members.split(']').next().unwrap_or_default();
    let members = members.split('"').skip(1).step_by(2);
    let mut roots = Vec::new();
    for member in members {
        let member = settings::root().join(member);
        roots.push(member.join("src/lib.rs"));
        roots.push(member.join("tests/main.rs"));
        let programs = fs::read_dir(member.join("tests")).into_iter().flatten();
        roots.extend(programs.map(|entry| entry.unwrap().path().join("main.rs")));
    }
    roots.retain(|root| root.exists());
    assert!(roots.len() > 10, "too few crates were found: {roots:?}");
    roots
}

/// The imports of a crate between its folders: a file at the top counts as its own folder.
fn between_folders(root: &Path, files: &Imports) -> Imports {
    let top = |file: &Path| {
        let inside = file.strip_prefix(root.parent().unwrap()).unwrap_or(file);
        let first = inside
            .components()
            .next()
            .map(|first| PathBuf::from(first.as_os_str()));
        first.unwrap_or_default().with_extension("")
    };
    let mut folders = Imports::new();
    for (from, imported) in files.iter().filter(|(from, _)| *from != root) {
        for (to, names) in imported.iter().filter(|(to, _)| *to != root) {
            let (from, to) = (top(from), top(to));
            if from != to {
                let known = folders.entry(from).or_default().entry(to).or_default();
                known.extend(names.iter().cloned());
            }
        }
    }
    folders
}

fn shown(cycles: &[String]) -> String {
    let root = format!("{}/", settings::root().display());
    cycles.join("\n").replace(&root, "")
}

#[test]
fn no_files_import_one_another_in_a_cycle() {
    let roots = crate_roots();
    let cycles = roots
        .iter()
        .flat_map(|root| imports::cycles(&imports::of_crate(root)));
    let cycles: Vec<String> = cycles.collect();
    assert!(
        cycles.is_empty(),
        "move what both files need into a third one:\n{}",
        shown(&cycles)
    );
}

#[test]
fn no_folders_of_a_crate_import_one_another_in_a_cycle() {
    let mut cycles = Vec::new();
    for root in crate_roots() {
        let found = imports::cycles(&between_folders(&root, &imports::of_crate(&root)));
        if !found.is_empty() {
            cycles.push(format!("{}:", root.display()));
            cycles.extend(found);
        }
    }
    assert!(cycles.is_empty(), "folders are layers:\n{}", shown(&cycles));
}

#[test]
fn no_folder_exceeds_the_maximum_number_of_files() {
    let mut files: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for root in crate_roots()
        .iter()
        .filter(|root| root.ends_with("src/lib.rs"))
    {
        for file in imports::files(root) {
            if !file.ends_with("mod.rs") && !file.ends_with("lib.rs") {
                *files.entry(file.parent().unwrap().to_owned()).or_default() += 1;
            }
        }
    }
    let crowded = files.iter().filter(|(_, count)| **count > MAX_FILES);
    let crowded: Vec<String> = crowded
        .map(|(folder, count)| format!("{}: {count} files", folder.display()))
        .collect();
    assert!(
        crowded.is_empty(),
        "group these files in folders:\n{}",
        shown(&crowded)
    );
}

#[test]
fn a_cycle_between_two_files_is_found_through_re_exports_and_paths_in_macros() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write("lib.rs", "mod a;\nmod b;\nmod c;\npub use a::A;\n");
    write(
        "a.rs",
        "pub struct A;\nfn f() { println!(\"{}\", crate::b::name()) }\n",
    );
    write(
        "b.rs",
        "use crate::A;\npub fn name() -> &'static str { \"b\" }\n",
    );
    write(
        "c.rs",
        "use crate::b::name;\n#[cfg(test)]\nmod tests { use crate::a::A; }\n",
    );
    let found = imports::cycles(&imports::of_crate(&dir.path().join("lib.rs")));
    let found = found
        .join("\n")
        .replace(&format!("{}/", dir.path().display()), "");
    assert_eq!(
        found,
        "2 files import one another:\n  a.rs -> b.rs: name\n  b.rs -> a.rs: A"
    );
}
