/// Whether a text consists of lower-case letters, digits and inner hyphens, like a DNS label (RFC
/// 1123).
///
/// The caller checks the length: a label has at most 63 characters, a name that gets a suffix
/// fewer, and Kubernetes does not limit the labels of a name with dots.
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
