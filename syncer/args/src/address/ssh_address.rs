use percent_encoding::percent_decode_str;

/// The parts of an ssh remote's address, split as git does it (its `connect.c`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SshAddress {
    /// The user on the server; `None` means the local user name.
    pub user: Option<String>,
    /// The host's name or address in lower case, without brackets.
    pub host: String,
    /// The port; [`SshAddress::PORT`] if the address has none.
    pub port: u16,
    path: String,
}

impl SshAddress {
    /// Default port of ssh.
    pub const PORT: u16 = 22;

    /// Parses `ssh://user@host:port/path` or `user@host:path`; `None` for what git rejects.
    pub fn parse(url: &str) -> Option<Self> {
        let (text, separator) = match url.split_once("://") {
            Some((_, rest)) => (
                percent_decode_str(rest).decode_utf8().ok()?.into_owned(),
                '/',
            ),
            None => (url.to_owned(), ':'),
        };
        let bracket = match text.find("@[") {
            Some(at) => Some(at + 1),
            None => text.starts_with('[').then_some(0),
        };
        let after_bracket = match bracket {
            Some(at) => at + text[at..].find(']')? + 1,
            None => 0,
        };
        let end = after_bracket + text[after_bracket..].find(separator)?;
        let (authority, path) = text.split_at(end);
        let path = if separator == ':' { &path[1..] } else { path };
        let path = match path.as_bytes() {
            [b'/', b'~', ..] => &path[1..],
            _ => path,
        };
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user.to_owned()), host),
            None => (None, authority),
        };
        let (host, port) = host_and_port(host)?;
        let is_option = |text: &str| text.is_empty() || text.starts_with('-');
        let is_bad = is_option(host) || is_option(path) || user.as_deref().is_some_and(is_option);
        (!is_bad).then(|| Self {
            user,
            host: host.to_lowercase(),
            port,
            path: path.to_owned(),
        })
    }

    /// The command that prints the server's `known_hosts` lines.
    pub fn keyscan_command(&self) -> String {
        match self.port {
            Self::PORT => format!("ssh-keyscan {}", self.host),
            port => format!("ssh-keyscan -p {port} {}", self.host),
        }
    }

    /// The command to run on the server, quoted for its shell as git does.
    pub fn upload_pack_command(&self) -> String {
        format!("git-upload-pack {}", self.quoted_path())
    }

    /// The command of Git LFS that prints an http address and a token for downloads, as JSON
    /// (git-lfs, docs/api/authentication.md).
    pub fn lfs_authenticate_command(&self) -> String {
        format!("git-lfs-authenticate {} download", self.quoted_path())
    }

    /// The path without leading slashes, as in the web address of the repository.
    pub fn web_path(&self) -> &str {
        self.path.trim_start_matches('/')
    }

    fn quoted_path(&self) -> String {
        let mut quoted = "'".to_owned();
        for character in self.path.chars() {
            match character {
                '\'' | '!' => quoted.extend(["'\\", character.encode_utf8(&mut [0; 4]), "'"]),
                character => quoted.push(character),
            }
        }
        quoted.push('\'');
        quoted
    }
}

fn host_and_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(inner) => {
            let (host, after) = inner.split_once(']')?;
            match (after.strip_prefix(':'), host.split_once(':')) {
                (Some(port), _) => (host, Some(port)),
                // `[host:port]:path`, a form older than `ssh://`.
                (None, Some((host, port))) if !port.contains(':') => (host, Some(port)),
                (None, _) => (host, None),
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    match port {
        None | Some("") => Some((host, SshAddress::PORT)),
        Some(port) => Some((host, port.parse().ok()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_that_git_accepts_is_split_into_its_parts() {
        for (url, user, host, port, path) in [
            ("git@host:org/x.git", Some("git"), "host", 22, "org/x.git"),
            ("host:/srv/x.git", None, "host", 22, "/srv/x.git"),
            ("host:~me/x", None, "host", 22, "~me/x"),
            ("host:/~me/x", None, "host", 22, "~me/x"),
            ("git@[::1]:x.git", Some("git"), "::1", 22, "x.git"),
            ("[host:2222]:x.git", None, "host", 2222, "x.git"),
            ("git@[host:2222]:x.git", Some("git"), "host", 2222, "x.git"),
            ("ssh://host/x.git", None, "host", 22, "/x.git"),
            (
                "ssh://git@Host:2222/x.git",
                Some("git"),
                "host",
                2222,
                "/x.git",
            ),
            (
                "ssh://git@[::1]:2222/x.git",
                Some("git"),
                "::1",
                2222,
                "/x.git",
            ),
            ("ssh://[::1]/x.git", None, "::1", 22, "/x.git"),
            ("ssh://host/~me/x", None, "host", 22, "~me/x"),
            ("ssh://host/a%20b", None, "host", 22, "/a b"),
            ("ssh://host:/x", None, "host", 22, "/x"),
        ] {
            let expected = SshAddress {
                user: user.map(str::to_owned),
                host: host.to_owned(),
                port,
                path: path.to_owned(),
            };
            assert_eq!(SshAddress::parse(url), Some(expected), "{url}");
        }
        for url in [
            "ssh://host",
            "ssh://host:99999/x",
            "git@[::1:x",
            "ssh://-o/x",
            "host:-x",
        ] {
            assert_eq!(SshAddress::parse(url), None, "{url}");
        }
    }

    #[test]
    fn the_keyscan_command_names_the_host_and_its_port() {
        for (url, command) in [
            ("git@git.example:org/site.git", "ssh-keyscan git.example"),
            ("ssh://git@git.example/org/site", "ssh-keyscan git.example"),
            (
                "ssh://git@git.example:2222/x",
                "ssh-keyscan -p 2222 git.example",
            ),
            (
                "git@[git.example:2222]:x",
                "ssh-keyscan -p 2222 git.example",
            ),
            ("[git.example:2222]:x", "ssh-keyscan -p 2222 git.example"),
            ("git@[2001:db8::1]:x", "ssh-keyscan 2001:db8::1"),
            (
                "ssh://git@[2001:db8::1]:2222/x",
                "ssh-keyscan -p 2222 2001:db8::1",
            ),
            ("me@corp@git.example:x", "ssh-keyscan git.example"),
        ] {
            let address = SshAddress::parse(url).unwrap();
            assert_eq!(address.keyscan_command(), command, "{url}");
        }
    }

    #[test]
    fn the_host_equals_the_one_that_is_compared_with_allowed_hosts() {
        for url in [
            "git@Git.example:org/x",
            "ssh://git@git.example:2222/x",
            "git@[git.example:2222]:x",
            "git@[2001:db8::1]:x",
            "ssh://[2001:db8::1]:22/x",
            "me@git.example@evil.example:x",
            "git.example:x@evil.example",
        ] {
            let host = url.parse::<crate::RepoUrl>().unwrap().host();
            assert_eq!(
                SshAddress::parse(url).map(|address| address.host),
                host,
                "{url}"
            );
        }
    }

    #[test]
    fn the_path_is_quoted_for_the_servers_shell() {
        let address = SshAddress::parse("host:it's/x!y.git").unwrap();
        assert_eq!(
            address.upload_pack_command(),
            "git-upload-pack 'it'\\''s/x'\\!'y.git'"
        );
    }
}
