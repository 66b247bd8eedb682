//! The contribution of an object to a Pod, as the status records it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::Serialize;

use super::spec;
use crate::ANNOTATIONS;
use crate::GitVolume;
use crate::Kind;
use crate::keys;
use crate::policy::selector::Selector;

/// The values of an object when a Pod got it, for the status annotation.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AppliedObject {
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    name: String,
    /// The values by annotation keys.
    said: BTreeMap<String, String>,
}

impl fmt::Display for AppliedObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

impl AppliedObject {
    pub(crate) fn of(object: &GitVolume) -> Self {
        let said = object.said.iter();
        Self {
            kind: object.kind.as_str().to_owned(),
            namespace: object.namespace.clone(),
            name: object.name.clone(),
            said: said
                .map(|(key, text)| (key.to_string(), text.clone()))
                .collect(),
        }
    }

    /// Rebuilds the object. Anybody can write a status: values that no object could have are
    /// dropped, and the comparison then finds that the Pod differs.
    pub(crate) fn read(&self) -> GitVolume {
        let said = ANNOTATIONS.iter().filter_map(|row| {
            let text = self.said.get(row.key.as_str())?;
            spec::field(row.key)?;
            row.check(text).ok()?;
            Some((row.key, text.clone()))
        });
        GitVolume {
            kind: match self.kind.as_str() {
                "ClusterGitVolume" => Kind::ClusterGitVolume,
                _ => Kind::GitVolume,
            },
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            uid: None,
            generation: None,
            priority: 0,
            pod_selector: Selector::nobody(),
            namespace_selector: Selector::nobody(),
            said: said.collect(),
            repository: keys::key::name(&self.name),
            mistakes: Vec::new(),
            warnings: Vec::new(),
        }
    }
}
