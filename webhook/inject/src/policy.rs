use std::collections::BTreeMap;
use std::sync::OnceLock;

use args::CaBundle;
use args::GitDuration;
use args::KnownHosts;
use args::LfsHosts;
use args::RepoKind;
use args::is_label;
use serde::Deserialize;
use serde::Serialize;

use crate::Key;
use crate::Resources;
use crate::keys::value;

mod cache;
mod duration;
mod hosts;
pub(crate) mod invalid;
mod patterns;
mod proxy;
pub(crate) mod selector;
pub(crate) mod trust;

pub use cache::Cache;
pub use proxy::Proxy;

/// The operator's settings for all injections.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Settings {
    /// The syncer's image, with tag or digest.
    #[serde(deserialize_with = "image")]
    pub image: String,
    /// The pull policy of that image; `None` is Kubernetes' default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<PullPolicy>,
    /// Pull secrets that are added to a Pod; they must exist in its namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub image_pull_secrets: Vec<String>,
    /// The keys of annotations that authors may set, on Pods and as fields of GitVolumes; a
    /// trailing `*` matches any suffix. Keys are listed without the NAME of a repository. Empty
    /// allows every key; [`inject`](crate::ANNOTATIONS) and `status` are always allowed.
    #[serde(
        default,
        deserialize_with = "patterns::annotations",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub allowed_annotations: Vec<String>,
    /// The images that a Pod may choose instead; a trailing `*` matches any suffix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_images: Vec<String>,
    /// The hosts of repositories that are allowed, with any port: names, `*.` and a domain for all
    /// names below it, or addresses. Empty allows every host. The addresses of submodules are not
    /// checked.
    #[serde(
        default,
        deserialize_with = "hosts::read",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub allowed_hosts: Vec<String>,
    /// The hosts of Git LFS content in addition to the repository's own: `HOST`, `HOST:PORT`, or
    /// `*.DOMAIN`.
    #[serde(
        default,
        deserialize_with = "hosts::read_lfs",
        serialize_with = "hosts::write_lfs",
        skip_serializing_if = "hosts::has_no_lfs"
    )]
    pub lfs_allowed_hosts: LfsHosts,
    /// The namespaces whose Pods are never changed; a trailing `*` matches any suffix.
    #[serde(
        default,
        deserialize_with = "patterns::namespaces",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub excluded_namespaces: Vec<String>,
    /// The proxies of syncers.
    #[serde(default, skip_serializing_if = "Proxy::is_none")]
    pub proxy: Proxy,
    /// Private CAs that https repositories trust in addition to the image's own, PEM.
    #[serde(
        default,
        deserialize_with = "trust::ca_bundle",
        skip_serializing_if = "Option::is_none"
    )]
    pub ca_bundle: Option<CaBundle>,
    /// Host keys for ssh repositories whose Secret has none, in the format of a known_hosts file.
    #[serde(
        default,
        deserialize_with = "trust::known_hosts",
        skip_serializing_if = "Option::is_none"
    )]
    pub known_hosts: Option<KnownHosts>,
    /// The pull-through caches; a namespace's syncers use the first one that selects it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cache: Vec<Cache>,
    /// The requests and limits of a syncer.
    #[serde(default)]
    pub resources: Resources,
    /// How long an old tree is kept after the swap to the next one, for readers that have it open.
    #[serde(default = "stale_worktree_timeout", with = "duration")]
    pub stale_worktree_timeout: GitDuration,
    /// The timeout of one pass, the first clone included.
    #[serde(default = "sync_timeout", with = "duration")]
    pub sync_timeout: GitDuration,
    /// The treatment of a Pod with a mistake in its annotations.
    #[serde(default)]
    pub on_mistake: OnMistake,
    /// The origin of the syncer's user.
    #[serde(default)]
    pub run_as: RunAs,
    /// Whether the Pods' gitRepo volumes are converted; `false` leaves them to the kubelet.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub git_repo: bool,
    /// The Secret with credentials for repositories that name none, by the Pod's namespace; `*` is
    /// every other namespace. It is used for encrypted addresses (ssh, https), and a Pod starts
    /// without it where its namespace has no such Secret.
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

/// The cache of [`Settings::hash`]: each decision needs the hash, and settings stay the same for
/// hours. A clone starts with an empty cache, since it may be changed before it is used.
#[derive(Debug, Default)]
struct Hash(OnceLock<String>);

impl Clone for Hash {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// The pull policy of the syncer's image.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum PullPolicy {
    /// At each start of the container.
    Always,
    /// When the node does not have it.
    IfNotPresent,
    /// Never: the image is on the node.
    Never,
}

/// The treatment of a Pod with a mistake in its annotations.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnMistake {
    /// The Pod is refused with the mistakes as message.
    #[default]
    Deny,
    /// The Pod is admitted without the repository; the mistakes become a warning and part of its
    /// status.
    Warn,
}

/// The origin of the syncer's user.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunAs {
    /// From the containers that read the repository, else the Pod, else the image's own.
    #[default]
    Derive,
    /// Assigned from the namespace's range: OpenShift's restricted SCC refuses a UID outside of it
    /// and sets one where there is none.
    Namespace,
}

impl Settings {
    /// The default settings with this image, which has no default.
    pub fn new(image: impl Into<String>) -> Self {
        Self {
            image: image.into(),
            image_pull_policy: None,
            image_pull_secrets: Vec::new(),
            allowed_annotations: Vec::new(),
            allowed_images: Vec::new(),
            allowed_hosts: Vec::new(),
            lfs_allowed_hosts: LfsHosts::default(),
            excluded_namespaces: Vec::new(),
            proxy: Proxy::default(),
            ca_bundle: None,
            known_hosts: None,
            cache: Vec::new(),
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

    /// Whether authors may set an annotation.
    pub(crate) fn allows_annotation(&self, key: Key) -> bool {
        let is_always = matches!(key, Key::Inject | Key::Injected | Key::Status);
        let allowed = &self.allowed_annotations;
        allowed.is_empty() || is_always || patterns::is_one_of(allowed, key.as_str())
    }

    /// The entries of [`Self::allowed_annotations`] that match one of these keys.
    pub(crate) fn allowed_of(&self, keys: &[Key]) -> impl Iterator<Item = &str> {
        let allowed = self.allowed_annotations.iter().map(String::as_str);
        allowed.filter(|own| keys.iter().any(|key| patterns::is_match(own, key.as_str())))
    }

    /// Whether a Pod may choose this image.
    pub(crate) fn allows_image(&self, image: &str) -> bool {
        patterns::is_one_of(&self.allowed_images, image)
    }

    /// Whether the operator excludes a namespace: its Pods are never changed.
    pub fn excludes(&self, namespace: &str) -> bool {
        patterns::is_one_of(&self.excluded_namespaces, namespace)
    }

    /// Whether repositories on a host are allowed; an unknown host (`None`) matches no entry.
    pub(crate) fn allows_host(&self, host: Option<&str>) -> bool {
        hosts::allows(&self.allowed_hosts, host)
    }

    /// The Secret for repositories in a namespace that name none.
    pub(crate) fn default_secret(&self, namespace: &str) -> Option<&str> {
        let secrets = &self.default_secrets;
        let own = secrets.get(namespace).or_else(|| secrets.get("*"));
        own.map(String::as_str)
    }

    /// The environment variable with the CAs or host keys for repositories of this kind, and its
    /// value.
    pub(crate) fn trust(&self, kind: RepoKind) -> Option<(&'static str, &str)> {
        match kind {
            RepoKind::Http => Some((trust::CA_BUNDLE, self.ca_bundle.as_ref()?.as_str())),
            RepoKind::Ssh => Some((trust::KNOWN_HOSTS, self.known_hosts.as_ref()?.as_str())),
            RepoKind::Git | RepoKind::Local => None,
        }
    }

    /// A short hash of these settings for the status annotation: equal settings have equal hashes,
    /// in every replica and after every restart. It identifies a configuration and protects
    /// nothing, hence the simple FNV-1a (<http://www.isthe.com/chongo/tech/comp/fnv/>).
    ///
    /// It is computed on the first call and cached; change the settings on a clone.
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

/// Ten minutes: enough for a first clone of a large repository over a slow line, while a connection
/// that hangs is still given up.
fn sync_timeout() -> GitDuration {
    GitDuration::from_secs(600)
}

fn yes() -> bool {
    true
}

/// The signature is serde's.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is serde's"
)]
fn is_yes(value: &bool) -> bool {
    *value
}

/// Names that the API server accepts: it would refuse a Pod with another one.
fn secrets<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let secrets = BTreeMap::<String, String>::deserialize(deserializer)?;
    for (namespace, secret) in &secrets {
        let is_known = namespace == "*" || is_label(namespace);
        if !is_known || value::secret(secret).is_err() {
            return Err(serde::de::Error::custom(format!(
                "{namespace:?}: {secret:?}: expected a namespace (or * for all) mapped to the name of a Secret"
            )));
        }
    }
    Ok(secrets)
}

fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// An image that the API server accepts: a container without one is invalid.
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
