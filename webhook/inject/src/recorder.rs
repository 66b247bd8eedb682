use json_patch::Patch;
use json_patch::jsonptr::Pointer;
use json_patch::jsonptr::PointerBuf;
use serde_json::Map;
use serde_json::Value;

use crate::InternalError;
use crate::operations::Operations;
use crate::operations::no_place;
use crate::operations::path;

/// A document that things are added to, as an injection does. The document is not copied, unlike in a
/// [`crate::draft::Draft`], which can also take things out of lists: every edit is recorded at once,
/// and what it changes is remembered, so that the next edit is judged on the document as it then is.
#[derive(Debug)]
pub(crate) struct Recorder<'a> {
    document: &'a Value,
    /// How long the lists are that were edited.
    lists: Vec<(PointerBuf, usize)>,
    /// The maps that were edited, as they are now.
    maps: Vec<(PointerBuf, Map<String, Value>)>,
    operations: Operations,
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(document: &'a Value) -> Self {
        Self {
            document,
            lists: Vec::new(),
            maps: Vec::new(),
            operations: Operations::default(),
        }
    }

    /// Puts an item at the end of a list; makes the list where there is none.
    pub(crate) fn append(&mut self, list: &PointerBuf, item: Value) -> Result<(), InternalError> {
        self.insert(list, usize::MAX, item)
    }

    /// Puts an item before the one at `index`, or at the end where there is no such item; makes
    /// the list where there is none.
    pub(crate) fn insert(
        &mut self,
        list: &PointerBuf,
        index: usize,
        item: Value,
    ) -> Result<(), InternalError> {
        let edited = self.lists.iter_mut().find(|(path, _)| path == list);
        if let Some((_, length)) = edited {
            let path = place(list, index, *length);
            *length += 1;
            self.operations.add(path, item);
            return Ok(());
        }
        let length = match self.now(list)? {
            Some(Value::Array(items)) => {
                let path = place(list, index, items.len());
                let length = items.len() + 1;
                self.operations.add(path, item);
                length
            }
            None | Some(Value::Null) => {
                self.make(list, Value::Array(vec![item]))?;
                1
            }
            Some(_) => return Err(no_place(list)),
        };
        self.lists.push((list.clone(), length));
        Ok(())
    }

    /// Sets a member of a map; makes the map where there is none, and does nothing where the
    /// member has that value.
    pub(crate) fn set(
        &mut self,
        map: &PointerBuf,
        key: &str,
        value: Value,
    ) -> Result<(), InternalError> {
        let Some(at) = self.edited(map)? else {
            let members = Map::from_iter([(key.to_owned(), value)]);
            self.make(map, Value::Object(members.clone()))?;
            self.maps.push((map.clone(), members));
            return Ok(());
        };
        self.operations.set(&mut self.maps[at].1, map, key, value);
        Ok(())
    }

    /// Makes a member of the document an empty map where there is none.
    pub(crate) fn ensure(&mut self, key: &str) {
        let map = path([key]);
        let members = self.document.as_object();
        let is_missing = members.is_some_and(|members| members.get(key).is_none_or(Value::is_null));
        if is_missing && self.maps.iter().all(|(path, _)| *path != map) {
            self.operations.add(map.clone(), Value::Object(Map::new()));
            self.maps.push((map, Map::new()));
        }
    }

    /// Removes a member of a map; does nothing where there is none.
    pub(crate) fn remove(&mut self, map: &PointerBuf, key: &str) -> Result<(), InternalError> {
        let at = self.edited(map)?.ok_or_else(|| no_place(map))?;
        self.operations.unset(&mut self.maps[at].1, map, key);
        Ok(())
    }

    /// The text at a path that nothing was edited at.
    pub(crate) fn text(&self, path: &PointerBuf) -> Option<String> {
        Some(find(self.document, path)?.as_str()?.to_owned())
    }

    /// Gives what was recorded.
    pub(crate) fn finish(self) -> Patch {
        self.operations.into_patch()
    }

    /// The map at a path among those that are edited; `None` where there is no map yet.
    fn edited(&mut self, map: &PointerBuf) -> Result<Option<usize>, InternalError> {
        if let Some(at) = self.maps.iter().position(|(path, _)| path == map) {
            return Ok(Some(at));
        }
        match self.now(map)? {
            Some(Value::Object(members)) => {
                self.maps.push((map.clone(), members.clone()));
                Ok(Some(self.maps.len() - 1))
            }
            None | Some(Value::Null) => Ok(None),
            Some(_) => Err(no_place(map)),
        }
    }

    /// What is at a path that nothing was edited at. What is below an edited list may have moved,
    /// and is not found any more.
    fn now(&self, path: &PointerBuf) -> Result<Option<&'a Value>, InternalError> {
        let is_below = |list: &PointerBuf| path.starts_with(list.as_ptr());
        if self.lists.iter().any(|(list, _)| is_below(list)) {
            return Err(no_place(path));
        }
        Ok(find(self.document, path))
    }

    /// Adds a member to the map above it, which must be there.
    fn make(&mut self, path: &PointerBuf, value: Value) -> Result<(), InternalError> {
        let parent = path.parent().ok_or_else(|| no_place(path))?;
        let is_made = self.maps.iter().any(|(map, _)| map.as_ptr() == parent);
        let there = find(self.document, parent);
        if !is_made && !there.is_some_and(Value::is_object) {
            return Err(no_place(path));
        }
        self.operations.add(path.clone(), value);
        Ok(())
    }
}

/// `Value::pointer` makes two copies of each token.
fn find<'a>(document: &'a Value, path: &Pointer) -> Option<&'a Value> {
    path.tokens().try_fold(document, |value, token| {
        let token = token.decoded();
        match value {
            Value::Object(members) => members.get(token.as_ref()),
            Value::Array(items) => items.get(token.parse::<usize>().ok()?),
            _ => None,
        }
    })
}

/// The path of an item that is put into a list of this length.
fn place(list: &PointerBuf, index: usize, length: usize) -> PointerBuf {
    if index < length {
        list.with_trailing_token(index)
    } else {
        list.with_trailing_token("-")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Makes the edits, and gives what the recorded patch makes of the document.
    fn edited(
        document: Value,
        edits: impl FnOnce(&mut Recorder<'_>) -> Result<(), InternalError>,
    ) -> (Value, Vec<String>) {
        let mut recorder = Recorder::new(&document);
        edits(&mut recorder).unwrap();
        let patch = recorder.finish();
        let mut patched = document;
        json_patch::patch(&mut patched, &patch).unwrap();
        let paths = patch.iter().map(|operation| operation.path().to_string());
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
    fn a_member_is_set_in_whatever_map_there_is() {
        let set = |document: Value| {
            edited(document, |recorder| {
                recorder.set(&path(["m"]), "a/b~c", json!("x"))
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
        let ensure = |document: Value| {
            edited(document, |recorder| {
                recorder.ensure("m");
                Ok(())
            })
        };
        for document in [json!({}), json!({"m": null})] {
            assert_eq!(ensure(document), (json!({"m": {}}), vec!["/m".to_owned()]));
        }
        assert_eq!(ensure(json!({"m": {"k": 1}})).1, [""; 0]);
    }

    #[test]
    fn a_document_of_another_shape_is_an_error() {
        let document = json!({"spec": {"volumes": 7}});
        let mut recorder = Recorder::new(&document);
        for at in [path(["spec", "volumes"]), path(["status", "volumes"])] {
            assert!(recorder.append(&at, json!(1)).is_err());
            assert!(recorder.set(&at, "k", json!(1)).is_err());
        }
    }

    #[test]
    fn what_an_edit_may_have_moved_is_edited_no_more() {
        let document = json!({"l": [{}, {"m": {}}]});
        let mut recorder = Recorder::new(&document);
        recorder.insert(&path(["l"]), 0, json!(1)).unwrap();
        assert!(recorder.set(&path(["l", "1", "m"]), "k", json!(1)).is_err());
        assert!(recorder.append(&path(["l", "1", "n"]), json!(1)).is_err());
        assert!(recorder.append(&path(["l"]), json!(2)).is_ok());
    }

    #[test]
    fn an_edit_is_judged_on_the_document_as_the_edits_before_it_made_it() {
        let (edited, paths) = edited(json!({"a": {"k": 1}}), |recorder| {
            recorder.remove(&path(["a"]), "k")?;
            recorder.remove(&path(["a"]), "k")?;
            recorder.set(&path(["a"]), "k", json!(2))?;
            recorder.set(&path(["a"]), "k", json!(2))?;
            recorder.set(&path(["a"]), "k", json!(3))?;
            recorder.ensure("m");
            recorder.ensure("m");
            recorder.set(&path(["m", "n"]), "k", json!(4))?;
            recorder.set(&path(["m", "n"]), "l", json!(5))
        });
        assert_eq!(edited, json!({"a": {"k": 3}, "m": {"n": {"k": 4, "l": 5}}}));
        assert_eq!(paths, ["/a/k", "/a/k", "/a/k", "/m", "/m/n", "/m/n/l"]);
    }
}
