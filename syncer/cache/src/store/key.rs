//! The key of a stored answer.

use std::fmt;

use args::cache::OriginAddress;
use ring::digest::Context;
use ring::digest::SHA256;

/// The SHA-256 of an origin's address, as it is sent upstream, and of a canonical request.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Key(pub(crate) [u8; 32]);

impl Key {
    pub(crate) fn new(origin: &OriginAddress, body: &[u8]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(format!("v2\n{origin}\n").as_bytes());
        context.update(body);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.finish().as_ref());
        Self(bytes)
    }

    /// The key of a file's name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if name.len() != 64
            || !name
                .bytes()
                .all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
        {
            return None;
        }
        for (byte, digits) in bytes.iter_mut().zip(name.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).ok()?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_depends_on_every_byte_of_address_and_request() {
        let origin = |path| OriginAddress::from_cache_path(path).unwrap();
        let (a, b) = (
            origin("/https/git.example/a"),
            origin("/https/git.example/A"),
        );
        let key = Key::new(&a, b"0000");
        assert_eq!(Key::parse(&key.to_string()), Some(key));
        assert_ne!(Key::new(&b, b"0000"), key);
        assert_ne!(Key::new(&a, b"0001"), key);
        assert_eq!(Key::parse("x"), None);
        assert_eq!(Key::parse(&key.to_string().to_uppercase()), None);
    }
}
