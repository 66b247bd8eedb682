//! The metrics of the cache, in Prometheus' text format.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// The media type of the page.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that grows and shrinks.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicI64);

impl Gauge {
    pub(crate) fn add(&self, count: i64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One of the things that a gauge counts, until it is dropped.
pub(crate) struct Counted {
    metrics: Arc<Metrics>,
    gauge: fn(&Metrics) -> &Gauge,
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.gauge)(&self.metrics).add(-1);
    }
}

/// All metrics.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// Requests of followers by their kind.
    pub(crate) info_refs: Counter,
    pub(crate) ls_refs: Counter,
    pub(crate) fetches: Counter,
    pub(crate) wakes: Counter,
    pub(crate) watches: Counter,
    /// Requests of other replicas.
    pub(crate) of_peers: Counter,
    /// Requests to other replicas by their result.
    pub(crate) peer_answers: Counter,
    pub(crate) peer_misses: Counter,
    pub(crate) peer_errors: Counter,
    pub(crate) peer_bytes: Counter,
    /// Requests that no request to the origin was sent for.
    pub(crate) hits: Counter,
    /// Requests to origins by their kind.
    pub(crate) origin_info_refs: Counter,
    pub(crate) origin_ls_refs: Counter,
    pub(crate) origin_fetches: Counter,
    /// Failed requests to origins.
    pub(crate) origin_errors: Counter,
    pub(crate) refused: Counter,
    pub(crate) received_bytes: Counter,
    pub(crate) sent_bytes: Counter,
    pub(crate) stale_answers: Counter,
    pub(crate) stale_seconds: Gauge,
    pub(crate) prefetches: Counter,
    pub(crate) waiting: Gauge,
    pub(crate) connections: Gauge,
    pub(crate) store_bytes: Gauge,
    pub(crate) store_errors: Counter,
}

impl Metrics {
    /// Counts one more until the result is dropped.
    pub(crate) fn count(self: &Arc<Self>, gauge: fn(&Self) -> &Gauge) -> Counted {
        gauge(self).add(1);
        Counted {
            metrics: Arc::clone(self),
            gauge,
        }
    }

    /// The page.
    pub(crate) fn render(&self) -> String {
        let mut page = Page::default();
        let name = "gitvolume_cache_requests_total";
        page.head(
            name,
            "counter",
            "Requests of followers and of other replicas, by kind",
        );
        page.sample(name, "kind", "info-refs", self.info_refs.get());
        page.sample(name, "kind", "ls-refs", self.ls_refs.get());
        page.sample(name, "kind", "fetch", self.fetches.get());
        page.sample(name, "kind", "wake", self.wakes.get());
        page.sample(name, "kind", "watch", self.watches.get());
        page.sample(name, "kind", "peer", self.of_peers.get());
        let name = "gitvolume_cache_peer_requests_total";
        page.head(name, "counter", "Requests to other replicas, by result");
        page.sample(name, "result", "answer", self.peer_answers.get());
        page.sample(name, "result", "miss", self.peer_misses.get());
        page.sample(name, "result", "error", self.peer_errors.get());
        let name = "gitvolume_cache_origin_requests_total";
        page.head(name, "counter", "Requests to git hosts, by kind");
        page.sample(name, "kind", "info-refs", self.origin_info_refs.get());
        page.sample(name, "kind", "ls-refs", self.origin_ls_refs.get());
        page.sample(name, "kind", "fetch", self.origin_fetches.get());
        for (name, help, value) in [
            (
                "gitvolume_cache_hits_total",
                "Requests that the cache answered without a request of their own to the git host",
                self.hits.get(),
            ),
            (
                "gitvolume_cache_origin_errors_total",
                "Requests to git hosts without a usable answer",
                self.origin_errors.get(),
            ),
            (
                "gitvolume_cache_refused_total",
                "Requests refused: host, grammar, credentials, limits",
                self.refused.get(),
            ),
            (
                "gitvolume_cache_received_bytes_total",
                "Bytes of answers received from git hosts",
                self.received_bytes.get(),
            ),
            (
                "gitvolume_cache_peer_bytes_total",
                "Bytes of answers received from other replicas",
                self.peer_bytes.get(),
            ),
            (
                "gitvolume_cache_sent_bytes_total",
                "Bytes of answers sent to followers",
                self.sent_bytes.get(),
            ),
            (
                "gitvolume_cache_stale_answers_total",
                "Answers served while the git host was unreachable",
                self.stale_answers.get(),
            ),
            (
                "gitvolume_cache_prefetches_total",
                "First clones fetched in advance after a new commit",
                self.prefetches.get(),
            ),
            (
                "gitvolume_cache_store_errors_total",
                "Failed writes to the store, and damaged entries",
                self.store_errors.get(),
            ),
        ] {
            page.head(name, "counter", help);
            page.line(name, value);
        }
        for (name, help, value) in [
            (
                "gitvolume_cache_waiting_followers",
                "Followers that wait for a change",
                &self.waiting,
            ),
            (
                "gitvolume_cache_connections",
                "Open connections of followers",
                &self.connections,
            ),
            (
                "gitvolume_cache_stale_seconds",
                "Age of the last answer served while its git host was unreachable; 0 if the last answer was not stale",
                &self.stale_seconds,
            ),
            (
                "gitvolume_cache_store_bytes",
                "Bytes of stored answers",
                &self.store_bytes,
            ),
        ] {
            page.head(name, "gauge", help);
            page.line(name, value.get());
        }
        // No counter: what the cache fetches in advance makes it fall.
        let name = "gitvolume_cache_saved_bytes";
        let received = self.received_bytes.get();
        page.head(
            name,
            "gauge",
            "Bytes sent to followers and not received from git hosts",
        );
        page.line(name, self.sent_bytes.get().saturating_sub(received));
        page.0
    }
}

#[derive(Default)]
struct Page(String);

// Writing to a String never fails.
impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn sample(&mut self, name: &str, label: &str, value: &str, count: u64) {
        let _ = writeln!(self.0, "{name}{{{label}=\"{value}\"}} {count}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_and_the_documentation_list_the_same_metrics() {
        let text = Metrics::default().render();
        let written = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let row = |line: &str| {
            let (name, kind) = line.split_once(' ').unwrap();
            format!("| `{name}` | {kind} |")
        };
        let mut written: Vec<String> = written.map(row).collect();
        written.sort();
        let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cache.md");
        let page = std::fs::read_to_string(page).unwrap();
        let rows = page
            .lines()
            .filter(|line| line.starts_with("| `gitvolume_cache_"));
        let mut rows: Vec<String> = rows
            .map(|line| {
                let mut cells = line.split(" | ");
                format!("{} | {} |", cells.next().unwrap(), cells.next().unwrap())
            })
            .collect();
        rows.sort();
        assert_eq!(written, rows);
    }
}
