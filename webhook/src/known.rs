//! What answers are made from beside the question: held in memory, and kept current by others.

use std::sync::Arc;

use inject::Settings;

use crate::namespaces::Namespaces;
use crate::settings::Current;

/// Everything that is known without a call.
#[derive(Clone, Debug)]
pub struct Known {
    /// What the operator decided.
    pub settings: Arc<Current>,
    /// What the cluster says about its namespaces.
    pub namespaces: Arc<Namespaces>,
}

impl Known {
    /// These settings for ever, and nothing of any cluster.
    pub fn only(settings: Settings) -> Self {
        Self {
            settings: Current::new(settings),
            namespaces: Namespaces::unwatched(),
        }
    }
}
