//! The part of a Pod that a patch is about, which the patch is tried on. The rest nobody touches, and
//! it has been read before: to copy and read all of it again would find nothing, and cost half as
//! much as all else that is done about a Pod.

use json_patch::Patch;
use json_patch::jsonptr::Pointer;
use k8s_openapi::api::core::v1::Container;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::api::core::v1::Volume;
use serde_json::Map;
use serde_json::Value;

use crate::InternalError;
use crate::typed;

/// The lists whose items the rules of [`crate::check`] are about.
const LISTS: [&str; 3] = ["/spec/volumes", "/spec/initContainers", "/spec/containers"];

/// What those rules look at in an item of the author's, whatever of it is touched.
const JUDGED: [&str; 4] = ["emptyDir", "gitRepo", "name", "volumeMounts"];

/// A patch's part of a document, with the patch applied.
///
/// Of a map it has the members that a path goes through. An item of a list is its number there, unless
/// a path goes on in it: then it has those members, and what is [`JUDGED`]. So an operation can be made
/// here if it can be made on the whole document. One exception errs on the safe side: paths count as
/// those of the document as it came, and where an earlier operation has moved what is there, a path
/// may end at a number, which is an error.
#[derive(Debug)]
pub(crate) struct Patched {
    part: Value,
    /// The items of each of the [`LISTS`] that no path goes on in.
    untouched: [Vec<u64>; LISTS.len()],
}

impl Patched {
    /// Applies a patch to its part of a document.
    pub(crate) fn new(document: &Value, patch: &Patch) -> Result<Self, InternalError> {
        let mut part = shell(document);
        for list in LISTS.map(Pointer::from_static) {
            open(&mut part, document, list);
        }
        for operation in patch.iter() {
            open(&mut part, document, operation.path());
        }
        let untouched = LISTS.map(|list| numbers(part.pointer(list)));
        // "Unsafe" is to keep a document that only half of it was applied to.
        json_patch::patch_unsafe(&mut part, patch)
            .map_err(|error| InternalError::Patch(Box::new(error)))?;
        Ok(Self { part, untouched })
    }

    /// Reads what was added or touched.
    pub(crate) fn read(self) -> Result<Read, InternalError> {
        let Self {
            mut part,
            untouched,
        } = self;
        let lists = LISTS.map(|list| places(part.pointer(list)));
        for (places, untouched) in lists.iter().zip(untouched) {
            let still = places.iter().copied().flatten();
            if !still.eq(untouched) {
                return Err(InternalError::Unsound(
                    "an item is gone or moved".to_owned(),
                ));
            }
        }
        // Numbers are for us alone.
        let members = part.get_mut("spec").and_then(Value::as_object_mut);
        for list in members.into_iter().flat_map(Map::values_mut) {
            if let Value::Array(items) = list {
                items.retain(|item| !item.is_number());
            }
        }
        let pod: Pod = typed::take(part).map_err(InternalError::Unreadable)?;
        let spec = pod.spec;
        let spec = spec.ok_or_else(|| InternalError::Unsound("no spec".to_owned()))?;
        Ok(Read { spec, lists })
    }
}

/// What was added or touched, read.
#[derive(Debug)]
pub(crate) struct Read {
    spec: PodSpec,
    /// What each of the [`LISTS`] consists of: an item of the Pod as it came by its number, or else
    /// the next one of `spec`.
    lists: [Vec<Option<u64>>; LISTS.len()],
}

/// The lists of a Pod after a patch.
#[derive(Clone, Debug)]
pub(crate) struct After<'a> {
    pub(crate) volumes: Vec<&'a Volume>,
    pub(crate) init_containers: Vec<&'a Container>,
    pub(crate) containers: Vec<&'a Container>,
}

impl Read {
    /// Puts what was added or touched into its places among what was not. Of the author's items that were
    /// touched there is no more than what is judged.
    pub(crate) fn among<'a>(&'a self, before: &'a PodSpec) -> After<'a> {
        let [volumes, inits, containers] = &self.lists;
        let spec = &self.spec;
        After {
            volumes: joined(volumes, before.volumes.as_deref(), spec.volumes.as_deref()),
            init_containers: joined(
                inits,
                before.init_containers.as_deref(),
                spec.init_containers.as_deref(),
            ),
            containers: joined(containers, Some(&before.containers), Some(&spec.containers)),
        }
    }
}

fn joined<'a, T>(
    places: &[Option<u64>],
    before: Option<&'a [T]>,
    added: Option<&'a [T]>,
) -> Vec<&'a T> {
    let before = before.unwrap_or_default();
    let mut added = added.unwrap_or_default().iter();
    let item = |place: &Option<u64>| match place {
        Some(number) => before.get(usize::try_from(*number).ok()?),
        None => added.next(),
    };
    places.iter().filter_map(item).collect()
}

/// Copies what is on a path and is not in the part yet.
fn open(part: &mut Value, document: &Value, path: &Pointer) {
    let (mut part, mut document) = (part, document);
    let mut tokens = path.tokens();
    while let Some(token) = tokens.next() {
        let token = token.decoded();
        let member = match (part, document) {
            (Value::Object(members), Value::Object(all)) => {
                open_member(members, all, &token, shell)
            }
            (Value::Array(items), Value::Array(all)) => {
                let index = token.parse::<usize>().ok();
                let found = index.and_then(|index| Some((items.get_mut(index)?, all.get(index)?)));
                // An item that the path ends at is put aside, taken out or replaced as a whole.
                if let (Some((item, whole)), Some(token)) = (found, tokens.next()) {
                    if item.is_number() {
                        *item = judged(whole);
                    }
                    if let (Some(members), Some(all)) = (item.as_object_mut(), whole.as_object()) {
                        open_member(members, all, &token.decoded(), Value::clone);
                    }
                }
                return;
            }
            _ => return,
        };
        let Some(member) = member else { return };
        (part, document) = member;
    }
}

fn open_member<'a, 'b>(
    members: &'a mut Map<String, Value>,
    all: &'b Map<String, Value>,
    key: &str,
    copy: fn(&Value) -> Value,
) -> Option<(&'a mut Value, &'b Value)> {
    let whole = all.get(key)?;
    if !members.contains_key(key) {
        members.insert(key.to_owned(), copy(whole));
    }
    Some((members.get_mut(key)?, whole))
}

/// A map without its members, a list of numbers in the place of items.
fn shell(value: &Value) -> Value {
    match value {
        Value::Object(_) => Value::Object(Map::new()),
        Value::Array(items) => (0..items.len()).collect(),
        _ => value.clone(),
    }
}

/// An item with what is judged of it.
fn judged(item: &Value) -> Value {
    let Value::Object(all) = item else {
        return item.clone();
    };
    let members = JUDGED.iter().filter_map(|key| all.get_key_value(*key));
    members
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// What each item of a list is: a number, or anything else.
fn places(list: Option<&Value>) -> Vec<Option<u64>> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.map(Value::as_u64).collect()
}

fn numbers(list: Option<&Value>) -> Vec<u64> {
    places(list).into_iter().flatten().collect()
}

#[cfg(test)]
mod tests;
