//! Durations in the settings file.

use args::GitDuration;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serializer;

pub(super) fn serialize<S: Serializer>(
    value: &GitDuration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<GitDuration, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}
