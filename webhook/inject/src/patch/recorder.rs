//! The recorder of edits to a Pod.
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

/// A document under edit, with its RFC 6902 operations. Each operation is applied when it is
/// recorded, by the crate that applies patches: an operation that does not apply is an error at
/// once, and the document always equals what the API server makes of the original. A path refers to
/// the document after the edits before it.
#[derive(Debug)]
pub(crate) struct Recorder {
    document: Value,
    operations: Vec<PatchOperation>,
}

/// An edited document, and the patch from the original to it.
#[derive(Debug)]
pub(crate) struct Edited {
    pub(crate) document: Value,
    pub(crate) patch: Patch,
}

impl Recorder {
    pub(crate) fn new(document: Value) -> Self {
        Self {
            document,
            operations: Vec::new(),
        }
    }

    /// The value at a path.
    pub(crate) fn value(&self, path: &PointerBuf) -> Option<&Value> {
        path.resolve(&self.document).ok()
    }

    /// Adds an item at the end of a list; creates the list where there is none.
    pub(crate) fn append(&mut self, list: &PointerBuf, item: Value) -> Result<(), InternalError> {
        self.insert(list, usize::MAX, item)
    }

    /// Adds an item before the one at `index`, or at the end where there is no such item; creates
    /// the list where there is none.
    pub(crate) fn insert(
        &mut self,
        list: &PointerBuf,
        index: usize,
        item: Value,
    ) -> Result<(), InternalError> {
        match self.value(list) {
            Some(Value::Array(items)) if index < items.len() => {
                self.add(list.with_trailing_token(index), item)
            }
            Some(Value::Array(_)) => self.add(list.with_trailing_token("-"), item),
            None | Some(Value::Null) => self.add(list.clone(), Value::Array(vec![item])),
            Some(_) => Err(no_place(list)),
        }
    }

    /// Removes an item of a list.
    pub(crate) fn remove_item(
        &mut self,
        list: &PointerBuf,
        index: usize,
    ) -> Result<(), InternalError> {
        match self.value(list) {
            Some(Value::Array(_)) => self.remove(list.with_trailing_token(index)),
            _ => Err(no_place(list)),
        }
    }

    /// Sets a member of a map; creates the map where there is none, and records nothing where the
    /// member already has that value.
    pub(crate) fn set_member(
        &mut self,
        map: &PointerBuf,
        key: &str,
        value: Value,
    ) -> Result<(), InternalError> {
        match self.value(map) {
            Some(Value::Object(members)) => {
                let path = map.with_trailing_token(key);
                match members.get(key) {
                    Some(old) if *old == value => Ok(()),
                    Some(_) => {
                        let operation = ReplaceOperation { path, value };
                        self.apply(PatchOperation::Replace(operation))
                    }
                    None => self.add(path, value),
                }
            }
            None | Some(Value::Null) => {
                let members = Map::from_iter([(key.to_owned(), value)]);
                self.add(map.clone(), Value::Object(members))
            }
            Some(_) => Err(no_place(map)),
        }
    }

    /// Removes a member of a map, if present.
    pub(crate) fn remove_member(
        &mut self,
        map: &PointerBuf,
        key: &str,
    ) -> Result<(), InternalError> {
        match self.value(map) {
            Some(Value::Object(members)) if members.contains_key(key) => {
                self.remove(map.with_trailing_token(key))
            }
            Some(Value::Object(_)) => Ok(()),
            _ => Err(no_place(map)),
        }
    }

    /// Creates an empty map where there is none; its parent must exist.
    pub(crate) fn ensure_map(&mut self, path: &PointerBuf) -> Result<(), InternalError> {
        match self.value(path) {
            None | Some(Value::Null) => self.add(path.clone(), Value::Object(Map::new())),
            Some(_) => Ok(()),
        }
    }

    /// Restores an empty list or map to its value before an injection: absent, an empty list, or
    /// null.
    pub(crate) fn prune(
        &mut self,
        path: &PointerBuf,
        was: Option<&Value>,
    ) -> Result<(), InternalError> {
        let is_empty = match self.value(path) {
            Some(Value::Array(items)) => items.is_empty(),
            Some(Value::Object(members)) => members.is_empty(),
            _ => false,
        };
        match (is_empty, was) {
            (true, None) => self.remove(path.clone()),
            (true, Some(Value::Null)) => {
                let (path, value) = (path.clone(), Value::Null);
                self.apply(PatchOperation::Replace(ReplaceOperation { path, value }))
            }
            (true, Some(_)) | (false, _) => Ok(()),
        }
    }

    /// The edited document and its patch; `None` where nothing was recorded.
    pub(crate) fn finish(self) -> Option<Edited> {
        let is_edited = !self.operations.is_empty();
        is_edited.then_some(Edited {
            document: self.document,
            patch: Patch(self.operations),
        })
    }

    fn add(&mut self, path: PointerBuf, value: Value) -> Result<(), InternalError> {
        self.apply(PatchOperation::Add(AddOperation { path, value }))
    }

    fn remove(&mut self, path: PointerBuf) -> Result<(), InternalError> {
        self.apply(PatchOperation::Remove(RemoveOperation { path }))
    }

    fn apply(&mut self, operation: PatchOperation) -> Result<(), InternalError> {
        // "Unsafe" means that a failed patch may leave the document partly changed; this patch has
        // one operation.
        json_patch::patch_unsafe(&mut self.document, std::slice::from_ref(&operation))
            .map_err(|error| InternalError::Patch(Box::new(error)))?;
        self.operations.push(operation);
        Ok(())
    }
}

/// The path of member names and indexes, each escaped by RFC 6901.
pub(crate) fn path<'a>(tokens: impl IntoIterator<Item: Into<Token<'a>>>) -> PointerBuf {
    PointerBuf::from_tokens(tokens)
}

fn no_place(path: &PointerBuf) -> InternalError {
    InternalError::NoPlace(path.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Applies the edits and checks that the recorded patch produces the same document.
    fn edited(
        document: Value,
        edits: impl FnOnce(&mut Recorder) -> Result<(), InternalError>,
    ) -> (Value, Vec<String>) {
        let mut recorder = Recorder::new(document.clone());
        edits(&mut recorder).unwrap();
        let Some(edited) = recorder.finish() else {
            return (document, Vec::new());
        };
        let mut patched = document;
        json_patch::patch(&mut patched, &edited.patch).unwrap();
        assert_eq!(patched, edited.document);
        let operations = edited.patch.iter();
        let paths = operations.map(|operation| operation.path().to_string());
        (patched, paths.collect())
    }

    #[test]
    fn a_list_is_made_once_and_then_appended_to() {
        for spec in [json!({}), json!({"volumes": null}), json!({"volumes": []})] {
            let (working, paths) = edited(json!({"spec": spec}), |recorder| {
                recorder.append(&path(["spec", "volumes"]), json!(1))?;
                recorder.append(&path(["spec", "volumes"]), json!(2))
            });
            assert_eq!(working, json!({"spec": {"volumes": [1, 2]}}));
            assert_eq!(paths[1], "/spec/volumes/-");
        }
    }

    #[test]
    fn an_item_is_put_before_another_without_rewriting_it() {
        let (working, paths) = edited(json!({"l": [1, 2]}), |recorder| {
            recorder.insert(&path(["l"]), 1, json!(9))?;
            recorder.insert(&path(["l"]), 3, json!(8))?;
            recorder.insert(&path(["l"]), 0, json!(7))
        });
        assert_eq!(working, json!({"l": [7, 1, 9, 2, 8]}));
        assert_eq!(paths, ["/l/1", "/l/-", "/l/0"]);
    }

    #[test]
    fn a_member_is_set_in_existing_and_new_maps() {
        let set = |document: Value| {
            edited(document, |recorder| {
                recorder.set_member(&path(["m"]), "a/b~c", json!("x"))
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

    #[test]
    fn a_map_is_made_only_where_there_is_none() {
        let ensure =
            |document: Value| edited(document, |recorder| recorder.ensure_map(&path(["m"])));
        for document in [json!({}), json!({"m": null})] {
            assert_eq!(ensure(document), (json!({"m": {}}), vec!["/m".to_owned()]));
        }
        assert_eq!(ensure(json!({"m": {"k": 1}})).1, [""; 0]);
    }

    #[test]
    fn prune_restores_an_empty_list() {
        let prune = |was: Option<Value>| {
            edited(json!({"l": [1]}), |recorder| {
                recorder.remove_item(&path(["l"]), 0)?;
                recorder.prune(&path(["l"]), was.as_ref())
            })
        };
        assert_eq!(prune(None).0, json!({}));
        assert_eq!(prune(Some(json!([]))).0, json!({"l": []}));
        assert_eq!(prune(Some(json!(null))).0, json!({"l": null}));
        let kept = edited(json!({"l": [1]}), |recorder| {
            recorder.prune(&path(["l"]), None)
        });
        assert_eq!(kept.1, [""; 0]);
    }

    #[test]
    fn a_document_of_another_shape_is_an_error() {
        let document = json!({"spec": {"volumes": 7}});
        let mut recorder = Recorder::new(document);
        for at in [path(["spec", "volumes"]), path(["status", "volumes"])] {
            assert!(recorder.append(&at, json!(1)).is_err());
            assert!(recorder.set_member(&at, "k", json!(1)).is_err());
            assert!(recorder.remove_item(&at, 0).is_err());
            assert!(recorder.remove_member(&at, "k").is_err());
        }
    }

    #[test]
    fn an_edit_applies_to_the_result_of_earlier_edits() {
        let (edited, paths) = edited(json!({"a": {"k": 1}}), |recorder| {
            recorder.remove_member(&path(["a"]), "k")?;
            recorder.remove_member(&path(["a"]), "k")?;
            recorder.set_member(&path(["a"]), "k", json!(2))?;
            recorder.set_member(&path(["a"]), "k", json!(2))?;
            recorder.set_member(&path(["a"]), "k", json!(3))?;
            recorder.ensure_map(&path(["m"]))?;
            recorder.ensure_map(&path(["m"]))?;
            recorder.set_member(&path(["m", "n"]), "k", json!(4))?;
            recorder.set_member(&path(["m", "n"]), "l", json!(5))
        });
        assert_eq!(edited, json!({"a": {"k": 3}, "m": {"n": {"k": 4, "l": 5}}}));
        assert_eq!(paths, ["/a/k", "/a/k", "/a/k", "/m", "/m/n", "/m/n/l"]);
    }
}
