//! How a text is written.

use crate::cli::documents::tree::Kind;
use crate::cli::documents::tree::Node;
use crate::cli::documents::write::Style;

/// Tells whether a text in braces puts the names of members in quotes.
pub(super) fn is_like_json(text: &str, root: &Node) -> bool {
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
pub(super) fn style(text: &str, root: &Node) -> Style {
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
