use k8s_openapi::api::core::v1 as core;
use serde_json::Value;
use serde_json::json;

use crate::Quantity;
use crate::request::Medium;

/// A volume added to the Pod.
#[derive(Clone, Debug, PartialEq)]
pub struct Volume {
    /// Its name in the Pod.
    pub name: String,
    /// What is in it.
    pub source: Source,
}

/// What is in a volume of ours.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Nothing at first.
    Empty {
        /// What it is kept in.
        medium: Medium,
        /// The size at which the Pod is evicted.
        size_limit: Option<Quantity>,
    },
    /// The keys of a Secret.
    Secret {
        /// Its name.
        name: String,
        /// Whether the Pod starts without it: nobody named it for this Pod.
        is_optional: bool,
    },
}

/// A volume's place in a container.
#[derive(Clone, Debug, PartialEq)]
pub struct Mount {
    /// The volume's name.
    pub volume: String,
    /// The absolute path in the container.
    pub path: String,
    /// Whether the container may only read.
    pub read_only: bool,
}

/// The volumes that are added to a Pod, under names that no volume of its own has: one that is
/// called like ours and is not may be anything, a path of the node included
/// (Dynatrace/dynatrace-operator#6845), and is neither used nor touched.
#[derive(Debug)]
pub(crate) struct Volumes<'a> {
    own: &'a [core::Volume],
    added: Vec<Volume>,
}

impl<'a> Volumes<'a> {
    pub(crate) fn new(pod: &'a core::PodSpec) -> Self {
        Self {
            own: pod.volumes.as_deref().unwrap_or_default(),
            added: Vec::new(),
        }
    }

    /// Adds a volume and gives its name: the base, or the base with a number where it is taken.
    pub(crate) fn add(&mut self, base: &str, source: Source) -> String {
        let suffixed = (2..).map(|number| format!("{base}-{number}"));
        let mut names = std::iter::once(base.to_owned()).chain(suffixed);
        let is_free = |name: &String| {
            self.own.iter().all(|own| own.name != *name)
                && self.added.iter().all(|added| added.name != *name)
        };
        let name = names.find(is_free).unwrap_or_default();
        self.added.push(Volume {
            name: name.clone(),
            source,
        });
        name
    }

    /// Gives the volume of this source that was added under this base, or adds it.
    pub(crate) fn share(&mut self, base: &str, source: Source) -> String {
        let mut added = self.added.iter();
        match added.find(|added| added.source == source && added.name.starts_with(base)) {
            Some(added) => added.name.clone(),
            None => self.add(base, source),
        }
    }

    /// All of them, in the order in which they were added.
    pub(crate) fn into_vec(self) -> Vec<Volume> {
        self.added
    }
}

impl Volume {
    pub(crate) fn to_json(&self) -> Value {
        let mut value = json!({"name": self.name});
        match &self.source {
            Source::Empty { .. } => value["emptyDir"] = self.source.empty_dir(),
            // Readable by every user, since the syncer may run as any; no other container mounts
            // it. 292 is 0444: JSON has no octal.
            Source::Secret { name, is_optional } => {
                value["secret"] = json!({"secretName": name, "defaultMode": 0o444});
                if *is_optional {
                    value["secret"]["optional"] = json!(true);
                }
            }
        }
        value
    }
}

impl Source {
    /// An emptyDir as Kubernetes makes it where nothing is said.
    pub(crate) const EMPTY: Self = Self::Empty {
        medium: Medium::Disk,
        size_limit: None,
    };

    pub(crate) fn empty_dir(&self) -> Value {
        let mut value = json!({});
        if let Self::Empty { medium, size_limit } = self {
            if *medium == Medium::Memory {
                value["medium"] = json!("Memory");
            }
            if let Some(limit) = size_limit {
                value["sizeLimit"] = json!(limit);
            }
        }
        value
    }

    /// Tells whether a volume of the Pod is of this kind and no other. An emptyDir's size and medium
    /// may be another mutator's choice.
    pub(crate) fn is_that_of(&self, volume: &core::Volume) -> bool {
        match self {
            Self::Empty { .. } => volume.empty_dir.is_some(),
            Self::Secret { name, .. } => volume
                .secret
                .as_ref()
                .is_some_and(|secret| secret.secret_name.as_ref() == Some(name)),
        }
    }
}

impl Mount {
    pub(crate) fn to_json(&self) -> Value {
        let mut value = json!({"name": self.volume, "mountPath": self.path});
        if self.read_only {
            value["readOnly"] = json!(true);
        }
        value
    }
}
