use std::fmt;

use args::CaBundle;
use args::CacheTrust;
use args::GitDuration;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde_json::Value;
use url::Url;

use super::trust;
use crate::Key;
use crate::keys::value;
use crate::policy::selector::Selector;

/// A pull-through cache (`gitvolume-syncer cache`), and the namespaces whose syncers use it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Cache {
    /// Its https address, as Pods reach it.
    #[serde(deserialize_with = "url")]
    pub url: Url,
    /// The CAs of its certificate, PEM; `None` for those of the syncer's image.
    #[serde(
        default,
        deserialize_with = "trust::cache_ca_bundle",
        skip_serializing_if = "Option::is_none"
    )]
    pub ca_bundle: Option<CaBundle>,
    /// What it is trusted with.
    #[serde(default)]
    pub trust: CacheTrust,
    /// The maximum age of a revision with which a Pod starts while the git host is unreachable,
    /// unless its author sets one; `None` for no limit.
    #[serde(
        default,
        deserialize_with = "max_staleness",
        serialize_with = "text",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_staleness: Option<GitDuration>,
    /// The labels of its namespaces; empty matches every namespace.
    #[serde(default, skip_serializing_if = "NamespaceSelector::is_empty")]
    pub(crate) namespace_selector: NamespaceSelector,
}

/// A label selector with the text that it was read from.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(try_from = "Value", into = "Value")]
pub(crate) struct NamespaceSelector {
    text: Value,
    selector: Selector,
}

impl Cache {
    /// Whether Pods can start with its answers while the git host is unreachable.
    pub(crate) fn serves_stale(&self) -> bool {
        self.trust == CacheTrust::Full
    }
}

impl NamespaceSelector {
    fn is_empty(&self) -> bool {
        self.selector == Selector::default()
    }

    pub(crate) fn selector(&self) -> &Selector {
        &self.selector
    }
}

impl TryFrom<Value> for NamespaceSelector {
    type Error = String;

    fn try_from(text: Value) -> Result<Self, Self::Error> {
        match Selector::read(&text) {
            Ok(selector) => Ok(Self { text, selector }),
            Err(wrong) => Err(format!(
                "cache: namespaceSelector{}: {}: {}",
                wrong.at, wrong.text, wrong.expected
            )),
        }
    }
}

impl From<NamespaceSelector> for Value {
    fn from(selector: NamespaceSelector) -> Self {
        selector.text
    }
}

impl fmt::Display for Cache {
    /// The address without the slash that a URL without a path ends with, as it is in the argv.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str().trim_end_matches('/'))
    }
}

/// Parses the maximum age, by the annotation's grammar.
fn max_staleness<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<GitDuration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let staleness = value::staleness(&text).map_err(|wrong| {
        let clause = Key::MaxStaleness.row().clause(wrong);
        let text = value::shown(&text);
        serde::de::Error::custom(format!("cache: maxStaleness: {text}: {clause}"))
    })?;
    Ok(Some(staleness))
}

/// Writes the maximum age as it is read. The signature is serde's.
fn text<S: Serializer>(value: &Option<GitDuration>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

/// Parses the address. The error does not repeat it: it may contain a password.
fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    let text = String::deserialize(deserializer)?;
    let url = text.parse::<Url>().ok();
    let is_valid = |url: &Url| {
        let is_plain = url.query().is_none() && url.fragment().is_none();
        let has_user = !url.username().is_empty() || url.password().is_some();
        url.scheme() == "https" && is_plain && !has_user
    };
    url.filter(is_valid).ok_or_else(|| {
        let expected = "cache: url: expected an https address without credentials, such as \
                        https://gitvolume-cache.gitvolume-system.svc.cluster.local:8443";
        serde::de::Error::custom(expected)
    })
}
