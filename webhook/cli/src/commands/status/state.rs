//! What a syncer reports about its repositories: the entries of its page `/status`
//! (docs/config.md), or the file `health.json` on its state volume, which has a part of them.

use serde::Deserialize;
use serde::Serialize;

/// The state of one repository in a Pod.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RepositoryState {
    /// The name of the repository; `None` if it is the only one of its syncer.
    pub name: Option<String>,
    /// The address, without credentials.
    pub repo: String,
    /// The branch, tag or commit that is followed.
    pub r#ref: String,
    /// The commit that consumers see; `None` before the first one.
    pub published: Option<PublishedCommit>,
    /// When a pass last succeeded (RFC 3339); only over HTTP.
    pub last_success: Option<String>,
    /// The error of the last pass; `None` after a success.
    pub last_error: Option<String>,
    /// The state of the poller: `on`, `off`, `off: REASON` or `failing: REASON`.
    pub poller: Option<String>,
    /// The state of the pull-through cache: `on`, or `direct: REASON`; absent without a cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<String>,
}

/// A commit that consumers see.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct PublishedCommit {
    /// The full hash.
    pub commit: String,
    /// The tag that a range of versions selected.
    pub tag: Option<String>,
    /// When the syncer published it, or found it published (RFC 3339).
    pub since: Option<String>,
    /// When the git host named it (RFC 3339), if the syncer has not reached the host since.
    #[serde(rename = "asOf", skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
}

/// Where the state of a syncer comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum StateSource {
    /// The syncer's page `/status`, through the API server.
    Http,
    /// The file on the syncer's state volume, by a command in its container.
    File,
    /// The log of a container that has ended.
    Log,
    /// The Pod's spec alone: what it requests, not what it has.
    Spec,
}

/// The state of one injected container.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncerState {
    /// The name of the container.
    pub container: String,
    /// Where the state comes from.
    pub source: StateSource,
    /// Its repositories.
    pub repositories: Vec<RepositoryState>,
    /// Why the container does not run, as the kubelet reports it.
    pub waiting: Option<String>,
    /// Why its state cannot be read.
    pub unreadable: Option<String>,
    /// Whether the reason is a missing permission.
    #[serde(skip)]
    pub is_forbidden: bool,
}

/// The state of the injected containers of a Pod.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodState {
    /// The Pod's namespace.
    pub namespace: String,
    /// The Pod's name.
    pub pod: String,
    /// Its injected containers; empty if it has none.
    pub syncers: Vec<SyncerState>,
}

impl PodState {
    /// Whether the Pod lacks a repository: it is not injected, a container does not run, nothing is
    /// published, or the last pass failed.
    pub fn has_problem(&self) -> bool {
        let is_without = |repository: &RepositoryState| {
            repository.published.is_none() || repository.last_error.is_some()
        };
        let has_problem = |syncer: &SyncerState| {
            let is_known = !matches!(syncer.source, StateSource::Spec | StateSource::Log);
            syncer.waiting.is_some() || is_known && syncer.repositories.iter().any(is_without)
        };
        self.syncers.is_empty() || self.syncers.iter().any(has_problem)
    }

    /// Why the state of a container cannot be read, if that is so.
    pub fn unreadable(&self) -> Option<&str> {
        let mut reasons = self.syncers.iter().map(|own| own.unreadable.as_deref());
        reasons.find_map(|reason| reason)
    }

    /// Whether a state cannot be read because a permission is missing.
    pub fn is_forbidden(&self) -> bool {
        self.syncers.iter().any(|own| own.is_forbidden)
    }

    /// All repositories of the Pod.
    pub fn repositories(&self) -> impl Iterator<Item = &RepositoryState> {
        self.syncers.iter().flat_map(|own| &own.repositories)
    }
}
