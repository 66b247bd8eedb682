use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;

/// A quantity of a resource in Kubernetes' notation (`100m`, `64Mi`), compared by value.
///
/// k8s-openapi's own type is an unchecked string, and an invalid quantity in a patch rejects the
/// Pod even under `failurePolicy: Ignore`. The grammar is that of
/// <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Quantity {
    text: String,
    /// Billionths: the finest unit of the notation.
    nanos: i128,
}

/// The error of a text that is not a [`Quantity`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected a quantity such as 100m, 0.5 or 64Mi, not {0:?}")]
pub struct ParseQuantityError(String);

impl Quantity {
    /// A quantity in thousandths, such as CPU time; for constants.
    pub fn millis(count: u32) -> Self {
        let text = match count % 1000 {
            0 => format!("{}", count / 1000),
            _ => format!("{count}m"),
        };
        Self {
            text,
            nanos: i128::from(count) * 1_000_000,
        }
    }

    /// A quantity in units of 2^20, such as memory; for constants.
    pub fn mebibytes(count: u32) -> Self {
        Self {
            text: format!("{count}Mi"),
            nanos: i128::from(count) * (1_000_000_000 << 20),
        }
    }

    /// Whether the quantity is zero.
    pub fn is_zero(&self) -> bool {
        self.nanos == 0
    }

    /// This quantity divided by another; `None` where the other is zero.
    pub fn ratio_to(&self, other: &Self) -> Option<f64> {
        (other.nanos > 0).then(|| self.nanos as f64 / other.nanos as f64)
    }

    /// This quantity times a factor, rounded up to a whole unit of the resource: a thousandth of a
    /// CPU, or a mebibyte.
    pub(crate) fn times(&self, factor: f64, resource: &str) -> Self {
        // A float is exact to fifteen digits: a smaller error is not rounded up.
        let units = |unit: i128| {
            let units = (self.nanos as f64 * factor / unit as f64 - 1e-6).ceil();
            units.clamp(0.0, f64::from(u32::MAX)) as u32
        };
        match resource {
            "cpu" => Self::millis(units(1_000_000)),
            _ => Self::mebibytes(units(1_000_000_000 << 20)),
        }
    }

    /// This quantity minus the others, at least zero; written in the finest unit that is needed.
    pub(crate) fn less(&self, others: impl Iterator<Item = Self>) -> Self {
        let applied_object = others.fold(0i128, |sum, other| sum.saturating_add(other.nanos));
        let nanos = self.nanos.saturating_sub(applied_object).max(0);
        let units = [
            ("", 1_000_000_000),
            ("m", 1_000_000),
            ("u", 1_000),
            ("n", 1),
        ];
        let unit = units.iter().find(|(_, unit)| nanos % unit == 0);
        let (suffix, unit) = unit.copied().unwrap_or(("n", 1));
        Self {
            text: format!("{}{suffix}", nanos / unit),
            nanos,
        }
    }

    /// The quantity as typed.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Quantity {
    type Err = ParseQuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let nanos = nanos_of(text).ok_or_else(|| ParseQuantityError(text.to_owned()))?;
        Ok(Self {
            text: text.to_owned(),
            nanos,
        })
    }
}

/// Parses digits, an optional fraction and a suffix; resource quantities have no sign.
fn nanos_of(text: &str) -> Option<i128> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let scale = scale_of(suffix)?;
    let digits = |text: &str| -> Option<i128> {
        if text.is_empty() {
            Some(0)
        } else {
            text.parse().ok()
        }
    };
    // Further digits are below a billionth of any unit that fits.
    let fraction = fraction.get(..fraction.len().min(12))?;
    let part = digits(fraction)?.checked_mul(scale)? / 10i128.pow(fraction.len() as u32);
    digits(whole)?.checked_mul(scale)?.checked_add(part)
}

fn scale_of(suffix: &str) -> Option<i128> {
    const ONE: i128 = 1_000_000_000;
    let scale = match suffix {
        "n" => 1,
        "u" => 1_000,
        "m" => 1_000_000,
        "" => ONE,
        "k" => ONE * 1_000,
        "M" => ONE * 1_000_000,
        "G" => ONE * 1_000_000_000,
        "T" => ONE * 1_000_000_000_000,
        "P" => ONE * 1_000_000_000_000_000,
        "E" => ONE * 1_000_000_000_000_000_000,
        "Ki" => ONE << 10,
        "Mi" => ONE << 20,
        "Gi" => ONE << 30,
        "Ti" => ONE << 40,
        "Pi" => ONE << 50,
        "Ei" => ONE << 60,
        exponent => {
            let digits = exponent.strip_prefix(['e', 'E'])?;
            let exponent: i32 = digits.parse().ok()?;
            // 10^9 for the billionths; an i128 holds no more.
            10i128.checked_pow(u32::try_from(exponent.checked_add(9)?).ok()?)?
        }
    };
    Some(scale)
}

impl TryFrom<String> for Quantity {
    type Error = ParseQuantityError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Quantity> for String {
    fn from(quantity: Quantity) -> Self {
        quantity.text
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Quantity {
        text.parse().unwrap()
    }

    #[test]
    fn amounts_are_compared_by_value() {
        for (one, other) in [
            ("0.5", "500m"),
            ("1Gi", "1024Mi"),
            ("1e3", "1k"),
            ("1E3", "1000"),
            ("2E", "2e18"),
            ("1.5Gi", "1536Mi"),
            (".5", "5e-1"),
            ("1000u", "1m"),
            ("1000n", "1u"),
            ("5.", "5"),
        ] {
            assert_eq!(read(one), read(other));
        }
        assert!(read("5m") < read("1"));
        assert!(read("512Mi") > read("512M"));
    }

    #[test]
    fn invalid_quantities_are_refused() {
        for text in [
            "",
            "not-a-quantity",
            "-1",
            "+1",
            "1 Mi",
            "1mi",
            "Mi",
            ".",
            "1..2",
            "1e",
            "1e99",
            "1KiB",
            "5min",
        ] {
            assert!(text.parse::<Quantity>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn parsing_a_quantity_never_panics(text in "\\PC{0,12}|[0-9.]{0,60}[eE]?[-+]?[0-9]{0,12}[KMGTPEi]{0,2}") {
            let _ = text.parse::<Quantity>();
        }
    }
}
