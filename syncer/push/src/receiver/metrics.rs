//! The receiver's metrics, in Prometheus' text format.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;

use crate::delivery::body::DeliveryError;
use crate::lock::lock;

pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The result of a delivery.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum DeliveryResult {
    /// It wakes repositories.
    Accepted,
    /// It names no repository that the holder of its secret may wake.
    Outside,
    Refused(DeliveryError),
}

impl DeliveryResult {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Outside => "outside",
            Self::Refused(DeliveryError::Unverified) => "unverified",
            Self::Refused(DeliveryError::TooLarge) => "too_large",
            Self::Refused(DeliveryError::TooSlow) => "too_slow",
            Self::Refused(DeliveryError::Incomplete) => "incomplete",
            Self::Refused(DeliveryError::TooMany) => "limited",
        }
    }
}

/// Counters. The label `name` is a configured name, or empty, so that their number is bounded.
#[derive(Debug, Default)]
pub(super) struct PushMetrics {
    deliveries: Mutex<BTreeMap<(String, DeliveryResult), u64>>,
    relays: Mutex<[u64; 2]>,
}

impl PushMetrics {
    /// Counts a delivery; `name` is `None` for a secret that does not exist.
    pub(super) fn count_delivery(&self, name: Option<&str>, result: DeliveryResult) {
        let key = (name.unwrap_or_default().to_owned(), result);
        *lock(&self.deliveries).entry(key).or_default() += 1;
    }

    /// Counts a wake-up to one replica of the cache, or one that reaches none.
    pub(super) fn count_relay(&self, is_lost: bool) {
        lock(&self.relays)[usize::from(is_lost)] += 1;
    }

    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        let mut family = |name: &str, help: &str, samples: Vec<(String, u64)>| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
            for (labels, value) in samples {
                let _ = writeln!(text, "{name}{{{labels}}} {value}");
            }
        };
        let deliveries = lock(&self.deliveries);
        let deliveries = deliveries.iter().map(|((name, result), count)| {
            let result = result.as_str();
            (format!("name=\"{name}\",result=\"{result}\""), *count)
        });
        family(
            "gitvolume_push_deliveries_total",
            "Number of deliveries by secret and result; the name is empty if there is no such secret",
            deliveries.collect(),
        );
        let [sent, lost] = *lock(&self.relays);
        family(
            "gitvolume_push_relays_total",
            "Number of wake-ups sent to replicas of the cache, by status (success, error)",
            vec![
                ("status=\"success\"".to_owned(), sent),
                ("status=\"error\"".to_owned(), lost),
            ],
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_are_counted_by_secret_and_result() {
        let metrics = PushMetrics::default();
        metrics.count_delivery(Some("acme"), DeliveryResult::Accepted);
        metrics.count_delivery(Some("acme"), DeliveryResult::Accepted);
        metrics.count_delivery(None, DeliveryResult::Refused(DeliveryError::Unverified));
        metrics.count_relay(true);
        let text = metrics.render();
        for line in [
            r#"gitvolume_push_deliveries_total{name="acme",result="accepted"} 2"#,
            r#"gitvolume_push_deliveries_total{name="",result="unverified"} 1"#,
            r#"gitvolume_push_relays_total{status="success"} 0"#,
            r#"gitvolume_push_relays_total{status="error"} 1"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
    }
}
