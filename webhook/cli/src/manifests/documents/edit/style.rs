//! Detects the style of a text.

use crate::manifests::documents::tree::Kind;
use crate::manifests::documents::tree::Node;
use crate::manifests::documents::write::Style;

/// Whether a text in flow style quotes the keys of its members.
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

/// The indentation style, from the first map and list inside a map.
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

/// The offset of the first content in a node.
fn first(node: &Node) -> usize {
    let inner = match &node.kind {
        Kind::Leaf => None,
        Kind::Map { entries, .. } => entries.first().map(|entry| entry.start),
        Kind::Seq { items, .. } => items.first().map(|item| item.start),
    };
    inner.unwrap_or(node.start)
}
