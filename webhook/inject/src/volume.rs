use args::paths;
use k8s_openapi::api::core::v1 as core;
use serde_json::Value;
use serde_json::json;

use crate::Request;

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
    Empty,
    /// The keys of the Secret of this name.
    Secret(String),
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

/// The volumes of one request, by what the syncer does with them.
#[derive(Clone, Debug)]
pub(crate) struct Volumes {
    /// The published tree; the one volume that the app's containers mount too.
    pub(crate) content: Volume,
    /// The syncer's own files: `HOME`, `TMPDIR`, git's repository, the probe's record.
    pub(crate) state: Volume,
    /// Credentials.
    pub(crate) secret: Option<Volume>,
    /// Nothing, in the place of the ServiceAccount's token. The API server mounts that into every
    /// container that has no mount at its path, also into those that a webhook adds
    /// (plugin/pkg/admission/serviceaccount/admission.go). A volume of its own, since whatever
    /// else were in it would be taken for credentials of the cluster.
    pub(crate) no_token: Volume,
}

impl Volumes {
    /// Makes the volumes for a request, under names that no volume of the Pod has: one that is
    /// called like ours and is not may be anything, a path of the node included
    /// (Dynatrace/dynatrace-operator#6845), and is neither used nor touched.
    pub(crate) fn new(request: &Request, pod: &core::PodSpec) -> Self {
        let taken = |name: &str| {
            pod.volumes
                .iter()
                .flatten()
                .any(|volume| volume.name == name)
        };
        let volume = |base: &str, source| {
            let suffixed = (2..).map(|number| format!("{base}-{number}"));
            let mut names = std::iter::once(base.to_owned()).chain(suffixed);
            let name = names.find(|name| !taken(name)).unwrap_or_default();
            Volume { name, source }
        };
        Self {
            content: volume("gitvolume-content", Source::Empty),
            state: volume("gitvolume-state", Source::Empty),
            secret: request
                .secret
                .as_ref()
                .map(|name| volume("gitvolume-secret", Source::Secret(name.clone()))),
            no_token: volume("gitvolume-no-token", Source::Empty),
        }
    }

    /// Where the syncer's container has them.
    pub(crate) fn mounts(&self) -> Vec<Mount> {
        let mount = |volume: &Volume, path: &str, read_only| Mount {
            volume: volume.name.clone(),
            path: path.to_owned(),
            read_only,
        };
        let mut mounts = vec![
            mount(&self.content, paths::CONTENT, false),
            mount(&self.state, paths::STATE, false),
        ];
        if let Some(secret) = &self.secret {
            mounts.push(mount(secret, paths::SECRET, true));
        }
        mounts.push(mount(&self.no_token, paths::SERVICE_ACCOUNT, true));
        mounts
    }

    /// All of them, in the order in which they are added.
    pub(crate) fn into_vec(self) -> Vec<Volume> {
        let Self {
            content,
            state,
            secret,
            no_token,
        } = self;
        [Some(content), Some(state), secret, Some(no_token)]
            .into_iter()
            .flatten()
            .collect()
    }
}

impl Volume {
    pub(crate) fn to_json(&self) -> Value {
        match &self.source {
            Source::Empty => json!({"name": self.name, "emptyDir": {}}),
            // Readable by every user, since the syncer may run as any; no other container mounts
            // it. 292 is 0444: JSON has no octal.
            Source::Secret(secret) => json!({
                "name": self.name,
                "secret": {"secretName": secret, "defaultMode": 0o444},
            }),
        }
    }
}

impl Source {
    /// Tells whether a volume of the Pod has this source and no other.
    pub(crate) fn is_that_of(&self, volume: &core::Volume) -> bool {
        match self {
            Self::Empty => volume.empty_dir.is_some(),
            Self::Secret(name) => volume
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
