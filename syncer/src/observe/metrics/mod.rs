//! The metrics: git-sync's with their names and meaning, and gitvolume's own, with the prefix
//! `gitvolume_`.
//!
//! Written by hand in the text format 0.0.4, as git-sync's are: the webhook's library has no
//! summaries, and appends `_total` to names that have no suffix here.

mod families;
pub(crate) mod figures;
mod process;
mod text;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::time::Duration;
use std::time::SystemTime;

use crate::git::Hash;
use crate::observe::metrics::families::FAMILIES;
use crate::observe::metrics::figures::Ending;
use crate::observe::metrics::figures::Figures;
use crate::observe::metrics::figures::Published;
use crate::observe::metrics::figures::RepoFigures;
use crate::observe::metrics::text::Text;
use crate::system::lock::lock;

pub(crate) use crate::observe::metrics::text::CONTENT_TYPE;

/// All metrics of the process.
pub(crate) struct Metrics {
    started: SystemTime,
    repos: Mutex<Vec<RepoMetrics>>,
}

impl Metrics {
    /// Metrics with all values zero.
    pub(crate) fn new() -> Self {
        Self {
            started: SystemTime::now(),
            repos: Mutex::default(),
        }
    }

    /// The metrics of one repository. Those of a named repository have its name as the label
    /// `repo`; the repository of the flags has no name and git-sync's exact lines.
    pub(crate) fn for_repo(&self, name: Option<&str>) -> RepoMetrics {
        let repo = RepoMetrics(Arc::new(RepoFigures {
            name: name.map(str::to_owned),
            figures: Mutex::default(),
        }));
        lock(&self.repos).push(repo.clone());
        repo
    }

    /// The metrics page in the text format.
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

/// A handle to the metrics of one repository; clones share their values.
#[derive(Clone, Debug)]
pub(crate) struct RepoMetrics(Arc<RepoFigures>);

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

    /// Counts a fetch with new objects, or the first fetch of the process, as git-sync does.
    pub(crate) fn count_fetch(&self) {
        self.lock().fetches += 1;
    }

    /// Counts a request to `--askpass-url`.
    pub(crate) fn count_askpass_call(&self, is_ok: bool) {
        *self.lock().askpass_calls.entry(ending(is_ok)).or_default() += 1;
    }

    /// Counts a renewal of the GitHub App's token.
    pub(crate) fn count_github_token(&self, is_ok: bool) {
        *self.lock().github_tokens.entry(ending(is_ok)).or_default() += 1;
    }

    /// Counts a finished run of a hook.
    pub(crate) fn count_hook_run(&self, name: &'static str, is_ok: bool) {
        let mut figures = self.lock();
        *figures.hook_runs.entry((name, ending(is_ok))).or_default() += 1;
    }

    /// Records the commit that consumers see, and its date if known; an unknown date keeps the
    /// known one.
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

    /// Records when the git host named the published commit, if it is unreachable since.
    pub(crate) fn set_as_of(&self, as_of: Option<SystemTime>) {
        self.lock().as_of = as_of;
    }

    /// Records whether the remote is polled without git.
    pub(crate) fn set_polled(&self, is_polled: bool) {
        self.lock().is_polled = Some(is_polled);
    }

    /// Counts a poll without git and the bytes of its response body.
    pub(crate) fn count_poll(&self, received: u64) {
        let mut figures = self.lock();
        figures.polls += 1;
        figures.poll_bytes += received;
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
    fn metrics_of_events_that_never_happened_are_omitted() {
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

    /// Each metric with its type; those of the process are on one row.
    #[test]
    fn the_page_has_every_metric_and_no_other() {
        let metrics = Metrics::new();
        let repo = metrics.for_repo(None);
        repo.count_sync(Ending::Success, Duration::ZERO);
        repo.count_askpass_call(true);
        repo.set_polled(true);
        repo.count_github_token(true);
        repo.count_hook_run("webhook", true);
        repo.published(&commit(), Some(SystemTime::now()));
        repo.set_as_of(Some(SystemTime::now()));
        let text = metrics.render();
        let written = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let written = written.filter(|written| !written.starts_with("process_"));
        let row = |written: &str| {
            let (name, kind) = written.split_once(' ').unwrap();
            format!("| `{name}` | {kind} |")
        };
        let mut written: Vec<String> = written.map(row).collect();
        written.sort();
        let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/http.md");
        let page = std::fs::read_to_string(page).unwrap();
        let is_row = |line: &&str| line.starts_with("| `git") && line.contains("` | ");
        let rows = page.lines().filter(is_row).filter_map(|row| {
            let mut cells = row.split(" | ");
            Some(format!("{} | {} |", cells.next()?, cells.next()?))
        });
        let mut rows: Vec<String> = rows.collect();
        rows.sort();
        assert_eq!(written, rows);
    }
}
