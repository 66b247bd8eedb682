//! The explanation of a Pod.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::Explained;
use crate::Repository;
use crate::explain::setting::Setting;

/// The explanation of a decision about a Pod.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// `inject`, `skip`, `deny`, or `warn` for a refusal that admits.
    pub decision: &'static str,
    /// The reason, in one word.
    pub reason: &'static str,
    /// The reason, in a sentence, where the word is not enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<&'static str>,
    /// The injection of an earlier call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub present: Option<Present>,
    /// The repositories, including those of gitRepo volumes.
    pub repositories: Vec<Repository>,
    /// The settings of the Pod as a whole.
    pub pod: Vec<Setting>,
    /// The containers that are added.
    pub containers: Vec<Explained>,
    /// The volumes that are added, with their sources.
    pub volumes: BTreeMap<String, String>,
    /// Other changes.
    pub others: Vec<String>,
    /// Warnings: allowed, and possibly not intended.
    pub warnings: Vec<String>,
    /// The mistakes that the Pod is refused for.
    pub mistakes: Vec<String>,
}

/// The injection of an earlier call, as its status and the Pod show it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Present {
    /// The version that wrote it.
    pub version: String,
    /// The hash of its settings.
    pub config: String,
    /// The hash of the present settings.
    pub present_config: String,
    /// Whether version and settings are the present ones.
    pub is_same: bool,
    /// The differences between a new Pod and this one: a container or volume, and its fields.
    pub differences: Vec<String>,
    /// Whether the Pod has everything that the status claims and the annotations request.
    pub is_there: bool,
}
