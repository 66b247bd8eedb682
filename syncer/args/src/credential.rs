use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;

use crate::RepoUrl;
use crate::Secret;

/// A user name and a password for the http(s) addresses that begin with `url`, as JSON:
/// `{"url":"https://git.example","username":"me","password-file":"/secret/password"}`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct Credential {
    /// Where it is used: git's own rules for `credential.<url>` decide.
    pub url: String,
    /// The user's name.
    pub username: String,
    /// The password.
    pub password: Password,
}

/// Where a password is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Password {
    /// In a file, which is read at each sync.
    File(PathBuf),
    /// Here.
    Text(Secret),
}

/// Says why a text is not a [`Credential`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParseCredentialError {
    /// It is not JSON, or not of the fields that a credential has.
    #[error("expected JSON such as {{\"url\":…,\"username\":…,\"password-file\":…}}, but {0}")]
    Json(String),
    /// A field is missing or empty.
    #[error("expected a credential with a {0}")]
    Missing(&'static str),
    /// There are two passwords.
    #[error("expected a credential with one of password and password-file, not both")]
    Two,
}

/// What is written down of a credential.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Fields {
    #[serde(default)]
    url: String,
    #[serde(default)]
    username: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password_file: Option<PathBuf>,
}

impl Credential {
    /// Gives the JSON text, password included; never for a log.
    pub fn reveal(&self) -> String {
        // Texts and paths of a parsed text: there is nothing in it that JSON cannot say.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl FromStr for Credential {
    type Err = ParseCredentialError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fields: Fields = serde_json::from_str(text).map_err(|error| {
            // A whole message quotes what was read, which may be the password.
            ParseCredentialError::Json(about(&error))
        })?;
        fields.try_into()
    }
}

/// The kind and the place of a JSON error, and the name of an unknown field: no values.
fn about(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if text.starts_with("unknown field") || text.starts_with("duplicate field") {
        text
    } else {
        let (line, column) = (error.line(), error.column());
        format!("it is not, at line {line}, column {column}")
    }
}

impl TryFrom<Fields> for Credential {
    type Error = ParseCredentialError;

    fn try_from(fields: Fields) -> Result<Self, Self::Error> {
        let Fields {
            url,
            username,
            password,
            password_file,
        } = fields;
        // Empty is as good as absent, as for git-sync.
        let password = password.filter(|password| !password.reveal().is_empty());
        let password_file = password_file.filter(|file| !file.as_os_str().is_empty());
        if url.is_empty() {
            return Err(ParseCredentialError::Missing("url"));
        }
        // The address may name the user, as a repository's may.
        let named = || {
            url.parse::<RepoUrl>()
                .ok()?
                .user_info()
                .name()
                .map(str::to_owned)
        };
        let username = match username.is_empty() {
            true => named().ok_or(ParseCredentialError::Missing("username"))?,
            false => username,
        };
        let password = match (password, password_file) {
            (Some(_), Some(_)) => return Err(ParseCredentialError::Two),
            (Some(text), None) => Password::Text(text),
            (None, Some(file)) => Password::File(file),
            (None, None) => {
                return Err(ParseCredentialError::Missing("password or password-file"));
            }
        };
        Ok(Self {
            url,
            username,
            password,
        })
    }
}

impl From<Credential> for Fields {
    fn from(credential: Credential) -> Self {
        let (password, password_file) = match credential.password {
            Password::File(file) => (None, Some(file)),
            Password::Text(text) => (Some(text), None),
        };
        Self {
            url: credential.url,
            username: credential.username,
            password,
            password_file,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_has_one_password_or_one_file() {
        for text in [
            r#"{"url":"https://a","username":"me","password":"secret"}"#,
            r#"{"url":"https://a","username":"me","password-file":"/secret/p"}"#,
        ] {
            assert_eq!(text.parse::<Credential>().unwrap().reveal(), text);
        }
        let file: Credential =
            r#"{"url":"https://a","username":"me","password":"","password-file":"/p"}"#
                .parse()
                .unwrap();
        assert_eq!(file.password, Password::File("/p".into()));
        let named: Credential = r#"{"url":"https://me@a","password":"x"}"#.parse().unwrap();
        assert_eq!(named.username, "me");
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for (text, sentence) in [
            (
                r#"{"url":"https://a","username":"me"}"#,
                "expected a credential with a password or password-file",
            ),
            (
                r#"{"url":"https://a","password":"secret"}"#,
                "expected a credential with a username",
            ),
            (
                r#"{"username":"me","password":"secret"}"#,
                "expected a credential with a url",
            ),
            (
                r#"{"url":"https://a","username":"me","password":"secret","password-file":"/p"}"#,
                "expected a credential with one of password and password-file, not both",
            ),
            (
                r#"{"url":"https://a","user":"me","password":"secret"}"#,
                "expected JSON such as {\"url\":…,\"username\":…,\"password-file\":…}, but unknown field `user`, expected one of `url`, `username`, `password`, `password-file` at line 1 column 25",
            ),
            (
                r#"{"url":"https://a","password":["secret"]}"#,
                "expected JSON such as {\"url\":…,\"username\":…,\"password-file\":…}, but it is not, at line 1, column 30",
            ),
            (
                "secret",
                "expected JSON such as {\"url\":…,\"username\":…,\"password-file\":…}, but it is not, at line 1, column 1",
            ),
        ] {
            assert_eq!(
                text.parse::<Credential>().unwrap_err().to_string(),
                sentence
            );
        }
        let shown = format!(
            "{:?}",
            r#"{"url":"https://a","username":"me","password":"secret"}"#.parse::<Credential>()
        );
        assert!(!shown.contains("secret"), "{shown}");
    }
}
