//! What is counted: closed label sets, no namespaces, seconds.

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
use prometheus_client::registry::Registry;

use self::labels::BuildLabels;
use self::labels::ConfigLabels;
use self::labels::ObjectLabels;
use self::labels::OutcomeLabels;
use self::labels::RequestLabels;
use self::labels::ShedLabels;
use self::process::Process;
pub use self::trouble::Trouble;
use crate::known::Known;
use crate::namespaces::Namespaces;
use crate::objects::Writes;
use crate::settings::Reloads;
use crate::shutdown::Stage;

/// An answer takes tens of microseconds; the API server gives up after seconds.
const DURATION_BUCKETS: [f64; 13] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
];

const PATCH_BUCKETS: [f64; 7] = [256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0];

/// What there can be too much of.
pub const LIMITS: [&str; 2] = ["calls", "bytes"];

/// Everything that `/metrics` shows.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Histogram,
    patch_bytes: Histogram,
    /// Calls being answered now.
    pub inflight: Gauge,
    /// Bytes of their bodies.
    pub inflight_bytes: Gauge,
    /// Calls whose answer panicked.
    pub panics: Counter,
    /// Connections that are open.
    pub connections: Gauge,
    /// Connections that were accepted.
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

impl Metrics {
    /// Registers every metric, so that each is shown before its first event.
    pub fn new() -> Self {
        let mut all = Registry::default();
        all.register_collector(Box::new(Process::new()));
        let registry = all.sub_registry_with_prefix("gitvolume_webhook");
        let requests = Family::<RequestLabels, Counter>::default();
        let durations = Histogram::new(DURATION_BUCKETS);
        let patch_bytes = Histogram::new(PATCH_BUCKETS);
        let inflight = Gauge::default();
        let inflight_bytes = Gauge::default();
        let panics = Counter::default();
        let connections = Gauge::default();
        let accepted = Counter::default();
        let shed = Family::<ShedLabels, Counter>::default();
        // Shown before its first event, so that a rate sees that one too.
        for trouble in Trouble::ALL {
            let _ = requests.get_or_create(&RequestLabels::of(trouble));
        }
        for limit in LIMITS {
            let _ = shed.get_or_create(&ShedLabels { limit });
        }
        let stage = Gauge::default();
        let tls_handshake_failures = Counter::default();
        let cert_not_after = Gauge::default();
        let ca_not_after = Gauge::default();
        let ca_bundle_in_sync = Gauge::default();
        let cert_renewals = Counter::default();
        let ca_rotations = Counter::default();
        let namespaces_stale = Gauge::default();
        let namespaces_with_users = Gauge::default();
        let objects = Family::default();
        let objects_stale = Gauge::default();
        let object_status_writes = Family::default();
        let config_reloads = Family::default();
        let config_valid = Gauge::default();
        let config = Family::default();
        // The text format adds `_total` and `_info` by itself.
        registry.register("requests", "Calls by decision and reason", requests.clone());
        registry.register(
            "request_duration_seconds",
            "Time from the call's headers to its answer",
            durations.clone(),
        );
        registry.register("patch_bytes", "Size of the patches", patch_bytes.clone());
        registry.register("inflight", "Calls being answered", inflight.clone());
        registry.register(
            "inflight_bytes",
            "Bytes of the bodies of calls being answered",
            inflight_bytes.clone(),
        );
        registry.register("panics", "Calls whose answer panicked", panics.clone());
        registry.register(
            "shed",
            "Calls told to come back, by what there was too much of",
            shed.clone(),
        );
        registry.register(
            "connections",
            "Connections that are open",
            connections.clone(),
        );
        registry.register(
            "connections_accepted",
            "Connections that were accepted",
            accepted.clone(),
        );
        registry.register(
            "stage",
            "0 while serving, 1 while callers are sent elsewhere, 2 while calls in flight finish",
            stage.clone(),
        );
        registry.register(
            "tls_handshake_failures",
            "TLS handshakes that failed or took too long",
            tls_handshake_failures.clone(),
        );
        registry.register(
            "cert_not_after_seconds",
            "When the serving certificate ends, as a Unix time; 0 without one",
            cert_not_after.clone(),
        );
        registry.register(
            "ca_not_after_seconds",
            "When the CA of the serving certificate ends, as a Unix time; 0 without one",
            ca_not_after.clone(),
        );
        registry.register(
            "cabundle_in_sync",
            "1 if the webhook configuration trusts the CA of the serving certificate, as far as is known",
            ca_bundle_in_sync.clone(),
        );
        registry.register(
            "cert_renewals",
            "Serving certificates that took the place of another one",
            cert_renewals.clone(),
        );
        registry.register(
            "ca_rotations",
            "Serving certificates that another CA signed than the one before",
            ca_rotations.clone(),
        );
        registry.register(
            "namespaces_stale_seconds",
            "How long changes of Namespaces have not been heard of; 0 while they are, or need not be",
            namespaces_stale.clone(),
        );
        registry.register(
            "namespaces_with_user_ranges",
            "Namespaces that hand out ranges of users",
            namespaces_with_users.clone(),
        );
        registry.register(
            "objects",
            "GitVolumes and ClusterGitVolumes, by whether they can be used",
            objects.clone(),
        );
        registry.register(
            "objects_stale_seconds",
            "How long changes of our objects have not been heard of; 0 while they are, or need not be",
            objects_stale.clone(),
        );
        registry.register(
            "object_status_writes",
            "Statuses of objects by what became of them; a conflict is another replica's, a moment before",
            object_status_writes.clone(),
        );
        registry.register(
            "config_reloads",
            "Changes of the settings' file by what became of them",
            config_reloads.clone(),
        );
        registry.register(
            "config_valid",
            "1 if the settings in force are those of the file; 0 if the file cannot be used",
            config_valid.clone(),
        );
        registry.register(
            "config_info",
            "The settings in force, by the hash that Pods' status has",
            config.clone(),
        );
        let version = env!("CARGO_PKG_VERSION");
        registry.register(
            "build",
            "What is running",
            Info::new(BuildLabels { version }),
        );
        Self {
            registry: all,
            requests,
            durations,
            patch_bytes,
            inflight,
            inflight_bytes,
            panics,
            connections,
            accepted,
            tls_handshake_failures,
            shed,
            stage,
            cert_not_after,
            ca_not_after,
            ca_bundle_in_sync,
            cert_renewals,
            ca_rotations,
            namespaces_stale,
            namespaces_with_users,
            objects,
            objects_stale,
            object_status_writes,
            config_reloads,
            config_valid,
            config,
        }
    }

    /// Counts one call that was decided.
    pub fn count(&self, decision: &'static str, reason: &'static str, took: Duration) {
        self.answered(&RequestLabels { decision, reason }, took);
    }

    /// Counts one call that was not.
    pub fn count_trouble(&self, trouble: Trouble, took: Duration) {
        self.answered(&RequestLabels::of(trouble), took);
    }

    fn answered(&self, labels: &RequestLabels, took: Duration) {
        self.requests.get_or_create(labels).inc();
        self.durations.observe(took.as_secs_f64());
    }

    /// Counts a call that was told to come back.
    pub(crate) fn shed(&self, limit: &'static str) {
        self.shed.get_or_create(&ShedLabels { limit }).inc();
    }

    /// Takes note of a patch's size.
    pub fn patched(&self, bytes: usize) {
        self.patch_bytes.observe(bytes as f64);
    }

    /// The text of `/metrics`, with the state as it is now of what is asked for rather than counted.
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
