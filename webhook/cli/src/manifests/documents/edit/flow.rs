//! Edits of maps and lists in flow style (braces and brackets).

use std::ops::Range;

use serde_json::Map;
use serde_json::Value;

use super::Editor;
use super::Slot;
use super::added;
use super::steps::Step;
use super::steps::steps;
use crate::manifests::documents::tree::Entry;
use crate::manifests::documents::tree::Node;
use crate::manifests::documents::tree::is_overridden;
use crate::manifests::documents::write;

impl Editor<'_> {
    pub(super) fn flow_map(
        &mut self,
        entries: &[Entry],
        old: &Map<String, Value>,
        new: &Map<String, Value>,
    ) -> Option<()> {
        let mut gone = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let key = entry.key.as_ref()?;
            gone.push(!new.contains_key(key));
            if is_overridden(entries, index) {
                continue;
            }
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

    pub(super) fn flow_seq(&mut self, items: &[Node], old: &[Value], new: &[Value]) -> Option<()> {
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

    /// Inserts a text before the item of this index, or after the last one.
    fn insert_in_flow(&mut self, places: &[Range<usize>], index: usize, written: &str) {
        let margin = places.first().and_then(|first| self.margin(first.start));
        let space = margin.map_or(" ".to_owned(), |margin| format!("\n{margin}"));
        let (at, written) = match index.checked_sub(1) {
            None => (places[0].start, format!("{written},{space}")),
            Some(before) => (places[before].end, format!(",{space}{written}")),
        };
        self.pieces.push((at..at, written));
    }
}
