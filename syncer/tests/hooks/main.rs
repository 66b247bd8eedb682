//! What is told of each new tree: programs and an address.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]
#![allow(
    clippy::disallowed_methods,
    reason = "a test has no event loop to hold up"
)]

mod addresses;
mod before_publication;
mod programs;
#[path = "../world/mod.rs"]
mod world;

use world::World;
use world::eventually;

/// A shell command that appends a line to a file of the world.
fn note(world: &World, line: &str) -> String {
    format!("echo \"{line}\" >>{}", world.path("told").display())
}

/// Waits until the hooks have left these lines.
#[track_caller]
fn eventually_told(world: &World, lines: &[&str]) {
    eventually(&format!("the hook has said {lines:?}"), || {
        (world.lines("told") == lines).then_some(())
    });
}

/// Waits until some further passes have found nothing to do.
fn some_passes(running: &world::Running) {
    let passes = || running.log().matches("update not required").count();
    let before = passes();
    eventually("some passes have been", || {
        (passes() > before + 3).then_some(())
    });
}
