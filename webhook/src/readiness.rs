//! What a replica says of itself: as text for people and probes, as JSON for the command line. One type,
//! so that neither program reads what the other wrote for people.

use std::time::SystemTime;

use certs::Serving;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

use crate::known::Known;
use crate::shutdown::Stage;

/// What `/readyz?format=json` answers. Fields are added and never changed: a command line of another
/// version reads it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Readiness {
    /// Whether it is ready.
    pub ready: bool,
    /// What keeps it from being ready.
    pub missing: Vec<String>,
    /// What is wrong and does not keep it from being ready.
    pub warnings: Vec<String>,
    /// The webhook's version.
    pub version: String,
    /// When the certificate that it serves ends, a Unix time; null where it serves none.
    pub certificate_not_after: Option<i64>,
    /// Whether it knows the caBundle to contain the CA of that certificate.
    pub ca_bundle_in_sync: bool,
    /// The hash of the settings in force, as the status annotation has it.
    pub settings_hash: String,
    /// The settings in force, as the file of settings has them; they hold no secret.
    pub settings: Value,
}

impl Readiness {
    /// What is so now.
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
        // With what is old, Pods are still answered: that is for people, and no reason to go.
        let trouble = known.settings.reloads().trouble;
        let trouble =
            trouble.map(|trouble| format!("the settings are older than the file: {trouble}"));
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
        }
    }

    /// A line for what it is, and one for each thing that there is to know.
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
