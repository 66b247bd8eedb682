//! Licence notices for a program, as text for its image.
//!
//! Only linked code counts: the dependencies for the target that ships, without those of the build,
//! of macros and of tests.

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
use serde_json::json;

use crate::settings;

/// Prefixes of the names of licence and notice files, in upper case.
const NAMES: [&str; 6] = [
    "AUTHORS",
    "COPYING",
    "COPYRIGHT",
    "LICENCE",
    "LICENSE",
    "NOTICE",
];

/// Maximum depth of the search for such files: a crate may contain the C library that it wraps.
const DEPTH: usize = 4;

/// Linked code that is not part of any crate.
const BESIDE_CRATES: &str = "\
The Rust standard library, MIT OR Apache-2.0, https://github.com/rust-lang/rust
musl, MIT, https://musl.libc.org (where the program is linked with it)
";

/// The packages that ship, and the program of each.
pub const PROGRAMS: [(&str, &str); 3] = [
    ("webhook", "gitvolume-webhook"),
    ("cli", "gitvolume"),
    ("syncer", "gitvolume-syncer"),
];

/// A crate that is linked into a program.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Linked {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licences, as an SPDX expression.
    pub license: String,
    /// Names and versions of its direct dependencies that are linked.
    pub uses: BTreeSet<(String, String)>,
    folder: PathBuf,
}

/// The crates that are linked into a package of this workspace, ordered by name, and whether each
/// is ours; our own crates have no licence to name.
fn in_program(package: &str) -> Result<Vec<(Linked, bool)>> {
    // The crates are the same for every target that ships.
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    // One command builds both programs, so a feature that one of them enables in a crate is enabled
    // for both.
    let packages = PROGRAMS.map(|(package, _)| format!("--package={package}"));
    let target_flag = format!("--target={target}");
    let tree = [
        "tree",
        &target_flag,
        "--edges=normal,no-proc-macro",
        "--no-dedupe",
        "--prefix=depth",
        "--format= {p}",
    ];
    let tree = cargo(&[&tree[..], &packages.each_ref().map(String::as_str)].concat())?;
    let in_tree = under(package, &tree);
    let platform = format!("--filter-platform={target}");
    let metadata = cargo(&["metadata", "--format-version=1", &platform])?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut named = BTreeMap::new();
    for package in list(&metadata["packages"]) {
        let known = (text(&package["name"]), text(&package["version"]));
        if in_tree.contains(&(known.0.as_str(), known.1.as_str())) {
            named.insert(text(&package["id"]), (known, package));
        }
    }
    let mut linked = Vec::new();
    for node in list(&metadata["resolve"]["nodes"]) {
        let Some(((name, version), package)) = named.get(&text(&node["id"])) else {
            continue;
        };
        let manifest = PathBuf::from(text(&package["manifest_path"]));
        // Other dependencies are for building or testing only.
        let is_linked = |dep: &Value| {
            list(&dep["dep_kinds"])
                .iter()
                .any(|of| of["kind"].is_null())
        };
        let uses = list(&node["deps"]).into_iter().filter(is_linked);
        let uses = uses.filter_map(|dep| Some(named.get(&text(&dep["pkg"]))?.0.clone()));
        let crate_ = Linked {
            name: name.clone(),
            version: version.clone(),
            license: text(&package["license"]).replace('/', " OR "),
            uses: uses.collect(),
            folder: manifest.parent().unwrap_or(&manifest).to_owned(),
        };
        // Only workspace crates have no source.
        linked.push((crate_, package["source"].is_null()));
    }
    linked.sort();
    Ok(linked)
}

/// Names and versions in the tree of one package; the input contains several trees, with the depth
/// of each line.
fn under<'a>(package: &str, trees: &'a str) -> BTreeSet<(&'a str, &'a str)> {
    let mut root = "";
    let mut found = BTreeSet::new();
    for line in trees.lines() {
        let mut words = line.split(' ');
        if let (Some(depth), Some(name), Some(version)) = (words.next(), words.next(), words.next())
        {
            if depth == "0" {
                root = name;
            }
            if root == package {
                found.insert((name, version.trim_start_matches('v')));
            }
        }
    }
    found
}

/// The third-party crates that are linked into a package of this workspace, ordered by name.
pub fn linked(package: &str) -> Result<Vec<Linked>> {
    let all = in_program(package)?.into_iter();
    Ok(all
        .filter(|(_, is_ours)| !is_ours)
        .map(|(linked, _)| linked)
        .collect())
}

/// A bill of materials in CycloneDX's JSON (<https://cyclonedx.org/docs/1.6/json/>): each linked
/// crate, ours included, with version, licence, the registry's checksum, and its dependencies. It
/// contains no time and no random number, so that the same dependencies give the same file.
pub fn bill_of_materials(package: &str, program: &str) -> Result<Value> {
    let checksums = checksums()?;
    let mut components = Vec::new();
    let mut dependencies = Vec::new();
    let mut subject = None;
    for (linked, _) in in_program(package)? {
        let Linked {
            name,
            version,
            license,
            uses,
            folder: _,
        } = &linked;
        let itself = package_url(name, version);
        let mut component = json!({
            "type": "library",
            "bom-ref": itself,
            "name": name,
            "version": version,
            "licenses": [{"expression": license}],
        });
        if let Some(checksum) = checksums.get(&(name.clone(), version.clone())) {
            component["purl"] = json!(itself);
            component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
        }
        if name == package {
            component["type"] = json!("application");
            component["name"] = json!(program);
            subject = Some(component);
        } else {
            components.push(component);
        }
        let uses: Vec<String> = uses
            .iter()
            .map(|(name, version)| package_url(name, version))
            .collect();
        dependencies.push(json!({"ref": itself, "dependsOn": uses}));
    }
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": subject.context("the package is not in its own tree")?},
        "components": components,
        "dependencies": dependencies,
    }))
}

/// Package URL of a crate (<https://github.com/package-url/purl-spec>).
fn package_url(name: &str, version: &str) -> String {
    // The build metadata of a version; no other character of a name or a version needs escaping.
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

/// The checksums in Cargo.lock, by name and version; our own crates have none.
fn checksums() -> Result<BTreeMap<(String, String), String>> {
    let lock = fs::read_to_string(settings::root().join("Cargo.lock")).context("Cargo.lock")?;
    let mut checksums = BTreeMap::new();
    for package in lock.split("[[package]]\n").skip(1) {
        let value = |key: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(key));
            line.and_then(|rest| rest.strip_prefix(" = "))
                .map(|text| text.trim_matches('"').to_owned())
        };
        if let (Some(name), Some(version), Some(sum)) =
            (value("name"), value("version"), value("checksum"))
        {
            checksums.insert((name, version), sum);
        }
    }
    Ok(checksums)
}

/// The text: first the crates, then each licence once with the crates that use it. Reproducible:
/// the same dependencies give the same text on any machine.
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
        uses: _,
    } in &linked
    {
        let _ = writeln!(
            text,
            "{name} {version}, {license}, https://crates.io/crates/{name}"
        );
        let mut found = Vec::new();
        find(folder, DEPTH, &mut found)?;
        for file in found {
            let contents = fs::read(&file).with_context(|| format!("read {}", file.display()))?;
            let contents = String::from_utf8_lossy(&contents).replace('\r', "");
            let lines: Vec<&str> = contents.lines().map(str::trim_end).collect();
            let contents = lines.join("\n").trim_matches('\n').to_owned();
            texts.entry(contents).or_default().insert(name.clone());
        }
    }
    let mut texts: Vec<(String, String)> = texts
        .into_iter()
        .map(|(contents, names)| (names.into_iter().collect::<Vec<_>>().join(", "), contents))
        .collect();
    texts.sort();
    for (names, contents) in texts {
        let _ = write!(text, "\n{}\n{names}\n\n{contents}\n", "=".repeat(80));
    }
    Ok(text)
}

/// Finds the licence files below a directory, ordered by path.
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
    let output = Command::new("cargo")
        .args(args)
        .arg("--locked")
        .current_dir(settings::root())
        .output()
        .context("run cargo")?;
    if !output.status.success() {
        bail!(
            "cargo {}: {}",
            args.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests;
