//! Names of annotations.

use crate::Key;
use crate::Name;
use crate::PREFIX;

/// Parses the name of a repository; a name that is a key is refused.
pub(crate) fn name(text: &str) -> Option<Name> {
    let is_key = Key::parse(text).is_some() || text == "resources";
    text.parse().ok().filter(|_| !is_key)
}

/// The whole key of a repository's annotation.
pub(crate) fn full_key(name: Option<&Name>, key: Key) -> String {
    match name {
        None => key.annotation().to_owned(),
        Some(name) => format!("{PREFIX}{name}.{key}"),
    }
}

/// The annotations that the webhook writes: its status, and the list of injected containers. The
/// guard compares the latter with the Pod: CEL cannot parse JSON, and need not know which source
/// requested what.
pub(crate) const WRITTEN: [&str; 2] = [Key::Status.annotation(), Key::Injected.annotation()];
