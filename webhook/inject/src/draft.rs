use json_patch::Patch;
use json_patch::jsonptr::PointerBuf;
use serde_json::Map;
use serde_json::Value;

use crate::InternalError;
use crate::operations::Operations;
use crate::operations::no_place;

/// A document that things are taken out of, as an uninjection does: every edit is made in a working
/// copy and recorded at once, so that the next edit is judged on the document as it then is.
#[derive(Debug)]
pub(crate) struct Draft {
    working: Value,
    operations: Operations,
}

impl Draft {
    pub(crate) fn new(document: &Value) -> Self {
        Self {
            working: document.clone(),
            operations: Operations::default(),
        }
    }

    /// Sets a member of a map; makes the map where there is none, and does nothing where the
    /// member has that value.
    pub(crate) fn set(
        &mut self,
        map: &PointerBuf,
        key: &str,
        value: Value,
    ) -> Result<(), InternalError> {
        match self.working.pointer_mut(map.as_str()) {
            Some(Value::Object(members)) => {
                self.operations.set(members, map, key, value);
                Ok(())
            }
            None | Some(Value::Null) => {
                let members = Map::from_iter([(key.to_owned(), value)]);
                self.add_member(map, Value::Object(members))
            }
            Some(_) => Err(no_place(map)),
        }
    }

    /// Removes a member of a map; does nothing where there is none.
    pub(crate) fn remove(&mut self, map: &PointerBuf, key: &str) -> Result<(), InternalError> {
        match self.working.pointer_mut(map.as_str()) {
            Some(Value::Object(members)) => {
                self.operations.unset(members, map, key);
                Ok(())
            }
            _ => Err(no_place(map)),
        }
    }

    /// Removes an item of a list.
    pub(crate) fn take(&mut self, list: &PointerBuf, index: usize) -> Result<(), InternalError> {
        match self.working.pointer_mut(list.as_str()) {
            Some(Value::Array(items)) if index < items.len() => {
                items.remove(index);
                self.operations.remove(list.with_trailing_token(index));
                Ok(())
            }
            _ => Err(no_place(list)),
        }
    }

    /// Removes a member that is an empty list or map.
    pub(crate) fn prune(&mut self, path: &PointerBuf) {
        let is_empty = match self.working.pointer(path.as_str()) {
            Some(Value::Array(items)) => items.is_empty(),
            Some(Value::Object(members)) => members.is_empty(),
            _ => false,
        };
        if let Some((parent, key)) = path.split_back().filter(|_| is_empty)
            && let Some(Value::Object(members)) = self.working.pointer_mut(parent.as_str())
        {
            members.remove(key.decoded().as_ref());
            self.operations.remove(path.clone());
        }
    }

    /// Gives the edited document and what was recorded.
    pub(crate) fn finish(self) -> (Value, Patch) {
        (self.working, self.operations.into_patch())
    }

    fn add_member(&mut self, path: &PointerBuf, value: Value) -> Result<(), InternalError> {
        let parent = path.split_back().and_then(|(parent, key)| {
            let parent = self.working.pointer_mut(parent.as_str())?.as_object_mut()?;
            Some((parent, key.decoded().into_owned()))
        });
        let (parent, key) = parent.ok_or_else(|| no_place(path))?;
        parent.insert(key, value.clone());
        self.operations.add(path.clone(), value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::path;
    use serde_json::json;

    /// Makes the edits, and holds the recorded patch to making the same document.
    fn edited(
        document: Value,
        edits: impl FnOnce(&mut Draft) -> Result<(), InternalError>,
    ) -> (Value, Vec<String>) {
        let mut draft = Draft::new(&document);
        edits(&mut draft).unwrap();
        let (working, patch) = draft.finish();
        let mut patched = document;
        json_patch::patch(&mut patched, &patch).unwrap();
        assert_eq!(patched, working);
        let paths = patch.iter().map(|operation| operation.path().to_string());
        (working, paths.collect())
    }

    #[test]
    fn a_member_is_set_in_whatever_map_there_is() {
        let set = |document: Value| {
            edited(document, |draft| {
                draft.set(&path(["m"]), "a/b~c", json!("x"))
            })
        };
        assert_eq!(set(json!({})).1, ["/m"]);
        assert_eq!(set(json!({"m": null})).1, ["/m"]);
        assert_eq!(set(json!({"m": {"a/b~c": "y"}})).1, ["/m/a~1b~0c"]);
        assert_eq!(set(json!({"m": {"a/b~c": "x"}})).1, [""; 0]);
        assert_eq!(
            set(json!({"m": {"k": 1}})).0,
            json!({"m": {"k": 1, "a/b~c": "x"}})
        );
    }
}
