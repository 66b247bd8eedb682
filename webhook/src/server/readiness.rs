//! The state of a replica: as text for people and probes, as JSON for the command line. Both come
//! from one type, so that no program has to parse text that is meant for people.

use std::time::SystemTime;

use certs::Serving;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

use crate::cluster::known::Known;
use crate::settings::CacheWithoutCa;
use crate::shutdown::Stage;

/// The JSON of `/readyz?format=json`. Fields may be added but never changed: a command line of
/// another version reads it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Readiness {
    /// Whether the replica is ready.
    pub ready: bool,
    /// The reasons why it is not ready.
    pub missing: Vec<String>,
    /// Problems that do not affect readiness.
    pub warnings: Vec<String>,
    /// The webhook's version.
    pub version: String,
    /// Expiry of the serving certificate as Unix time in seconds; null if there is none.
    pub certificate_not_after: Option<i64>,
    /// Whether the caBundle is known to contain the CA of that certificate.
    pub ca_bundle_in_sync: bool,
    /// The hash of the settings in force, as the status annotation has it.
    pub settings_hash: String,
    /// The settings in force, in the format of the settings file; they contain no secret.
    pub settings: Value,
    /// The caches of the settings file that syncers do not use.
    pub caches_without_ca: Vec<CacheWithoutCa>,
}

impl Readiness {
    /// The current state.
    pub fn now(serving: &Serving, known: &Known, stage: Stage) -> Self {
        let now = SystemTime::now();
        let mut missing: Vec<String> = serving
            .missing(now)
            .into_iter()
            .map(str::to_owned)
            .collect();
        missing.extend(known.namespaces.missing().map(str::to_owned));
        if stage != Stage::Serving {
            missing.push("shutting down".to_owned());
        }
        // Pods are still answered with the old settings, so this is a warning and does not make the
        // replica unready.
        let reloads = known.settings.reloads();
        let trouble = reloads
            .trouble
            .map(|trouble| format!("the previous settings stay in force: {trouble}"));
        let settings = known.settings.load();
        let not_after = serving.leaf().map(|leaf| leaf.not_after());
        Self {
            ready: missing.is_empty(),
            missing,
            warnings: trouble.into_iter().chain(serving.warnings()).collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            certificate_not_after: not_after.and_then(seconds),
            ca_bundle_in_sync: serving.ca_bundle_in_sync(),
            settings_hash: settings.hash(),
            settings: serde_json::to_value(&**settings).unwrap_or_default(),
            caches_without_ca: reloads.unissued,
        }
    }

    /// The text form: one line for the state, then one line per problem.
    pub fn to_text(&self) -> String {
        let first = match self.ready {
            true => "ok".to_owned(),
            false => format!("not ready: {}", self.missing.join("; ")),
        };
        let until = self.certificate_not_after.and_then(|seconds| {
            let time = jiff::Timestamp::from_second(seconds).ok()?;
            Some(format!("serving certificate until {time}"))
        });
        let warnings = self.warnings.iter().map(|own| format!("warning: {own}"));
        let lines = std::iter::once(first).chain(until).chain(warnings);
        lines.map(|line| line + "\n").collect()
    }
}

fn seconds(time: SystemTime) -> Option<i64> {
    Some(jiff::Timestamp::try_from(time).ok()?.as_second())
}
