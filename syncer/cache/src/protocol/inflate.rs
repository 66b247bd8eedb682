//! Bodies that git has compressed: `Content-Encoding: gzip` (RFC 1952).

use miniz_oxide::inflate::decompress_to_vec_with_limit;

/// The header that git writes has none of the optional fields.
const HEADER: usize = 10;

/// The checksum and the length.
const TRAILER: usize = 8;

/// The content of a gzip file of one member without optional header fields; `None` if it is another
/// file or longer than `limit` bytes.
pub(crate) fn gunzip(bytes: &[u8], limit: usize) -> Option<Vec<u8>> {
    let (head, rest) = bytes.split_at_checked(HEADER)?;
    let (deflated, trailer) = rest.split_at_checked(rest.len().checked_sub(TRAILER)?)?;
    if !head.starts_with(&[0x1f, 0x8b, 8, 0]) {
        return None;
    }
    let content = decompress_to_vec_with_limit(deflated, limit).ok()?;
    let length = u32::try_from(content.len()).ok()?;
    trailer.ends_with(&length.to_le_bytes()).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use miniz_oxide::deflate::compress_to_vec;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
        bytes.extend(compress_to_vec(content, 6));
        bytes.extend([0; 4]);
        bytes.extend((content.len() as u32).to_le_bytes());
        bytes
    }

    #[test]
    fn a_body_is_inflated_up_to_a_limit() {
        let content = b"0014command=ls-refs\n0000".repeat(100);
        let bytes = gzip(&content);
        assert_eq!(gunzip(&bytes, content.len()), Some(content.clone()));
        assert_eq!(gunzip(&bytes, content.len() - 1), None);
        for end in 0..bytes.len() {
            assert_eq!(gunzip(&bytes[..end], 1 << 20), None, "{end}");
        }
    }
}
