//! The state of one repository, as `/status` and `gitvolume status` show it.

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;

/// A repository on the status page. Times are RFC 3339; texts contain no secrets.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Standing {
    /// `None` for the only repository of a process.
    pub(crate) name: Option<String>,
    pub(crate) repo: String,
    pub(crate) r#ref: String,
    pub(crate) phase: Phase,
    pub(crate) published: Option<Published>,
    pub(crate) last_success: Option<Timestamp>,
    /// `None` after a success.
    pub(crate) last_error: Option<String>,
    /// Failures since the last success.
    pub(crate) failures: u64,
    /// When the next pass starts, unless an event starts it earlier.
    pub(crate) next_pass: Option<Timestamp>,
    /// Whether the remote is polled without git; `None` until git has succeeded.
    pub(crate) poller: Option<String>,
    /// The state of the pull-through cache: `on`, or `direct` with the reason. `None` without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cache: Option<String>,
}

/// The commit that consumers see.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Published {
    pub(crate) commit: String,
    /// The tag that a range of versions selected; `None` for any other ref.
    pub(crate) tag: Option<String>,
    /// When this process published the commit, or found it published.
    pub(crate) since: Timestamp,
    /// When the git host named the commit, if the syncer has not reached it since: it started with
    /// the answer of the pull-through cache.
    #[serde(default, rename = "asOf", skip_serializing_if = "Option::is_none")]
    pub(crate) as_of: Option<Timestamp>,
}

/// The current activity of a repository.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Phase {
    /// A pass is running or waiting for its permit.
    #[default]
    Syncing,
    /// The next pass has not started yet.
    Waiting,
    /// The one-time sync or the clone is complete.
    Done,
    /// It failed too often.
    GaveUp,
}

impl Phase {
    /// The phase in words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Syncing => "syncing",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::GaveUp => "gave up",
        }
    }
}
