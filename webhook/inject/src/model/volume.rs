use k8s_openapi::api::core::v1 as core;
use serde_json::Value;
use serde_json::json;

use crate::Quantity;
use crate::model::request::Medium;

/// A volume added to the Pod.
#[derive(Clone, Debug, PartialEq)]
pub struct Volume {
    /// Its name in the Pod.
    pub name: String,
    /// The volume's source.
    pub source: Source,
}

/// The source of an added volume.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// An emptyDir.
    Empty {
        /// Its storage medium.
        medium: Medium,
        /// The size at which the Pod is evicted.
        size_limit: Option<Quantity>,
    },
    /// The keys of a Secret.
    Secret {
        /// Its name.
        name: String,
        /// Whether the Pod starts without the Secret: true where its author did not name it.
        is_optional: bool,
    },
}

/// A volume mount of a container.
#[derive(Clone, Debug, PartialEq)]
pub struct Mount {
    /// The volume's name.
    pub volume: String,
    /// The absolute path in the container.
    pub path: String,
    /// The part of the volume that is mounted; `None` is all of it.
    pub sub_path: Option<&'static str>,
    /// Whether the mount is read-only.
    pub read_only: bool,
}

/// The volumes that are added to a Pod, under names that are not taken. A volume of the Pod with
/// the name of an added one may be anything, including a path of the node
/// (Dynatrace/dynatrace-operator#6845), and is neither used nor changed.
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

    /// Adds a volume and returns its name: the base, with a number appended where it is taken.
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

    /// Returns the name of the volume that was added for this source and base, or adds it.
    pub(crate) fn share(&mut self, base: &str, source: Source) -> String {
        let mut added = self.added.iter();
        match added.find(|added| added.source == source && added.name.starts_with(base)) {
            Some(added) => added.name.clone(),
            None => self.add(base, source),
        }
    }

    /// All volumes, in the order in which they were added.
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
    /// An emptyDir with Kubernetes' defaults.
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

    /// Whether a volume of the Pod has this source and no other. Size limit and medium of an
    /// emptyDir are not compared: another mutator may have changed them.
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
        if let Some(path) = self.sub_path {
            value["subPath"] = json!(path);
        }
        if self.read_only {
            value["readOnly"] = json!(true);
        }
        value
    }
}
