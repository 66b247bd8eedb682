//! Repair of keys and host keys that users paste into Secrets: an unambiguous error is fixed, any
//! other is reported.

use std::borrow::Cow;

use args::KnownHosts;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The maximum number of nested base64 encodings.
const MOST_LAYERS: usize = 3;

/// The maximum length of a PEM line that every program reads.
const LONGEST_LINE: usize = 76;

const WIDTH: usize = 64;

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";
const OPENSSH: &str = "OPENSSH PRIVATE KEY";
const OPENSSH_MAGIC: &[u8] = b"openssh-key-v1\0";

/// Prefixes of the public key types.
const KINDS: [&str; 4] = ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"];

/// The PEM labels that ssh reads as a private key.
const PRIVATE: [&str; 5] = [
    OPENSSH,
    "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
    "DSA PRIVATE KEY",
    "PRIVATE KEY",
];

/// The reason why ssh cannot use a file as a private key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum KeyProblem {
    Certificate,
    Cut,
    Damaged,
    Empty,
    Passphrase,
    Public,
    Putty,
    SshCom,
    Unknown,
}

impl KeyProblem {
    /// A description of the problem, with what is expected.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Certificate => "is a certificate: expected a private key",
            Self::Cut => "is cut off: expected all lines from -----BEGIN to -----END",
            Self::Damaged => "is damaged: expected base64 between -----BEGIN and -----END",
            Self::Empty => "is empty: expected a private key",
            Self::Passphrase => {
                "has a passphrase: expected a key without one, as `ssh-keygen -p -N \"\" -f KEY` \
                 leaves it"
            }
            Self::Public => {
                "is a public key: expected the private key, which is the file without .pub"
            }
            Self::Putty => {
                "is in PuTTY's format: expected the OpenSSH format, as `puttygen KEY.ppk -O private-openssh \
                 -o KEY` writes it"
            }
            Self::SshCom => {
                "is in the format of ssh.com: expected the OpenSSH format, as `ssh-keygen -i -f KEY` prints \
                 it"
            }
            Self::Unknown => {
                "is not a private key: expected a file that begins with -----BEGIN OPENSSH PRIVATE KEY----- or similar"
            }
        }
    }
}

/// Reads a private key and returns a text that ssh accepts, borrowed if the file already is one.
pub(super) fn private_key(file: &[u8]) -> Result<Cow<'_, [u8]>, KeyProblem> {
    let text = text(file);
    let text = unwrapped(&text, MOST_LAYERS, |bytes| bytes.starts_with(OPENSSH_MAGIC));
    let text = match text {
        Unwrapped::Text(text) => text,
        // The PEM header and footer were removed.
        Unwrapped::Bytes(bytes) => pem(OPENSSH, &STANDARD.encode(bytes)),
    };
    let (label, body) = block(&text)?;
    if label == "ENCRYPTED PRIVATE KEY" || body.contains("ENCRYPTED") {
        return Err(KeyProblem::Passphrase);
    }
    let base64: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    let der = STANDARD.decode(&base64).map_err(|_| KeyProblem::Damaged)?;
    check(&label, &der)?;
    if is_readable(file) {
        return Ok(Cow::Borrowed(file));
    }
    Ok(Cow::Owned(pem(&label, &base64).into_bytes()))
}

/// Reads host keys and returns a text that ssh accepts, borrowed if the file already is one; `None`
/// if there is no host key.
pub(super) fn known_hosts(file: &[u8]) -> Option<Cow<'_, [u8]>> {
    let is_line = |line: &str| line.parse::<KnownHosts>().is_ok();
    let text = text(file);
    let Unwrapped::Text(text) = unwrapped(&text, MOST_LAYERS, |_| false) else {
        return None;
    };
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        // Several lines were joined into one.
        let joined: Vec<String> = words.chunks(3).map(|words| words.join(" ")).collect();
        if joined.len() > 1 && joined.iter().all(|line| is_line(line)) {
            lines.extend(joined);
        } else {
            lines.push(line.to_owned());
        }
    }
    // ssh's own message is sufficient for a damaged key.
    let has_kind = |line: &String| {
        let mut words = line
            .split_ascii_whitespace()
            .skip_while(|word| word.starts_with('@'));
        let kind = words.nth(1).unwrap_or_default();
        let is_kind = KINDS.iter().any(|beginning| kind.starts_with(beginning));
        !line.starts_with('#') && is_kind && words.next().is_some()
    };
    if !lines.iter().any(has_kind) {
        return None;
    }
    let mended = lines.join("\n") + "\n";
    if mended.as_bytes() == file {
        return Some(Cow::Borrowed(file));
    }
    Some(Cow::Owned(mended.into_bytes()))
}

/// The text of a file, in UTF-8 or UTF-16, without a byte order mark.
fn text(file: &[u8]) -> Cow<'_, str> {
    let utf16 = |read: fn([u8; 2]) -> u16, rest: &[u8]| {
        let units = rest.chunks_exact(2).map(|pair| read([pair[0], pair[1]]));
        Cow::Owned(
            char::decode_utf16(units)
                .map(|c| c.unwrap_or('\u{fffd}'))
                .collect(),
        )
    };
    match file {
        [0xff, 0xfe, rest @ ..] => utf16(u16::from_le_bytes, rest),
        [0xfe, 0xff, rest @ ..] => utf16(u16::from_be_bytes, rest),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        file => String::from_utf8_lossy(file),
    }
}

enum Unwrapped {
    Text(String),
    Bytes(Vec<u8>),
}

/// Removes the encoding around a text: quotes, JSON's line breaks, base64.
fn unwrapped(text: &str, layers: usize, is_known: fn(&[u8]) -> bool) -> Unwrapped {
    let mut text = text.trim();
    for quote in ['"', '\''] {
        let inner = text
            .strip_prefix(quote)
            .and_then(|text| text.strip_suffix(quote));
        text = inner.unwrap_or(text).trim();
    }
    let text = text
        .replace("\\r", "")
        .replace("\\n", "\n")
        .replace("\r\n", "\n");
    let text = text.replace('\r', "\n");
    if layers > 0 && !text.contains(BEGIN) {
        let base64: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let decoded = STANDARD
            .decode(&base64)
            .ok()
            .filter(|bytes| !bytes.is_empty());
        match decoded.map(String::from_utf8) {
            Some(Ok(inner)) if !is_known(inner.as_bytes()) => {
                return unwrapped(&inner, layers - 1, is_known);
            }
            Some(Ok(inner)) => return Unwrapped::Bytes(inner.into_bytes()),
            Some(Err(error)) if is_known(error.as_bytes()) => {
                return Unwrapped::Bytes(error.into_bytes());
            }
            _ => {}
        }
    }
    Unwrapped::Text(text)
}

/// Finds the private key among the PEM blocks: its label, and the text between its header and
/// footer.
fn block(text: &str) -> Result<(String, String), KeyProblem> {
    let mut rest = text;
    let mut problem = without_block(text);
    while let Some((_, begun)) = rest.split_once(BEGIN) {
        let Some((label, content)) = begun.split_once(DASHES) else {
            return Err(KeyProblem::Cut);
        };
        rest = content;
        let end = content.find(&format!("-----END {label}{DASHES}"));
        problem = match (label, end) {
            (label, Some(end)) if PRIVATE.contains(&label) => {
                return Ok((label.to_owned(), content[..end].to_owned()));
            }
            ("ENCRYPTED PRIVATE KEY", _) => KeyProblem::Passphrase,
            (label, None) if PRIVATE.contains(&label) => KeyProblem::Cut,
            (label, _) if label.ends_with("PUBLIC KEY") => KeyProblem::Public,
            (label, _) if label.ends_with("CERTIFICATE") => KeyProblem::Certificate,
            _ => problem,
        };
    }
    Err(problem)
}

/// Classifies a text without any PEM block.
fn without_block(text: &str) -> KeyProblem {
    let first = text.split_whitespace().next().unwrap_or_default();
    match text {
        "" => KeyProblem::Empty,
        _ if text.starts_with("PuTTY-User-Key-File") => KeyProblem::Putty,
        _ if first.contains("-cert-v01@") => KeyProblem::Certificate,
        _ if KINDS.iter().any(|kind| first.starts_with(kind)) => KeyProblem::Public,
        _ if text.starts_with("---- BEGIN SSH2 PUBLIC KEY") => KeyProblem::Public,
        _ if text.starts_with("---- BEGIN SSH2") => KeyProblem::SshCom,
        _ => KeyProblem::Unknown,
    }
}

/// Checks a key without parsing its numbers: that it has no passphrase and is complete.
fn check(label: &str, der: &[u8]) -> Result<(), KeyProblem> {
    if label != OPENSSH {
        return match der.first() {
            Some(0x30) => Ok(()),
            Some(_) => Err(KeyProblem::Damaged),
            None => Err(KeyProblem::Cut),
        };
    }
    // The magic bytes, then the cipher's name, which is `none` without a passphrase.
    let rest = der.strip_prefix(OPENSSH_MAGIC).ok_or(KeyProblem::Damaged)?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or(KeyProblem::Cut)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    match rest.get(..length) {
        Some(b"none") => Ok(()),
        Some(_) => Err(KeyProblem::Passphrase),
        None => Err(KeyProblem::Cut),
    }
}

/// Whether ssh reads a file unchanged: only PEM lines, with a line break at the end.
fn is_readable(file: &[u8]) -> bool {
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    let is_line = |line: &str| {
        let is_mark = line.starts_with(DASHES) && line.ends_with(DASHES);
        is_mark || line.len() <= LONGEST_LINE && !line.is_empty() && line.chars().all(is_base64)
    };
    str::from_utf8(file).is_ok_and(|text| {
        text.starts_with(BEGIN) && text.ends_with('\n') && text.split_terminator('\n').all(is_line)
    })
}

fn pem(label: &str, base64: &str) -> String {
    let mut text = format!("{BEGIN}{label}{DASHES}\n");
    for line in base64.as_bytes().chunks(WIDTH) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text + &format!("-----END {label}{DASHES}\n")
}

#[cfg(test)]
mod tests;
