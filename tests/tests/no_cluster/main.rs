//! Tests that need more than one crate and no cluster: the contract between injector and syncer,
//! the chart as helm renders it, the documentation, and the steps and archives of a release.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod archives;
mod cases;
mod chart;
mod contract;
mod docs;
mod language;
mod release;
mod structure;
