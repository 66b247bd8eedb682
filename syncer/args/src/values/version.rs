//! Semantic versions in the names of tags (<https://semver.org>).

use std::cmp::Ordering;

/// The maximum number of digits of a number, so that it fits into 64 bits.
const LONGEST_NUMBER: usize = 18;

/// A tag whose name is a version: `[v]N[.N[.N]][-PRE-RELEASE][+BUILD]`.
///
/// The order is that of semantic versions. Two names of the same version are ordered by length, then
/// by their bytes, so that the highest one is the same on each machine: `v1.2.0` is above `1.2.0`
/// and `v1.2`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VersionTag {
    numbers: [u64; 3],
    pre_release: String,
    name: String,
}

impl VersionTag {
    /// Parses the name of a tag, without `refs/tags/`; `None` if it is not a version.
    pub fn parse(name: &str) -> Option<Self> {
        let (core, pre_release) = split(name)?;
        let mut numbers = [0; 3];
        let mut parts = core.split('.');
        for (at, number) in numbers.iter_mut().enumerate() {
            match parts.next() {
                Some(part) => *number = number_of(part, at == 0)?,
                None if at == 0 => return None,
                None => break,
            }
        }
        parts.next().is_none().then(|| Self {
            numbers,
            pre_release: pre_release.to_owned(),
            name: name.to_owned(),
        })
    }

    /// The name of the tag.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Major, minor and patch number; missing ones are zero.
    pub(crate) fn numbers(&self) -> [u64; 3] {
        self.numbers
    }

    /// The pre-release, without its hyphen; empty for a release.
    pub(crate) fn pre_release(&self) -> &str {
        &self.pre_release
    }
}

impl Ord for VersionTag {
    fn cmp(&self, other: &Self) -> Ordering {
        precedence(
            self.numbers,
            &self.pre_release,
            other.numbers,
            &other.pre_release,
        )
        .then_with(|| self.name.len().cmp(&other.name.len()))
        .then_with(|| self.name.cmp(&other.name))
    }
}

impl PartialOrd for VersionTag {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Splits a version into its numbers and its pre-release, without the prefix `v` and the build;
/// `None` if an identifier after the numbers is malformed.
pub(crate) fn split(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (text, build) = match text.split_once('+') {
        Some((text, build)) => (text, Some(build)),
        None => (text, None),
    };
    let (core, pre_release) = match text.split_once('-') {
        Some((core, pre_release)) => (core, Some(pre_release)),
        None => (text, None),
    };
    let is_identifier = |part: &str| {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !part.is_empty() && part.bytes().all(is_letter)
    };
    let mut suffixes = pre_release.into_iter().chain(build);
    let is_valid = suffixes.all(|suffix| suffix.split('.').all(is_identifier));
    is_valid.then_some((core, pre_release.unwrap_or_default()))
}

/// Parses a number of a version. Minor and patch number may have leading zeros, as in `2024.01.05`.
pub(crate) fn number_of(text: &str, is_major: bool) -> Option<u64> {
    let is_number = !text.is_empty()
        && text.len() <= LONGEST_NUMBER
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && !(is_major && text.len() > 1 && text.starts_with('0'));
    if is_number { text.parse().ok() } else { None }
}

/// The precedence of two versions: by their numbers, then a pre-release below its release.
pub(crate) fn precedence(
    numbers: [u64; 3],
    pre_release: &str,
    others: [u64; 3],
    other: &str,
) -> Ordering {
    numbers
        .cmp(&others)
        .then_with(|| match (pre_release.is_empty(), other.is_empty()) {
            (false, false) => by_identifier(pre_release, other),
            (one, other) => one.cmp(&other),
        })
}

/// Compares two pre-releases: number by value and below text, and a shorter list below a longer one
/// that it begins.
fn by_identifier(one: &str, other: &str) -> Ordering {
    let (mut ones, mut others) = (one.split('.'), other.split('.'));
    loop {
        let order = match (ones.next(), others.next()) {
            (None, None) => return Ordering::Equal,
            (one, other) => match (one, other) {
                (Some(one), Some(other)) => match (value(one), value(other)) {
                    (Some(one), Some(other)) => one.cmp(&other),
                    (Some(_), None) => Ordering::Less,
                    (None, Some(_)) => Ordering::Greater,
                    (None, None) => one.cmp(other),
                },
                (one, other) => one.is_some().cmp(&other.is_some()),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// A number of any length, comparable by its value.
fn value(identifier: &str) -> Option<(usize, &str)> {
    let is_number = identifier.bytes().all(|byte| byte.is_ascii_digit());
    let digits = identifier.trim_start_matches('0');
    is_number.then_some((digits.len(), digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(name: &str) -> VersionTag {
        VersionTag::parse(name).unwrap_or_else(|| panic!("{name} is a version"))
    }

    #[test]
    fn versions_are_ordered_as_semver_orders_them() {
        let ascending = [
            "0.0.1",
            "0.9",
            "1.0.0-0",
            "1.0.0-alpha",
            "v1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.99999999999999999998",
            "1.0.0-rc.99999999999999999999",
            "v1.0.0",
            "1.2",
            "1.10.0",
            "v2",
            "2024.01.05",
            "2024.1.10",
        ];
        for pair in ascending.windows(2) {
            assert!(tag(pair[0]) < tag(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn of_two_names_of_one_version_the_longer_one_is_higher_then_the_later_one_in_byte_order() {
        let ascending = [
            "1.2", "v1.2", "1.2.0", "v1.2.0", "1.2.0+a", "v1.2.0+a", "v1.2.0+b",
        ];
        for pair in ascending.windows(2) {
            assert!(tag(pair[0]) < tag(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn other_names_are_no_versions() {
        for name in [
            "",
            "v",
            "latest",
            "V1.2.3",
            "vv1",
            "v-1",
            "1.",
            "1..2",
            ".1",
            "1.2.3.4",
            "1.2.3-",
            "1.2.3-a..b",
            "1.2.3+",
            "1.2.3+a_b",
            "1.2.3-ä",
            "release-1.2",
            "app/v1.2.3",
            "01.2",
            "1.2.3^{}",
            "1.2.x",
            "1234567890123456789.0.0",
            "1 2",
            "+1.2",
        ] {
            assert_eq!(VersionTag::parse(name), None, "{name:?}");
        }
    }
}
