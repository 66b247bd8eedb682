//! git's credential helper: this program, started by git when a server asks for a password.
//!
//! So no password is in an argv, an environment or a daemon's memory, and no other server than
//! those it was meant for ever gets it: git follows redirects, our answer does not.

use std::fs;
use std::io;
use std::io::Read;
use std::io::Write;
use std::path::PathBuf;

use args::CredentialArgs;

use crate::auth::AuthError;
use crate::auth::credentials::Entry;
use crate::auth::credentials::Password;
use crate::auth::credentials::Question;

/// Why git gets no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HelperError {
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error("cannot speak with git")]
    Git(#[source] io::Error),
    #[error("{} is not what the syncer wrote", .path.display())]
    File {
        path: PathBuf,
        source: serde_json::Error,
    },
}

/// Answers one question of git on standard input and output.
pub(crate) fn run(args: &CredentialArgs) -> Result<(), HelperError> {
    if args.verb != "get" {
        // We keep nothing that could be stored or erased.
        return Ok(());
    }
    let mut question = String::new();
    io::stdin()
        .read_to_string(&mut question)
        .map_err(HelperError::Git)?;
    let path = &args.file;
    let text = fs::read(path).map_err(|source| AuthError::Read {
        path: path.clone(),
        source,
    })?;
    let entries: Vec<Entry> =
        serde_json::from_slice(&text).map_err(|source| HelperError::File {
            path: path.clone(),
            source,
        })?;
    let Some(question) = Question::of_git(&question) else {
        return Ok(());
    };
    let Some(entry) = question.answer(&entries) else {
        return Ok(());
    };
    let credentials = entry.credentials(&question)?;
    let mut answer = format!("username={}\n", credentials.username);
    if entry.password != Password::Elsewhere {
        answer.push_str(&format!("password={}\n", credentials.password));
    }
    io::stdout()
        .write_all(answer.as_bytes())
        .map_err(HelperError::Git)
}
