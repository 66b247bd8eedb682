//! The check of an answer to `fetch` while it passes: its sections, the pack's checksum, its end.

use ring::digest::Context;
use ring::digest::SHA1_FOR_LEGACY_USE_ONLY;
use ring::digest::SHA256;

use crate::protocol::packets;
use crate::protocol::packets::Packet;
use crate::protocol::request::ObjectFormat;

/// Why an answer to `fetch` is not kept, and not passed on any further.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FetchError {
    /// Not in git's protocol, or incomplete.
    Malformed,
    /// A section that the cache does not know.
    Unsupported,
    /// git's own error packet, or an error in the middle of a pack.
    Refused,
    /// The pack differs from its checksum.
    Checksum,
}

/// What a complete answer consists of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Complete {
    /// A pack: the answer to this request for ever.
    Pack,
    /// A step of a negotiation, which another request continues.
    Negotiation,
}

/// The state of the check.
pub(crate) struct FetchCheck {
    /// The beginning of a packet that is not complete.
    buffer: Vec<u8>,
    section: Section,
    pack: PackCheck,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Section {
    /// No section was read yet.
    Start,
    /// The next packet names a section.
    Next,
    Acknowledgments,
    ShallowInfo,
    Pack,
    End(Complete),
}

impl FetchCheck {
    pub(crate) fn new(object_format: ObjectFormat) -> Self {
        Self {
            buffer: Vec::new(),
            section: Section::Start,
            pack: PackCheck::new(object_format),
        }
    }

    /// Checks the next bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.extend_from_slice(bytes);
        let mut rest = &buffer[..];
        while let Some((packet, length)) =
            packets::first(rest).map_err(|_| FetchError::Malformed)?
        {
            self.read(packet)?;
            rest = &rest[length..];
        }
        let read = buffer.len() - rest.len();
        buffer.drain(..read);
        self.buffer = buffer;
        Ok(())
    }

    /// Whether the first packet was read: until then the answer may be git's error.
    pub(crate) fn has_begun(&self) -> bool {
        self.section != Section::Start
    }

    /// The result after the last byte.
    pub(crate) fn finish(self) -> Result<Complete, FetchError> {
        match self.section {
            Section::End(Complete::Pack) if self.buffer.is_empty() => {
                self.pack.finish().map(|()| Complete::Pack)
            }
            Section::End(Complete::Negotiation) if self.buffer.is_empty() => {
                Ok(Complete::Negotiation)
            }
            _ => Err(FetchError::Malformed),
        }
    }

    fn read(&mut self, packet: Packet<'_>) -> Result<(), FetchError> {
        self.section = match (self.section, packet) {
            (Section::Start | Section::Next, Packet::Data(data)) => match packets::line(data) {
                b"acknowledgments" if self.section == Section::Start => Section::Acknowledgments,
                b"shallow-info" => Section::ShallowInfo,
                b"packfile" => Section::Pack,
                line if line.starts_with(b"ERR ") => return Err(FetchError::Refused),
                _ => return Err(FetchError::Unsupported),
            },
            (Section::Acknowledgments, Packet::Data(data)) => match packets::line(data) {
                b"NAK" | b"ready" => self.section,
                line if line.starts_with(b"ACK ") => self.section,
                line if line.starts_with(b"ERR ") => return Err(FetchError::Refused),
                _ => return Err(FetchError::Malformed),
            },
            (Section::Acknowledgments, Packet::Flush) => Section::End(Complete::Negotiation),
            (Section::ShallowInfo, Packet::Data(data)) => match data.split(|it| *it == b' ').next()
            {
                Some(b"shallow" | b"unshallow") => self.section,
                _ => return Err(FetchError::Malformed),
            },
            (Section::Acknowledgments | Section::ShallowInfo, Packet::Delimiter) => Section::Next,
            (Section::Pack, Packet::Data(data)) => {
                match data.split_first() {
                    Some((1, content)) => self.pack.push(content),
                    // The server's progress messages.
                    Some((2, _)) => {}
                    Some((3, _)) => return Err(FetchError::Refused),
                    _ => return Err(FetchError::Malformed),
                }
                self.section
            }
            (Section::Pack, Packet::Flush) => Section::End(Complete::Pack),
            _ => return Err(FetchError::Malformed),
        };
        Ok(())
    }
}

/// The checksum of a pack: its last bytes are the hash of all others.
struct PackCheck {
    hash: Context,
    begin: Vec<u8>,
    /// The last bytes so far, which may be the checksum.
    tail: Vec<u8>,
    length: usize,
}

impl PackCheck {
    fn new(object_format: ObjectFormat) -> Self {
        let (algorithm, length) = match object_format {
            ObjectFormat::Sha1 => (&SHA1_FOR_LEGACY_USE_ONLY, 20),
            ObjectFormat::Sha256 => (&SHA256, 32),
        };
        Self {
            hash: Context::new(algorithm),
            begin: Vec::new(),
            tail: Vec::new(),
            length,
        }
    }

    fn push(&mut self, content: &[u8]) {
        let missing = 4 - self.begin.len();
        self.begin.extend(content.iter().take(missing));
        // What is known not to be the checksum is hashed.
        let before = (self.tail.len() + content.len()).saturating_sub(self.length);
        let of_tail = before.min(self.tail.len());
        self.hash.update(&self.tail[..of_tail]);
        self.tail.drain(..of_tail);
        let (hashed, kept) = content.split_at(before - of_tail);
        self.hash.update(hashed);
        self.tail.extend_from_slice(kept);
    }

    fn finish(self) -> Result<(), FetchError> {
        let is_pack = self.begin == b"PACK";
        match is_pack && self.hash.finish().as_ref() == self.tail {
            true => Ok(()),
            false => Err(FetchError::Checksum),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::digest::digest;

    fn packet(data: &[u8]) -> Vec<u8> {
        [format!("{:04x}", data.len() + 4).as_bytes(), data].concat()
    }

    fn pack() -> Vec<u8> {
        let content = b"PACK\0\0\0\x02\0\0\0\0".to_vec();
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &content);
        [&content[..], hash.as_ref()].concat()
    }

    /// An answer with the pack cut into bands of this size.
    fn answer(size: usize, pack: &[u8]) -> Vec<u8> {
        let mut answer = [
            packet(b"acknowledgments\n"),
            packet(b"ready\n"),
            b"0001".to_vec(),
        ]
        .concat();
        answer.extend(packet(b"shallow-info\n"));
        answer.extend(packet(format!("shallow {}", "a".repeat(40)).as_bytes()));
        answer.extend(b"0001");
        answer.extend(packet(b"packfile\n"));
        answer.extend(packet(b"\x02progress\r"));
        for band in pack.chunks(size) {
            answer.extend(packet(&[b"\x01", band].concat()));
        }
        answer.extend(b"0000");
        answer
    }

    fn check(answer: &[u8], step: usize) -> Result<Complete, FetchError> {
        let mut check = FetchCheck::new(ObjectFormat::Sha1);
        for part in answer.chunks(step) {
            check.push(part)?;
        }
        check.finish()
    }

    #[test]
    fn a_complete_answer_is_recognized_however_it_is_cut() {
        for size in 1..pack().len() {
            let answer = answer(size, &pack());
            for step in [1, 2, 3, 7, 64, answer.len()] {
                assert_eq!(check(&answer, step), Ok(Complete::Pack), "{size} {step}");
            }
            for end in 0..answer.len() {
                assert!(check(&answer[..end], answer.len()).is_err(), "{size} {end}");
            }
        }
    }

    #[test]
    fn a_changed_pack_does_not_have_its_checksum() {
        let pack = pack();
        for at in 0..pack.len() {
            let mut changed = pack.clone();
            changed[at] ^= 1;
            assert_eq!(
                check(&answer(5, &changed), 100),
                Err(FetchError::Checksum),
                "{at}"
            );
        }
    }

    #[test]
    fn errors_and_unknown_sections_end_the_answer() {
        for (text, expected) in [
            (packet(b"ERR not our ref\n"), FetchError::Refused),
            (packet(b"wanted-refs\n"), FetchError::Unsupported),
            (packet(b"packfile-uris\n"), FetchError::Unsupported),
            (
                [packet(b"packfile\n"), packet(b"\x03fatal: no")].concat(),
                FetchError::Refused,
            ),
            (b"<!DOCTYPE html>".to_vec(), FetchError::Malformed),
            (
                [answer(5, &pack()), b"0000".to_vec()].concat(),
                FetchError::Malformed,
            ),
        ] {
            assert_eq!(check(&text, 1000), Err(expected));
        }
        let step = [
            packet(b"acknowledgments\n"),
            packet(b"NAK\n"),
            b"0000".to_vec(),
        ]
        .concat();
        assert_eq!(check(&step, 3), Ok(Complete::Negotiation));
    }
}
