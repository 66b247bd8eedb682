//! The list of credentials with the address of each. The syncer writes the list and git's
//! credential helper reads it; a password that is already in a file is referenced and not copied.

use std::fmt;
use std::fs;
use std::path::PathBuf;

use args::Credential;
use args::UserInfo;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::Serialize;
use url::Url;

use crate::config::Credentials;
use crate::remote::auth::AuthError;

/// A user and a password for an address; they also apply to the rest of its host, unless a more
/// specific entry exists.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Entry {
    pub(super) url: String,
    pub(super) username: String,
    #[serde(default)]
    pub(super) users: Users,
    pub(super) password: Password,
}

/// Which user names an entry matches, and which name it returns.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Users {
    /// Matches its own name, and an address without one.
    #[default]
    Own,
    /// Matches every name and returns its own.
    All,
    /// Matches every name and keeps it; returns its own for an address without a name.
    Kept,
}

/// The list in the memory of the syncer itself, for clients other than git.
#[derive(Clone, Default, Eq, PartialEq)]
pub(crate) struct CredentialList(Vec<Entry>);

/// The source of a password.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Password {
    File(PathBuf),
    Text(String),
    /// Only the name is returned to git, which then looks elsewhere for the password.
    Elsewhere,
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Text(_) => f.write_str("Text(REDACTED)"),
            Self::Elsewhere => f.write_str("Elsewhere"),
        }
    }
}

impl From<&Credential> for Entry {
    fn from(credential: &Credential) -> Self {
        Self {
            url: credential.url.clone(),
            username: credential.username.clone(),
            users: Users::Own,
            password: match &credential.password {
                args::Password::File(path) => Password::File(path.clone()),
                args::Password::Text(text) => Password::Text(text.reveal().to_owned()),
            },
        }
    }
}

impl Entry {
    /// The password, read from its file if it is in one.
    pub(super) fn password(&self) -> Result<String, AuthError> {
        let password = match &self.password {
            Password::Elsewhere => String::new(),
            Password::Text(text) => text.clone(),
            Password::File(path) => {
                let read = fs::read(path).map_err(|source| AuthError::Read {
                    path: path.clone(),
                    source,
                })?;
                String::from_utf8_lossy(&read).into_owned()
            }
        };
        Ok(first_line(&password))
    }

    /// The credentials that answer a request.
    pub(super) fn credentials(&self, question: &Question) -> Result<Credentials, AuthError> {
        let username = match (self.users, &question.username) {
            (Users::Kept, Some(asked)) => asked,
            _ => &self.username,
        };
        Ok(Credentials {
            username: first_line(username),
            password: self.password()?,
        })
    }
}

impl CredentialList {
    pub(super) fn new(entries: Vec<Entry>) -> Self {
        Self(entries)
    }

    /// The user and the password that git would use for an http(s) address with this user: those of
    /// the address, or the answer of the credential helper. `None` if git would use none of them.
    pub(crate) fn of_address(
        &self,
        url: &str,
        user: UserInfo,
    ) -> Result<Option<Credentials>, AuthError> {
        let name = match user {
            UserInfo::Credentials { username, password } if !password.is_empty() => {
                return Ok(Some(Credentials { username, password }));
            }
            UserInfo::Credentials { username, .. } | UserInfo::Name(username) => Some(username),
            UserInfo::None => None,
        };
        let question = Question::about(url).map(|found| found.with_user(name.as_deref()));
        let Some(question) = question else {
            return Ok(None);
        };
        let entry = question.answer(&self.0);
        // git has no credentials if the password is elsewhere.
        let entry = entry.filter(|entry| entry.password != Password::Elsewhere);
        entry.map(|entry| entry.credentials(&question)).transpose()
    }
}

/// The first line. git reads no further, and editors add a line break.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// A request for credentials, with the fields of git's credential protocol.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Question {
    protocol: String,
    /// With its port, unless it is the protocol's default.
    host: String,
    path: String,
    username: Option<String>,
}

impl Question {
    /// Parses a request in the form that git writes to a helper (`git-credential(1)`).
    pub(super) fn of_git(text: &str) -> Option<Self> {
        let value = |key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        };
        let (protocol, host) = (value("protocol")?, value("host")?);
        let mut question = Self::about(&format!("{protocol}://{host}/"))?;
        question.path = plain_path(value("path").unwrap_or_default());
        question.username = value("username").map(str::to_owned);
        Some(question)
    }

    /// A request for an address.
    pub(super) fn about(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        let port = url.port().map(|port| format!(":{port}"));
        Some(Self {
            protocol: url.scheme().to_owned(),
            host: url.host_str().unwrap_or_default().to_owned() + &port.unwrap_or_default(),
            path: plain_path(&percent_decode_str(url.path()).decode_utf8_lossy()),
            username: None,
        })
    }

    /// The same request with a user name, if the address has one.
    pub(super) fn with_user(mut self, name: Option<&str>) -> Self {
        self.username = name.map(str::to_owned);
        self
    }

    /// The entry for the longest prefix of the path, the first of equal ones; without such a
    /// prefix, the first entry of the host. `None` for another host or for a user who is not in the
    /// list.
    pub(super) fn answer<'a>(&self, entries: &'a [Entry]) -> Option<&'a Entry> {
        let mut best: Option<(Option<usize>, &Entry)> = None;
        for entry in entries {
            let Some(known) = Self::about(&entry.url) else {
                continue;
            };
            let is_users = match (&self.username, entry.users) {
                (Some(asked), Users::Own) => *asked == entry.username,
                _ => true,
            };
            if !is_users || (&known.protocol, &known.host) != (&self.protocol, &self.host) {
                continue;
            }
            let length = is_below(&self.path, &known.path).then_some(known.path.len());
            if best.is_none_or(|(longest, _)| length > longest) {
                best = Some((length, entry));
            }
        }
        best.map(|(_, entry)| entry)
    }
}

/// Whether git must include the path in its requests: two entries differ only in their paths.
pub(super) fn need_paths(entries: &[Entry]) -> bool {
    let known: Vec<_> = entries
        .iter()
        .filter_map(|entry| Question::about(&entry.url))
        .collect();
    let differ = |a: &Question, b: &Question| {
        (&a.protocol, &a.host) == (&b.protocol, &b.host) && a.path != b.path
    };
    known.iter().any(|a| known.iter().any(|b| differ(a, b)))
}

/// Normalises `/org/site.git/` to `org/site`: servers accept both.
fn plain_path(path: &str) -> String {
    let path = path.trim_matches('/');
    path.strip_suffix(".git").unwrap_or(path).to_owned()
}

fn is_below(path: &str, parent: &str) -> bool {
    match path.strip_prefix(parent) {
        Some(rest) => parent.is_empty() || rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(url: &str, username: &str) -> Entry {
        Entry {
            url: url.to_owned(),
            username: username.to_owned(),
            users: Users::Own,
            password: Password::Text("secret".to_owned()),
        }
    }

    #[track_caller]
    fn answered(entries: &[Entry], question: &str) -> Option<String> {
        let question = Question::of_git(question)?;
        let entry = question.answer(entries)?;
        Some(entry.credentials(&question).unwrap().username)
    }

    #[test]
    fn only_hosts_of_the_list_get_an_answer() {
        let entries = [entry("https://git.example/a/b.git", "me")];
        for question in [
            "protocol=https\nhost=git.example\n",
            "protocol=https\nhost=GIT.example:443\nwwwauth[]=Basic\n",
            "protocol=https\nhost=git.example\npath=other.git\n",
            "protocol=https\nhost=git.example\nusername=me\n",
        ] {
            let found = answered(&entries, question);
            assert_eq!(found.as_deref(), Some("me"), "{question}");
        }
        for question in [
            "protocol=http\nhost=git.example\n",
            "protocol=https\nhost=evil.example\n",
            "protocol=https\nhost=git.example:444\n",
            "protocol=https\nhost=git.example.evil.example\n",
            "protocol=https\nhost=git.example\nusername=you\n",
            "protocol=https\n",
            "",
        ] {
            assert_eq!(answered(&entries, question), None, "{question}");
        }
        let entries = [entry("http://127.0.0.1:8080/x", "me")];
        let question = "protocol=http\nhost=127.0.0.1:8080\n";
        assert_eq!(answered(&entries, question).as_deref(), Some("me"));
    }

    #[test]
    fn the_repositorys_own_password_matches_every_user_name() {
        let of = |users, username| {
            let entry = Entry {
                users,
                ..entry("https://git.example/a", username)
            };
            [entry]
        };
        let (plain, named) = (
            "protocol=https\nhost=git.example\n",
            "protocol=https\nhost=git.example\nusername=acme\n",
        );
        for (users, username, question, expected) in [
            (Users::All, "bot", plain, "bot"),
            (Users::All, "bot", named, "bot"),
            (Users::Kept, "git", plain, "git"),
            (Users::Kept, "git", named, "acme"),
        ] {
            let found = answered(&of(users, username), question);
            assert_eq!(found.as_deref(), Some(expected), "{question}");
        }
    }

    #[test]
    fn another_address_gets_the_credentials_that_git_would_get_from_the_helper() {
        let entries = vec![
            Entry {
                users: Users::All,
                ..entry("https://git.example/org/site.git", "bot")
            },
            entry("https://git.example/other", "other"),
            entry("https://media.example", "media"),
            Entry {
                password: Password::Elsewhere,
                ..entry("https://named.example", "me")
            },
        ];
        let list = CredentialList::new(entries);
        for (url, expected) in [
            ("https://git.example/org/models.git", Some("bot")),
            ("https://git.example/other/x", Some("other")),
            ("https://media.example/x", Some("media")),
            ("https://me@media.example/x", None),
            ("https://me:pw@media.example/x", Some("me")),
            ("https://me:pw@evil.example/x", Some("me")),
            ("https://named.example/x", None),
            ("https://evil.example/org/site.git", None),
            ("https://git.example:8443/org/site.git", None),
            ("http://git.example/org/site.git", None),
        ] {
            let address: args::RepoUrl = url.parse().unwrap();
            let found = list.of_address(&address.without_user(), address.user_info());
            let found = found.unwrap().map(|found| found.username);
            assert_eq!(found.as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn a_path_of_this_machine_is_an_address_too() {
        // The result of `git credential fill` for file:///srv/site.git.
        let entries = [entry("file:///srv/site.git", "me")];
        let question = "protocol=file\nhost=\npath=srv/site.git\n";
        assert_eq!(answered(&entries, question).as_deref(), Some("me"));
    }

    #[test]
    fn the_longest_path_takes_precedence_and_then_the_first_entry() {
        let entries = [
            entry("https://git.example/org/site.git", "site"),
            entry("https://git.example/org", "org"),
            entry("https://git.example/org/", "later"),
        ];
        for (path, expected) in [
            ("org/site", "site"),
            ("org/site.git", "site"),
            ("org/sites", "org"),
            ("org", "org"),
            // git-sync ignores paths.
            ("else", "site"),
            ("organisation", "site"),
        ] {
            let question = format!("protocol=https\nhost=git.example\npath={path}\n");
            let found = answered(&entries, &question);
            assert_eq!(found.as_deref(), Some(expected), "{path}");
        }
        assert!(need_paths(&entries));
        assert!(!need_paths(&entries[1..]));
        assert!(!need_paths(&[
            entry("https://a.example/x", "a"),
            entry("https://b.example/y", "b")
        ]));
    }

    #[test]
    fn the_list_round_trips_and_debug_output_shows_no_secret() {
        let entries = vec![
            entry("https://a.example", "me"),
            Entry {
                password: Password::File("/secret/password".into()),
                ..entry("https://b.example", "you")
            },
        ];
        let text = serde_json::to_string(&entries).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Entry>>(&text).unwrap(), entries);
        assert!(!format!("{entries:?}").contains("\"secret\""));
    }

    #[test]
    fn the_last_line_break_of_a_file_is_not_part_of_the_password() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        for (content, expected) in [(" a b \r\n", " a b "), ("x", "x"), ("", "")] {
            fs::write(&file, content).unwrap();
            let entry = Entry {
                password: Password::File(file.clone()),
                ..entry("https://a.example", "me")
            };
            assert_eq!(entry.password().unwrap(), expected);
        }
    }
}
