//! The file with the last error, for programs that cannot read the log (`--error-file`).

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Map;
use serde_json::Value;

use crate::error::chain;
use crate::redact::redact;
use crate::system::files;

/// git-sync's format of an error.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Content<'a> {
    msg: &'a str,
    err: &'a str,
    args: Map<String, Value>,
}

/// The error file, if there is one. Errors about the file itself are only logged.
pub(crate) struct ErrorFile(Option<PathBuf>);

impl ErrorFile {
    /// Names the file: absolute, or relative to the root.
    pub(crate) fn new(root: &Path, file: Option<&Path>) -> Self {
        Self(file.map(|file| root.join(file)))
    }

    /// Writes an error as git-sync does: the message, the error, and the other keys of the log
    /// line.
    pub(crate) fn write(&self, msg: &str, err: &str, args: &[(&str, Value)]) {
        let args = args.iter().cloned();
        let content = Content {
            msg,
            err: &redact(err),
            args: args.map(|(key, value)| (key.to_owned(), value)).collect(),
        };
        match serde_json::to_string(&content) {
            Ok(json) => self.write_text(&json),
            Err(error) => self.log_failure(&error),
        }
    }

    /// Writes a sentence: git-sync's format of a configuration error.
    pub(crate) fn write_text(&self, text: &str) {
        let Some(path) = &self.0 else {
            return;
        };
        let write = || -> io::Result<()> {
            let parent = path.parent().unwrap_or(Path::new("/"));
            if !parent.exists() {
                // Only one level, so that a mistyped path does not create a tree of directories.
                fs::create_dir(parent)?;
            }
            files::write_atomic(path, text.as_bytes(), files::PLAIN_MODE)
        };
        if let Err(error) = write() {
            self.log_failure(&error);
        }
    }

    /// Removes the file after a success.
    pub(crate) fn remove(&self) {
        let removed = self.0.as_deref().map(fs::remove_file);
        if let Some(Err(error)) = removed
            && error.kind() != io::ErrorKind::NotFound
        {
            self.log_failure(&error);
        }
    }

    fn log_failure(&self, error: &dyn std::error::Error) {
        let path = self.0.as_deref().unwrap_or(Path::new("")).display();
        tracing::error!(error = chain(error), path = %path, "cannot write or remove the error-file");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_written_in_git_syncs_form_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let file = ErrorFile::new(dir.path(), Some(Path::new("sub/err.json")));
        file.remove();
        file.write(
            "no",
            "https://a:secret@b/ is gone",
            &[("failCount", 2.into())],
        );
        let path = dir.path().join("sub/err.json");
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            r#"{"Msg":"no","Err":"https://a:REDACTED@b/ is gone","Args":{"failCount":2}}"#
        );
        file.write_text("plain");
        assert_eq!(fs::read_to_string(&path).unwrap(), "plain");
        file.remove();
        assert!(!path.exists());
        let left = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(left, 0);
    }

    #[test]
    fn a_path_two_levels_into_nothing_is_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let file = ErrorFile::new(dir.path(), Some(Path::new("a/b/err.json")));
        file.write_text("plain");
        assert!(!dir.path().join("a").exists());
    }
}
