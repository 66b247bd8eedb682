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
use serde_json::json;

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

/// The packages that ship, and the program that each of them makes.
pub const PROGRAMS: [(&str, &str); 2] = [("webhook", "gitvolume"), ("syncer", "gitvolume-syncer")];

/// A crate that is linked into a program.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Linked {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licences, as SPDX writes them.
    pub license: String,
    /// The names and versions of the linked crates that it uses itself.
    pub uses: BTreeSet<(String, String)>,
    folder: PathBuf,
}

/// The crates that are linked into a package of this workspace, in the order of their names; ours come
/// with them, and have no licence to name.
fn in_program(package: &str) -> Result<Vec<(Linked, bool)>> {
    // The crates are the same for every target that ships.
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    // They are built by one command, so that what one of them switches on in a crate is on in both.
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
        // A crate may also only be built with, or tested with.
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
        // What has no source is ours.
        linked.push((crate_, package["source"].is_null()));
    }
    linked.sort();
    Ok(linked)
}

/// The names and versions in the tree of one package, of the trees of several with each line's depth.
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

/// The crates of others that are linked into a package of this workspace, in the order of their names.
pub fn linked(package: &str) -> Result<Vec<Linked>> {
    let all = in_program(package)?.into_iter();
    Ok(all
        .filter(|(_, is_ours)| !is_ours)
        .map(|(linked, _)| linked)
        .collect())
}

/// A bill of materials in CycloneDX's JSON (<https://cyclonedx.org/docs/1.6/json/>): each crate that is
/// linked, ours too, with version, licence, the checksum of what the registry gave, and what it uses.
/// No time and no number of chance is in it, so that it is the same from the same dependencies.
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

/// A crate's package URL (<https://github.com/package-url/purl-spec>).
fn package_url(name: &str, version: &str) -> String {
    // A version's build metadata; nothing else in a name or a version has to be escaped.
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

/// The checksums in Cargo.lock, by name and version; what is ours has none.
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
mod tests;
