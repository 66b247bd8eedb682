//! Edits as RFC 6902 operations, for the two that record them: [`crate::recorder::Recorder`] and
//! [`crate::draft::Draft`].
//!
//! No `diff` (it compares lists by index, so one insertion rewrites all that follows) and no `test`
//! operations (one that fails rejects the Pod even under `failurePolicy: Ignore`).

use json_patch::AddOperation;
use json_patch::Patch;
use json_patch::PatchOperation;
use json_patch::RemoveOperation;
use json_patch::ReplaceOperation;
use json_patch::jsonptr::PointerBuf;
use json_patch::jsonptr::Token;
use serde_json::Map;
use serde_json::Value;

use crate::InternalError;

/// What was recorded, in order.
#[derive(Debug, Default)]
pub(crate) struct Operations(Vec<PatchOperation>);

impl Operations {
    pub(crate) fn add(&mut self, path: PointerBuf, value: Value) {
        let operation = AddOperation { path, value };
        self.0.push(PatchOperation::Add(operation));
    }

    pub(crate) fn remove(&mut self, path: PointerBuf) {
        let operation = RemoveOperation { path };
        self.0.push(PatchOperation::Remove(operation));
    }

    /// Sets a member of the map at a path; nothing is recorded where the member has that value.
    pub(crate) fn set(
        &mut self,
        members: &mut Map<String, Value>,
        map: &PointerBuf,
        key: &str,
        value: Value,
    ) {
        let path = map.with_trailing_token(key);
        match members.insert(key.to_owned(), value.clone()) {
            Some(old) if old == value => {}
            Some(_) => {
                let operation = ReplaceOperation { path, value };
                self.0.push(PatchOperation::Replace(operation));
            }
            None => self.add(path, value),
        }
    }

    /// Removes a member of the map at a path; nothing is recorded where there is none.
    pub(crate) fn unset(&mut self, members: &mut Map<String, Value>, map: &PointerBuf, key: &str) {
        if members.remove(key).is_some() {
            self.remove(map.with_trailing_token(key));
        }
    }

    pub(crate) fn into_patch(self) -> Patch {
        Patch(self.0)
    }
}

/// Writes a path of member names and indexes; each is escaped as RFC 6901 wants it.
pub(crate) fn path<'a>(tokens: impl IntoIterator<Item: Into<Token<'a>>>) -> PointerBuf {
    PointerBuf::from_tokens(tokens)
}

pub(crate) fn no_place(path: &PointerBuf) -> InternalError {
    InternalError::NoPlace(path.to_string())
}
