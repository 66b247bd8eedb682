//! git's framing: packets that start with their own length in four hexadecimal digits
//! (<https://git-scm.com/docs/gitprotocol-common>).

/// The maximum length of a packet in bytes, its length field included.
const LONGEST: usize = 65_520;

/// The maximum length of a response in bytes; a million refs need about as much.
const MOST: usize = 64 << 20;

/// A protocol error in a response.
#[derive(Debug, thiserror::Error, Eq, PartialEq)]
pub enum ProtocolError {
    /// Bytes that are not packets, or packets in the wrong order.
    #[error("the server's response is not in the git protocol")]
    Malformed,
    /// An error packet.
    #[error("the server reports an error: {0}")]
    Refused(String),
    /// The response ends too early.
    #[error("the server's response is incomplete")]
    Short,
    /// The response exceeds the maximum length.
    #[error("the server's response is too long")]
    TooLong,
    /// A server of protocol version 2 without the command `ls-refs`.
    #[error("the server does not support ls-refs")]
    NoLsRefs,
}

/// One packet of a response.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Packet<'a> {
    Data(&'a [u8]),
    Flush,
    /// A delimiter, or the end of a response.
    Mark,
}

/// An incremental parser of a response, which does not keep what was read.
#[derive(Debug, Default)]
pub(crate) struct Packets {
    buffer: Vec<u8>,
    read: usize,
    total: usize,
}

impl Packets {
    /// Adds received bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        self.total += bytes.len();
        if self.total > MOST {
            return Err(ProtocolError::TooLong);
        }
        self.buffer.drain(..self.read);
        self.read = 0;
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// The next packet, a line without its newline; `None` until it is complete.
    pub(crate) fn next(&mut self) -> Result<Option<Packet<'_>>, ProtocolError> {
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

    /// The number of received bytes.
    pub(crate) fn total(&self) -> u64 {
        self.total as u64
    }

    /// Whether all received bytes were parsed.
    pub(crate) fn is_empty(&self) -> bool {
        self.read == self.buffer.len()
    }
}

fn length(digits: &[u8]) -> Option<usize> {
    let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| is_hex)?;
    usize::from_str_radix(digits, 16).ok()
}

/// Appends one line as a packet.
pub(crate) fn write_line(out: &mut Vec<u8>, line: &str) {
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
    fn malformed_packets_are_an_error() {
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
