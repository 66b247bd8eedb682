//! Hooks for each new tree: programs and an address.

mod addresses;
mod before_publication;
mod programs;
mod unusable_programs;
use crate::world::World;
use crate::world::eventually;

/// A shell command that appends a line to a file of the world.
fn note(world: &World, line: &str) -> String {
    format!("echo \"{line}\" >>{}", world.path("told").display())
}

/// Waits until the hooks have written these lines.
#[track_caller]
fn eventually_told(world: &World, lines: &[&str]) {
    eventually(&format!("the hook has said {lines:?}"), || {
        (world.lines("told") == lines).then_some(())
    });
}

/// Waits for some further passes without a change.
fn some_passes(running: &crate::world::Running) {
    let passes = || running.log().matches("update not required").count();
    let before = passes();
    eventually("some passes have been", || {
        (passes() > before + 3).then_some(())
    });
}
