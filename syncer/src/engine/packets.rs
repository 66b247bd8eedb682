//! git's framing: lines that begin with their own length in four hexadecimal digits
//! (<https://git-scm.com/docs/gitprotocol-common>).

/// The longest packet that git writes, its length included.
const LONGEST: usize = 65_520;

/// The most that a server may say in one answer; a million refs need about as much.
const MOST: usize = 64 << 20;

/// What is wrong with an answer.
#[derive(Debug, thiserror::Error, Eq, PartialEq)]
pub(crate) enum ProtocolError {
    #[error("the server's answer is not in git's protocol")]
    Malformed,
    #[error("the server says: {0}")]
    Refused(String),
    #[error("the server's answer ends in the middle")]
    Short,
    #[error("the server's answer is too long")]
    TooLong,
    #[error("the server does not list refs on request")]
    NoLsRefs,
}

/// One packet of an answer.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Packet<'a> {
    Data(&'a [u8]),
    Flush,
    /// A delimiter, or the end of a response.
    Mark,
}

/// Takes an answer apart as it comes in, without keeping what was read.
#[derive(Debug, Default)]
pub(super) struct Packets {
    buffer: Vec<u8>,
    read: usize,
    total: usize,
}

impl Packets {
    /// Adds what has come in.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        self.total += bytes.len();
        if self.total > MOST {
            return Err(ProtocolError::TooLong);
        }
        self.buffer.drain(..self.read);
        self.read = 0;
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// Gives the next packet, if all of it is here; a line without its newline.
    pub(super) fn next(&mut self) -> Result<Option<Packet<'_>>, ProtocolError> {
        let rest = &self.buffer[self.read..];
        let Some(digits) = rest.get(..4) else {
            return Ok(None);
        };
        let length = length(digits).ok_or(ProtocolError::Malformed)?;
        let packet = match length {
            0 => Packet::Flush,
            1 | 2 => Packet::Mark,
            4..=LONGEST => {
                let Some(data) = rest.get(4..length) else {
                    return Ok(None);
                };
                let line = data.strip_suffix(b"\n").unwrap_or(data);
                if let Some(words) = line.strip_prefix(b"ERR ") {
                    let words = String::from_utf8_lossy(words).into_owned();
                    return Err(ProtocolError::Refused(words));
                }
                Packet::Data(line)
            }
            _ => return Err(ProtocolError::Malformed),
        };
        self.read += length.max(4);
        Ok(Some(packet))
    }

    /// How many bytes came in.
    pub(super) fn total(&self) -> u64 {
        self.total as u64
    }

    /// Tells whether everything that came in was read.
    pub(super) fn is_empty(&self) -> bool {
        self.read == self.buffer.len()
    }
}

fn length(digits: &[u8]) -> Option<usize> {
    let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| is_hex)?;
    usize::from_str_radix(digits, 16).ok()
}

/// Appends one line as a packet.
pub(super) fn write_line(out: &mut Vec<u8>, line: &str) {
    out.extend_from_slice(format!("{:04x}{line}\n", line.len() + 5).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_read_however_they_are_cut() {
        let answer = b"0008abc\n0001000exyz_00010000";
        for cut in 0..answer.len() {
            let mut packets = Packets::default();
            let mut seen = Vec::new();
            for part in [&answer[..cut], &answer[cut..]] {
                packets.push(part).unwrap();
                while let Some(packet) = packets.next().unwrap() {
                    seen.push(format!("{packet:?}"));
                }
            }
            let data = |bytes: &[u8]| format!("{:?}", Packet::Data(bytes));
            assert_eq!(
                seen,
                [data(b"abc"), "Mark".to_owned(), data(b"xyz_000100"),],
                "{cut}"
            );
            assert!(!packets.is_empty());
        }
    }

    #[test]
    fn what_is_no_packet_is_an_error() {
        for answer in [&b"this is html"[..], b"0003", b"fffe", b"+001", b"00 1"] {
            let mut packets = Packets::default();
            packets.push(answer).unwrap();
            assert_eq!(packets.next(), Err(ProtocolError::Malformed), "{answer:?}");
        }
        let mut packets = Packets::default();
        packets.push(b"0010ERR go away\n").unwrap();
        assert_eq!(
            packets.next(),
            Err(ProtocolError::Refused("go away".to_owned()))
        );
    }

    #[test]
    fn an_answer_without_end_is_cut() {
        let mut packets = Packets::default();
        let part = vec![0; MOST];
        packets.push(&part).unwrap();
        assert_eq!(packets.push(b"1"), Err(ProtocolError::TooLong));
    }

    #[test]
    fn a_line_is_written_with_its_length() {
        let mut out = Vec::new();
        write_line(&mut out, "command=ls-refs");
        assert_eq!(out, b"0014command=ls-refs\n");
    }
}
