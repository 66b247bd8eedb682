//! Keys and host keys as people paste them into Secrets: mended where what was meant is certain,
//! otherwise named.

use std::borrow::Cow;

use args::KnownHosts;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How often a text may be base64 of another one.
const MOST_LAYERS: usize = 3;

/// A line of PEM that every program reads is no longer.
const LONGEST_LINE: usize = 76;

const WIDTH: usize = 64;

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";
const OPENSSH: &str = "OPENSSH PRIVATE KEY";
const OPENSSH_MAGIC: &[u8] = b"openssh-key-v1\0";

/// The beginnings of the kinds of public keys.
const KINDS: [&str; 4] = ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"];

/// The kinds of PEM that ssh reads as a private key.
const PRIVATE: [&str; 5] = [
    OPENSSH,
    "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
    "DSA PRIVATE KEY",
    "PRIVATE KEY",
];

/// What a file is in place of a private key that ssh can use.
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
    /// What it is, and what is expected.
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
                "is in PuTTY's format: expected OpenSSH's, as `puttygen KEY.ppk -O private-openssh \
                 -o KEY` writes it"
            }
            Self::SshCom => {
                "is in the format of ssh.com: expected OpenSSH's, as `ssh-keygen -i -f KEY` prints \
                 it"
            }
            Self::Unknown => {
                "is no private key: expected a file that begins with -----BEGIN OPENSSH PRIVATE \
                 KEY----- or the like"
            }
        }
    }
}

/// Reads a private key: the text that ssh accepts, borrowed where the file is that already.
pub(super) fn private_key(file: &[u8]) -> Result<Cow<'_, [u8]>, KeyProblem> {
    let text = text(file);
    let text = unwrapped(&text, MOST_LAYERS, |bytes| bytes.starts_with(OPENSSH_MAGIC));
    let text = match text {
        Unwrapped::Text(text) => text,
        // Somebody took the first line and the last one for decoration.
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

/// Reads host keys: the text that ssh accepts, borrowed where the file is that already; `None` where
/// there is no host key.
pub(super) fn known_hosts(file: &[u8]) -> Option<Cow<'_, [u8]>> {
    let is_line = |line: &str| line.parse::<KnownHosts>().is_ok();
    let text = text(file);
    let Unwrapped::Text(text) = unwrapped(&text, MOST_LAYERS, |_| false) else {
        return None;
    };
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        // Several lines in one.
        let joined: Vec<String> = words.chunks(3).map(|words| words.join(" ")).collect();
        match joined.len() > 1 && joined.iter().all(|line| is_line(line)) {
            true => lines.extend(joined),
            false => lines.push(line.to_owned()),
        }
    }
    // Of a key that is damaged ssh says enough.
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
    Some(match mended.as_bytes() == file {
        true => Cow::Borrowed(file),
        false => Cow::Owned(mended.into_bytes()),
    })
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

/// Takes away what is around a text: quotes, JSON's line breaks, base64.
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

/// Finds the private key among the blocks of PEM: its kind and what is between its two lines.
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

/// What a text without any block of PEM is.
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

/// Checks what can be told of a key without its numbers: that it has no passphrase, and is all there.
fn check(label: &str, der: &[u8]) -> Result<(), KeyProblem> {
    if label != OPENSSH {
        return match der.first() {
            Some(0x30) => Ok(()),
            Some(_) => Err(KeyProblem::Damaged),
            None => Err(KeyProblem::Cut),
        };
    }
    // The magic word, then the cipher's name, which is `none` without a passphrase.
    let rest = der.strip_prefix(OPENSSH_MAGIC).ok_or(KeyProblem::Damaged)?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or(KeyProblem::Cut)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    match rest.get(..length) {
        Some(b"none") => Ok(()),
        Some(_) => Err(KeyProblem::Passphrase),
        None => Err(KeyProblem::Cut),
    }
}

/// Tells whether ssh reads a file as it is: lines of PEM and nothing else, the last one ended.
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
mod tests {
    use super::*;

    /// `ssh-keygen -t ed25519 -N ''`, made for this test; lets nobody in anywhere.
    fn key() -> String {
        let mut der = OPENSSH_MAGIC.to_vec();
        der.extend(4_u32.to_be_bytes());
        der.extend(b"none");
        der.extend([7; 200]);
        pem(OPENSSH, &STANDARD.encode(der))
    }

    fn mended(text: &[u8]) -> String {
        let mended = private_key(text).map_err(KeyProblem::words);
        String::from_utf8(mended.unwrap().into_owned()).unwrap()
    }

    #[test]
    fn a_key_that_was_pasted_in_any_way_is_mended() {
        let key = key();
        assert!(matches!(private_key(key.as_bytes()), Ok(Cow::Borrowed(_))));
        let lines: Vec<&str> = key.lines().collect();
        let body = lines[1..lines.len() - 1].concat();
        let utf16: Vec<u8> = key.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for text in [
            key.trim_end().to_owned(),
            format!("\n\n{key}\n\n"),
            key.replace('\n', "\r\n"),
            key.replace('\n', "\r"),
            key.replace('\n', " "),
            key.replace('\n', ""),
            key.replace('\n', "\\n"),
            key.replace('\n', "\\r\\n"),
            format!("\"{}\"", key.replace('\n', "\\n")),
            format!("'{key}'"),
            key.replace('\n', "\n    "),
            format!("\u{feff}{key}"),
            STANDARD.encode(&key),
            STANDARD.encode(STANDARD.encode(&key)) + "\n",
            STANDARD.encode(key.replace('\n', "\r\n")),
            format!("Here it is:\n{key}"),
            format!("{}\n{body}\n{}\n", lines[0], lines[lines.len() - 1]),
            body,
        ] {
            assert_eq!(mended(text.as_bytes()), key, "{text:?}");
        }
        assert_eq!(mended(&[&[0xff, 0xfe], &utf16[..]].concat()), key);
    }

    #[test]
    fn keys_of_other_kinds_of_pem_stay_what_they_are() {
        let der = STANDARD.encode([0x30, 3, 2, 1, 0]);
        for label in &PRIVATE[1..] {
            let key = pem(label, &der);
            assert!(matches!(private_key(key.as_bytes()), Ok(Cow::Borrowed(_))));
            assert_eq!(mended(key.replace('\n', "\r\n").as_bytes()), key);
        }
        // OpenSSL writes the curve in front.
        let key = pem("EC PRIVATE KEY", &der);
        let with_curve = pem("EC PARAMETERS", &der) + &key;
        assert!(matches!(
            private_key(with_curve.as_bytes()),
            Ok(Cow::Borrowed(_))
        ));
        assert_eq!(mended(with_curve.replace('\n', "\r\n").as_bytes()), key);
    }

    #[test]
    fn what_is_no_usable_key_is_named() {
        use KeyProblem::*;
        let key = key();
        let der = STANDARD.encode([0x30, 3, 2, 1, 0]);
        let mut encrypted = OPENSSH_MAGIC.to_vec();
        encrypted.extend(10_u32.to_be_bytes());
        encrypted.extend(b"aes256-ctr");
        for (text, problem) in [
            (String::new(), Empty),
            (" \n".to_owned(), Empty),
            (
                "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me@here".to_owned(),
                Public,
            ),
            ("ecdsa-sha2-nistp256 AAAA".to_owned(), Public),
            (pem("PUBLIC KEY", &der), Public),
            ("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n".to_owned(), Public),
            (STANDARD.encode("ssh-rsa AAAAB3NzaC1yc2E me@here"), Public),
            (
                "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n".to_owned(),
                Putty,
            ),
            (
                "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n".to_owned(),
                SshCom,
            ),
            (pem("CERTIFICATE", &der), Certificate),
            (
                "ssh-ed25519-cert-v01@openssh.com AAAA".to_owned(),
                Certificate,
            ),
            (pem("ENCRYPTED PRIVATE KEY", &der), Passphrase),
            (pem(OPENSSH, &STANDARD.encode(encrypted)), Passphrase),
            (
                format!(
                    "{BEGIN}RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: x\n\n{der}\n-----END RSA PRIVATE KEY-----\n"
                ),
                Passphrase,
            ),
            (key.lines().take(3).collect::<Vec<_>>().join("\n"), Cut),
            (pem(OPENSSH, ""), Damaged),
            (pem(OPENSSH, "…"), Damaged),
            ("/etc/git-secret/ssh".to_owned(), Unknown),
            ("hunter2".to_owned(), Unknown),
        ] {
            assert_eq!(private_key(text.as_bytes()), Err(problem), "{text}");
        }
    }

    const HOST: &str = "git.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1FqLh4y7ZkV0dJ2sX0ZxwzD0Fh3xk1m7rQkq3h9Q2s";
    const OTHER: &str = "[git.example]:2222 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1FqLh4y7ZkV0dJ2sX0ZxwzD0Fh3xk1m7rQkq3h9Q2s";

    #[test]
    fn host_keys_that_were_pasted_in_any_way_are_mended() {
        let file = format!("# git.example:22 SSH-2.0\n{HOST}\n{OTHER}\n");
        assert!(matches!(
            known_hosts(file.as_bytes()),
            Some(Cow::Borrowed(_))
        ));
        let both = format!("{HOST}\n{OTHER}\n");
        for text in [
            both.replace('\n', "\r\n"),
            both.replace('\n', "\\n"),
            both.replace('\n', " "),
            format!("  {HOST}\n  {OTHER}"),
            format!("\"{}\"", both.replace('\n', "\\n")),
            STANDARD.encode(&both),
            format!("\u{feff}{both}"),
        ] {
            let found = known_hosts(text.as_bytes()).unwrap();
            assert_eq!(str::from_utf8(&found).unwrap(), both, "{text:?}");
        }
        for text in [
            "",
            "# nothing\n",
            "ssh-ed25519 AAAA",
            "git.example",
            "x y z",
        ] {
            assert_eq!(known_hosts(text.as_bytes()), None, "{text:?}");
        }
    }
}
