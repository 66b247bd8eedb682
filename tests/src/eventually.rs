//! Polling for a state, instead of a fixed sleep.

use std::fmt::Display;
use std::thread::sleep;
use std::time::Duration;
use std::time::Instant;

/// Polling interval; a kubectl call alone costs about 60 ms of CPU.
const PERIOD: Duration = Duration::from_millis(200);

/// Waits until `look` succeeds; on time-out the error contains the expected and the last seen
/// state.
pub fn eventually<T, E: Display>(
    what: &str,
    timeout: Duration,
    mut look: impl FnMut() -> Result<T, E>,
) -> Result<T, String> {
    let started = Instant::now();
    loop {
        match look() {
            Ok(seen) => return Ok(seen),
            // The last attempt starts after the deadline, so a slow machine always gets one more.
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
    fn a_time_out_reports_the_expected_and_the_last_seen_state() {
        let error = eventually("a page", Duration::ZERO, || Err::<(), _>("status 404"))
            .expect_err("it never comes");
        assert!(error.starts_with("a page: not within"), "{error}");
        assert!(error.ends_with("last seen: status 404"), "{error}");
    }

    #[test]
    fn a_late_result_is_returned() {
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
