use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::GitRepoVolumeSource;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;

use crate::Key;
use crate::Refusal;
use crate::Settings;
use crate::SkipReason;
use crate::sources::objects::AppliedObject;

/// The status annotation, for people and for comparing configurations. Whether a Pod is injected is
/// decided by the Pod's content, never by the status: anybody can write an annotation.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Status {
    /// [`Settings::hash`] of the configuration.
    pub(crate) config: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) containers: Vec<String>,
    /// The lists that the original Pod had without items, as `[]` or `null`, by their JSON
    /// pointers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) empty: BTreeMap<String, Value>,
    /// The sources of the converted gitRepo volumes, without the credentials in their addresses:
    /// those are in the Pod once, in the configuration of the container. To restore the volumes
    /// call [`crate::sources::gitrepo::sources`], which adds the credentials.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) git_repos: BTreeMap<String, GitRepoVolumeSource>,
    /// The fields of the objects that the Pod got: a second call uses them, even if the objects
    /// have changed since.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) objects: Vec<AppliedObject>,
    /// The pull secrets that were added.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) pull_secrets: Vec<String>,
    /// The mistakes for which nothing was added, with `onMistake: warn`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<String>,
    /// The containers whose git was configured to trust the repositories.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) safe_directory: Vec<String>,
    /// The author's value of the cluster autoscaler's annotation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) safe_to_evict: Option<String>,
    /// The reason for which nothing was added, where there is no mistake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) skipped: Option<String>,
    pub(crate) version: String,
    /// The volumes that were added.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) volumes: Vec<String>,
}

impl Status {
    /// The whole key of the annotation.
    pub(crate) const KEY: &str = Key::Status.annotation();

    pub(crate) fn of_refusal(refusal: &Refusal, settings: &Settings) -> Self {
        Self {
            refused: Some(refusal.to_string()),
            ..Self::of(settings)
        }
    }

    pub(crate) fn of_skip(reason: SkipReason, settings: &Settings) -> Self {
        Self {
            skipped: Some(reason.to_string()),
            ..Self::of(settings)
        }
    }

    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            config: settings.hash(),
            version: settings.version.clone(),
            ..Self::default()
        }
    }

    /// Reads the status of a Pod; an unreadable one counts as one with an unknown configuration.
    pub(crate) fn read(annotations: Option<&Map<String, Value>>) -> Option<Self> {
        let text = annotations?.get(Self::KEY)?.as_str()?;
        Some(serde_json::from_str(text).unwrap_or_default())
    }

    /// The status as far as the Pod shows it, where the annotation is missing.
    pub(crate) fn inferred(volumes: Vec<String>, safe_directory: Vec<String>) -> Self {
        Self {
            volumes,
            safe_directory,
            ..Self::default()
        }
    }

    /// Whether it records no injection: it is unreadable, or the Pod was skipped.
    pub(crate) fn names_nothing(&self) -> bool {
        self.volumes.is_empty() && self.git_repos.is_empty()
    }

    /// Whether it was written by the same version with the same configuration.
    pub(crate) fn is_by(&self, settings: &Settings) -> bool {
        self.version == settings.version && self.config == settings.hash()
    }

    pub(crate) fn to_text(&self) -> String {
        // A struct of strings serializes without errors.
        serde_json::to_string(self).unwrap_or_default()
    }
}
