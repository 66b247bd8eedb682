//! Waits for a state instead of sleeping for a while.

use std::fmt::Display;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often a state is looked at; a kubectl call is about 60 ms of CPU on its own.
const PERIOD: Duration = Duration::from_millis(200);

/// Waits until `look` answers; on time-out the error says what was waited for and what was last seen.
pub fn eventually<T, E: Display>(
    what: &str,
    timeout: Duration,
    mut look: impl FnMut() -> Result<T, E>,
) -> Result<T, String> {
    let started = Instant::now();
    loop {
        match look() {
            Ok(seen) => return Ok(seen),
            // The last look always comes after the time is up, so a slow machine gets one more.
            Err(state) if started.elapsed() > timeout => {
                return Err(format!(
                    "{what}: not within {timeout:?}; last seen: {state}"
                ));
            }
            Err(_) => sleep(PERIOD),
        }
    }
}
