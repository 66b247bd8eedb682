//! git's credential helper: this program, started by git when a server asks for a password.
//!
//! So no password is in an argv, an environment or a daemon's memory, and no other server than the
//! repository's own ever gets it: git follows redirects, our answer does not.

use std::fs;
use std::io;
use std::io::Read;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use args::CredentialArgs;
use args::secret;
use url::Url;

use crate::auth::AuthError;
use crate::auth::secret::read;
use crate::config::Credentials;

/// The user name that goes with a token where the Secret names none; servers ignore it.
const TOKEN_USER: &str = "git";

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
    if !is_about(&question, args.url.reveal()) {
        return Ok(());
    }
    let credentials = match (&args.file, &args.secret_dir) {
        (Some(file), _) => Some(from_file(file)?),
        (None, Some(dir)) => from_secret(dir)?,
        (None, None) => None,
    };
    let answer = credentials.map_or_else(String::new, |credentials| {
        format!(
            "username={}\npassword={}\n",
            credentials.username, credentials.password
        )
    });
    io::stdout()
        .write_all(answer.as_bytes())
        .map_err(HelperError::Git)
}

/// Tells whether git asks for the server of this repository.
fn is_about(question: &str, url: &str) -> bool {
    let value = |key: &str| {
        question
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    };
    let (Some(protocol), Some(host)) = (value("protocol"), value("host")) else {
        return false;
    };
    let origin = |text: &str| Url::parse(text).ok().map(|url| url.origin());
    let asked = origin(&format!("{protocol}://{host}/"));
    asked.is_some() && asked == origin(url)
}

fn from_file(path: &Path) -> Result<Credentials, HelperError> {
    let text = fs::read(path).map_err(|source| AuthError::Read {
        path: path.to_owned(),
        source,
    })?;
    serde_json::from_slice(&text).map_err(|source| HelperError::File {
        path: path.to_owned(),
        source,
    })
}

fn from_secret(dir: &Path) -> Result<Option<Credentials>, HelperError> {
    let text = |name| -> Result<Option<String>, AuthError> {
        let value = read(dir, name)?;
        // A newline at the end is the editor's, and would end the line to git anyway.
        Ok(value.map(|value| {
            String::from_utf8_lossy(&value)
                .trim_end_matches(['\r', '\n'])
                .to_owned()
        }))
    };
    let username = text(secret::USERNAME)?;
    let password = match text(secret::PASSWORD)? {
        Some(password) => Some(password),
        None => text(secret::TOKEN)?,
    };
    Ok(password.map(|password| Credentials {
        username: username.unwrap_or_else(|| TOKEN_USER.to_owned()),
        password,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_repositorys_own_server_gets_an_answer() {
        let url = "https://git.example/a/b.git";
        for question in [
            "protocol=https\nhost=git.example\n",
            "protocol=https\nhost=GIT.example:443\nwwwauth[]=Basic\n",
        ] {
            assert!(is_about(question, url), "{question}");
        }
        for question in [
            "protocol=http\nhost=git.example\n",
            "protocol=https\nhost=evil.example\n",
            "protocol=https\nhost=git.example:444\n",
            "protocol=https\nhost=git.example.evil.example\n",
            "protocol=https\n",
            "",
        ] {
            assert!(!is_about(question, url), "{question}");
        }
        assert!(is_about(
            "protocol=http\nhost=127.0.0.1:8080\n",
            "http://127.0.0.1:8080/x"
        ));
    }
}
