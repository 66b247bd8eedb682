//! The differences between two lists.

use std::hash::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher;

use serde_json::Value;
use similar::Algorithm;
use similar::DiffOp;
use similar::capture_diff_slices;

/// A step from the old list to the new one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    Both(usize, usize),
    Removed(usize),
    /// The index of the old item to insert before, and that of the new item.
    Added(usize, usize),
}

/// Pairs the items of two lists: by name, which identifies items in Kubernetes, or else by their
/// whole value. Lists of equal length are taken as changed in place.
pub(super) fn steps(old: &[Value], new: &[Value]) -> Vec<Step> {
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
        // An item without a name that replaces another one is taken as a change of it.
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

/// Whether items are both added and removed: in flow style the whole list is replaced then.
pub(super) fn is_exchanged(old: &[Value], new: &[Value]) -> bool {
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
