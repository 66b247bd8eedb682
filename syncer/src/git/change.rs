//! The output of `git diff-tree --raw -z` (git-diff-tree(1), "Raw output format").

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// A path that differs between two commits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Change {
    /// The path from the top.
    pub(crate) path: PathBuf,
    pub(crate) kind: ChangeKind,
}

/// The difference at a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ChangeKind {
    /// Only the new commit has it.
    Added,
    /// Content, mode or type differ.
    Modified,
    /// Only the old commit has it.
    Deleted,
}

/// Parses entries of the form `:MODE MODE HASH HASH STATUS<nul>PATH<nul>`.
pub(super) fn changes(listed: &[u8]) -> Option<Vec<Change>> {
    let mut fields = listed.split(|byte| *byte == 0);
    let mut changes = Vec::new();
    loop {
        let head = fields.next()?;
        if head.is_empty() {
            return fields.next().is_none().then_some(changes);
        }
        let kind = match head.strip_prefix(b":")?.last()? {
            b'A' => ChangeKind::Added,
            b'M' | b'T' => ChangeKind::Modified,
            b'D' => ChangeKind::Deleted,
            _ => return None,
        };
        let path = OsStr::from_bytes(fields.next().filter(|path| !path.is_empty())?);
        let path = PathBuf::from(path);
        changes.push(Change { path, kind });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_changed_path_is_read_whatever_its_name() {
        let zeros = "0".repeat(40);
        let ones = "1".repeat(40);
        let head = |status: char| format!(":100644 120000 {zeros} {ones} {status}\0");
        let mut listed = Vec::new();
        for (status, path) in [('A', &b"a b"[..]), ('T', b"\xff\n"), ('D', b"d/:100644")] {
            listed.extend_from_slice(head(status).as_bytes());
            listed.extend_from_slice(path);
            listed.push(0);
        }
        let found = changes(&listed).unwrap();
        let found = found
            .iter()
            .map(|change| (change.kind, change.path.as_os_str().as_bytes()));
        let expected = [
            (ChangeKind::Added, &b"a b"[..]),
            (ChangeKind::Modified, b"\xff\n"),
            (ChangeKind::Deleted, b"d/:100644"),
        ];
        assert_eq!(found.collect::<Vec<_>>(), expected);
        assert_eq!(changes(b""), Some(Vec::new()));
        for wrong in [
            &b":1 2 3 4 X\0a\0"[..],
            b":1 2 3 4 A\0",
            b"a\0",
            b":1 2 3 4 A\0a",
        ] {
            assert_eq!(changes(wrong), None, "{}", wrong.escape_ascii());
        }
    }
}
