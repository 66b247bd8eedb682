//! The labels of the metrics; what they can be is a closed set, but for the hash of the settings in force.

use prometheus_client::encoding::EncodeLabelSet;

use super::Trouble;

/// What became of a call.
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

/// Which objects are counted.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct ObjectLabels {
    pub(super) kind: &'static str,
    pub(super) accepted: &'static str,
}

/// What became of what was tried.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct OutcomeLabels {
    pub(super) outcome: &'static str,
}

/// The settings in force.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct ConfigLabels {
    pub(super) hash: String,
}

/// What there was too much of.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct ShedLabels {
    pub(super) limit: &'static str,
}

/// What is running.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct BuildLabels {
    pub(super) version: &'static str,
}
