//! Edits a text where it differs from what it should say, and leaves the rest as it is: comments,
//! quotes, order, indentation. The differences become pieces of text to be replaced, in one pass.
//! Whoever calls reads the new text again: what was misjudged here is never written.

use std::hash::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher;
use std::ops::Range;

use serde_json::Map;
use serde_json::Value;
use similar::Algorithm;
use similar::DiffOp;
use similar::capture_diff_slices;

use super::tree;
use super::tree::Entry;
use super::tree::Kind;
use super::tree::Node;
use super::write;
use super::write::Style;

/// Edits a text that says `old` so that it says `new`; `None` where that is beyond it.
pub(super) fn edited(text: &str, old: &Value, new: &Value, is_json: bool) -> Option<String> {
    let root = tree::parse(text)?;
    let mut editor = Editor {
        text,
        lines: line_starts(text),
        style: Style {
            // JSON is YAML too, with a marker before it or a comment in it.
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

/// What a node stands in.
#[derive(Clone, Copy, Debug)]
enum Slot<'a> {
    Root,
    Flow,
    /// The value of an entry of a map in block style.
    Value(&'a Entry),
    /// An item of a list in block style, and where its dash is.
    Item {
        dash: usize,
    },
}

struct Editor<'a> {
    text: &'a str,
    /// Where each line begins: all of a List may be on one.
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
            match (old.get(key), new.get(key)) {
                (Some(old), Some(new)) => {
                    self.change(&entry.value, old, new, Slot::Value(entry))?;
                }
                (_, None) if self.is_first_on_line(entry.start) => {
                    let lines = self.line_start(entry.start)..self.line_end(entry.value.end);
                    self.pieces.push((lines, String::new()));
                }
                // The first one, behind the dash of an item: the next one takes its place.
                (_, None) => {
                    let next = entries.get(index + 1)?.start;
                    self.pieces.push((entry.start..next, String::new()));
                }
                // What a merge key brings in is seen in the value alone.
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
        // What is as far in as the dash may be about what comes after the list.
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

    fn flow_map(
        &mut self,
        entries: &[Entry],
        old: &Map<String, Value>,
        new: &Map<String, Value>,
    ) -> Option<()> {
        let mut gone = Vec::new();
        for entry in entries {
            let key = entry.key.as_ref()?;
            gone.push(!new.contains_key(key));
            if let (Some(old), Some(new)) = (old.get(key), new.get(key)) {
                self.change(&entry.value, old, new, Slot::Flow)?;
            }
        }
        let places: Vec<Range<usize>> = entries
            .iter()
            .map(|entry| entry.start..entry.value.end)
            .collect();
        self.remove_in_flow(&places, &gone)?;
        let kept = gone.iter().rposition(|gone| !gone)?;
        for member in added(entries, old, new) {
            for (key, value) in &member {
                let margin = self.margin(places[kept].start);
                let written = write::member(key, value, margin, self.style);
                self.insert_in_flow(&places, kept + 1, &written);
            }
        }
        Some(())
    }

    fn flow_seq(&mut self, items: &[Node], old: &[Value], new: &[Value]) -> Option<()> {
        let places: Vec<Range<usize>> = items.iter().map(|item| item.start..item.end).collect();
        let mut gone = vec![false; items.len()];
        let mut inserted = Vec::new();
        for step in steps(old, new) {
            match step {
                Step::Both(before, after) => {
                    self.change(&items[before], &old[before], &new[after], Slot::Flow)?;
                }
                Step::Removed(before) => gone[before] = true,
                Step::Added(before, after) => inserted.push((before, after)),
            }
        }
        self.remove_in_flow(&places, &gone)?;
        for (before, after) in inserted {
            let written = write::flow(&new[after], self.margin(places[0].start), self.style);
            self.insert_in_flow(&places, before, &written);
        }
        Some(())
    }

    fn remove_in_flow(&mut self, places: &[Range<usize>], gone: &[bool]) -> Option<()> {
        let kept = gone.iter().rposition(|gone| !gone)?;
        for (index, place) in places.iter().enumerate().take(kept) {
            if gone[index] {
                let next = places[index + 1].start;
                self.pieces.push((place.start..next, String::new()));
            }
        }
        let last = places.last()?.end;
        if places[kept].end < last {
            self.pieces.push((places[kept].end..last, String::new()));
        }
        Some(())
    }

    /// Puts something before the place of this index, or behind the last one.
    fn insert_in_flow(&mut self, places: &[Range<usize>], index: usize, written: &str) {
        let margin = places.first().and_then(|first| self.margin(first.start));
        let space = margin.map_or(" ".to_owned(), |margin| format!("\n{margin}"));
        let (at, written) = match index.checked_sub(1) {
            None => (places[0].start, format!("{written},{space}")),
            Some(before) => (places[before].end, format!(",{space}{written}")),
        };
        self.pieces.push((at..at, written));
    }

    fn insert_lines(&mut self, at: usize, lines: &str) {
        let is_unended = at > 0 && !self.text[..at].ends_with(['\n', '\r']);
        let written = match is_unended {
            true => format!("\n{}", lines.trim_end()),
            false => lines.to_owned(),
        };
        self.pieces.push((at..at, written));
    }

    /// The whole text with the pieces in it; `None` where two of them are in one place.
    fn finish(mut self) -> Option<String> {
        // Stable: what is put in one place stays in its order, before what is taken from there.
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

    /// Where the dash of an item of a list in block style is: what stands before the item.
    fn dash(&self, item: &Node) -> Option<usize> {
        let before = self.text[..item.start].trim_end_matches([' ', '\t']);
        before.ends_with('-').then(|| before.len() - 1)
    }

    fn line_start(&self, at: usize) -> usize {
        let before = self.lines.partition_point(|start| *start <= at);
        before.checked_sub(1).map_or(0, |line| self.lines[line])
    }

    /// Where the line after the one of this place begins.
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

    /// The white space before what is first on its line.
    fn margin(&self, at: usize) -> Option<&str> {
        let before = &self.text[self.line_start(at)..at];
        before.trim().is_empty().then_some(before)
    }

    /// The line after the one of this place, and after the comments there that are as far in as
    /// this column: they are about what is above them.
    fn below_comments(&self, at: usize, column: usize) -> usize {
        let mut end = self.line_end(at);
        let mut at = end;
        for line in super::split::lines(&self.text[end..]) {
            at += line.len();
            let said = line.trim_start();
            if said.starts_with('#') && line.len() - said.len() >= column {
                end = at;
            } else if !said.is_empty() {
                break;
            }
        }
        end
    }

    /// The beginning of an item's line, or of the comments above it, which are about it.
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

/// The members that no entry has, each in a map of its own.
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

/// What becomes of the items of a list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    Both(usize, usize),
    Removed(usize),
    /// Before the old item, the new one.
    Added(usize, usize),
}

/// Pairs the items of two lists: by what tells items apart in Kubernetes, their name, else by all
/// that is in them. Lists of one length are taken to have changed in place.
fn steps(old: &[Value], new: &[Value]) -> Vec<Step> {
    let before: Vec<u64> = old.iter().map(identity).collect();
    let after: Vec<u64> = new.iter().map(identity).collect();
    let has_names = |items: &[Value]| items.iter().all(|item| item["name"].is_string());
    if old.len() == new.len() && (before == after || !has_names(old) || !has_names(new)) {
        return (0..old.len())
            .map(|index| Step::Both(index, index))
            .collect();
    }
    let mut steps = Vec::new();
    for operation in capture_diff_slices(Algorithm::Myers, &before, &after) {
        let (gone, come) = (operation.old_range(), operation.new_range());
        if let DiffOp::Equal { .. } = operation {
            steps.extend(gone.zip(come).map(|(old, new)| Step::Both(old, new)));
            continue;
        }
        // Without names, one in the place of another is taken to be that one, changed.
        let both = match has_names(&old[gone.clone()]) || has_names(&new[come.clone()]) {
            true => 0,
            false => gone.len().min(come.len()),
        };
        let paired = gone.clone().zip(come.clone()).take(both);
        steps.extend(paired.map(|(old, new)| Step::Both(old, new)));
        let at = gone.start + both;
        steps.extend(come.skip(both).map(|new| Step::Added(at, new)));
        steps.extend(gone.skip(both).map(Step::Removed));
    }
    steps
}

/// Tells whether items come and others go: in flow style that is another list.
fn is_exchanged(old: &[Value], new: &[Value]) -> bool {
    let steps = steps(old, new);
    let has = |is: fn(&Step) -> bool| steps.iter().any(is);
    has(|step| matches!(step, Step::Added(..))) && has(|step| matches!(step, Step::Removed(_)))
}

fn identity(item: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    match item.get("name") {
        Some(Value::String(name)) => (true, name).hash(&mut hasher),
        _ => (false, item).hash(&mut hasher),
    }
    hasher.finish()
}

/// Tells whether a text in braces puts the names of members in quotes.
fn is_like_json(text: &str, root: &Node) -> bool {
    let Kind::Map {
        is_flow: true,
        entries,
    } = &root.kind
    else {
        return false;
    };
    let first = entries.first().and_then(|first| text.get(first.start..));
    first.is_some_and(|first| first.starts_with('"'))
}

/// How the text is indented, as its first map and list in a map tell.
fn style(text: &str, root: &Node) -> Style {
    let column = |at: usize| at - text[..at].rfind(['\n', '\r']).map_or(0, |end| end + 1);
    let mut style = Style {
        is_json: false,
        step: 2,
        indents_lists: false,
    };
    let (mut has_step, mut has_lists) = (false, false);
    let mut nodes = vec![root];
    while let (Some(node), false) = (nodes.pop(), has_step && has_lists) {
        match &node.kind {
            Kind::Leaf => {}
            Kind::Seq { items, .. } => nodes.extend(items.iter().rev()),
            Kind::Map { entries, .. } => {
                nodes.extend(entries.iter().rev().map(|entry| &entry.value));
                for entry in entries {
                    let between = text.get(entry.start..first(&entry.value));
                    if !between.is_some_and(|text| text.contains(['\n', '\r'])) {
                        continue;
                    }
                    let (outer, inner) = (column(entry.start), column(first(&entry.value)));
                    match entry.value.kind {
                        Kind::Map { .. } if !has_step && inner > outer => {
                            (style.step, has_step) = (inner - outer, true);
                        }
                        Kind::Seq { is_flow: false, .. } if !has_lists => {
                            let line = &text[..first(&entry.value)];
                            let line = &line[line.rfind(['\n', '\r']).map_or(0, |end| end + 1)..];
                            let dash = line.find('-').unwrap_or_default();
                            (style.indents_lists, has_lists) = (dash > outer, true);
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    style
}

/// Where the first thing in a node is.
fn first(node: &Node) -> usize {
    let inner = match &node.kind {
        Kind::Leaf => None,
        Kind::Map { entries, .. } => entries.first().map(|entry| entry.start),
        Kind::Seq { items, .. } => items.first().map(|item| item.start),
    };
    inner.unwrap_or(node.start)
}

/// How the lines of a text end.
pub(super) fn line_end_of(text: &str) -> &'static str {
    match text.contains("\r\n") {
        true => "\r\n",
        false => "\n",
    }
}
