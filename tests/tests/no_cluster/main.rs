//! What needs more than one crate and no cluster: the contract between injector and syncer, the chart as
//! helm renders it, the documentation, and the demo.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod chart;
mod contract;
mod demo;
mod docs;
