use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;

use crate::RepoUrl;
use crate::Secret;

/// Credentials for the http(s) addresses that begin with `url`, as JSON:
/// `{"url":"https://git.example","username":"me","password-file":"/secret/password"}`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct Credential {
    /// The addresses it is used for, matched by git's rules for `credential.<url>`.
    pub url: String,
    /// User name.
    pub username: String,
    /// Password.
    pub password: Password,
}

/// Source of a password.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Password {
    /// A file, read at each sync.
    File(PathBuf),
    /// The password itself.
    Text(Secret),
}

/// Error of parsing a [`Credential`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParseCredentialError {
    /// The text is not JSON, or has other fields than a credential has.
    #[error("expected JSON like {{\"url\":…,\"username\":…,\"password-file\":…}}, but {0}")]
    Json(String),
    /// A field is missing or empty.
    #[error("expected a credential with a {0}")]
    Missing(&'static str),
    /// Both `password` and `password-file` are set.
    #[error("expected a credential with one of password and password-file, not both")]
    Two,
}

/// The JSON form of a credential.
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
    /// The JSON text with the password; never for a log.
    pub fn reveal(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl FromStr for Credential {
    type Err = ParseCredentialError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fields: Fields = serde_json::from_str(text).map_err(|error| {
            // serde's full message quotes the input, which may be the password.
            ParseCredentialError::Json(about(&error))
        })?;
        fields.try_into()
    }
}

/// The kind and position of a JSON error, and the name of an unknown field; no values.
fn about(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if text.starts_with("unknown field") || text.starts_with("duplicate field") {
        text
    } else {
        let (line, column) = (error.line(), error.column());
        format!("it is not valid JSON at line {line}, column {column}")
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
        // An empty value counts as absent, as in git-sync.
        let password = password.filter(|password| !password.reveal().is_empty());
        let password_file = password_file.filter(|file| !file.as_os_str().is_empty());
        if url.is_empty() {
            return Err(ParseCredentialError::Missing("url"));
        }
        // The user name may be part of the URL, as in a repository's address.
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
    fn errors_do_not_contain_the_password() {
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
                "expected JSON like {\"url\":…,\"username\":…,\"password-file\":…}, but unknown field `user`, expected one of `url`, `username`, `password`, `password-file` at line 1 column 25",
            ),
            (
                r#"{"url":"https://a","password":["secret"]}"#,
                "expected JSON like {\"url\":…,\"username\":…,\"password-file\":…}, but it is not valid JSON at line 1, column 30",
            ),
            (
                "secret",
                "expected JSON like {\"url\":…,\"username\":…,\"password-file\":…}, but it is not valid JSON at line 1, column 1",
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
