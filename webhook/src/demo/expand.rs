/// Expands a container's args and env as the kubelet does: `$(NAME)` becomes the value of a known
/// name and stays as it is otherwise, `$$` becomes `$` (k8s.io/kubernetes,
/// third_party/forked/golang/expansion).
pub(super) fn expand<'a>(text: &str, value_of: impl Fn(&str) -> Option<&'a str>) -> String {
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
            assert_eq!(expand(text, value_of), expected, "{text}");
        }
    }

    #[test]
    fn what_the_webhook_escapes_comes_back() {
        let text = "a$(B)$$c$";
        let escaped = ::args::escape_for_kubelet(text);
        assert_eq!(expand(&escaped, |_| Some("x")), text);
    }
}
