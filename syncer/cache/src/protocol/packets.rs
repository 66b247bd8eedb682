//! git's framing: packets that start with their own length in four hexadecimal digits. Unlike the
//! poller's, this reader is strict and keeps every byte of a packet.

/// The maximum length of a packet in bytes, its length field included.
pub(crate) const LONGEST: usize = 65_520;

/// The packet that ends a request or an answer.
pub(crate) const FLUSH: &[u8] = b"0000";

/// The packet between two sections.
pub(crate) const DELIMITER: &[u8] = b"0001";

/// One packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Packet<'a> {
    Data(&'a [u8]),
    Delimiter,
    Flush,
}

/// Bytes that are no packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct MalformedPacket;

/// The first packet of some bytes, and the number of its bytes; `None` if it is incomplete.
pub(crate) fn first(bytes: &[u8]) -> Result<Option<(Packet<'_>, usize)>, MalformedPacket> {
    let Some(digits) = bytes.get(..4) else {
        return Ok(None);
    };
    let mut length = 0;
    for digit in digits {
        let digit = (*digit as char).to_digit(16).ok_or(MalformedPacket)?;
        length = length * 16 + digit as usize;
    }
    let packet = match length {
        0 => (Packet::Flush, 4),
        1 => (Packet::Delimiter, 4),
        5..=LONGEST => match bytes.get(4..length) {
            Some(data) => (Packet::Data(data), length),
            None => return Ok(None),
        },
        _ => return Err(MalformedPacket),
    };
    Ok(Some(packet))
}

/// A line without its newline.
pub(crate) fn line(data: &[u8]) -> &[u8] {
    data.strip_suffix(b"\n").unwrap_or(data)
}

/// Appends a line as a packet; the line is at most [`LONGEST`] − 5 bytes long.
pub(crate) fn write_line(out: &mut Vec<u8>, line: &str) {
    out.extend_from_slice(format!("{:04x}{line}\n", line.len() + 5).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_read_with_its_length() {
        assert_eq!(first(b"0006a\nrest"), Ok(Some((Packet::Data(b"a\n"), 6))));
        assert_eq!(first(b"0000"), Ok(Some((Packet::Flush, 4))));
        assert_eq!(first(b"0001"), Ok(Some((Packet::Delimiter, 4))));
        assert_eq!(first(b"0006a"), Ok(None));
        assert_eq!(first(b"00"), Ok(None));
        for wrong in [&b"0002"[..], b"0003", b"0004", b"fff1", b"+006a\n", b"html"] {
            assert_eq!(first(wrong), Err(MalformedPacket));
        }
    }
}
