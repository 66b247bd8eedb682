//! The repositories of submodules that stay from one commit to the next.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use crate::git::Repository;
use crate::system::crash;
use crate::system::files;
use crate::tree::TreeError;
use crate::tree::submodules::paths::common_dir;
use crate::tree::submodules::paths::modules_of;

/// A submodule that is checked out.
pub(crate) struct CheckedOut {
    pub(crate) git_dir: PathBuf,
    pub(crate) dir: PathBuf,
}

impl CheckedOut {
    /// The index that git wrote.
    pub(crate) fn index(&self) -> PathBuf {
        self.git_dir.join("index")
    }
}

/// Copies repositories of submodules. Objects are linked: git never changes them.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut dirs = vec![(from.to_owned(), to.to_owned(), false)];
    while let Some((from, to, are_objects)) = dirs.pop() {
        let Some(entries) = files::absent_is_none(fs::read_dir(&from))? else {
            continue;
        };
        files::make_dir(&to)?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let (old, new) = (entry.path(), to.join(&name));
            let bytes = name.as_encoded_bytes();
            if entry.file_type()?.is_dir() {
                dirs.push((old, new, are_objects || name == "objects"));
            } else if name == "index" || bytes.ends_with(b".lock") || bytes.starts_with(b"tmp_") {
                // git writes another index, and the others are parts of files.
            } else if !are_objects || fs::hard_link(&old, &new).is_err() {
                crash::step();
                fs::copy(&old, &new)?;
            }
        }
    }
    Ok(())
}

/// Removes the submodules' repositories that were cloned from another address than the
/// configuration has now.
pub(super) fn remove_moved(git_dir: &Path) -> io::Result<()> {
    let wanted = fs::read_to_string(common_dir(git_dir)?.join("config"))?;
    let modules = modules_of(git_dir);
    for module in repositories_below(&modules)? {
        let name = module.strip_prefix(&modules).unwrap_or(&module);
        let name = name.to_string_lossy();
        let name = name.replace('\\', r"\\").replace('"', "\\\"");
        let Some(address) = address_in(&wanted, &format!("[submodule \"{name}\"]")) else {
            continue;
        };
        let cloned = fs::read_to_string(module.join("config"))?;
        if address_in(&cloned, "[remote \"origin\"]") != Some(address) {
            files::remove_any(&module)?;
        }
    }
    Ok(())
}

/// Removes the submodules' repositories that do not belong to one of these paths of a tree, and
/// returns the submodules that are checked out.
pub(super) fn retain_used(
    git_dir: &Path,
    dir: &Path,
    paths: &[String],
) -> io::Result<Vec<CheckedOut>> {
    let mut used = Vec::new();
    for path in paths {
        let dir = dir.join(path);
        let link = files::absent_is_none(fs::read_to_string(dir.join(".git")))?;
        let Some(target) = link
            .as_deref()
            .and_then(|link| link.strip_prefix("gitdir: "))
        else {
            // `update = none`, or not wanted.
            continue;
        };
        let git_dir = dir.join(target.trim_end_matches('\n')).canonicalize()?;
        used.push(CheckedOut { git_dir, dir });
    }
    let modules = modules_of(git_dir);
    for module in repositories_below(&modules)? {
        let module_itself = module.canonicalize()?;
        if !used.iter().any(|used| used.git_dir == module_itself) {
            files::remove_any(&module)?;
        }
    }
    if used.is_empty() {
        files::remove_any(&modules)?;
    }
    Ok(used)
}

/// Packs the objects of a submodule's repository if that pays: each commit adds a pack.
pub(super) async fn repack(repository: Repository<'_>) -> Result<(), TreeError> {
    // The submodule is checked out: an unreadable directory is reported when git needs an object.
    if repository
        .inventory()
        .await
        .is_ok_and(|inventory| inventory.is_large())
    {
        let compacted = repository.compact().await;
        compacted.map_err(TreeError::Submodules)?;
    }
    Ok(())
}

/// The repositories in a directory of them. A name may have slashes; those of a repository's own
/// submodules are not listed.
fn repositories_below(modules: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut dirs = vec![modules.to_owned()];
    while let Some(dir) = dirs.pop() {
        for name in files::names_in(&dir)? {
            let path = dir.join(name);
            if path.join("objects").is_dir() {
                found.push(path);
            } else if path.is_dir() {
                dirs.push(path);
            }
        }
    }
    Ok(found)
}

/// The address in a section of a configuration, in the form in which git writes it.
fn address_in<'a>(config: &'a str, section: &str) -> Option<&'a str> {
    let mut is_inside = false;
    let mut address = None;
    for line in config.lines() {
        if line.starts_with('[') {
            is_inside = line == section;
        } else if is_inside && let Some(value) = line.strip_prefix("\turl = ") {
            address = Some(value);
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_from_another_address_is_removed() {
        let world = tempfile::tempdir().unwrap();
        let git_dir = world.path();
        let config = "[submodule \"a\"]\n\turl = x\n[submodule \"lib/b \\\"q\\\"\"]\n\tactive = true\n\turl = y\n";
        fs::write(git_dir.join("config"), config).unwrap();
        let modules = modules_of(git_dir);
        for (name, url) in [("a", "moved"), ("lib/b \"q\"", "y"), ("unlisted", "z")] {
            let module = modules.join(name);
            fs::create_dir_all(module.join("objects")).unwrap();
            let config = format!("[core]\n\tbare = false\n[remote \"origin\"]\n\turl = {url}\n");
            fs::write(module.join("config"), config).unwrap();
        }
        remove_moved(git_dir).unwrap();
        let mut left = repositories_below(&modules).unwrap();
        left.sort();
        let names = ["lib/b \"q\"", "unlisted"].map(|name| modules.join(name));
        assert_eq!(left, names);
    }

    #[test]
    fn a_copy_shares_the_objects_and_nothing_else() {
        use std::os::unix::fs::MetadataExt;
        let world = tempfile::tempdir().unwrap();
        let (from, to) = (world.path().join("from"), world.path().join("to"));
        for dir in ["a/objects/pack", "a/modules/inner/objects/01"] {
            fs::create_dir_all(from.join(dir)).unwrap();
        }
        for file in [
            "a/HEAD",
            "a/index",
            "a/shallow.lock",
            "a/objects/pack/pack-1.pack",
            "a/objects/pack/tmp_pack_1",
            "a/modules/inner/HEAD",
            "a/modules/inner/objects/01/23",
        ] {
            fs::write(from.join(file), file).unwrap();
        }
        copy(&from, &to).unwrap();
        let inode = |path: PathBuf| fs::metadata(path).map(|found| found.ino()).ok();
        for (file, is_there, is_linked) in [
            ("a/HEAD", true, false),
            ("a/index", false, false),
            ("a/shallow.lock", false, false),
            ("a/objects/pack/pack-1.pack", true, true),
            ("a/objects/pack/tmp_pack_1", false, false),
            ("a/modules/inner/HEAD", true, false),
            ("a/modules/inner/objects/01/23", true, true),
        ] {
            let (old, new) = (inode(from.join(file)), inode(to.join(file)));
            assert_eq!(new.is_some(), is_there, "{file}");
            assert_eq!(new.is_some() && old == new, is_linked, "{file}");
        }
    }
}
