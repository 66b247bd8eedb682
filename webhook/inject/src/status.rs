use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;

use crate::PREFIX;
use crate::Plan;
use crate::Refusal;
use crate::Settings;

/// What the status annotation says: for people, and for telling configurations apart. What is in
/// the Pod is judged by the Pod, never by this: anybody can write an annotation.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Status {
    /// [`Settings::hash`] of the configuration.
    config: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    containers: Vec<String>,
    /// Why nothing was added, where mistakes are only warned of.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    version: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    volumes: Vec<String>,
}

impl Status {
    /// The whole key of the annotation.
    pub(crate) fn key() -> String {
        format!("{PREFIX}status")
    }

    pub(crate) fn of_plan(plan: &Plan, settings: &Settings) -> Self {
        Self {
            containers: plan
                .containers
                .iter()
                .map(|own| own.name.to_owned())
                .collect(),
            volumes: plan.volumes.iter().map(|own| own.name.clone()).collect(),
            ..Self::of(settings)
        }
    }

    pub(crate) fn of_refusal(refusal: &Refusal, settings: &Settings) -> Self {
        Self {
            refused: Some(refusal.to_string()),
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
        let text = annotations?.get(&Self::key())?.as_str()?;
        Some(serde_json::from_str(text).unwrap_or_default())
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
