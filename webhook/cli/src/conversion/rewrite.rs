//! Replaces volumes and containers by annotations.

use inject::Outcome;
use json_patch::AddOperation;
use json_patch::Patch;
use json_patch::PatchOperation;
use json_patch::RemoveOperation;
use json_patch::ReplaceOperation;
use json_patch::jsonptr::PointerBuf;
use json_patch::jsonptr::Token;
use k8s_openapi::api::core::v1::PodSpec;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::keys;
use super::keys::Keys;
use super::view;
use crate::conversion::source::Note;
use crate::conversion::source::Source;
use crate::conversion::source::answered;

/// A rewritten template.
#[derive(Debug, Default)]
pub(super) struct Rewritten {
    pub(super) patch: Patch,
    pub(super) notes: Vec<Note>,
}

/// Rewrites a template; an error is the reason why the injector would not do the equivalent.
pub(super) fn rewrite(
    template: &Value,
    pod: &PodSpec,
    sources: &[Source],
) -> Result<Rewritten, String> {
    let goes = |name: &String| sources.iter().any(|source| source.removed.contains(name));
    let volumes: Vec<&str> = sources.iter().map(|own| own.volume.as_str()).collect();
    let all: Vec<String> = pod
        .containers
        .iter()
        .map(|own| own.name.clone())
        .filter(|name| !goes(name))
        .collect();
    let has_volumes = pod
        .volumes
        .iter()
        .flatten()
        .any(|volume| volume.git_repo.is_some() && !volumes.contains(&volume.name.as_str()));
    let none = Map::new();
    let present = template
        .pointer("/metadata/annotations")
        .and_then(Value::as_object)
        .unwrap_or(&none);
    let Keys {
        set,
        removed,
        notes,
    } = keys::of(sources, present, &all, has_volumes)?;

    let mut draft = Draft::new(template);
    // The volumes that only removed containers mount.
    let mut unused: Vec<&str> = volumes.clone();
    for (container, _) in view::all(pod).filter(|(own, _)| goes(&own.name)) {
        let mounts = container.volume_mounts.iter().flatten();
        unused.extend(mounts.map(|mount| mount.name.as_str()));
    }
    for (container, _) in view::all(pod).filter(|(own, _)| !goes(&own.name)) {
        let mounts = container.volume_mounts.iter().flatten();
        let devices = container.volume_devices.iter().flatten();
        let names = mounts
            .map(|mount| &mount.name)
            .chain(devices.map(|device| &device.name));
        for name in names.filter(|name| !volumes.contains(&name.as_str())) {
            unused.retain(|unused| unused != name);
        }
    }
    for list in ["initContainers", "containers"] {
        let containers = draft.names(&["spec", list]);
        for (index, _) in containers.iter().enumerate() {
            let index = index.to_string();
            let mounts = ["spec", list, &index, "volumeMounts"];
            draft.remove_named(&mounts, |name| volumes.contains(&name));
        }
        draft.remove_named(&["spec", list], |name| goes(&name.to_owned()));
    }
    draft.remove_named(&["spec", "volumes"], |name| unused.contains(&name));
    for key in &removed {
        draft.remove(&["metadata", "annotations", key]);
    }
    for (key, value) in set {
        draft.set(&["metadata", "annotations", &key], Value::String(value));
    }
    match answered(&draft.working)? {
        Outcome::Inject(plan) if plan.requests.len() >= sources.len() => Ok(Rewritten {
            patch: Patch(draft.operations),
            notes,
        }),
        Outcome::Deny(refusal) => Err(format!("annotations do not allow it: {refusal}")),
        Outcome::Inject(_) => Err("annotations cannot express all of it".to_owned()),
        Outcome::Skip(reason) => Err(format!(
            "the webhook would not inject into the Pod: {reason}"
        )),
    }
}

/// A document under edit, with the operations so far.
struct Draft {
    working: Value,
    operations: Vec<PatchOperation>,
}

impl Draft {
    fn new(document: &Value) -> Self {
        Self {
            working: document.clone(),
            operations: Vec::new(),
        }
    }

    /// The names of the items of a list.
    fn names(&self, list: &[&str]) -> Vec<String> {
        let items = self.working.pointer(pointer(list).as_str());
        let items = items.and_then(Value::as_array).into_iter().flatten();
        items
            .map(|item| item["name"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// Removes items of a list by name, and the list itself if it becomes empty.
    fn remove_named(&mut self, list: &[&str], goes: impl Fn(&str) -> bool) {
        let names = self.names(list);
        let gone: Vec<usize> = (0..names.len())
            .filter(|index| goes(&names[*index]))
            .collect();
        if gone.len() == names.len() && !names.is_empty() {
            self.remove(list);
            return;
        }
        for index in gone.iter().rev() {
            let index = index.to_string();
            let path: Vec<&str> = list.iter().copied().chain([index.as_str()]).collect();
            self.remove(&path);
        }
    }

    fn remove(&mut self, path: &[&str]) {
        let path = pointer(path);
        self.apply(PatchOperation::Remove(RemoveOperation { path }));
    }

    /// Sets a member of a map; creates missing parent maps.
    fn set(&mut self, path: &[&str], value: Value) {
        for end in 1..path.len() {
            let map = pointer(&path[..end]);
            let present = self.working.pointer(map.as_str());
            if present.is_none_or(Value::is_null) {
                let value = json!({});
                self.apply(PatchOperation::Add(AddOperation { path: map, value }));
            }
        }
        let path = pointer(path);
        let operation = match self.working.pointer(path.as_str()) {
            Some(_) => PatchOperation::Replace(ReplaceOperation { path, value }),
            None => PatchOperation::Add(AddOperation { path, value }),
        };
        self.apply(operation);
    }

    /// Applies an operation. Its path was checked just before; one that does not apply is left out
    /// of the patch too.
    fn apply(&mut self, operation: PatchOperation) {
        let patch = Patch(vec![operation]);
        if json_patch::patch(&mut self.working, &patch).is_ok() {
            self.operations.extend(patch.0);
        }
    }
}

fn pointer(path: &[&str]) -> PointerBuf {
    PointerBuf::from_tokens(path.iter().map(|token| Token::new(*token)))
}
