//! git-sync's notation for git's configuration: `--git-config` and `--git-config-add`.
//!
//! Pairs are separated by commas. A key is `"…":`, with escapes, or everything up to the first `:`,
//! without escapes. A value is `"…"` or everything up to the next comma, both with the escapes `\n
//! \t \" \, \\`. As in git-sync, the first character of an unquoted key or value is always literal:
//! `a.b:,c.d:x` sets `a.b` to `,c.d:x`, and an empty value is written `a.b:""`.

use std::str::Chars;

/// A syntax error. Values are not shown: a header may be a password.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum ParseError {
    #[error("the key {0:?} has no value: expected key:value pairs separated by commas")]
    NoValue(String),
    #[error("expected a key such as user.name or \"http.https://git.example/.proxy\", not {0:?}")]
    Key(String),
    #[error("the {part} {name:?} has no closing quote")]
    Open { part: &'static str, name: String },
    #[error("the quoted key {0:?} is not followed by a colon")]
    AfterKey(String),
    #[error("the quoted value of {0:?} is not followed by a comma")]
    AfterValue(String),
    #[error("{of:?} has the escape \\{found}: expected \\n, \\t, \\\", \\, or \\\\")]
    Escape { of: String, found: String },
}

/// Parses pairs in their order; a key may be repeated, and its last value is used.
pub(crate) fn parse(text: &str) -> Result<Vec<(String, String)>, ParseError> {
    let mut pairs = Vec::new();
    let mut rest = text.chars();
    while let Some(first) = rest.next() {
        let key = if first == '"' {
            quoted_key(&mut rest)?
        } else {
            plain_key(first, &mut rest)?
        };
        let Some(first) = rest.next() else {
            return Err(ParseError::NoValue(key));
        };
        let value = if first == '"' {
            quoted_value(&key, &mut rest)?
        } else {
            plain_value(&key, first, &mut rest)?
        };
        if Key::of(&key).is_none() {
            return Err(ParseError::Key(key));
        }
        pairs.push((key, value));
    }
    Ok(pairs)
}

fn quoted_key(rest: &mut Chars<'_>) -> Result<String, ParseError> {
    let mut key = String::new();
    if !until_quote(rest, &mut key).map_err(|found| escape("a key", found))? {
        return Err(ParseError::Open {
            part: "quoted key",
            name: key,
        });
    }
    match rest.next() {
        Some(':') => Ok(key),
        Some(_) | None => Err(ParseError::AfterKey(key)),
    }
}

fn plain_key(first: char, rest: &mut Chars<'_>) -> Result<String, ParseError> {
    let mut key = String::from(first);
    for next in rest {
        if next == ':' {
            return Ok(key);
        }
        key.push(next);
    }
    Err(ParseError::NoValue(key))
}

fn quoted_value(key: &str, rest: &mut Chars<'_>) -> Result<String, ParseError> {
    let mut value = String::new();
    if !until_quote(rest, &mut value).map_err(|found| escape(key, found))? {
        return Err(ParseError::Open {
            part: "value of",
            name: key.to_owned(),
        });
    }
    match rest.next() {
        Some(',') | None => Ok(value),
        Some(_) => Err(ParseError::AfterValue(key.to_owned())),
    }
}

fn plain_value(key: &str, first: char, rest: &mut Chars<'_>) -> Result<String, ParseError> {
    let mut value = String::from(first);
    while let Some(next) = rest.next() {
        match next {
            ',' => break,
            '\\' => value.push(unescaped(rest).map_err(|found| escape(key, found))?),
            _ => value.push(next),
        }
    }
    Ok(value)
}

/// Reads up to the closing quote; returns whether there is one.
fn until_quote(rest: &mut Chars<'_>, into: &mut String) -> Result<bool, Option<char>> {
    while let Some(next) = rest.next() {
        match next {
            '"' => return Ok(true),
            '\\' => into.push(unescaped(rest)?),
            _ => into.push(next),
        }
    }
    Ok(false)
}

fn unescaped(rest: &mut Chars<'_>) -> Result<char, Option<char>> {
    match rest.next() {
        Some('n') => Ok('\n'),
        Some('t') => Ok('\t'),
        Some(same @ ('"' | ',' | '\\')) => Ok(same),
        other => Err(other),
    }
}

fn escape(of: &str, found: Option<char>) -> ParseError {
    ParseError::Escape {
        of: of.to_owned(),
        found: found.map_or_else(|| "at the end".to_owned(), String::from),
    }
}

/// The parts of a key: `section.subsection.name`, of which the middle one may be absent and may
/// hold anything but a line break.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Key<'a> {
    pub(crate) section: &'a str,
    pub(crate) subsection: Option<&'a str>,
    pub(crate) name: &'a str,
}

impl<'a> Key<'a> {
    /// Splits a key; `None` if git does not accept it.
    pub(crate) fn of(text: &'a str) -> Option<Self> {
        let (section, rest) = text.split_once('.')?;
        let (subsection, name) = match rest.rsplit_once('.') {
            Some((subsection, name)) => (Some(subsection), name),
            None => (None, rest),
        };
        let is_word = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let is_key = is_word(section)
            && is_word(name)
            && name.starts_with(|first: char| first.is_ascii_alphabetic())
            && !subsection.is_some_and(|subsection| subsection.contains('\n'));
        is_key.then_some(Self {
            section,
            subsection,
            name,
        })
    }

    /// Whether git treats both as the same key: only the middle part is case-sensitive.
    pub(crate) fn is_same(&self, other: &Key<'_>) -> bool {
        self.section.eq_ignore_ascii_case(other.section)
            && self.subsection == other.subsection
            && self.name.eq_ignore_ascii_case(other.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap()
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn git_syncs_notation_is_read() {
        for (text, expected) in [
            ("", vec![]),
            ("a.b:c", vec![pair("a.b", "c")]),
            ("a.b:c,", vec![pair("a.b", "c")]),
            (r#"a.b:"""#, vec![pair("a.b", "")]),
            (
                r#""a.b":"x",c.d:y"#,
                vec![pair("a.b", "x"), pair("c.d", "y")],
            ),
            (r#"a.b:x"y"#, vec![pair("a.b", "x\"y")]),
            (r#""a.\"q\".b":x"#, vec![pair("a.\"q\".b", "x")]),
            (
                r#"a.b:x\,y\"\\\n\tz,c.d:"1,2\n""#,
                vec![pair("a.b", "x,y\"\\\n\tz"), pair("c.d", "1,2\n")],
            ),
            // A key without quotes ends at the first colon.
            ("http.https://h/.x:y", vec![pair("http.https", "//h/.x:y")]),
            (
                r#""http.https://h/.x":y"#,
                vec![pair("http.https://h/.x", "y")],
            ),
            // The first character of a value without quotes is taken as it is.
            ("a.b:,c.d:x", vec![pair("a.b", ",c.d:x")]),
            ("a.b:\\", vec![pair("a.b", "\\")]),
        ] {
            assert_eq!(pairs(text), expected, "{text}");
        }
    }

    #[test]
    fn parse_errors_do_not_quote_the_value() {
        for (text, sentence) in [
            (
                "a.b",
                "the key \"a.b\" has no value: expected key:value pairs separated by commas",
            ),
            (
                "a.b:",
                "the key \"a.b\" has no value: expected key:value pairs separated by commas",
            ),
            ("\"a.b", "the quoted key \"a.b\" has no closing quote"),
            (
                "\"a.b\"x",
                "the quoted key \"a.b\" is not followed by a colon",
            ),
            ("a.b:\"secret", "the value of \"a.b\" has no closing quote"),
            (
                "a.b:\"secret\"y",
                "the quoted value of \"a.b\" is not followed by a comma",
            ),
            (
                "a.b:secret\\q",
                "\"a.b\" has the escape \\q: expected \\n, \\t, \\\", \\, or \\\\",
            ),
            (
                "a.b:secret\\",
                "\"a.b\" has the escape \\at the end: expected \\n, \\t, \\\", \\, or \\\\",
            ),
            (
                "nodot:secret",
                "expected a key such as user.name or \"http.https://git.example/.proxy\", not \"nodot\"",
            ),
            (
                ":a:b",
                "expected a key such as user.name or \"http.https://git.example/.proxy\", not \":a\"",
            ),
            (
                "a.1b:secret",
                "expected a key such as user.name or \"http.https://git.example/.proxy\", not \"a.1b\"",
            ),
            (
                "a_b.c:secret",
                "expected a key such as user.name or \"http.https://git.example/.proxy\", not \"a_b.c\"",
            ),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert_eq!(error, sentence, "{text}");
        }
    }

    #[test]
    fn a_key_has_two_or_three_parts() {
        let key = Key::of("http.https://git.example/a.b/.extraHeader").unwrap();
        assert_eq!(key.section, "http");
        assert_eq!(key.subsection, Some("https://git.example/a.b/"));
        assert_eq!(key.name, "extraHeader");
        let same = |a, b| Key::of(a).unwrap().is_same(&Key::of(b).unwrap());
        assert!(same("user.name", "User.NAME"));
        assert!(!same("url.A.insteadOf", "url.a.insteadOf"));
        assert!(!same("http.proxy", "http.https://a.proxy"));
    }

    /// Writes a text between quotes.
    fn quoted(text: &str) -> String {
        let text = text.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{}\"", text.replace('\n', "\\n").replace('\t', "\\t"))
    }

    proptest! {
        #[test]
        fn whatever_is_quoted_is_read_back(
            keys in proptest::collection::vec("[a-z]{1,4}\\.([^\n\0]{0,6}\\.)?[a-z]{1,4}", 0..4),
            values in proptest::collection::vec("\\PC*|[\\\\\",\n\t]*", 4),
        ) {
            let expected: Vec<_> = keys.into_iter().zip(values).collect();
            let written: Vec<_> = expected
                .iter()
                .map(|(key, value)| format!("{}:{}", quoted(key), quoted(value)))
                .collect();
            prop_assert_eq!(parse(&written.join(",")).unwrap(), expected);
        }

        #[test]
        fn nothing_makes_it_fail_otherwise_than_with_a_sentence(text in "[a-c.:,\"\\\\ \n]*") {
            // The test only looks for panics.
            let _ = parse(&text);
        }
    }
}
