//! The error of a setting.

pub(crate) fn wrong<E: serde::de::Error>(text: &str, expected: &str) -> E {
    E::custom(format!("{text:?}: expected {expected}"))
}
