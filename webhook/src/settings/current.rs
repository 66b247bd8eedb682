//! The settings in force: those of the file as it is now, as long as they can be used.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use arc_swap::ArcSwap;
use arc_swap::Guard;
use inject::Settings;

use super::SettingsArgs;
use super::SettingsError;
use super::Whole;
use crate::logging;

/// How often the file is looked at. What it is written in counts and not its date: a kubelet hands a
/// changed ConfigMap on by exchanging a link above the file, which no watch of the file sees
/// (kubewarden/policy-server#1026). The kubelet itself takes about a minute.
pub const PERIOD: Duration = Duration::from_secs(5);

/// The settings in force, for whoever decides, and what became of the file since.
#[derive(Debug)]
pub struct Current {
    settings: ArcSwap<Settings>,
    reloads: Mutex<Reloads>,
}

/// What became of the file since the start.
#[derive(Clone, Debug, Default)]
pub struct Reloads {
    /// How many times new settings were taken.
    pub accepted: u64,
    /// How many times a new file was not.
    pub rejected: u64,
    /// Why the file as it is now is not in force, in one sentence; `None` where it is.
    pub trouble: Option<String>,
}

impl Current {
    /// Settings that stay, unless [`keep`] is told to renew them.
    pub fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            settings: ArcSwap::from_pointee(settings),
            reloads: Mutex::default(),
        })
    }

    /// The settings in force. One decision loads them once.
    pub fn load(&self) -> Guard<Arc<Settings>> {
        self.settings.load()
    }

    /// What became of the file.
    pub fn reloads(&self) -> Reloads {
        self.locked().clone()
    }

    fn locked(&self) -> MutexGuard<'_, Reloads> {
        // Each change is whole, so a panic between two leaves nothing half done.
        self.reloads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(&self, settings: Settings) {
        let hash = settings.hash();
        if self.load().hash() != hash {
            tracing::info!(
                settings = hash,
                syncer_image = settings.image,
                "the settings have changed"
            );
            self.settings.store(Arc::new(settings));
            self.locked().accepted += 1;
        } else if self.locked().trouble.is_some() {
            tracing::info!(settings = hash, "the file has the settings in force again");
        }
        self.locked().trouble = None;
    }

    fn reject(&self, error: SettingsError) {
        let error = format!("{:#}", anyhow::Error::new(error));
        // An error in YAML shows the place on lines of its own.
        let error = error.split_whitespace().collect::<Vec<_>>().join(" ");
        tracing::error!(error, "the new settings cannot be used, the old ones stay");
        let mut reloads = self.locked();
        reloads.rejected += 1;
        reloads.trouble = Some(error);
    }
}

/// Keeps the settings those of the file, for ever. What cannot be used changes nothing, and is said
/// once and not at every look.
pub async fn keep(current: Arc<Current>, args: SettingsArgs, period: Duration) -> Infallible {
    let mut last = None;
    let mut level = None;
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let text = args.text();
        let seen = text.as_ref().map_err(ToString::to_string).cloned();
        // The first look may see another file than the start did.
        if last.replace(seen.clone()) == Some(seen) {
            continue;
        }
        match text.and_then(|text| args.clone().over(text.as_deref(), None)) {
            Ok(Whole { settings, log }) => {
                if replaced(&mut level, log) {
                    // It was read as a filter before.
                    let _ = logging::set(level.as_deref());
                    let log = level.as_deref().unwrap_or("as the flag says");
                    tracing::info!(log, "what is logged has changed");
                }
                current.accept(settings);
            }
            Err(error) => current.reject(error),
        }
    }
}

/// Puts a value in the place of another one; tells whether they differ.
fn replaced<T: PartialEq>(old: &mut T, new: T) -> bool {
    let is_new = *old != new;
    *old = new;
    is_new
}
