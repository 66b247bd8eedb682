//! What the syncer reports: log, metrics, health, and the pages that serve them.

pub(crate) mod error_file;
pub(crate) mod health;
mod health_file;
pub(crate) mod http;
pub(crate) mod logging;
pub(crate) mod metrics;
pub(crate) mod push;
pub(crate) mod report;
pub(crate) mod standing;
mod status_page;
pub(crate) mod zone;
