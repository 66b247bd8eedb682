use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A length of time in Go's notation (`10s`, `1m30s`, `500ms`), as in git-sync's flags.
///
/// Grammar: Go's `time.ParseDuration` without a sign: one or more decimal numbers, each with a unit
/// of `ns us µs ms s m h`; a bare `0` is allowed.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct GitDuration(Duration);

/// Error of parsing a [`GitDuration`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected a duration such as 30s, 5m or 1h30m")]
pub struct ParseDurationError;

impl GitDuration {
    /// A duration of whole seconds; for constants.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// A duration of whole milliseconds; for constants.
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// The value as a standard duration.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl From<Duration> for GitDuration {
    fn from(value: Duration) -> Self {
        Self(value)
    }
}

impl FromStr for GitDuration {
    type Err = ParseDurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "0" {
            return Ok(Self::default());
        }
        let mut rest = text;
        let mut nanos = 0u128;
        while !rest.is_empty() {
            let end = rest
                .find(|c: char| !c.is_ascii_digit() && c != '.')
                .ok_or(ParseDurationError)?;
            let (number, tail) = rest.split_at(end);
            let end = tail
                .find(|c: char| c.is_ascii_digit() || c == '.')
                .unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(end);
            nanos = nanos
                .checked_add(nanos_of(number, unit)?)
                .ok_or(ParseDurationError)?;
            rest = tail;
        }
        // An empty text contains no number; Go's limit is the largest i64 of nanoseconds.
        match u64::try_from(nanos) {
            Ok(nanos) if !text.is_empty() && nanos <= i64::MAX as u64 => {
                Ok(Self(Duration::from_nanos(nanos)))
            }
            _ => Err(ParseDurationError),
        }
    }
}

fn nanos_of(number: &str, unit: &str) -> Result<u128, ParseDurationError> {
    let scale: u128 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return Err(ParseDurationError),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return Err(ParseDurationError);
    }
    let digits = |text: &str| -> Result<u128, ParseDurationError> {
        if text.is_empty() {
            Ok(0)
        } else {
            text.parse().map_err(|_| ParseDurationError)
        }
    };
    // Digits after the nineteenth are below one nanosecond even in hours, the largest unit.
    let fraction = &fraction[..fraction.len().min(19)];
    let part = digits(fraction)?
        .checked_mul(scale)
        .map(|scaled| scaled / 10u128.pow(fraction.len() as u32))
        .ok_or(ParseDurationError)?;
    digits(whole)?
        .checked_mul(scale)
        .and_then(|whole| whole.checked_add(part))
        .ok_or(ParseDurationError)
}

impl fmt::Display for GitDuration {
    /// Writes the shortest notation that parses back to the same value: `90s` is `1m30s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut nanos = self.0.as_nanos();
        if nanos == 0 {
            return f.write_str("0s");
        }
        let units = [
            ("h", 3_600_000_000_000),
            ("m", 60_000_000_000),
            ("s", 1_000_000_000),
            ("ms", 1_000_000),
            ("us", 1_000),
            ("ns", 1),
        ];
        for (unit, scale) in units {
            let count = nanos / scale;
            if count > 0 {
                write!(f, "{count}{unit}")?;
                nanos %= scale;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn go_notation_is_read() {
        for (text, millis) in [
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("1.5s", 1_500),
            (".5s", 500),
            ("1.s", 1_000),
            ("500ms", 500),
            ("2h", 7_200_000),
            ("0", 0),
            ("0s", 0),
        ] {
            assert_eq!(
                text.parse::<GitDuration>().unwrap().get().as_millis(),
                millis,
                "{text}"
            );
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "5",
            "5 min",
            "5min",
            "-1s",
            "s",
            ".s",
            "1..2s",
            "1s ",
            "9999999999h",
            "1d",
        ] {
            assert_eq!(
                text.parse::<GitDuration>(),
                Err(ParseDurationError),
                "{text:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn displaying_and_parsing_round_trips(nanos in 0..i64::MAX as u64) {
            let duration = GitDuration(Duration::from_nanos(nanos));
            prop_assert_eq!(duration.to_string().parse(), Ok(duration));
        }
    }
}
