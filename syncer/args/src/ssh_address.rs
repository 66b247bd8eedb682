use percent_encoding::percent_decode_str;

/// An ssh remote's address, taken apart as git does it (its `connect.c`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SshAddress {
    /// The user on the server; `None` is our own name.
    pub user: Option<String>,
    /// The host's name or address in small letters, without brackets.
    pub host: String,
    /// The port, [`SshAddress::PORT`] where none is written.
    pub port: u16,
    path: String,
}

impl SshAddress {
    /// ssh's own port.
    pub const PORT: u16 = 22;

    /// Reads `ssh://user@host:port/path` or `user@host:path`; `None` for what git would not read.
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

    /// The command that prints the server's lines of `known_hosts`.
    pub fn keyscan_command(&self) -> String {
        match self.port {
            Self::PORT => format!("ssh-keyscan {}", self.host),
            port => format!("ssh-keyscan -p {port} {}", self.host),
        }
    }

    /// The command that the server is to run, quoted for its shell as git does.
    pub fn upload_pack_command(&self) -> String {
        let mut command = "git-upload-pack '".to_owned();
        for character in self.path.chars() {
            match character {
                '\'' | '!' => command.extend(["'\\", character.encode_utf8(&mut [0; 4]), "'"]),
                character => command.push(character),
            }
        }
        command.push('\'');
        command
    }
}

fn host_and_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(inner) => {
            let (host, after) = inner.split_once(']')?;
            match (after.strip_prefix(':'), host.split_once(':')) {
                (Some(port), _) => (host, Some(port)),
                // `[host:port]:path`, which is older than `ssh://`.
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
    fn every_form_that_git_takes_is_read() {
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
    fn the_host_is_the_one_that_the_operators_list_is_compared_with() {
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
