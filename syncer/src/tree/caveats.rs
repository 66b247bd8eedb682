//! Unexpected content of a new revision: Git LFS pointers and encrypted files instead of content,
//! or no files at all. Logged once per revision; never a failure.

use std::fs;
use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use crate::git::Hash;
use crate::git::work_tree::ATTRIBUTES;
use crate::git::work_tree::may_have;
use crate::lfs::pointer::MAX_POINTER;
use crate::lfs::pointer::PREFIX;
use crate::system::files;
use crate::tree::submodules;

/// The prefixes of encrypted files: git-crypt and transcrypt (`openssl enc -base64`).
const ENCRYPTED: [&[u8]; 2] = [b"\0GITCRYPT\0", b"U2FsdGVkX1"];

/// The attribute of filtered files.
const FILTER: &[u8] = b"filter=";

/// The files of one kind: their number, and the first of them.
#[derive(Debug, Default, Eq, PartialEq)]
struct Found {
    count: u64,
    example: Option<PathBuf>,
}

#[derive(Debug, Default, Eq, PartialEq)]
struct Caveats {
    is_empty: bool,
    lfs_pointers: Found,
    encrypted: Found,
}

/// Scans a new tree and its submodules, and logs what it finds in the directory that is published.
/// `index` is git's list of the tree's files.
pub(crate) async fn report(commit: &Hash, dir: &Path, shown: &Path, index: &Path) {
    let (of, part, index) = (dir.to_owned(), shown.to_owned(), index.to_owned());
    let caveats = match files::blocking(move || look(&of, &part, &index)).await {
        Ok(caveats) => caveats,
        Err(error) => {
            let reason = error.to_string();
            tracing::info!(v = 1, reason, "cannot inspect the new tree");
            return;
        }
    };
    if caveats.is_empty {
        tracing::info!(
            hash = %commit,
            "no file of this revision was checked out: the sparse-checkout patterns select none, or the \
             commit has none"
        );
    }
    let shown = |found: &Found| {
        let example = found.example.as_deref().unwrap_or(dir);
        example
            .strip_prefix(dir)
            .unwrap_or(example)
            .display()
            .to_string()
    };
    if caveats.lfs_pointers.count > 0 {
        tracing::info!(
            hash = %commit,
            files = caveats.lfs_pointers.count,
            example = shown(&caveats.lfs_pointers),
            "files of this revision are Git LFS pointers, not the actual content"
        );
    }
    if caveats.encrypted.count > 0 {
        tracing::info!(
            hash = %commit,
            files = caveats.encrypted.count,
            example = shown(&caveats.encrypted),
            "files of this revision are encrypted (git-crypt, transcrypt), and are published without decryption"
        );
    }
}

fn look(dir: &Path, shown: &Path, index: &Path) -> io::Result<Caveats> {
    let names = files::names_in(dir)?;
    let mut caveats = Caveats {
        is_empty: names.iter().all(|name| name == ".git"),
        ..Caveats::default()
    };
    // A submodule has attributes of its own.
    let may_have_attributes = may_have(index, ATTRIBUTES) || may_have(index, submodules::LIST);
    if may_have_attributes && has_filters(dir)? {
        files::visit(shown, &mut |file| caveats.see(file))?;
    }
    Ok(caveats)
}

fn has_filters(dir: &Path) -> io::Result<bool> {
    let mut is_found = false;
    files::visit(dir, &mut |file| {
        if !is_found && file.file_name().is_some_and(|name| name == ATTRIBUTES) {
            let text = fs::read(file)?;
            is_found = text.windows(FILTER.len()).any(|window| window == FILTER);
        }
        Ok(())
    })?;
    Ok(is_found)
}

impl Caveats {
    fn see(&mut self, file: &Path) -> io::Result<()> {
        let mut head = Vec::with_capacity(PREFIX.len());
        let opened = fs::File::open(file)?;
        let len = opened.metadata()?.len();
        opened.take(PREFIX.len() as u64).read_to_end(&mut head)?;
        if len <= MAX_POINTER && head == PREFIX {
            self.lfs_pointers.add(file);
        } else if ENCRYPTED.iter().any(|magic| head.starts_with(magic)) {
            self.encrypted.add(file);
        }
        Ok(())
    }
}

impl Found {
    fn add(&mut self, file: &Path) {
        self.count += 1;
        self.example.get_or_insert_with(|| file.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_and_encrypted_files_are_counted_if_attributes_name_a_filter() {
        let dir = tempfile::tempdir().unwrap();
        let index = dir.path().join(".git");
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        fs::create_dir(dir.path().join("d")).unwrap();
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n";
        write("d/model.bin", pointer);
        write("large", &format!("{pointer}{}", "x".repeat(2000)));
        write("secret", "\0GITCRYPT\0abc");
        write("plain", "version 1");
        let counts = || {
            let found = look(dir.path(), dir.path(), &index).unwrap();
            assert!(!found.is_empty);
            (found.lfs_pointers.count, found.encrypted.count)
        };
        assert_eq!(counts(), (0, 0), "nothing names a filter");
        write(".gitattributes", "*.bin filter=lfs diff=lfs\n");
        assert_eq!(counts(), (1, 1));
        fs::write(&index, b"DIRC\0\0\0\x02 plain").unwrap();
        assert_eq!(counts(), (0, 0), "the index has no attributes");
        fs::write(&index, b"DIRC\0\0\0\x02 .gitmodules").unwrap();
        assert_eq!(counts(), (1, 1), "a submodule may have them");
        fs::write(&index, b"DIRC\0\0\0\x04 plain").unwrap();
        assert_eq!(counts(), (1, 1), "paths are shortened in this version");
    }

    #[test]
    fn a_tree_without_files_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(".git"), "gitdir: x").unwrap();
        let found = look(dir.path(), dir.path(), &dir.path().join("index"));
        assert!(found.unwrap().is_empty);
    }
}
