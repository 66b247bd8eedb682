//! The metric families of a repository.

use std::collections::BTreeMap;

use crate::observe::metrics::figures::Ending;
use crate::observe::metrics::figures::Figures;
use crate::observe::metrics::figures::Published;
use crate::observe::metrics::text::Kind;
use crate::observe::metrics::text::unix;

/// The receiver of a family's samples: a suffix of the name, labels, and the value.
pub(super) type Sink<'a> = &'a mut dyn FnMut(&str, &[(&'static str, &str)], f64);

/// A metric name with the source of its samples.
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
    pub(super) samples: fn(&Figures, Sink<'_>),
}

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "git_fetch_count_total",
        kind: Kind::Counter,
        help: "How many git fetches were run",
        samples: |figures, sink| sink("", &[], figures.fetches as f64),
    },
    Family {
        name: "git_sync_askpass_calls",
        kind: Kind::Counter,
        help: "How many git askpass calls completed, partitioned by state (success, error)",
        samples: |figures, sink| by_status(&figures.askpass_calls, sink),
    },
    Family {
        name: "git_sync_count_total",
        kind: Kind::Counter,
        help: "How many git syncs completed, partitioned by state (success, error, noop)",
        samples: |figures, sink| {
            for (ending, passes) in &figures.syncs {
                sink("", &[("status", ending.as_str())], passes.count as f64);
            }
        },
    },
    Family {
        name: "git_sync_duration_seconds",
        kind: Kind::Summary,
        help: "Summary of git_sync durations",
        samples: |figures, sink| {
            for (ending, passes) in &figures.syncs {
                let labels = [("status", ending.as_str())];
                sink("_sum", &labels, passes.took.as_secs_f64());
                sink("_count", &labels, passes.count as f64);
            }
        },
    },
    Family {
        name: "git_sync_hook_run_count_total",
        kind: Kind::Counter,
        help: "How many hook runs completed, partitioned by name and state (success, error)",
        samples: |figures, sink| {
            for ((name, ending), count) in &figures.hook_runs {
                let labels = [("name", *name), ("status", ending.as_str())];
                sink("", &labels, *count as f64);
            }
        },
    },
    Family {
        name: "git_sync_refresh_github_app_token_count",
        kind: Kind::Counter,
        help: "How many times the GitHub app token was refreshed, partitioned by state (success, error)",
        samples: |figures, sink| by_status(&figures.github_tokens, sink),
    },
    Family {
        name: "gitvolume_last_success_timestamp_seconds",
        kind: Kind::Gauge,
        help: "Unix time of the last successful sync, whether or not the commit changed, in seconds",
        samples: |figures, sink| {
            if let Some(at) = figures.last_success {
                sink("", &[], unix(at));
            }
        },
    },
    Family {
        name: "gitvolume_published_commit_info",
        kind: Kind::Gauge,
        help: "The published commit as a label; the value is always 1",
        samples: |figures, sink| {
            if let Some(published) = &figures.published {
                sink("", &[("commit", published.commit.as_str())], 1.0);
            }
        },
    },
    Family {
        name: "gitvolume_published_timestamp_seconds",
        kind: Kind::Gauge,
        help: "Unix time when this process published the commit, or found it published, in seconds",
        samples: |figures, sink| {
            if let Some(published) = &figures.published {
                sink("", &[], unix(published.at));
            }
        },
    },
    Family {
        name: "gitvolume_published_as_of_timestamp_seconds",
        kind: Kind::Gauge,
        help: "Unix time when the git host named the published commit, in seconds; only while the git host is unreachable since a start from the cache",
        samples: |figures, sink| {
            if let Some(at) = figures.as_of {
                sink("", &[], unix(at));
            }
        },
    },
    Family {
        name: "gitvolume_publish_lag_seconds",
        kind: Kind::Gauge,
        help: "Seconds from the committer date of the commit to its publication by this process",
        samples: |figures, sink| {
            let lag = |published: &Published| Some(unix(published.at) - unix(published.committed?));
            if let Some(lag) = figures.published.as_ref().and_then(lag) {
                sink("", &[], lag);
            }
        },
    },
    Family {
        name: "gitvolume_poller_on",
        kind: Kind::Gauge,
        help: "1 if the syncer polls the remote without git, 0 if it runs git at each pass; /status shows the reason",
        samples: |figures, sink| {
            if let Some(is_polled) = figures.is_polled {
                sink("", &[], f64::from(u8::from(is_polled)));
            }
        },
    },
    Family {
        name: "gitvolume_polls_total",
        kind: Kind::Counter,
        help: "Number of polls of the remote, which do not start git",
        samples: |figures, sink| sink("", &[], figures.polls as f64),
    },
    Family {
        name: "gitvolume_poll_received_bytes_total",
        kind: Kind::Counter,
        help: "Bytes received in poll responses, without transport overhead",
        samples: |figures, sink| sink("", &[], figures.poll_bytes as f64),
    },
];

fn by_status(counts: &BTreeMap<Ending, u64>, sink: Sink<'_>) {
    for (ending, count) in counts {
        sink("", &[("status", ending.as_str())], *count as f64);
    }
}
