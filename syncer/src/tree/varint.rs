//! Integers of variable length (LEB128), as in git's packs: seven bits per byte, the least
//! significant first.

/// Collects values.
#[derive(Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// Adds a number.
    pub(super) fn unsigned(&mut self, value: u64) {
        self.wide(u128::from(value));
    }

    /// Adds a number that may be negative; one near zero is short.
    pub(super) fn signed(&mut self, value: i128) {
        self.wide(((value << 1) ^ (value >> 127)).cast_unsigned());
    }

    /// Adds a byte string with its length.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.unsigned(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// The values as bytes.
    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }

    fn wide(&mut self, mut value: u128) {
        while value >= 0x80 {
            self.0.push(0x80 | (value & 0x7f) as u8);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// Reads the values in the order in which they were added; each method returns `None` at an
/// unexpected end.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads from the beginning of the bytes.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether there is no further value.
    pub(super) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// The next number.
    pub(super) fn unsigned(&mut self) -> Option<u64> {
        self.wide()?.try_into().ok()
    }

    /// The next number that may be negative.
    pub(super) fn signed(&mut self) -> Option<i128> {
        let value = self.wide()?;
        let half = (value >> 1).cast_signed();
        Some(if value & 1 == 1 { !half } else { half })
    }

    /// The next byte string.
    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.unsigned()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    fn wide(&mut self) -> Option<u128> {
        let mut value = 0;
        for shift in (0..u128::BITS).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u128::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_they_were_added() {
        let mut writer = Writer::default();
        let numbers = [
            0,
            -1,
            63,
            -64,
            64,
            i128::from(i64::MAX),
            i128::from(i64::MIN),
        ];
        for number in numbers {
            writer.signed(number);
        }
        writer.unsigned(u64::MAX);
        writer.bytes(b"text");
        let bytes = writer.finish();
        assert_eq!(bytes[..3], [0, 1, 126], "small numbers take one byte");
        let mut reader = Reader::new(&bytes);
        assert_eq!(numbers.map(|_| reader.signed().unwrap()), numbers);
        assert_eq!(reader.unsigned(), Some(u64::MAX));
        assert_eq!(reader.bytes(), Some(&b"text"[..]));
        assert!(reader.is_at_end() && reader.unsigned().is_none());
        assert_eq!(Reader::new(&[5, b'a']).bytes(), None, "too short");
    }
}
