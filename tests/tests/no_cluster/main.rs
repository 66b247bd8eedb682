//! Tests that need more than one crate and no cluster: the contract between injector and syncer,
//! the chart as helm renders it, the archives of a release, and the documentation.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod archives;
mod cases;
mod chart;
mod contract;
mod docs;
mod language;
mod structure;
