//! One setting with its value and its origin.

use serde::Serialize;

use crate::Key;
use crate::keys::value::without_secrets;
use crate::sources::sourced::Sourced;

/// One value and its origin.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Setting {
    /// The annotation's key, without prefix and NAME, or a volume's field.
    pub key: String,
    /// The value, without anything that may be a password.
    pub value: String,
    /// The origin: the whole key of the annotation, or a description of another source.
    pub from: String,
    /// Why the value has no effect, if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_effect: Option<&'static str>,
}

impl Setting {
    /// The setting of an annotation's key. Anything that may be a password is removed from the
    /// value.
    pub(crate) fn new(key: Key, value: &Sourced<String>) -> Self {
        Self {
            key: key.to_string(),
            value: without_secrets(&value.value),
            from: value.origin.of_key(key),
            no_effect: None,
        }
    }
}
