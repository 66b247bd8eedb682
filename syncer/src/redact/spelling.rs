//! The spellings of a byte in a text: literal, escaped as in Rust, JSON, C and git, or
//! percent-encoded.

/// Reads the first byte of a text in each spelling, with the length of the spelling.
pub(super) fn read(text: &[u8]) -> impl Iterator<Item = (u8, usize)> {
    let plain = text.first().map(|byte| (*byte, 1));
    let other = match text {
        [b'+', ..] => Some((b' ', 1)),
        [b'%', high, low, ..] => number(&[*high, *low], 16).map(|byte| (byte, 3)),
        [b'\\', rest @ ..] => escape(rest).map(|(byte, length)| (byte, length + 1)),
        _ => None,
    };
    plain.into_iter().chain(other)
}

/// The length of this secret at the beginning of a text, in any spelling.
pub(super) fn length_of(text: &[u8], secret: &[u8]) -> Option<usize> {
    // Every possible end so far: a backslash may be literal or start an escape.
    let mut ends = vec![0];
    for byte in secret {
        let next = |end: usize| {
            let spellings = read(&text[end..]).filter(|(own, _)| own == byte);
            spellings.map(move |(_, length)| end + length)
        };
        let mut all: Vec<usize> = ends.into_iter().flat_map(next).collect();
        all.dedup();
        if all.is_empty() {
            return None;
        }
        ends = all;
    }
    ends.into_iter().max()
}

/// Reads the rest of an escape after its backslash.
fn escape(text: &[u8]) -> Option<(u8, usize)> {
    match text {
        [b'n', ..] => Some((b'\n', 1)),
        [b'r', ..] => Some((b'\r', 1)),
        [b't', ..] => Some((b'\t', 1)),
        [own @ (b'\\' | b'"' | b'\'' | b'/' | b'$' | b'`' | b' '), ..] => Some((*own, 1)),
        [b'x', high, low, ..] => Some((number(&[*high, *low], 16)?, 3)),
        [b'u', b'{', rest @ ..] => {
            let length = rest.iter().take(4).position(|byte| *byte == b'}')?;
            Some((number(&rest[..length], 16)?, length + 3))
        }
        [b'u', b'0', b'0', high, low, ..] => Some((number(&[*high, *low], 16)?, 5)),
        [a @ b'0'..=b'3', b, c, ..] => Some((number(&[*a, *b, *c], 8)?, 3)),
        _ => None,
    }
}

fn number(digits: &[u8], radix: u32) -> Option<u8> {
    let digits = std::str::from_utf8(digits).ok()?;
    u8::from_str_radix(digits, radix).ok()
}
