//! The syntax tree of a YAML text, with offsets; JSON is YAML in flow style.

use std::borrow::Cow;
use std::iter::Peekable;

use granit_parser::Event;
use granit_parser::Parser;
use granit_parser::ScalarStyle;
use granit_parser::Span;
use granit_parser::StructureStyle;

/// A node and its byte range, including its anchor and tag.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) start: usize,
    /// The offset after its last character, without line end and comment.
    pub(super) end: usize,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A scalar or an alias.
    Leaf,
    Map {
        is_flow: bool,
        entries: Vec<Entry>,
    },
    Seq {
        is_flow: bool,
        items: Vec<Node>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// The key; `None` if it is not a string.
    pub(super) key: Option<String>,
    pub(super) start: usize,
    /// The offset after the colon.
    pub(super) colon: usize,
    pub(super) value: Node,
}

impl Node {
    /// Collects the duplicate keys of maps, each with the offset of its last entry.
    pub(super) fn duplicates(&self, found: &mut Vec<(usize, String)>) {
        match &self.kind {
            Kind::Leaf => {}
            Kind::Seq { items, .. } => items.iter().for_each(|item| item.duplicates(found)),
            Kind::Map { entries, .. } => {
                for (index, entry) in entries.iter().enumerate() {
                    entry.value.duplicates(found);
                    let Some(key) = &entry.key else { continue };
                    let is_second = entries[..index].iter().any(|own| own.key == entry.key);
                    if is_second && !is_overridden(entries, index) {
                        found.push((entry.start, key.clone()));
                    }
                }
            }
        }
    }
}

/// Whether a later entry of the map has the same key and so overrides this one.
pub(super) fn is_overridden(entries: &[Entry], index: usize) -> bool {
    let (own, later) = (&entries[index], &entries[index + 1..]);
    own.key.is_some() && later.iter().any(|other| other.key == own.key)
}

type Events<'a> = Peekable<Box<dyn Iterator<Item = (Event<'a>, Span)> + 'a>>;

/// The comments of a text with their lines, from 1.
pub(super) fn comments(text: &str) -> Vec<(usize, String)> {
    let options = granit_parser::options! { emit_comments: true };
    let parser = Parser::new_from_str_with_options(text, options);
    let events = parser.map_while(Result::ok);
    events
        .filter_map(|(event, span)| match event {
            Event::Comment(text, _) => Some((span.start.line(), text.trim().to_owned())),
            _ => None,
        })
        .collect()
}

/// Parses a document without a byte order mark; `None` if it is empty or not YAML.
pub(super) fn parse(text: &str) -> Option<Node> {
    let options = granit_parser::options! {
        emit_anchor_events: true,
        emit_comments: false,
    };
    let parser = Parser::new_from_str_with_options(text, options);
    let events: Box<dyn Iterator<Item = (Event<'_>, Span)>> =
        Box::new(parser.map_while(Result::ok));
    let mut events = events.peekable();
    while let Some((event, _)) = events.peek() {
        if event.is_node() {
            return node(text, &mut events).map(|(node, _)| node);
        }
        events.next();
    }
    None
}

/// Parses a node; also returns its text if it is a scalar.
fn node<'a>(text: &str, events: &mut Events<'a>) -> Option<(Node, Option<Cow<'a, str>>)> {
    let (event, span) = events.next()?;
    let bytes = span.byte_range()?;
    let tag = span.tag_span().and_then(|tag| tag.byte_range());
    let mut start = tag.map_or(bytes.start, |tag| tag.start.min(bytes.start));
    if let Some((Event::Anchor(..), anchor)) = events.peek() {
        start = start.min(anchor.byte_range()?.start);
        events.next();
    }
    let is_end = |event: &Event<'_>| matches!(event, Event::MappingEnd | Event::SequenceEnd);
    let mut scalar = None;
    let (end, kind) = match event {
        Event::Scalar(value, style, ..) => {
            scalar = Some(value);
            match style {
                ScalarStyle::Literal | ScalarStyle::Folded => {
                    let content = text.get(bytes.clone())?;
                    (bytes.start + content.trim_end().len(), Kind::Leaf)
                }
                _ => (bytes.end, Kind::Leaf),
            }
        }
        Event::Alias(_) => (bytes.end, Kind::Leaf),
        Event::SequenceStart(style, ..) => {
            let mut items = Vec::new();
            while events.peek().is_some_and(|(event, _)| !is_end(event)) {
                items.push(node(text, events)?.0);
            }
            let end = end(style, events)?;
            let last = items.last().map(|last: &Node| last.end);
            let is_flow = style == StructureStyle::Flow;
            (end.or(last)?, Kind::Seq { is_flow, items })
        }
        Event::MappingStart(style, ..) => {
            let mut entries: Vec<Entry> = Vec::new();
            while events.peek().is_some_and(|(event, _)| !is_end(event)) {
                entries.push(entry(text, events)?);
            }
            let end = end(style, events)?;
            let last = entries.last().map(|last| last.value.end);
            let is_flow = style == StructureStyle::Flow;
            (end.or(last)?, Kind::Map { is_flow, entries })
        }
        _ => return None,
    };
    Some((Node { start, end, kind }, scalar))
}

/// The end offset of a flow collection; `None` in block style, which ends with its last child.
fn end(style: StructureStyle, events: &mut Events<'_>) -> Option<Option<usize>> {
    let (_, span) = events.next()?;
    let end = span.byte_range()?.end;
    Some(Some(end).filter(|_| style == StructureStyle::Flow))
}

fn entry(text: &str, events: &mut Events<'_>) -> Option<Entry> {
    let (key, scalar) = node(text, events)?;
    let after = text.get(key.end..)?;
    let colon = key.end + after.find(':').map_or(0, |at| at + 1);
    let (mut value, _) = node(text, events)?;
    if value.kind == Kind::Leaf && value.start == value.end {
        // An empty value is at the offset of the colon.
        (value.start, value.end) = (colon, colon);
    }
    Some(Entry {
        key: scalar.map(Cow::into_owned),
        start: key.start,
        colon,
        value,
    })
}
