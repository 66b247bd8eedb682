//! The first answer of a server: its protocol version and capabilities.

use crate::protocol::packets;
use crate::protocol::packets::FLUSH;
use crate::protocol::packets::Packet;
use crate::protocol::packets::write_line;

/// Why an advertisement is not passed on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum AdvertisementError {
    /// Not in git's protocol.
    Malformed,
    /// An older protocol, or a server without `ls-refs` or `fetch`.
    Unsupported,
}

/// The advertisement for followers: the capabilities whose answers the cache can share, and no other
/// bytes of the origin.
///
/// `ref-in-want`, `packfile-uris`, `sideband-all`, `bundle-uri`, `object-info`, `promisor-remote`,
/// `server-option` and all unknown ones are dropped: their answers are not immutable, or lead
/// around the cache.
pub(crate) fn for_followers(answer: &[u8]) -> Result<Vec<u8>, AdvertisementError> {
    let mut rest = answer;
    let mut out = Vec::new();
    let mut has = [false; 2];
    let mut expected = Expected::Start;
    loop {
        let (packet, length) = match packets::first(rest) {
            Ok(Some(found)) => found,
            Ok(None) | Err(_) => return Err(AdvertisementError::Malformed),
        };
        rest = &rest[length..];
        let data = match packet {
            Packet::Data(data) => packets::line(data),
            Packet::Flush if expected == Expected::ServiceEnd => {
                expected = Expected::Version;
                continue;
            }
            Packet::Flush if expected == Expected::Capability => break,
            Packet::Flush | Packet::Delimiter => return Err(AdvertisementError::Malformed),
        };
        match expected {
            Expected::Start if data == b"# service=git-upload-pack" => {
                expected = Expected::ServiceEnd;
            }
            Expected::Start | Expected::Version if data == b"version 2" => {
                write_line(&mut out, "version 2");
                expected = Expected::Capability;
            }
            // Versions 0 and 1 list refs here.
            Expected::Start | Expected::Version => return Err(AdvertisementError::Unsupported),
            Expected::ServiceEnd => return Err(AdvertisementError::Malformed),
            Expected::Capability => {
                let line = std::str::from_utf8(data).ok();
                let line = line.filter(|line| !line.chars().any(char::is_control));
                let line = line.ok_or(AdvertisementError::Malformed)?;
                if let Some(kept) = kept(line) {
                    has[0] |= kept.starts_with("ls-refs");
                    has[1] |= kept.starts_with("fetch");
                    write_line(&mut out, &kept);
                }
            }
        }
    }
    if !rest.is_empty() {
        return Err(AdvertisementError::Malformed);
    }
    if has != [true; 2] {
        return Err(AdvertisementError::Unsupported);
    }
    out.extend_from_slice(FLUSH);
    Ok(out)
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Expected {
    Start,
    ServiceEnd,
    Version,
    Capability,
}

/// A capability as followers get it.
fn kept(line: &str) -> Option<String> {
    let (name, features) = match line.split_once('=') {
        Some((name, features)) => (name, Some(features)),
        None => (line, None),
    };
    match (name, features) {
        ("agent", Some(_)) | ("object-format", Some("sha1" | "sha256")) => Some(line.to_owned()),
        ("ls-refs" | "fetch", None) => Some(line.to_owned()),
        ("ls-refs" | "fetch", Some(features)) => {
            let known = features.split(' ').filter(|feature| {
                ["unborn", "shallow", "filter", "wait-for-done"].contains(feature)
            });
            let known: Vec<&str> = known.collect();
            Some(match known.is_empty() {
                true => name.to_owned(),
                false => format!("{name}={}", known.join(" ")),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(lines: &[&str]) -> Vec<u8> {
        let mut out = Vec::new();
        for line in lines {
            match *line {
                "" => out.extend_from_slice(FLUSH),
                line => write_line(&mut out, line),
            }
        }
        out
    }

    #[test]
    fn only_capabilities_with_answers_that_can_be_shared_are_kept() {
        let origin = packets(&[
            "# service=git-upload-pack",
            "",
            "version 2",
            "agent=git/2.39.5",
            "ls-refs=unborn",
            "fetch=shallow wait-for-done filter ref-in-want sideband-all packfile-uris",
            "server-option",
            "object-format=sha1",
            "object-info",
            "bundle-uri",
            "promisor-remote=name=evil,url=https://evil.example",
            "session-id=1",
            "",
        ]);
        let expected = packets(&[
            "version 2",
            "agent=git/2.39.5",
            "ls-refs=unborn",
            "fetch=shallow wait-for-done filter",
            "object-format=sha1",
            "",
        ]);
        assert_eq!(for_followers(&origin), Ok(expected.clone()));
        assert_eq!(for_followers(&expected), Ok(expected));
    }

    #[test]
    fn other_answers_are_refused() {
        let unsupported = Err(AdvertisementError::Unsupported);
        let malformed = Err(AdvertisementError::Malformed);
        let old = packets(&["# service=git-upload-pack", "", "0123 HEAD\0side-band", ""]);
        assert_eq!(for_followers(&old), unsupported);
        assert_eq!(
            for_followers(&packets(&["version 2", "fetch", ""])),
            unsupported
        );
        let right = packets(&["version 2", "ls-refs", "fetch", ""]);
        for end in 0..right.len() {
            assert_eq!(for_followers(&right[..end]), malformed, "{end}");
        }
        assert_eq!(for_followers(b"<!DOCTYPE html>"), malformed);
        assert_eq!(for_followers(&[&right[..], b"0000"].concat()), malformed);
        assert_eq!(
            for_followers(&packets(&["version 2", "ls-refs\u{1}", ""])),
            malformed
        );
    }
}
