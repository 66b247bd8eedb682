//! Splits a YAML text into documents (YAML 1.2.2, chapter 9). A line that begins with `---` or
//! `...` is always a marker: no scalar may contain one (`c-forbidden`). So finding them needs no
//! parser, and an error in one document does not affect the others.

use std::ops::Range;

/// The position of a document in the text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Segment {
    /// The byte range.
    pub(super) range: Range<usize>,
    /// The first line, from 1.
    pub(super) line: usize,
    /// Whether it contains more than markers, comments and directives.
    pub(super) has_content: bool,
}

/// The documents of a text, at least one; together they are the whole text.
pub(super) fn segments(text: &str) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut at = Segment {
        range: 0..0,
        line: 1,
        has_content: false,
    };
    // Directives belong to the document after the marker that follows them.
    let mut has_directives = false;
    let mut is_marked = false;
    for (number, line) in lines(text).enumerate() {
        let start = at.range.end;
        let own = line.strip_prefix('\u{feff}').unwrap_or(line);
        let begins = is_marker(own, "---");
        if begins && start > at.range.start && (at.has_content || is_marked || !has_directives) {
            segments.push(std::mem::replace(
                &mut at,
                Segment {
                    range: start..start,
                    line: number + 1,
                    has_content: false,
                },
            ));
            has_directives = false;
        }
        at.range.end += line.len();
        if begins {
            is_marked = true;
            let rest = own.get(3..).unwrap_or_default();
            at.has_content |= has_content(rest);
        } else if is_marker(own, "...") {
            let end = at.range.end;
            segments.push(std::mem::replace(
                &mut at,
                Segment {
                    range: end..end,
                    line: number + 2,
                    has_content: false,
                },
            ));
            (has_directives, is_marked) = (false, false);
        } else if own.starts_with('%') && !is_marked && !at.has_content {
            has_directives = true;
        } else {
            at.has_content |= has_content(own);
        }
    }
    if !at.range.is_empty() || segments.is_empty() {
        segments.push(at);
    }
    segments
}

/// The lines including their ends: LF, CR LF, or CR alone.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.find(['\n', '\r']).map_or(rest.len(), |at| {
            at + 1 + usize::from(rest[at..].starts_with("\r\n"))
        });
        let (line, after) = rest.split_at(end);
        rest = after;
        Some(line)
    })
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n', '\r']))
}

fn has_content(line: &str) -> bool {
    let line = line.trim_start();
    !line.is_empty() && !line.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<(&str, usize, bool)> {
        let segments = segments(text);
        let all = segments
            .iter()
            .map(|own| (&text[own.range.clone()], own.line, own.has_content));
        all.collect()
    }

    #[test]
    fn a_marker_begins_a_document_and_dots_end_one() {
        assert_eq!(
            split("# x\n---\na: 1\n--- # y\nb: |\n  ---\n...\n# z\n---\nc\n"),
            [
                ("# x\n", 1, false),
                ("---\na: 1\n", 2, true),
                ("--- # y\nb: |\n  ---\n...\n", 4, true),
                ("# z\n", 8, false),
                ("---\nc\n", 9, true),
            ]
        );
        assert_eq!(split(""), [("", 1, false)]);
        assert_eq!(split("a\n...\n"), [("a\n...\n", 1, true)]);
        assert_eq!(split("---a\n---"), [("---a\n", 1, true), ("---", 2, false)]);
    }

    #[test]
    fn directives_go_with_the_document_they_are_for() {
        assert_eq!(
            split("%YAML 1.2\n# c\n---\na\n...\n%YAML 1.2\n---\nb"),
            [
                ("%YAML 1.2\n# c\n---\na\n...\n", 1, true),
                ("%YAML 1.2\n---\nb", 6, true)
            ]
        );
    }

    #[test]
    fn every_kind_of_line_end_is_one() {
        assert_eq!(
            split("\u{feff}---\r\na\r\n---\rb\r---\nc"),
            [
                ("\u{feff}---\r\na\r\n", 1, true),
                ("---\rb\r", 3, true),
                ("---\nc", 5, true)
            ]
        );
    }
}
