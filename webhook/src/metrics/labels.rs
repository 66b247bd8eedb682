//! The labels of the metrics. Their values are closed sets, except the hash of the settings in
//! force.

use prometheus_client::encoding::EncodeLabelSet;

use super::Trouble;

/// The outcome of a call.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct RequestLabels {
    pub(super) decision: &'static str,
    pub(super) reason: &'static str,
}

impl RequestLabels {
    pub(super) fn of(trouble: Trouble) -> Self {
        Self {
            decision: "error",
            reason: trouble.as_str(),
        }
    }
}

/// The kind of counted objects, and whether they are accepted.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct ObjectLabels {
    pub(super) kind: &'static str,
    pub(super) accepted: &'static str,
}

/// The outcome of an attempt.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct OutcomeLabels {
    pub(super) outcome: &'static str,
}

/// The settings in force.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct ConfigLabels {
    pub(super) hash: String,
}

/// The limit that shed a call.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct ShedLabels {
    pub(super) limit: &'static str,
}

/// The running version.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct BuildLabels {
    pub(super) version: &'static str,
}
