//! Metrics of the webhook. Label values are closed sets without namespaces; durations are in
//! seconds.

mod labels;
mod process;
mod trouble;

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use inject::Kind;
use inject::Settings;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Metric;
use prometheus_client::registry::Registry;

use self::labels::BuildLabels;
use self::labels::ConfigLabels;
use self::labels::ObjectLabels;
use self::labels::OutcomeLabels;
use self::labels::RequestLabels;
use self::labels::ShedLabels;
use self::process::Process;
use crate::cluster::known::Known;
use crate::cluster::namespaces::Namespaces;
use crate::cluster::objects::writes::Writes;
use crate::settings::current::Reloads;
use crate::shutdown::Stage;

pub use self::trouble::Trouble;

/// Buckets in seconds: an answer takes tens of microseconds, and the API server gives up after
/// seconds.
const DURATION_BUCKETS: [f64; 13] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
];

const PATCH_BUCKETS: [f64; 7] = [256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0];

/// The limits that shed load, as label values.
pub const LIMITS: [&str; 2] = ["calls", "bytes"];

/// The metrics of `/metrics`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Histogram,
    patch_bytes: Histogram,
    /// Calls in flight.
    pub inflight: Gauge,
    /// Bytes of the bodies of calls in flight.
    pub inflight_bytes: Gauge,
    /// Admission requests whose handler panicked.
    pub panics: Counter,
    /// Open connections.
    pub connections: Gauge,
    /// Accepted connections.
    pub accepted: Counter,
    /// TLS handshakes that failed or took too long.
    pub tls_handshake_failures: Counter,
    shed: Family<ShedLabels, Counter>,
    stage: Gauge,
    cert_not_after: Gauge<f64, AtomicU64>,
    ca_not_after: Gauge<f64, AtomicU64>,
    ca_bundle_in_sync: Gauge,
    cert_renewals: Counter,
    ca_rotations: Counter,
    namespaces_stale: Gauge<f64, AtomicU64>,
    namespaces_with_users: Gauge,
    objects: Family<ObjectLabels, Gauge>,
    objects_stale: Gauge<f64, AtomicU64>,
    object_status_writes: Family<OutcomeLabels, Counter>,
    config_reloads: Family<OutcomeLabels, Counter>,
    config_valid: Gauge,
    config: Family<ConfigLabels, Gauge>,
}

/// Registers a metric with its default value.
fn metric<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    registered(registry, name, help, M::default())
}

fn registered<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

impl Metrics {
    /// Registers every metric, so that each is exposed before its first event.
    pub fn new() -> Self {
        let mut all = Registry::default();
        all.register_collector(Box::new(Process::new()));
        let registry = all.sub_registry_with_prefix("gitvolume_webhook");
        // The text format itself adds `_total` and `_info`.
        let version = env!("CARGO_PKG_VERSION");
        registry.register(
            "build",
            "What is running",
            Info::new(BuildLabels { version }),
        );
        let metrics = Self {
            requests: metric(
                registry,
                "requests",
                "Admission requests by decision and reason",
            ),
            durations: registered(
                registry,
                "request_duration_seconds",
                "Time from the headers of an admission request to its response",
                Histogram::new(DURATION_BUCKETS),
            ),
            patch_bytes: registered(
                registry,
                "patch_bytes",
                "Size of the patches",
                Histogram::new(PATCH_BUCKETS),
            ),
            inflight: metric(registry, "inflight", "Admission requests in flight"),
            inflight_bytes: metric(
                registry,
                "inflight_bytes",
                "Body bytes of the admission requests in flight",
            ),
            panics: metric(
                registry,
                "panics",
                "Admission requests whose handler panicked",
            ),
            shed: metric(
                registry,
                "shed",
                "Admission requests shed (503), by exceeded limit",
            ),
            connections: metric(registry, "connections", "Open connections"),
            accepted: metric(registry, "connections_accepted", "Accepted connections"),
            stage: metric(
                registry,
                "stage",
                "0 while serving, 1 while draining (unready, still serving), 2 while requests in flight finish",
            ),
            tls_handshake_failures: metric(
                registry,
                "tls_handshake_failures",
                "TLS handshakes that failed or took too long",
            ),
            cert_not_after: metric(
                registry,
                "cert_not_after_seconds",
                "Expiry of the serving certificate, as a Unix time; 0 without one",
            ),
            ca_not_after: metric(
                registry,
                "ca_not_after_seconds",
                "Expiry of the CA of the serving certificate, as a Unix time; 0 without one",
            ),
            ca_bundle_in_sync: metric(
                registry,
                "cabundle_in_sync",
                "1 if the webhook configuration is known to trust the CA of the serving certificate",
            ),
            cert_renewals: metric(
                registry,
                "cert_renewals",
                "Serving certificates that replaced another one",
            ),
            ca_rotations: metric(
                registry,
                "ca_rotations",
                "Serving certificates signed by another CA than the previous certificate",
            ),
            namespaces_stale: metric(
                registry,
                "namespaces_stale_seconds",
                "Seconds since the Namespace watch was last healthy; 0 if healthy or unused",
            ),
            namespaces_with_users: metric(
                registry,
                "namespaces_with_user_ranges",
                "Namespaces that assign UID ranges (OpenShift)",
            ),
            objects: metric(
                registry,
                "objects",
                "GitVolumes and ClusterGitVolumes, by whether they are accepted",
            ),
            objects_stale: metric(
                registry,
                "objects_stale_seconds",
                "Seconds since the watches of GitVolumes and ClusterGitVolumes were last healthy; 0 if healthy or unused",
            ),
            object_status_writes: metric(
                registry,
                "object_status_writes",
                "Status updates of GitVolumes and ClusterGitVolumes, by result; conflict: another replica was first",
            ),
            config_reloads: metric(
                registry,
                "config_reloads",
                "Reloads of the settings file, by result",
            ),
            config_valid: metric(
                registry,
                "config_valid",
                "1 if the settings in force are those of the file; 0 if the file cannot be used",
            ),
            config: metric(
                registry,
                "config_info",
                "The hash of the settings in force, as in the status annotation of Pods",
            ),
            registry: all,
        };
        // Exposed at zero, so that `rate()` sees the first event too.
        for trouble in Trouble::ALL {
            let _ = metrics.requests.get_or_create(&RequestLabels::of(trouble));
        }
        for limit in LIMITS {
            let _ = metrics.shed.get_or_create(&ShedLabels { limit });
        }
        metrics
    }

    /// Counts a call that was decided.
    pub fn count(&self, decision: &'static str, reason: &'static str, took: Duration) {
        self.answered(&RequestLabels { decision, reason }, took);
    }

    /// Counts a call without a decision.
    pub fn count_trouble(&self, trouble: Trouble, took: Duration) {
        self.answered(&RequestLabels::of(trouble), took);
    }

    fn answered(&self, labels: &RequestLabels, took: Duration) {
        self.requests.get_or_create(labels).inc();
        self.durations.observe(took.as_secs_f64());
    }

    /// Counts a call that was rejected to shed load (503).
    pub(crate) fn shed(&self, limit: &'static str) {
        self.shed.get_or_create(&ShedLabels { limit }).inc();
    }

    /// Records the size of a patch.
    pub fn patched(&self, bytes: usize) {
        self.patch_bytes.observe(bytes as f64);
    }

    /// The text of `/metrics`. Gauges of certificates, objects and settings are read now.
    pub fn text(
        &self,
        serving: &certs::Serving,
        known: &Known,
        stage: Stage,
    ) -> Result<String, fmt::Error> {
        self.certificates(serving);
        let Known {
            settings,
            namespaces,
        } = known;
        let in_force = settings.load();
        self.objects(namespaces, &in_force);
        self.namespaces_stale.set(namespaces.stale().as_secs_f64());
        let with_users = i64::try_from(namespaces.with_users()).unwrap_or(i64::MAX);
        self.namespaces_with_users.set(with_users);
        self.settings(in_force.hash(), &settings.reloads());
        self.stage.set(stage as i64);
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    fn objects(&self, namespaces: &Namespaces, settings: &Settings) {
        self.objects_stale
            .set(namespaces.objects_stale().as_secs_f64());
        for kind in [Kind::GitVolume, Kind::ClusterGitVolume] {
            let (accepted, refused) = namespaces.count(kind, settings);
            for (is_accepted, count) in [("true", accepted), ("false", refused)] {
                let labels = ObjectLabels {
                    kind: kind.as_str(),
                    accepted: is_accepted,
                };
                let count = i64::try_from(count).unwrap_or(i64::MAX);
                self.objects.get_or_create(&labels).set(count);
            }
        }
        let Writes {
            written,
            conflicts,
            failed,
        } = &namespaces.writes;
        for (outcome, count) in [
            ("written", written),
            ("conflict", conflicts),
            ("failed", failed),
        ] {
            let counter = self
                .object_status_writes
                .get_or_create(&OutcomeLabels { outcome });
            let count = count.load(Ordering::Relaxed);
            counter.inc_by(count.saturating_sub(counter.get()));
        }
    }

    fn certificates(&self, serving: &certs::Serving) {
        let seconds = |time: Option<SystemTime>| {
            let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            since.unwrap_or_default().as_secs_f64()
        };
        let leaf = serving.leaf();
        let ca_not_after = leaf.as_ref().and_then(|leaf| leaf.ca_not_after());
        self.cert_not_after
            .set(seconds(leaf.map(|leaf| leaf.not_after())));
        self.ca_not_after.set(seconds(ca_not_after));
        self.ca_bundle_in_sync
            .set(i64::from(serving.ca_bundle_in_sync()));
        for (counter, count) in [
            (&self.cert_renewals, serving.leaves_renewed()),
            (&self.ca_rotations, serving.rotations()),
        ] {
            counter.inc_by(count.saturating_sub(counter.get()));
        }
    }

    fn settings(&self, hash: String, reloads: &Reloads) {
        let Reloads {
            unissued: _,
            accepted,
            rejected,
            trouble,
        } = reloads;
        for (outcome, count) in [("accepted", *accepted), ("rejected", *rejected)] {
            let counter = self
                .config_reloads
                .get_or_create(&OutcomeLabels { outcome });
            counter.inc_by(count.saturating_sub(counter.get()));
        }
        self.config_valid.set(i64::from(trouble.is_none()));
        self.config.clear();
        self.config.get_or_create(&ConfigLabels { hash }).set(1);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
