//! The metric values of one repository.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;
use std::time::SystemTime;

use crate::git::Hash;

/// How a pass ended.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Ending {
    Error,
    Noop,
    Success,
}

impl Ending {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Noop => "noop",
            Self::Success => "success",
        }
    }
}

#[derive(Debug)]
pub(crate) struct RepoFigures {
    pub(crate) name: Option<String>,
    pub(crate) figures: Mutex<Figures>,
}

#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) syncs: BTreeMap<Ending, Passes>,
    pub(crate) fetches: u64,
    pub(crate) askpass_calls: BTreeMap<Ending, u64>,
    pub(crate) github_tokens: BTreeMap<Ending, u64>,
    pub(crate) hook_runs: BTreeMap<(&'static str, Ending), u64>,
    pub(crate) last_success: Option<SystemTime>,
    pub(crate) published: Option<Published>,
    /// When the git host named the published commit, if it is unreachable since.
    pub(crate) as_of: Option<SystemTime>,
    /// Whether the remote is polled without git; `None` until that is known.
    pub(crate) is_polled: Option<bool>,
    pub(crate) polls: u64,
    pub(crate) poll_bytes: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Passes {
    pub(crate) count: u64,
    pub(crate) took: Duration,
}

#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) commit: Hash,
    pub(crate) at: SystemTime,
    pub(crate) committed: Option<SystemTime>,
}
