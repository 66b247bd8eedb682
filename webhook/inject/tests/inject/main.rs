//! Tests through the public API: golden Pods, random Pods, and the page about annotations.

#![expect(
    clippy::unwrap_used,
    reason = "all of this is a test; clippy sees that only in functions marked so"
)]

mod configuration;
mod crds;
#[path = "../../fuzz/replay.rs"]
mod fuzzing;
mod generated;
mod golden;
mod later;
mod mutators;
mod page;
mod pods;
mod random;
mod truth;
mod uninject;
