//! The figures for a scraper: git-sync's by their names and counts, and ours, which begin with
//! `gitvolume_`.
//!
//! Written by hand in the text format 0.0.4, as git-sync's are: the library of the webhook knows no
//! summary, and puts `_total` behind names that have none here.

mod process;
mod text;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::SystemTime;

use crate::git::Hash;
pub(crate) use crate::metrics::text::CONTENT_TYPE;
use crate::metrics::text::Kind;
use crate::metrics::text::Text;
use crate::metrics::text::unix;

/// How a pass ended.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Ending {
    Error,
    Noop,
    Success,
}

impl Ending {
    fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Noop => "noop",
            Self::Success => "success",
        }
    }
}

/// All figures of the process.
pub(crate) struct Metrics {
    started: SystemTime,
    repos: Mutex<Vec<RepoMetrics>>,
}

impl Metrics {
    /// Figures at zero.
    pub(crate) fn new() -> Self {
        Self {
            started: SystemTime::now(),
            repos: Mutex::default(),
        }
    }

    /// The figures of one repository. Those of a named one carry its name as the label `repo`; the
    /// one of the flags has no name and git-sync's exact lines.
    pub(crate) fn for_repo(&self, name: Option<&str>) -> RepoMetrics {
        let repo = RepoMetrics(Arc::new(RepoFigures {
            name: name.map(str::to_owned),
            figures: Mutex::default(),
        }));
        lock(&self.repos).push(repo.clone());
        repo
    }

    /// The text for a scraper.
    pub(crate) fn render(&self) -> String {
        let mut text = Text::default();
        let repos = lock(&self.repos).clone();
        for family in FAMILIES {
            text.family(family.name, family.kind, family.help);
            for repo in &repos {
                let label = repo.0.name.as_deref().map(|name| ("repo", name));
                (family.samples)(&lock(&repo.0.figures), &mut |suffix, labels, value| {
                    let labels = label.iter().chain(labels).copied();
                    text.sample(suffix, labels, value);
                });
            }
        }
        process::write(&mut text, self.started);
        text.into_string()
    }
}

/// A handle to count with; a clone counts into the same figures.
#[derive(Clone, Debug)]
pub(crate) struct RepoMetrics(Arc<RepoFigures>);

#[derive(Debug)]
struct RepoFigures {
    name: Option<String>,
    figures: Mutex<Figures>,
}

#[derive(Debug, Default)]
struct Figures {
    syncs: BTreeMap<Ending, Passes>,
    fetches: u64,
    askpass_calls: BTreeMap<Ending, u64>,
    github_tokens: BTreeMap<Ending, u64>,
    hook_runs: BTreeMap<(&'static str, Ending), u64>,
    last_success: Option<SystemTime>,
    published: Option<Published>,
    polls: u64,
    poll_bytes: u64,
    object_bytes: u64,
}

#[derive(Debug, Default)]
struct Passes {
    count: u64,
    took: Duration,
}

#[derive(Debug)]
struct Published {
    commit: Hash,
    at: SystemTime,
    committed: Option<SystemTime>,
}

impl RepoMetrics {
    /// Counts a pass.
    pub(crate) fn count_sync(&self, ending: Ending, took: Duration) {
        let mut figures = self.lock();
        let passes = figures.syncs.entry(ending).or_default();
        passes.count += 1;
        passes.took += took;
        if ending != Ending::Error {
            figures.last_success = Some(SystemTime::now());
        }
    }

    /// Counts a fetch that brought something, or was the first of the process, as git-sync does.
    pub(crate) fn count_fetch(&self) {
        self.lock().fetches += 1;
    }

    /// Counts a question to `--askpass-url`.
    pub(crate) fn count_askpass_call(&self, is_ok: bool) {
        *self.lock().askpass_calls.entry(ending(is_ok)).or_default() += 1;
    }

    /// Counts a renewal of the GitHub App's token.
    pub(crate) fn count_github_token(&self, is_ok: bool) {
        *self.lock().github_tokens.entry(ending(is_ok)).or_default() += 1;
    }

    /// Counts the end of a hook.
    pub(crate) fn count_hook_run(&self, name: &'static str, is_ok: bool) {
        let mut figures = self.lock();
        *figures.hook_runs.entry((name, ending(is_ok))).or_default() += 1;
    }

    /// Notes which commit readers see, and when it was made, where that is known; what is known
    /// already changes nothing.
    pub(crate) fn published(&self, commit: &Hash, committed: Option<SystemTime>) {
        let mut figures = self.lock();
        let known = figures.published.as_ref();
        if known.is_none_or(|known| known.commit != *commit) {
            figures.published = Some(Published {
                commit: commit.clone(),
                at: SystemTime::now(),
                committed,
            });
        }
    }

    /// Counts a question of the native poller and the bytes of its answer's body.
    pub(crate) fn count_poll(&self, received: u64) {
        let mut figures = self.lock();
        figures.polls += 1;
        figures.poll_bytes += received;
    }

    /// Counts by how much a fetch made git's object store grow.
    pub(crate) fn count_objects(&self, bytes: u64) {
        self.lock().object_bytes += bytes;
    }

    fn lock(&self) -> MutexGuard<'_, Figures> {
        lock(&self.0.figures)
    }
}

fn ending(is_ok: bool) -> Ending {
    if is_ok {
        Ending::Success
    } else {
        Ending::Error
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a family hands over for one repository: a suffix of the name, labels, and the value.
type Sink<'a> = &'a mut dyn FnMut(&str, &[(&'static str, &str)], f64);

/// One name, and where its samples come from.
struct Family {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    samples: fn(&Figures, Sink<'_>),
}

const FAMILIES: &[Family] = &[
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
        help: "When a pass last succeeded, changed or not, in seconds since 1970",
        samples: |figures, sink| {
            if let Some(at) = figures.last_success {
                sink("", &[], unix(at));
            }
        },
    },
    Family {
        name: "gitvolume_published_commit_info",
        kind: Kind::Gauge,
        help: "The commit that readers see, as a label; the value is 1",
        samples: |figures, sink| {
            if let Some(published) = &figures.published {
                sink("", &[("commit", published.commit.as_str())], 1.0);
            }
        },
    },
    Family {
        name: "gitvolume_published_timestamp_seconds",
        kind: Kind::Gauge,
        help: "When this process published that commit, or found it published, in seconds since 1970",
        samples: |figures, sink| {
            if let Some(published) = &figures.published {
                sink("", &[], unix(published.at));
            }
        },
    },
    Family {
        name: "gitvolume_publish_lag_seconds",
        kind: Kind::Gauge,
        help: "How long after its committer's date that commit was published by this process",
        samples: |figures, sink| {
            let lag = |published: &Published| Some(unix(published.at) - unix(published.committed?));
            if let Some(lag) = figures.published.as_ref().and_then(lag) {
                sink("", &[], lag);
            }
        },
    },
    Family {
        name: "gitvolume_polls_total",
        kind: Kind::Counter,
        help: "How often the remote was asked without starting git",
        samples: |figures, sink| sink("", &[], figures.polls as f64),
    },
    Family {
        name: "gitvolume_poll_received_bytes_total",
        kind: Kind::Counter,
        help: "Bytes of the answers to those polls, without the transport's own",
        samples: |figures, sink| sink("", &[], figures.poll_bytes as f64),
    },
    Family {
        name: "gitvolume_fetched_object_bytes_total",
        kind: Kind::Counter,
        help: "Bytes on disk by which git's fetches made its object store grow",
        samples: |figures, sink| sink("", &[], figures.object_bytes as f64),
    },
];

fn by_status(counts: &BTreeMap<Ending, u64>, sink: Sink<'_>) {
    for (ending, count) in counts {
        sink("", &[("status", ending.as_str())], *count as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit() -> Hash {
        "0123456789012345678901234567890123456789".parse().unwrap()
    }

    fn assert_lines(text: &str, lines: &[&str]) {
        for line in lines {
            assert!(text.lines().any(|found| found == *line), "{line}\n{text}");
        }
    }

    #[test]
    fn one_repository_without_a_name_has_git_syncs_lines() {
        let metrics = Metrics::new();
        let repo = metrics.for_repo(None);
        repo.count_sync(Ending::Success, Duration::from_secs(1));
        repo.count_sync(Ending::Noop, Duration::from_millis(250));
        repo.count_fetch();
        repo.count_askpass_call(false);
        repo.count_github_token(true);
        repo.count_hook_run("webhook", true);
        assert_lines(
            &metrics.render(),
            &[
                "# TYPE git_sync_count_total counter",
                "git_sync_count_total{status=\"noop\"} 1",
                "git_sync_count_total{status=\"success\"} 1",
                "git_fetch_count_total 1",
                "# TYPE git_sync_duration_seconds summary",
                "git_sync_duration_seconds_sum{status=\"noop\"} 0.25",
                "git_sync_duration_seconds_count{status=\"success\"} 1",
                "git_sync_askpass_calls{status=\"error\"} 1",
                "git_sync_refresh_github_app_token_count{status=\"success\"} 1",
                "git_sync_hook_run_count_total{name=\"webhook\",status=\"success\"} 1",
            ],
        );
    }

    #[test]
    fn named_repositories_share_a_family_and_carry_their_names() {
        let metrics = Metrics::new();
        for name in ["docs", "we\"ird"] {
            let repo = metrics.for_repo(Some(name));
            repo.count_sync(Ending::Error, Duration::ZERO);
        }
        let text = metrics.render();
        assert_lines(
            &text,
            &[
                "git_sync_count_total{repo=\"docs\",status=\"error\"} 1",
                "git_sync_count_total{repo=\"we\\\"ird\",status=\"error\"} 1",
                "git_fetch_count_total{repo=\"docs\"} 0",
            ],
        );
        assert_eq!(text.matches("# TYPE git_sync_count_total ").count(), 1);
    }

    #[test]
    fn what_has_never_happened_has_no_lines() {
        let metrics = Metrics::new();
        metrics.for_repo(None);
        let text = metrics.render();
        for name in ["git_sync_count_total", "askpass", "last_success", "lag"] {
            assert!(!text.contains(name), "{name}\n{text}");
        }
    }

    #[test]
    fn the_lag_is_from_the_commit_to_its_publication() {
        let metrics = Metrics::new();
        let repo = metrics.for_repo(None);
        repo.published(&commit(), Some(SystemTime::now() - Duration::from_secs(60)));
        let text = metrics.render();
        let info = format!(
            "gitvolume_published_commit_info{{commit=\"{}\"}} 1",
            commit()
        );
        assert_lines(&text, &[&info]);
        let lag = text
            .lines()
            .find_map(|line| line.strip_prefix("gitvolume_publish_lag_seconds "));
        let lag: f64 = lag.unwrap().parse().unwrap();
        assert!((60.0..90.0).contains(&lag), "{lag}");
    }
}
