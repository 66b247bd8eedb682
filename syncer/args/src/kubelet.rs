/// Escapes a text so that the kubelet passes it unchanged: the kubelet expands `$(NAME)` in a
/// container's args and env, and turns `$$` into `$`.
pub fn escape_for_kubelet(text: &str) -> String {
    text.replace('$', "$$")
}

/// Expands a text of a container's args or env as the kubelet does, the inverse of
/// [`escape_for_kubelet`]: `$(NAME)` becomes the value of a known name and stays unchanged
/// otherwise, `$$` becomes `$` (k8s.io/kubernetes, third_party/forked/golang/expansion).
pub fn expand_as_kubelet<'a>(text: &str, value_of: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some((name, after)) = rest
            .strip_prefix('(')
            .and_then(|inside| inside.split_once(')'))
        {
            match value_of(name) {
                Some(value) => expanded.push_str(value),
                None => {
                    expanded.push_str("$(");
                    expanded.push_str(name);
                    expanded.push(')');
                }
            }
            rest = after;
        } else {
            expanded.push('$');
        }
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_is_expanded_as_the_kubelet_does() {
        for (text, expected) in [
            ("plain", "plain"),
            ("$(A)", "a"),
            ("-$(A)-$(A)", "-a-a"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$a"),
            ("$(UNKNOWN)", "$(UNKNOWN)"),
            ("$(A", "$(A"),
            ("$A $", "$A $"),
            ("$$$$", "$$"),
        ] {
            let value_of = |name: &str| (name == "A").then_some("a");
            assert_eq!(expand_as_kubelet(text, value_of), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_escaped_comes_back(text in "[$()a-zA-Z]{0,20}") {
            let escaped = escape_for_kubelet(&text);
            prop_assert_eq!(expand_as_kubelet(&escaped, |_| Some("x")), text);
        }
    }
}
