//! Names of contents: equal contents have equal names, in every replica.

use ring::digest::SHA256;
use ring::digest::digest;

/// The first 16 bytes of the SHA-256 of a content, in hexadecimal digits.
pub(crate) fn name_of(content: &[u8]) -> String {
    let hash = digest(&SHA256, content);
    let digits = hash.as_ref()[..16].iter();
    digits.map(|it| format!("{it:02x}")).collect()
}
