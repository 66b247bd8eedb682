//! Waits for a state instead of sleeping for a while.

use std::fmt::Display;
use std::thread::sleep;
use std::time::Duration;
use std::time::Instant;

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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::eventually;

    #[test]
    fn a_time_out_tells_what_was_waited_for_and_what_was_last_seen() {
        let error = eventually("a page", Duration::ZERO, || Err::<(), _>("status 404"))
            .expect_err("it never comes");
        assert!(error.starts_with("a page: not within"), "{error}");
        assert!(error.ends_with("last seen: status 404"), "{error}");
    }

    #[test]
    fn what_comes_late_is_answered() {
        let mut looks = 0;
        let seen = eventually("the third look", Duration::from_secs(10), || {
            looks += 1;
            if looks == 3 {
                Ok(looks)
            } else {
                Err("not yet")
            }
        });
        assert_eq!(seen, Ok(3));
    }
}
