use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::values::text::serde_by_text;

/// Maximum length of [`KnownHosts`] in bytes; they are a variable of a container, like a
/// [`crate::CaBundle`].
const LONGEST: usize = 64 * 1024;

/// Markers at the start of a line (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").
const MARKERS: [&str; 2] = ["@cert-authority", "@revoked"];

/// Host keys of ssh servers, in OpenSSH's `known_hosts` format. Comments are removed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KnownHosts(String);

/// Error of parsing [`KnownHosts`]; it repeats nothing of the text, which may be a key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParseKnownHostsError {
    /// A line has the wrong format.
    #[error("line {0}: expected host, key type and key, as ssh-keyscan prints them")]
    Line(usize),
    /// There is no host key.
    #[error("no host key: expected lines as ssh-keyscan prints them")]
    Empty,
    /// The text is too long.
    #[error("host keys of {0} bytes: expected at most 65536")]
    TooLong(usize),
}

impl KnownHosts {
    /// The lines, each with its line break at the end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KnownHosts {
    type Err = ParseKnownHostsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut lines = String::new();
        for (at, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if !is_host_key(line) {
                return Err(ParseKnownHostsError::Line(at + 1));
            }
            lines.push_str(line);
            lines.push('\n');
        }
        match lines.len() {
            0 => Err(ParseKnownHostsError::Empty),
            length if length > LONGEST => Err(ParseKnownHostsError::TooLong(length)),
            _ => Ok(Self(lines)),
        }
    }
}

/// Whether a line has hosts and a key. ssh skips a malformed line silently, and then nothing
/// explains why a server is not known.
fn is_host_key(line: &str) -> bool {
    let is_text = !line.contains(|c: char| c.is_control() && c != '\t');
    let mut words = line.split_ascii_whitespace().peekable();
    words.next_if(|word| MARKERS.contains(word));
    let hosts = words.next().filter(|hosts| !hosts.starts_with('@'));
    let (kind, key) = (words.next(), words.next());
    is_text && hosts.is_some() && kind.zip(key).is_some_and(|(kind, key)| is_key(kind, key))
}

/// Whether a key is of this kind: each key begins with the length of the kind's name and the name
/// (RFC 4253, 6.6).
fn is_key(kind: &str, key: &str) -> bool {
    let Ok(key) = STANDARD.decode(key) else {
        return false;
    };
    let Some((length, rest)) = key.split_first_chunk() else {
        return false;
    };
    usize::try_from(u32::from_be_bytes(*length)).is_ok_and(|length| length == kind.len())
        && rest.len() > kind.len()
        && rest.starts_with(kind.as_bytes())
}

impl fmt::Display for KnownHosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_by_text!(hidden KnownHosts, |value| value.as_str());

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    #[test]
    fn host_keys_are_kept_and_comments_are_removed() {
        let hashed = "|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg=";
        let text = format!(
            "# git.example:22 SSH-2.0\n\ngit.example {KEY}\r\n  [git.example]:2222,10.0.0.1\t{KEY} \
             root@git\n@cert-authority *.example {KEY}\n@revoked * {KEY}\n{hashed} {KEY}"
        );
        let expected = format!(
            "git.example {KEY}\n[git.example]:2222,10.0.0.1\t{KEY} root@git\n@cert-authority \
             *.example {KEY}\n@revoked * {KEY}\n{hashed} {KEY}\n"
        );
        let read: KnownHosts = text.parse().unwrap();
        assert_eq!(read.as_str(), expected);
        assert_eq!(expected.parse(), Ok(read));
    }

    #[test]
    fn an_invalid_line_is_refused_with_its_number() {
        for line in [
            KEY,
            "git.example",
            "git.example ssh-ed25519",
            "git.example ssh-ed25519 AAAA",
            "git.example ssh-ed25519 !",
            &format!("git.example {}", KEY.replace("ssh-ed25519", "ssh-rsa")),
            &format!("@unknown git.example {KEY}"),
            &format!("git.example {KEY} a\u{0}b"),
            "-----BEGIN OPENSSH PRIVATE KEY-----",
        ] {
            let text = format!("# a comment\ngit.example {KEY}\n{line}\n");
            let refused = text.parse::<KnownHosts>();
            assert_eq!(refused, Err(ParseKnownHostsError::Line(3)), "{line}");
        }
        for text in ["", "# git.example\n\n"] {
            let refused = text.parse::<KnownHosts>();
            assert_eq!(refused, Err(ParseKnownHostsError::Empty), "{text}");
        }
    }

    #[test]
    fn their_length_is_limited() {
        let line = format!("git.example {KEY}\n");
        let most = LONGEST / line.len();
        assert!(line.repeat(most).parse::<KnownHosts>().is_ok());
        let refused = line.repeat(most + 1).parse::<KnownHosts>();
        let length = (most + 1) * line.len();
        let expected = format!("host keys of {length} bytes: expected at most {LONGEST}");
        assert_eq!(refused.unwrap_err().to_string(), expected);
    }
}
