//! Edits a text where its value changes, and keeps the rest: comments, quotes, order, indentation.
//! The differences become byte ranges to replace, in one pass. The caller parses the new text and
//! discards it if its value is not the expected one.

mod flow;
mod steps;
mod style;

use std::ops::Range;

use serde_json::Map;
use serde_json::Value;

use self::steps::Step;
use self::steps::is_exchanged;
use self::steps::steps;
use self::style::is_like_json;
use self::style::style;
use super::tree;
use super::tree::Entry;
use super::tree::Kind;
use super::tree::Node;
use super::write;
use super::write::Style;

/// Edits a text with the value `old` to the value `new`; `None` if that is not supported.
pub(super) fn edited(text: &str, old: &Value, new: &Value, is_json: bool) -> Option<String> {
    let root = tree::parse(text)?;
    let mut editor = Editor {
        text,
        lines: line_starts(text),
        style: Style {
            // A JSON text with a document marker or a comment is YAML.
            is_json: is_json || is_like_json(text, &root),
            ..style(text, &root)
        },
        pieces: Vec::new(),
    };
    editor.change(&root, old, new, Slot::Root)?;
    editor.finish()
}

fn line_starts(text: &str) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut start = 0;
    for line in super::split::lines(text) {
        starts.push(start);
        start += line.len();
    }
    starts
}

/// The context of a node.
#[derive(Clone, Copy, Debug)]
enum Slot<'a> {
    Root,
    Flow,
    /// The value of an entry of a map in block style.
    Value(&'a Entry),
    /// An item of a list in block style, with the offset of its dash.
    Item {
        dash: usize,
    },
}

struct Editor<'a> {
    text: &'a str,
    /// The offsets of all lines; a whole List may be on one line.
    lines: Vec<usize>,
    style: Style,
    pieces: Vec<(Range<usize>, String)>,
}

impl Editor<'_> {
    fn change(&mut self, node: &Node, old: &Value, new: &Value, slot: Slot<'_>) -> Option<()> {
        if old == new {
            return Some(());
        }
        let inner = match (&node.kind, old, new) {
            (Kind::Map { is_flow, entries }, Value::Object(old), Value::Object(new))
                if !entries.is_empty() && !new.is_empty() =>
            {
                let removed =
                    |entry: &Entry| entry.key.as_ref().is_none_or(|key| !new.contains_key(key));
                match entries.iter().all(removed) {
                    true => None,
                    false => Some(match is_flow {
                        true => self.flow_map(entries, old, new),
                        false => self.block_map(entries, old, new),
                    }),
                }
            }
            (Kind::Seq { is_flow, items }, Value::Array(old), Value::Array(new))
                if !items.is_empty() && !new.is_empty() =>
            {
                if items.len() != old.len() {
                    return None;
                }
                match is_flow {
                    true if is_exchanged(old, new) => None,
                    true => Some(self.flow_seq(items, old, new)),
                    false => Some(self.block_seq(items, old, new)),
                }
            }
            _ => None,
        };
        inner.unwrap_or_else(|| self.replace(node, new, slot))
    }

    fn replace(&mut self, node: &Node, new: &Value, slot: Slot<'_>) -> Option<()> {
        let (start, written) = match slot {
            Slot::Root => return None,
            Slot::Flow => {
                let written = match node.start == node.end {
                    true => format!(" {}", write::flow(new, None, self.style)),
                    false => write::flow(new, self.margin(node.start), self.style),
                };
                (node.start, written)
            }
            Slot::Value(entry) => {
                let column = self.column(entry.start);
                let member = Map::from_iter([(entry.key.clone()?, new.clone())]);
                let written = write::block(&Value::Object(member), column, self.style);
                (entry.start, written.trim().to_owned())
            }
            Slot::Item { dash } => {
                let item = Value::Array(vec![new.clone()]);
                let written = write::block(&item, self.column(dash), self.style);
                (dash, written.trim().to_owned())
            }
        };
        self.pieces.push((start..node.end, written));
        Some(())
    }

    fn block_map(
        &mut self,
        entries: &[Entry],
        old: &Map<String, Value>,
        new: &Map<String, Value>,
    ) -> Option<()> {
        for (index, entry) in entries.iter().enumerate() {
            let key = entry.key.as_ref()?;
            if new.contains_key(key) && tree::is_overridden(entries, index) {
                continue;
            }
            match (old.get(key), new.get(key)) {
                (Some(old), Some(new)) => {
                    self.change(&entry.value, old, new, Slot::Value(entry))?;
                }
                (_, None) if self.is_first_on_line(entry.start) => {
                    let lines = self.line_start(entry.start)..self.line_end(entry.value.end);
                    self.pieces.push((lines, String::new()));
                }
                // The first entry, after the dash of an item: the next entry takes its place.
                (_, None) => {
                    let next = entries.get(index + 1)?.start;
                    self.pieces.push((entry.start..next, String::new()));
                }
                // Entries from a merge key exist in the value only.
                (None, Some(_)) => {}
            }
        }
        let (first, last) = (entries.first()?, entries.last()?);
        let column = self.column(first.start);
        for member in added(entries, old, new) {
            let written = write::block(&Value::Object(member), column, self.style);
            let at = self.below_comments(last.value.end, column);
            self.insert_lines(at, &written);
        }
        Some(())
    }

    fn block_seq(&mut self, items: &[Node], old: &[Value], new: &[Value]) -> Option<()> {
        let first = self.dash(items.first()?)?;
        let column = self.column(first);
        // A comment at the column of the dash may be about what follows the list.
        let end = self.below_comments(items.last()?.end, column + 1);
        for step in steps(old, new) {
            match step {
                Step::Both(before, after) => {
                    let item = &items[before];
                    let dash = self.dash(item)?;
                    self.change(item, &old[before], &new[after], Slot::Item { dash })?;
                }
                Step::Removed(before) => {
                    let dash = self.dash(&items[before])?;
                    if !self.is_first_on_line(dash) {
                        return None;
                    }
                    let lines = self.line_start(dash)..self.line_end(items[before].end);
                    self.pieces.push((lines, String::new()));
                }
                Step::Added(before, after) => {
                    let at = match items.get(before) {
                        None => end,
                        Some(item) => {
                            let dash = self.dash(item)?;
                            if !self.is_first_on_line(dash) {
                                return None;
                            }
                            let above = before.checked_sub(1).map(|above| items[above].end);
                            self.above_comments(dash, above.unwrap_or_default())
                        }
                    };
                    let item = Value::Array(vec![new[after].clone()]);
                    let written = write::block(&item, column, self.style);
                    self.insert_lines(at, &written);
                }
            }
        }
        Some(())
    }

    fn insert_lines(&mut self, at: usize, lines: &str) {
        let is_unended = at > 0 && !self.text[..at].ends_with(['\n', '\r']);
        let written = match is_unended {
            true => format!("\n{}", lines.trim_end()),
            false => lines.to_owned(),
        };
        self.pieces.push((at..at, written));
    }

    /// The whole text with the replacements; `None` if two of them overlap.
    fn finish(mut self) -> Option<String> {
        // The sort is stable: insertions at one offset stay in order, before a removal from there.
        self.pieces
            .sort_by_key(|(range, _)| (range.start, range.end));
        let line_end = line_end_of(self.text);
        let mut written = String::with_capacity(self.text.len());
        let mut at = 0;
        for (range, piece) in &self.pieces {
            written.push_str(self.text.get(at..range.start)?);
            written.push_str(&piece.replace('\n', line_end));
            at = range.end;
        }
        written.push_str(self.text.get(at..)?);
        if !self.text.ends_with(['\n', '\r']) {
            written.truncate(written.trim_end_matches(['\n', '\r']).len());
        }
        Some(written)
    }

    /// The offset of the dash before an item of a list in block style.
    fn dash(&self, item: &Node) -> Option<usize> {
        let before = self.text[..item.start].trim_end_matches([' ', '\t']);
        before.ends_with('-').then(|| before.len() - 1)
    }

    fn line_start(&self, at: usize) -> usize {
        let before = self.lines.partition_point(|start| *start <= at);
        before.checked_sub(1).map_or(0, |line| self.lines[line])
    }

    /// The offset of the line after this one.
    fn line_end(&self, at: usize) -> usize {
        let line = super::split::lines(&self.text[at..]).next();
        at + line.map_or(0, str::len)
    }

    fn column(&self, at: usize) -> usize {
        at - self.line_start(at)
    }

    fn is_first_on_line(&self, at: usize) -> bool {
        self.margin(at).is_some()
    }

    /// The indentation of a line, if nothing else precedes this offset.
    fn margin(&self, at: usize) -> Option<&str> {
        let before = &self.text[self.line_start(at)..at];
        before.trim().is_empty().then_some(before)
    }

    /// The offset of the line after this one and after the comments below it that are indented to
    /// at least this column: they belong to what is above them.
    fn below_comments(&self, at: usize, column: usize) -> usize {
        let mut end = self.line_end(at);
        let mut at = end;
        for line in super::split::lines(&self.text[end..]) {
            at += line.len();
            let trimmed = line.trim_start();
            if trimmed.starts_with('#') && line.len() - trimmed.len() >= column {
                end = at;
            } else if !trimmed.is_empty() {
                break;
            }
        }
        end
    }

    /// The offset of an item's line, or of the comments directly above it, which belong to it.
    fn above_comments(&self, dash: usize, limit: usize) -> usize {
        let margin = self.margin(dash).unwrap_or_default();
        let mut at = self.line_start(dash);
        while at > 0 {
            let above = self.line_start(at - 1 - usize::from(self.text[..at].ends_with("\r\n")));
            let line = &self.text[above..at];
            let is_comment = line
                .strip_prefix(margin)
                .is_some_and(|line| line.starts_with('#'));
            if above < limit || !is_comment {
                break;
            }
            at = above;
        }
        at
    }
}

/// The members without an entry, each in a map of its own.
fn added(
    entries: &[Entry],
    old: &Map<String, Value>,
    new: &Map<String, Value>,
) -> Vec<Map<String, Value>> {
    let has_entry = |key: &String| entries.iter().any(|entry| entry.key.as_ref() == Some(key));
    new.iter()
        .filter(|(key, value)| old.get(*key) != Some(value) && !has_entry(key))
        .map(|(key, value)| Map::from_iter([(key.clone(), value.clone())]))
        .collect()
}

/// The line end of a text.
pub(super) fn line_end_of(text: &str) -> &'static str {
    match text.contains("\r\n") {
        true => "\r\n",
        false => "\n",
    }
}
