/// Tells whether a text is of small letters, digits and inner hyphens, as a DNS label is (RFC 1123).
///
/// Its length is the caller's to judge: a label has at most 63 characters, a name that something is
/// added to fewer, and Kubernetes does not count those of a name with dots.
pub fn is_label(text: &str) -> bool {
    let is_end = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().is_some_and(is_end)
        && bytes.last().is_some_and(is_end)
        && bytes.iter().all(|byte| is_end(byte) || *byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_begin_and_end_with_a_letter_or_a_digit() {
        for text in ["a", "site", "1-x", "a--b", &"a".repeat(64)] {
            assert!(is_label(text), "{text}");
        }
        for text in ["", "-", "-a", "a-", "A", "a.b", "a_b", "ü"] {
            assert!(!is_label(text), "{text}");
        }
    }
}
