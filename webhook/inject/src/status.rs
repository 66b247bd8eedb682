use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::GitRepoVolumeSource;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;

use crate::Plan;
use crate::Refusal;
use crate::Settings;
use crate::SkipReason;
use crate::injected;
use crate::objects::Taken;

/// What the status annotation says: for people, and for telling configurations apart. What is in
/// the Pod is judged by the Pod, never by this: anybody can write an annotation.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Status {
    /// [`Settings::hash`] of the configuration.
    config: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    containers: Vec<String>,
    /// The volumes that were gitRepo volumes, as they were but for credentials in their addresses:
    /// those are in the Pod once, in what the container is told, and [`crate::gitrepo::sources`]
    /// takes them from there. Who takes an injection back asks it, and never this.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) git_repos: BTreeMap<String, GitRepoVolumeSource>,
    /// What the objects said that the Pod got: a second call sees what the first one saw, whatever
    /// has become of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) objects: Vec<Taken>,
    /// The pull secrets that were added.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) pull_secrets: Vec<String>,
    /// Why nothing was added, where mistakes are only warned of.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    /// The containers whose git was told to trust the repositories.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) safe_directory: Vec<String>,
    /// What the author had told the cluster autoscaler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) safe_to_evict: Option<String>,
    /// Why nothing was added, where nothing is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<String>,
    version: String,
    /// The volumes that were added.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) volumes: Vec<String>,
}

impl Status {
    /// The whole key of the annotation.
    pub(crate) const KEY: &str = "gitvolume.dev/status";

    /// The whole keys of all annotations that the webhook writes.
    pub(crate) const KEYS: [&str; 2] = [Self::KEY, injected::KEY];

    /// What was added now, and what was before, by an earlier call. `safe_to_evict` is what the Pod
    /// tells the cluster autoscaler.
    pub(crate) fn of_plan(
        plan: &Plan,
        before: Option<&Self>,
        safe_to_evict: Option<String>,
        settings: &Settings,
    ) -> Self {
        let safe_to_evict = safe_to_evict.filter(|_| before.is_none());
        let before = before.cloned().unwrap_or_default();
        let mut status = Self {
            containers: before.containers,
            git_repos: before.git_repos,
            objects: plan.objects.iter().map(|own| Taken::of(own)).collect(),
            pull_secrets: before.pull_secrets,
            safe_directory: before.safe_directory,
            safe_to_evict: before.safe_to_evict.or(safe_to_evict),
            volumes: before.volumes,
            ..Self::of(settings)
        };
        status
            .containers
            .extend(plan.syncers.iter().map(|own| own.name().to_owned()));
        status.git_repos.extend(plan.replaced.clone());
        status.pull_secrets.extend(plan.pull_secrets.clone());
        let told = plan.consumers.iter().filter(|own| !own.env.is_empty());
        status
            .safe_directory
            .extend(told.map(|own| own.name.clone()));
        status
            .volumes
            .extend(plan.volumes.iter().map(|own| own.name.clone()));
        status
    }

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

    fn of(settings: &Settings) -> Self {
        Self {
            config: settings.hash(),
            version: settings.version.clone(),
            ..Self::default()
        }
    }

    /// Reads what a Pod says; an unreadable status is one of no known configuration.
    pub(crate) fn read(annotations: Option<&Map<String, Value>>) -> Option<Self> {
        let text = annotations?.get(Self::KEY)?.as_str()?;
        Some(serde_json::from_str(text).unwrap_or_default())
    }

    /// What a Pod itself shows of an injection whose status is lost.
    pub(crate) fn inferred(volumes: Vec<String>, safe_directory: Vec<String>) -> Self {
        Self {
            volumes,
            safe_directory,
            ..Self::default()
        }
    }

    /// Whether it tells of no injection: it is unreadable, or of a Pod that was left alone.
    pub(crate) fn names_nothing(&self) -> bool {
        self.volumes.is_empty() && self.git_repos.is_empty()
    }

    /// The version that wrote this.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// The configuration that it had then.
    pub(crate) fn config(&self) -> &str {
        &self.config
    }

    /// Tells whether this was written by the same version with the same configuration.
    pub(crate) fn is_by(&self, settings: &Settings) -> bool {
        self.version == settings.version && self.config == settings.hash()
    }

    pub(crate) fn to_text(&self) -> String {
        // A struct of texts cannot fail to be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}
