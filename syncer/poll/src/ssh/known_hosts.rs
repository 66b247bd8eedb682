//! The host keys in a `known_hosts` file (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").

use args::SshAddress;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use russh::keys::Algorithm;
use russh::keys::HashAlg;
use russh::keys::PublicKey;
use russh::keys::parse_public_key_base64;

/// The error for lines that only ssh supports: a certificate authority, or a revoked key.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct HasMarkers;
/// The known keys of a host, looked up like in ssh: by host and port, otherwise by host alone.
pub(super) fn keys_of(text: &str, host: &str, port: u16) -> Result<Vec<PublicKey>, HasMarkers> {
    let names = match port {
        SshAddress::PORT => vec![host.to_owned()],
        port => vec![format!("[{host}]:{port}"), host.to_owned()],
    };
    for name in names {
        let keys = keys_under(text, &name)?;
        if !keys.is_empty() {
            return Ok(keys);
        }
    }
    Ok(Vec::new())
}

fn keys_under(text: &str, name: &str) -> Result<Vec<PublicKey>, HasMarkers> {
    let mut keys = Vec::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(hosts) = words.next().filter(|word| !word.starts_with('#')) else {
            continue;
        };
        if hosts.starts_with('@') {
            return Err(HasMarkers);
        }
        let key = words
            .nth(1)
            .and_then(|key| parse_public_key_base64(key).ok());
        if let Some(key) = key.filter(|_| is_among(hosts, name)) {
            keys.push(key);
        }
    }
    Ok(keys)
}

/// The algorithms with which a host can prove one of these keys, in ssh's order.
pub(super) fn algorithms(keys: &[PublicKey], order: &[Algorithm]) -> Vec<Algorithm> {
    let fits = |algorithm: &&Algorithm| {
        keys.iter().any(|key| match algorithm {
            // SHA-1 is no longer accepted.
            Algorithm::Rsa { hash } => key.algorithm().is_rsa() && hash.is_some_and(is_sha2),
            algorithm => key.algorithm() == **algorithm,
        })
    };
    order.iter().filter(fits).cloned().collect()
}

fn is_sha2(hash: HashAlg) -> bool {
    matches!(hash, HashAlg::Sha256 | HashAlg::Sha512)
}

fn is_among(hosts: &str, name: &str) -> bool {
    if let Some(hashed) = hosts.strip_prefix("|1|") {
        return is_hash_of(hashed, name);
    }
    let mut is_there = false;
    for pattern in hosts.split(',') {
        let pattern = pattern.to_lowercase();
        match pattern.strip_prefix('!') {
            Some(pattern) if is_like(pattern.as_bytes(), name.as_bytes()) => return false,
            Some(_) => {}
            None => is_there |= is_like(pattern.as_bytes(), name.as_bytes()),
        }
    }
    is_there
}

/// Compares a name with `SALT|HASH`, an HMAC of the name.
fn is_hash_of(hashed: &str, name: &str) -> bool {
    let Some((salt, hash)) = hashed.split_once('|') else {
        return false;
    };
    let (Ok(salt), Ok(hash)) = (STANDARD.decode(salt), STANDARD.decode(hash)) else {
        return false;
    };
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
    hmac::verify(&key, name.as_bytes(), &hash).is_ok()
}

/// Matches a pattern in which `*` is any text and `?` any character.
fn is_like(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=name.len()).any(|at| is_like(rest, &name[at..])),
        ([b'?', rest @ ..], [_, name @ ..]) => is_like(rest, name),
        ([byte, rest @ ..], [first, name @ ..]) => byte == first && is_like(rest, name),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use russh::Preferred;

    use super::*;

    const ED25519: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const OTHER: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA6rWI3G1sz07DnfFlrouTcysQlj2P+jpNSOEWD9OJ3X";

    /// `ssh-keygen -H` of `git.example` and of `[git.example]:2222`.
    const HASHED: &str = "|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg=";

    fn count(text: &str, host: &str, port: u16) -> usize {
        keys_of(text, host, port).unwrap().len()
    }

    #[test]
    fn a_host_is_found_by_name_port_and_pattern() {
        for (hosts, host, port, expected) in [
            ("git.example", "git.example", 22, 1),
            ("GIT.example", "git.example", 22, 1),
            ("git.example", "git.example", 2222, 1),
            ("[git.example]:2222", "git.example", 2222, 1),
            ("[git.example]:2222", "git.example", 22, 0),
            ("other,git.example,10.0.0.1", "git.example", 22, 1),
            ("*.example", "git.example", 22, 1),
            ("g?t.example", "git.example", 22, 1),
            ("*.example,!git.example", "git.example", 22, 0),
            ("git.example.org", "git.example", 22, 0),
            ("git", "git.example", 22, 0),
        ] {
            let text = format!("# a comment\n\n  {hosts}\t{ED25519} comment\n");
            assert_eq!(count(&text, host, port), expected, "{hosts} {host} {port}");
        }
    }

    #[test]
    fn a_hashed_host_is_found() {
        let text = format!("{HASHED} {ED25519}\n");
        // The sample is OpenSSH's own, for the host 192.168.1.61.
        assert_eq!(count(&text, "192.168.1.61", 22), 1);
        assert_eq!(count(&text, "192.168.1.62", 22), 0);
        for broken in ["|1|", "|1|x", "|1|!|!", "|2|a|b"] {
            assert_eq!(count(&format!("{broken} {ED25519}\n"), "x", 22), 0);
        }
    }

    #[test]
    fn all_lines_of_a_host_are_used_and_its_port_takes_precedence() {
        let text = format!("h {ED25519}\nh {OTHER}\n[h]:2 {OTHER}\nh sk-unknown AAAA\n");
        assert_eq!(count(&text, "h", 22), 2);
        assert_eq!(count(&text, "h", 2), 1);
    }

    #[test]
    fn markers_are_left_to_ssh() {
        let text = format!("@cert-authority * {ED25519}\n");
        assert_eq!(keys_of(&text, "h", 22), Err(HasMarkers));
    }

    #[test]
    fn only_algorithms_of_known_keys_are_offered() {
        let keys = keys_of(&format!("h {ED25519}"), "h", 22).unwrap();
        let offered = algorithms(&keys, &Preferred::DEFAULT.key);
        assert_eq!(offered, [Algorithm::Ed25519]);
    }
}
