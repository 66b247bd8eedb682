//! The optional parts of the chart: the pull-through cache and sync on push, with and without the
//! webhook.

mod alerts;
pub(crate) mod cache;
pub(crate) mod push;
pub(crate) mod tenant;
