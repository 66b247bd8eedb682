//! The figures that git-sync gives, by its names.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::EncodeLabelValue;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// How a pass ended.
#[derive(Clone, Copy, Debug, EncodeLabelValue, Eq, Hash, PartialEq)]
pub(crate) enum Ending {
    #[allow(non_camel_case_types, reason = "the label's value is git-sync's")]
    error,
    #[allow(non_camel_case_types, reason = "the label's value is git-sync's")]
    noop,
    #[allow(non_camel_case_types, reason = "the label's value is git-sync's")]
    success,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Labels {
    status: Ending,
}

/// The counters, and the text of them.
pub(crate) struct Metrics {
    registry: Registry,
    syncs: Family<Labels, Counter>,
    durations: Family<Labels, Histogram>,
    fetches: Counter,
}

impl Metrics {
    /// Counters at zero.
    pub(crate) fn new() -> Self {
        let syncs = Family::<Labels, Counter>::default();
        // git-sync's is a summary without quantiles: a sum and a count, as a histogram has them.
        let durations = Family::<Labels, Histogram>::new_with_constructor(|| Histogram::new([]));
        let fetches = Counter::default();
        let mut registry = Registry::default();
        registry.register(
            "git_sync_count",
            "How many git syncs completed, partitioned by state",
            syncs.clone(),
        );
        registry.register(
            "git_sync_duration_seconds",
            "How long git syncs took, partitioned by state",
            durations.clone(),
        );
        registry.register(
            "git_fetch_count",
            "How many git fetches were run",
            fetches.clone(),
        );
        Self {
            registry,
            syncs,
            durations,
            fetches,
        }
    }

    /// Counts a pass.
    pub(crate) fn count_sync(&self, status: Ending, took: Duration) {
        let labels = Labels { status };
        self.syncs.get_or_create(&labels).inc();
        let durations = self.durations.get_or_create(&labels);
        durations.observe(took.as_secs_f64());
    }

    /// Counts a fetch that brought something, or was the first of the process, as git-sync does.
    pub(crate) fn count_fetch(&self) {
        self.fetches.inc();
    }

    /// The text for a scraper.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_git_syncs() {
        let metrics = Metrics::new();
        metrics.count_sync(Ending::success, Duration::from_secs(1));
        metrics.count_fetch();
        let text = metrics.render();
        for line in [
            "git_sync_count_total{status=\"success\"} 1",
            "git_fetch_count_total 1",
            "git_sync_duration_seconds_sum{status=\"success\"} 1.0",
            "git_sync_duration_seconds_count{status=\"success\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
