//! The in-memory state that decisions read besides the review: settings and namespaces.

use std::sync::Arc;

use inject::Settings;

use crate::cluster::namespaces::Namespaces;
use crate::settings::current::Current;

/// The in-memory state of a decision; reading it makes no API call.
#[derive(Clone, Debug)]
pub struct Known {
    /// The operator's settings.
    pub settings: Arc<Current>,
    /// The namespaces of the cluster, with their objects.
    pub namespaces: Arc<Namespaces>,
}

impl Known {
    /// Fixed settings without a cluster.
    pub fn only(settings: Settings) -> Self {
        Self {
            settings: Current::new(settings),
            namespaces: Namespaces::unwatched(),
        }
    }
}
