//! The settings in force: the last valid content of the settings file.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use arc_swap::ArcSwap;
use arc_swap::Guard;
use inject::Settings;

use super::CacheWithoutCa;
use super::SettingsArgs;
use super::SettingsError;
use super::Whole;
use crate::logging;

/// Polling interval of the file. Its content is compared, not its modification time: the kubelet
/// updates a ConfigMap by replacing a symlink above the file, which no watch of the file reports
/// (kubewarden/policy-server#1026). The kubelet itself takes about a minute.
pub const PERIOD: Duration = Duration::from_secs(5);

/// The settings in force, and the outcome of reloads.
#[derive(Debug)]
pub struct Current {
    settings: ArcSwap<Settings>,
    reloads: Mutex<Reloads>,
}

/// The outcome of reloads since the start.
#[derive(Clone, Debug, Default)]
pub struct Reloads {
    /// The number of accepted reloads.
    pub accepted: u64,
    /// The number of rejected reloads.
    pub rejected: u64,
    /// Why the current file is not in force, in one sentence; `None` if it is.
    pub trouble: Option<String>,
    /// The caches of the file that syncers do not use.
    pub unissued: Vec<CacheWithoutCa>,
}

impl Current {
    /// Fixed settings, unless [`keep`] reloads them.
    pub fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            settings: ArcSwap::from_pointee(settings),
            reloads: Mutex::default(),
        })
    }

    /// The settings in force. A decision loads them once, so that it never mixes two versions.
    pub fn load(&self) -> Guard<Arc<Settings>> {
        self.settings.load()
    }

    /// The outcome of reloads.
    pub fn reloads(&self) -> Reloads {
        self.locked().clone()
    }

    fn locked(&self) -> MutexGuard<'_, Reloads> {
        // Every change is made in one step, so a panic leaves no inconsistent state.
        self.reloads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(&self, settings: Settings, unissued: Vec<CacheWithoutCa>) {
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
            tracing::info!(
                settings = hash,
                "the file matches the settings in force again"
            );
        }
        let mut reloads = self.locked();
        reloads.trouble = None;
        reloads.unissued = unissued;
    }

    fn reject(&self, error: SettingsError) {
        let error = format!("{:#}", anyhow::Error::new(error));
        // A YAML error shows its position on separate lines.
        let error = error.split_whitespace().collect::<Vec<_>>().join(" ");
        tracing::error!(
            error,
            "the new settings cannot be used; the previous ones stay in force"
        );
        let mut reloads = self.locked();
        reloads.rejected += 1;
        reloads.trouble = Some(error);
    }
}

/// Reloads the settings when the file changes; never returns. Invalid content changes nothing and
/// is logged once, not at every poll.
pub async fn keep(current: Arc<Current>, args: SettingsArgs, period: Duration) -> Infallible {
    let mut last = None;
    let mut level = None;
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let text = args.text();
        let seen = text.as_ref().map_err(ToString::to_string).cloned();
        // The first poll may see another file than the start did.
        if last.replace(seen.clone()) == Some(seen) {
            continue;
        }
        match text.and_then(|text| args.clone().over(text.as_deref(), None)) {
            Ok(Whole {
                settings,
                log,
                unissued,
            }) => {
                if replaced(&mut level, log) {
                    // The filter was already parsed once.
                    let _ = logging::set(level.as_deref());
                    let log = level.as_deref().unwrap_or("as the flag says");
                    tracing::info!(log, "the log filter has changed");
                }
                current.accept(settings, unissued);
            }
            Err(error) => current.reject(error),
        }
    }
}

/// Replaces a value; returns whether the new one differs.
fn replaced<T: PartialEq>(old: &mut T, new: T) -> bool {
    let is_new = *old != new;
    *old = new;
    is_new
}
