//! Reads and writes manifest files.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::io::Read;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use tempfile::NamedTempFile;

use crate::report::Report;

/// A file and its text.
#[derive(Clone, Debug)]
pub struct File {
    /// The name in messages; `-` is standard input.
    pub name: String,
    /// The path; `None` for standard input.
    pub path: Option<PathBuf>,
    /// The content.
    pub text: String,
}

/// Reads the named files in this order; of a directory all manifests, sorted by path. Errors are
/// reported, and the remaining files are still read.
pub fn read(named: &[PathBuf], report: &mut Report) -> Vec<File> {
    let mut files = Vec::new();
    let mut had_stdin = false;
    for path in named {
        if path == Path::new("-") {
            if had_stdin {
                report.error("-: expected once, since standard input can be read only once");
                continue;
            }
            had_stdin = true;
            let mut bytes = Vec::new();
            let read = io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes);
            keep("-".to_owned(), None, read, &mut files, report);
            continue;
        }
        let mut paths = BTreeSet::new();
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => collect(path, &mut paths, report),
            // A named path is read whatever it is, such as a pipe of the shell.
            _ => drop(paths.insert(path.clone())),
        }
        if paths.is_empty() && !report.has_errors() {
            let name = path.display();
            report.note(&format!("{name}: no *.yaml, *.yml or *.json in it"));
        }
        for path in paths {
            let read = fs::read(&path);
            let name = path.display().to_string();
            keep(name, Some(path), read, &mut files, report);
        }
    }
    files
}

fn keep(
    name: String,
    path: Option<PathBuf>,
    read: io::Result<Vec<u8>>,
    files: &mut Vec<File>,
    report: &mut Report,
) {
    match read {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => files.push(File { name, path, text }),
            Err(_) => report.error(&format!("{name}: expected YAML or JSON in UTF-8")),
        },
        Err(error) => report.error(&format!("{name}: cannot be read: {error}")),
    }
}

/// Collects the manifests below a directory. Symlinks are not followed: they may lead out of it or
/// form a cycle.
fn collect(directory: &Path, found: &mut BTreeSet<PathBuf>, report: &mut Report) {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            let name = directory.display();
            report.error(&format!("{name}: cannot be read: {error}"));
            return;
        }
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let kind = entry.file_type();
        if kind.as_ref().is_ok_and(fs::FileType::is_dir) {
            if entry.file_name() != ".git" {
                collect(&path, found, report);
            }
            continue;
        }
        let extension = path.extension().and_then(|extension| extension.to_str());
        if !matches!(extension, Some("json" | "yaml" | "yml")) {
            continue;
        }
        if kind.is_ok_and(|kind| kind.is_file()) {
            found.insert(path);
        } else {
            let name = path.display();
            report.note(&format!("{name}: skipped: it is not a regular file"));
        }
    }
}

/// Replaces a file atomically and keeps its mode. A symlink stays, and its target is written.
pub fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let path = path.canonicalize()?;
    let directory = path.parent().context("it has no directory")?;
    let mut new = NamedTempFile::new_in(directory)?;
    new.write_all(text.as_bytes())?;
    let mode = fs::metadata(&path)?.permissions();
    new.as_file().set_permissions(mode)?;
    new.as_file().sync_all()?;
    new.persist(&path)?;
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_directory_is_read_in_order_and_without_links() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("b/c")).unwrap();
        fs::create_dir_all(at(".git")).unwrap();
        for name in [
            "z.yaml",
            "b/c/1.json",
            "b/2.yml",
            "notes.txt",
            ".git/x.yaml",
        ] {
            fs::write(at(name), name).unwrap();
        }
        symlink(at("z.yaml"), at("a.yaml")).unwrap();
        symlink(root.path(), at("b/round")).unwrap();
        let mut report = Report::default();
        let files = read(&[root.path().to_owned()], &mut report);
        let texts: Vec<&str> = files.iter().map(|file| file.text.as_str()).collect();
        assert_eq!(texts, ["b/2.yml", "b/c/1.json", "z.yaml"]);
        assert!(!report.has_errors());
    }

    #[test]
    fn a_written_file_keeps_its_mode_and_the_link_to_it() {
        let root = tempfile::tempdir().unwrap();
        let (file, link) = (root.path().join("file"), root.path().join("link"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("file", &link).unwrap();
        write(&link, "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o640
        );
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);
    }
}
