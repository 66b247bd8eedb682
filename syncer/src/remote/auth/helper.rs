//! git's credential helper: this program, started by git when a server requires a password.
//!
//! So no password is in an argv, an environment or a daemon's memory, and a server gets only the
//! password that is configured for it: git follows redirects, but the helper matches the address.

use std::fs;
use std::io;
use std::io::Read;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use args::CredentialArgs;

use crate::remote::auth::AuthError;
use crate::remote::auth::config_file::shell_quoted;
use crate::remote::auth::credentials::Entry;
use crate::remote::auth::credentials::Password;
use crate::remote::auth::credentials::Question;

/// An error of the credential helper.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HelperError {
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error("the credential helper cannot communicate with git")]
    Git(#[source] io::Error),
    #[error("{} is not a credentials file of the syncer", .path.display())]
    File {
        path: PathBuf,
        source: serde_json::Error,
    },
}

/// Answers one request of git, on standard input and output.
pub(crate) fn run(args: &CredentialArgs) -> Result<(), HelperError> {
    if args.verb != "get" {
        // The helper stores nothing, so there is nothing to store or erase.
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

/// Whether a value of git's `credential.helper` is the syncer's own helper command.
pub(crate) fn is_our_helper(value: &str) -> bool {
    let ourselves = std::env::current_exe().unwrap_or_default();
    let ourselves = shell_quoted(&ourselves.display().to_string());
    value.starts_with(&format!("!{ourselves} credential "))
}

/// The helper command by which git starts the syncer's credential helper.
pub(super) fn helper_command(list: &Path) -> Result<String, AuthError> {
    let ourselves = std::env::current_exe().map_err(AuthError::Ourselves)?;
    Ok(format!(
        "!{} credential --file {}",
        shell_quoted(&ourselves.display().to_string()),
        shell_quoted(&list.display().to_string()),
    ))
}
