//! The file on the state volume with the state of one repository. `gitvolume status` reads it from
//! a Pod whose syncer serves no HTTP.
//!
//! It has the keys of `/status` that change only when something happens, so that a pass without a
//! change writes nothing.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;

use serde::Deserialize;
use serde::Serialize;

use crate::error::chain;
use crate::observe::standing::Published;
use crate::observe::standing::Standing;
use crate::system::files;
use crate::system::lock::lock;

const FILE: &str = "health.json";

/// The file, if there is a state directory, and its content.
pub(crate) struct HealthFile {
    path: Option<PathBuf>,
    content: Mutex<RecordedHealth>,
}

#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct RecordedHealth {
    name: Option<String>,
    repo: String,
    r#ref: String,
    published: Option<Published>,
    last_error: Option<String>,
    poller: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache: Option<String>,
}

impl HealthFile {
    /// Starts with the content that the last process wrote: its publication stays visible until
    /// this process has found it or replaced it.
    pub(crate) fn open(state: Option<&Path>, standing: &Standing) -> Self {
        let path = state.map(|state| state.join(FILE));
        let text = path.as_deref().and_then(|path| fs::read(path).ok());
        // An unreadable file is overwritten by the first pass.
        let content = text.and_then(|text| serde_json::from_slice::<RecordedHealth>(&text).ok());
        let content = content.filter(|content| content.repo == standing.repo);
        Self {
            path,
            content: Mutex::new(content.unwrap_or_default()),
        }
    }

    /// Writes the file if its content has changed. A failure is only logged: consumers see the
    /// published files without it.
    pub(crate) fn update(&self, standing: &Standing) {
        let Some(path) = &self.path else {
            return;
        };
        let mut content = lock(&self.content);
        let published = standing.published.clone();
        let new = RecordedHealth {
            name: standing.name.clone(),
            repo: standing.repo.clone(),
            r#ref: standing.r#ref.clone(),
            published: published.or_else(|| content.published.clone()),
            last_error: standing.last_error.clone(),
            poller: standing.poller.clone(),
            cache: standing.cache.clone(),
        };
        if new == *content && path.exists() {
            return;
        }
        match write(path, &new) {
            Ok(()) => *content = new,
            Err(error) => {
                let reason = chain(&error);
                tracing::info!(v = 1, reason, path = %path.display(), "cannot write the health file");
            }
        }
    }
}

fn write(path: &Path, content: &RecordedHealth) -> io::Result<()> {
    if let Some(state) = path.parent() {
        files::make_dir(state)?;
    }
    files::write_atomic(path, &serde_json::to_vec(content)?, files::PLAIN_MODE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn standing() -> Standing {
        Standing {
            repo: "https://git.example/x".to_owned(),
            published: Some(Published {
                commit: "1".repeat(40),
                tag: None,
                since: Timestamp::UNIX_EPOCH,
                as_of: None,
            }),
            ..Standing::default()
        }
    }

    #[test]
    fn a_new_process_keeps_the_publication_of_the_last_one_while_passes_fail() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let path = state.join(FILE);
        let first = standing();
        HealthFile::open(Some(&state), &first).update(&first);
        let failed = Standing {
            published: None,
            last_error: Some("no such host".to_owned()),
            ..standing()
        };
        HealthFile::open(Some(&state), &failed).update(&failed);
        let read = || serde_json::from_slice::<RecordedHealth>(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(read().published, first.published);
        assert_eq!(read().last_error.as_deref(), Some("no such host"));
        let other = Standing {
            repo: "https://git.example/y".to_owned(),
            ..failed
        };
        HealthFile::open(Some(&state), &other).update(&other);
        assert_eq!(read().published, None, "of another repository");
    }

    #[test]
    fn an_unchanged_state_is_not_written_again_and_a_removed_file_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let file = HealthFile::open(Some(dir.path()), &standing());
        file.update(&standing());
        fs::write(&path, "touched").unwrap();
        file.update(&standing());
        assert_eq!(fs::read_to_string(&path).unwrap(), "touched");
        fs::remove_file(&path).unwrap();
        file.update(&standing());
        assert!(path.exists());
    }
}
