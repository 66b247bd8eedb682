//! CAs and host keys that repositories trust in addition to those of their Secrets and the image.

use std::fmt::Display;
use std::str::FromStr;

use args::CaBundle;
use args::KnownHosts;
use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error;

/// The variable with the CAs of https repositories.
pub(super) const CA_BUNDLE: &str = "GITSYNC_CA_BUNDLE";

/// The variable with the CAs of the pull-through cache.
pub(crate) const CACHE_CA: &str = "GITSYNC_CACHE_CA";

/// The variable with the host keys for ssh repositories whose Secret has none.
pub(super) const KNOWN_HOSTS: &str = "GITSYNC_DEFAULT_KNOWN_HOSTS";

pub(super) fn ca_bundle<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<CaBundle>, D::Error> {
    named("caBundle", deserializer)
}

/// The CAs of a pull-through cache.
pub(super) fn cache_ca_bundle<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<CaBundle>, D::Error> {
    named("cache: caBundle", deserializer)
}

pub(super) fn known_hosts<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<KnownHosts>, D::Error> {
    named("knownHosts", deserializer)
}

/// Parses a text whose parser does not repeat it; the error names the setting.
fn named<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
    setting: &str,
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let read = text.map(|text| text.parse()).transpose();
    read.map_err(|error| D::Error::custom(format!("{setting}: {error}")))
}
