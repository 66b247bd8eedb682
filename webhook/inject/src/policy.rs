use std::collections::BTreeMap;
use std::sync::OnceLock;

use args::CaBundle;
use args::GitDuration;
use args::KnownHosts;
use args::RepoKind;
use args::is_label;
use serde::Deserialize;
use serde::Serialize;

use crate::Resources;
use crate::value;

mod duration;
mod hosts;
mod patterns;
mod proxy;
mod trust;

pub use proxy::Proxy;

/// What the operator decided about every injection; the rest is the Pod's.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Settings {
    /// The syncer's image, with tag or digest.
    #[serde(deserialize_with = "image")]
    pub image: String,
    /// When the kubelet pulls that image; Kubernetes' own rule where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<PullPolicy>,
    /// Pull secrets that are added to a Pod; they must be in its namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub image_pull_secrets: Vec<String>,
    /// The keys of annotations that authors may set, on Pods and as fields of GitVolumes; a `*` at
    /// the end stands for anything. Of a repository with a name it is the key without that. Empty is
    /// every key; [`inject`](crate::ANNOTATIONS) and `status` always are.
    #[serde(
        default,
        deserialize_with = "patterns::annotations",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub allowed_annotations: Vec<String>,
    /// The images that a Pod may choose instead; a `*` at the end stands for anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_images: Vec<String>,
    /// The hosts that repositories may be on, whatever the port: names, `*.` and a domain for all
    /// names below it, or addresses. Empty is every host. Where submodules are is the repository's
    /// own affair.
    #[serde(
        default,
        deserialize_with = "hosts::read",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub allowed_hosts: Vec<String>,
    /// The namespaces whose Pods are left alone, whatever they ask for; a `*` at the end stands for
    /// anything.
    #[serde(
        default,
        deserialize_with = "patterns::namespaces",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub excluded_namespaces: Vec<String>,
    /// The proxies that syncers go by.
    #[serde(default, skip_serializing_if = "Proxy::is_none")]
    pub proxy: Proxy,
    /// Authorities that https repositories trust beside the image's own, PEM.
    #[serde(
        default,
        deserialize_with = "trust::ca_bundle",
        skip_serializing_if = "Option::is_none"
    )]
    pub ca_bundle: Option<CaBundle>,
    /// Host keys for ssh repositories whose Secret has none of its own, as a known_hosts file has
    /// them.
    #[serde(
        default,
        deserialize_with = "trust::known_hosts",
        skip_serializing_if = "Option::is_none"
    )]
    pub known_hosts: Option<KnownHosts>,
    /// What a syncer asks for, and where it may end.
    #[serde(default)]
    pub resources: Resources,
    /// How long a tree outlives the swap to the next one, for readers that have it open.
    #[serde(default = "stale_worktree_timeout", with = "duration")]
    pub stale_worktree_timeout: GitDuration,
    /// The longest time one pass may take, the first clone included.
    #[serde(default = "sync_timeout", with = "duration")]
    pub sync_timeout: GitDuration,
    /// What happens to a Pod whose author made a mistake.
    #[serde(default)]
    pub on_mistake: OnMistake,
    /// Whether the syncer's user is derived from the Pod.
    #[serde(default)]
    pub run_as: RunAs,
    /// Whether the Pods' gitRepo volumes are converted; `false` leaves them to the kubelet.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub git_repo: bool,
    /// The Secret with credentials for repositories that name none, by the Pod's namespace; `*` is
    /// every other namespace. It is given for addresses that are encrypted (ssh, https), and a Pod
    /// starts without it where its namespace has no such Secret.
    #[serde(
        default,
        deserialize_with = "secrets",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub default_secrets: BTreeMap<String, String>,
    /// The webhook's version, for the status annotation.
    #[serde(default = "version")]
    pub version: String,
    #[serde(skip)]
    hash: Hash,
}

/// [`Settings::hash`], once somebody has asked: each decision does, and settings stay for hours. A
/// copy finds its own, since it may be changed before it is used.
#[derive(Debug, Default)]
struct Hash(OnceLock<String>);

impl Clone for Hash {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// When the kubelet pulls the syncer's image.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum PullPolicy {
    /// At each start of the container.
    Always,
    /// When the node does not have it.
    IfNotPresent,
    /// Never: the image is on the node.
    Never,
}

/// What happens to a Pod whose author made a mistake in an annotation.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnMistake {
    /// The Pod is refused with the sentence.
    #[default]
    Deny,
    /// The Pod is admitted without the repository; the sentence is a warning and in its status.
    Warn,
}

/// Where the syncer's user comes from.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunAs {
    /// From the containers that read the repository, else the Pod, else the image's own.
    #[default]
    Derive,
    /// From the namespace's range: OpenShift's restricted SCC refuses a number outside of it and
    /// fills in its own where there is none.
    Namespace,
}

impl Settings {
    /// The defaults, with the one thing that has none.
    pub fn new(image: impl Into<String>) -> Self {
        Self {
            image: image.into(),
            image_pull_policy: None,
            image_pull_secrets: Vec::new(),
            allowed_annotations: Vec::new(),
            allowed_images: Vec::new(),
            allowed_hosts: Vec::new(),
            excluded_namespaces: Vec::new(),
            proxy: Proxy::default(),
            ca_bundle: None,
            known_hosts: None,
            resources: Resources::default(),
            stale_worktree_timeout: stale_worktree_timeout(),
            sync_timeout: sync_timeout(),
            on_mistake: OnMistake::default(),
            run_as: RunAs::default(),
            git_repo: true,
            default_secrets: BTreeMap::new(),
            version: version(),
            hash: Hash::default(),
        }
    }

    /// Tells whether authors may set an annotation: its key is without the prefix and without a
    /// repository's name.
    pub(crate) fn allows_annotation(&self, key: &str) -> bool {
        let always = ["inject", "injected", "status"];
        let allowed = &self.allowed_annotations;
        allowed.is_empty() || always.contains(&key) || patterns::is_one_of(allowed, key)
    }

    /// The entries of [`Self::allowed_annotations`] that stand for one of these keys.
    pub(crate) fn allowed_of(&self, keys: &[&str]) -> impl Iterator<Item = &str> {
        let allowed = self.allowed_annotations.iter().map(String::as_str);
        allowed.filter(|own| keys.iter().any(|key| patterns::is_match(own, key)))
    }

    /// Tells whether a Pod may choose this image.
    pub(crate) fn allows_image(&self, image: &str) -> bool {
        patterns::is_one_of(&self.allowed_images, image)
    }

    /// Tells whether the Pods of a namespace are left alone.
    pub fn excludes(&self, namespace: &str) -> bool {
        patterns::is_one_of(&self.excluded_namespaces, namespace)
    }

    /// Tells whether repositories may be on a host; one that is not known for sure is none of them.
    pub(crate) fn allows_host(&self, host: Option<&str>) -> bool {
        hosts::allows(&self.allowed_hosts, host)
    }

    /// The Secret for what names none in a namespace.
    pub(crate) fn default_secret(&self, namespace: &str) -> Option<&str> {
        let secrets = &self.default_secrets;
        let own = secrets.get(namespace).or_else(|| secrets.get("*"));
        own.map(String::as_str)
    }

    /// The variable by which repositories of this kind are told whom to trust, and its text.
    pub(crate) fn trust(&self, kind: RepoKind) -> Option<(&'static str, &str)> {
        match kind {
            RepoKind::Http => Some((trust::CA_BUNDLE, self.ca_bundle.as_ref()?.as_str())),
            RepoKind::Ssh => Some((trust::KNOWN_HOSTS, self.known_hosts.as_ref()?.as_str())),
            RepoKind::Git | RepoKind::Local => None,
        }
    }

    /// A short name of these settings for the status annotation: equal settings have equal names,
    /// in every replica and after every restart. It tells versions of a configuration apart and
    /// protects nothing, hence the simple FNV-1a (<http://www.isthe.com/chongo/tech/comp/fnv/>).
    ///
    /// It is that of the settings as they were when it was first asked for; who changes some takes a
    /// copy.
    pub fn hash(&self) -> String {
        let find = || {
            let text = serde_json::to_vec(self).unwrap_or_default();
            let hash = text.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
            format!("{hash:016x}")
        };
        self.hash.0.get_or_init(find).clone()
    }
}

/// One minute: longer than a request, a directory walk or a page load takes.
fn stale_worktree_timeout() -> GitDuration {
    GitDuration::from_secs(60)
}

/// Ten minutes: a first clone of a large repository over a slow line fits; a connection that
/// hangs is still given up.
fn sync_timeout() -> GitDuration {
    GitDuration::from_secs(600)
}

fn yes() -> bool {
    true
}

/// serde hands on a reference.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is serde's"
)]
fn is_yes(value: &bool) -> bool {
    *value
}

/// Names that the API server takes: a Pod with another one would be refused for it.
fn secrets<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let secrets = BTreeMap::<String, String>::deserialize(deserializer)?;
    for (namespace, secret) in &secrets {
        let is_known = namespace == "*" || is_label(namespace);
        if !is_known || value::secret(secret).is_err() {
            return Err(serde::de::Error::custom(format!(
                "{namespace:?}: {secret:?}: expected a namespace, or *, and the name of a Secret"
            )));
        }
    }
    Ok(secrets)
}

fn wrong<E: serde::de::Error>(text: &str, expected: &str) -> E {
    E::custom(format!("{text:?}: expected {expected}"))
}

fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// An image the API server will take: a container without one is invalid.
fn image<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() || text.contains(char::is_whitespace) {
        let expected = "an image such as registry.example/gitvolume-syncer:0.1.0";
        return Err(serde::de::Error::custom(format!("expected {expected}")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
