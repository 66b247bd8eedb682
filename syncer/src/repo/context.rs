//! State that all repositories of the process share.

use crate::git::Git;
use crate::git::permits::Permits;
use crate::remote::throttle::Throttle;

/// State that all repositories of the process share.
#[derive(Clone)]
pub(crate) struct SharedContext {
    pub(crate) git: Git,
    pub(crate) permits: Permits,
    pub(crate) throttle: Throttle,
    /// Whether polls without git are possible: git is the default one and the poller is not
    /// disabled.
    pub(crate) polls: bool,
}
