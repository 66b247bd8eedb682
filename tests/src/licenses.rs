//! Whose work is in a program of ours, and under which licences: the text that goes into its image.
//!
//! What counts is what is linked: the dependencies for the target that ships, without those of the
//! build, of macros and of tests.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use serde_json::Value;

use crate::settings;

/// How a file with a licence or a notice begins, in capitals.
const NAMES: [&str; 6] = [
    "AUTHORS",
    "COPYING",
    "COPYRIGHT",
    "LICENCE",
    "LICENSE",
    "NOTICE",
];

/// How deep such files are looked for: a crate may have the C library that it wraps in it.
const DEPTH: usize = 4;

/// What no crate is, and linked all the same.
const BESIDE_CRATES: &str = "\
The Rust standard library, MIT OR Apache-2.0, https://github.com/rust-lang/rust
musl, MIT, https://musl.libc.org (where the program is linked with it)
";

/// A crate that is linked into a program.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Linked {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licences, as SPDX writes them.
    pub license: String,
    folder: PathBuf,
}

/// The crates of others that are linked into a package of this workspace, in the order of their names.
pub fn linked(package: &str) -> Result<Vec<Linked>> {
    // What ships is for musl; where that is not this machine's, for glibc: the crates are the same.
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let target = format!("--target={target}");
    let of_package = format!("--package={package}");
    let edges = "--edges=normal,no-proc-macro";
    let tree = cargo(&[
        "tree",
        &of_package,
        &target,
        edges,
        "--prefix=none",
        "--format={p}",
    ])?;
    let in_tree: BTreeSet<(&str, &str)> = tree
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?, words.next()?.strip_prefix('v')?))
        })
        .collect();
    let metadata: Value = serde_json::from_str(&cargo(&["metadata", "--format-version=1"])?)?;
    let mut linked = Vec::new();
    for package in metadata["packages"].as_array().context("no packages")? {
        let text = |key: &str| package[key].as_str().unwrap_or_default();
        // What has no source is ours.
        if package["source"].is_null() || !in_tree.contains(&(text("name"), text("version"))) {
            continue;
        }
        let manifest = Path::new(text("manifest_path"));
        linked.push(Linked {
            name: text("name").to_owned(),
            version: text("version").to_owned(),
            license: text("license").replace('/', " OR "),
            folder: manifest.parent().unwrap_or(manifest).to_owned(),
        });
    }
    linked.sort();
    Ok(linked)
}

/// The text: first who, then each licence once with those whose it is. The same from the same
/// dependencies, wherever it is made.
pub fn third_party(package: &str) -> Result<String> {
    let linked = linked(package)?;
    let mut text = format!(
        "Work of others in this program, and its licences. Of those with OR, the reader may choose.\n\n\
         {BESIDE_CRATES}"
    );
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for Linked {
        name,
        version,
        license,
        folder,
    } in &linked
    {
        let _ = writeln!(
            text,
            "{name} {version}, {license}, https://crates.io/crates/{name}"
        );
        let mut found = Vec::new();
        find(folder, DEPTH, &mut found)?;
        for file in found {
            let said = fs::read(&file).with_context(|| format!("read {}", file.display()))?;
            let said = String::from_utf8_lossy(&said).replace('\r', "");
            let lines: Vec<&str> = said.lines().map(str::trim_end).collect();
            let said = lines.join("\n").trim_matches('\n').to_owned();
            texts.entry(said).or_default().insert(name.clone());
        }
    }
    let mut texts: Vec<(String, String)> = texts
        .into_iter()
        .map(|(said, names)| (names.into_iter().collect::<Vec<_>>().join(", "), said))
        .collect();
    texts.sort();
    for (names, said) in texts {
        let _ = write!(text, "\n{}\n{names}\n\n{said}\n", "=".repeat(80));
    }
    Ok(text)
}

/// Finds the files with licences below a folder, in the order of their paths.
fn find(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_source = path
            .extension()
            .is_some_and(|found| ["c", "h", "rs"].iter().any(|known| found == *known));
        let name = name.to_uppercase();
        if path.is_dir() {
            if depth > 1 {
                find(&path, depth - 1, found)?;
            }
        } else if !is_source && NAMES.iter().any(|known| name.starts_with(known)) {
            found.push(path);
        }
    }
    Ok(())
}

fn cargo(args: &[&str]) -> Result<String> {
    let said = Command::new("cargo")
        .args(args)
        .arg("--locked")
        .current_dir(settings::root())
        .output()
        .context("run cargo")?;
    if !said.status.success() {
        bail!(
            "cargo {}: {}",
            args.join(" "),
            String::from_utf8_lossy(&said.stderr)
        );
    }
    Ok(String::from_utf8(said.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_linked_is_named_and_what_only_builds_or_tests_is_not() {
        for package in ["webhook", "syncer"] {
            let linked = linked(package).unwrap();
            let has = |name: &str| linked.iter().any(|linked| linked.name == name);
            assert!(has("rustls") && has("clap_builder") && has("tokio"));
            for other in ["serde_derive", "cc", "proptest", "libtest-mimic", "syncer"] {
                assert!(!has(other), "{package} does not link {other}");
            }
            assert!(linked.iter().all(|linked| !linked.license.is_empty()));
        }
    }

    #[test]
    fn each_licence_that_a_crate_has_as_a_file_is_there_and_nothing_of_this_machine() {
        let text = third_party("webhook").unwrap();
        for part in [
            "\nring ",
            "Permission is hereby granted, free of charge",
            "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION",
            // In the C library inside of its crate.
            "Microsoft Corporation, Daan Leijen",
        ] {
            assert!(text.contains(part), "no {part}");
        }
        assert!(!text.contains("/registry/"));
        assert_eq!(text, third_party("webhook").unwrap());
    }
}
