//! Ranges of versions, in the grammar of Flux and Helm (<https://github.com/Masterminds/semver>).

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::values::version::VersionTag;
use crate::values::version::number_of;
use crate::values::version::precedence;
use crate::values::version::split;

/// The operators, a longer one before its prefix.
const OPERATORS: [(&str, Operator); 11] = [
    (">=", Operator::GreaterOrEqual),
    ("=>", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    ("=<", Operator::LessOrEqual),
    ("!=", Operator::NotEqual),
    ("~>", Operator::Tilde),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("=", Operator::Equal),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
];

/// A range of versions such as `^1.2`, `1.x` or `>=1.2 <2 || 3.0.1`.
///
/// A version is in the range if it satisfies all comparators of one alternative. A pre-release is in
/// it only if a comparator of that alternative names a pre-release, too.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VersionRange {
    text: String,
    alternatives: Vec<Vec<Comparator>>,
}

/// Error of parsing a [`VersionRange`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "expected semver: and version comparators such as ^1.2, ~1.2.3, 1.x or >=1.2 <2, with || between alternatives"
)]
pub struct ParseVersionRangeError;

#[derive(Clone, Debug, Eq, PartialEq)]
struct Comparator {
    operator: Operator,
    /// The number of given numbers: the rest is missing or a wildcard.
    given: usize,
    numbers: [u64; 3],
    pre_release: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// The same minor number, as far as it is given, and not below.
    Tilde,
    /// The same numbers up to the first one that is not zero, and not below.
    Caret,
}

impl VersionRange {
    /// The text of the range.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a tag is in the range.
    pub fn contains(&self, tag: &VersionTag) -> bool {
        self.alternatives.iter().any(|comparators| {
            let mut all = comparators.iter();
            let names_pre_release = all.any(|comparator| !comparator.pre_release.is_empty());
            let is_considered = names_pre_release || tag.pre_release().is_empty();
            is_considered && comparators.iter().all(|comparator| comparator.accepts(tag))
        })
    }

    /// The highest of these tags that is in the range; names that are not versions are ignored.
    pub fn highest<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Option<VersionTag> {
        let tags = names.into_iter().filter_map(VersionTag::parse);
        tags.filter(|tag| self.contains(tag)).max()
    }

    /// The major numbers that a version of the range can have, if the range limits them.
    pub fn majors(&self) -> Option<BTreeSet<u64>> {
        let majors = self.alternatives.iter().map(|comparators| {
            let mut majors = comparators.iter().filter_map(Comparator::major);
            majors.next()
        });
        majors.collect()
    }

    /// The tags next to the first version that the range names, at most two below and two not below
    /// it, in ascending order.
    pub fn nearest<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Vec<VersionTag> {
        const SIDE: usize = 2;
        let mut tags: Vec<_> = names.into_iter().filter_map(VersionTag::parse).collect();
        tags.sort();
        let first = self.alternatives.iter().flatten().next();
        let is_below = |tag: &VersionTag| first.is_some_and(|first| first.compare(tag).is_lt());
        let at = tags.partition_point(is_below);
        let end = tags.len().min(at + SIDE);
        tags.drain(at.saturating_sub(SIDE)..end).collect()
    }
}

impl Comparator {
    /// A tag's precedence compared with the version, whose missing numbers are zero.
    fn compare(&self, tag: &VersionTag) -> Ordering {
        precedence(
            tag.numbers(),
            tag.pre_release(),
            self.numbers,
            &self.pre_release,
        )
    }

    /// The tag's numbers compared with the given ones.
    fn compare_given(&self, tag: &VersionTag) -> Ordering {
        tag.numbers()[..self.given].cmp(&self.numbers[..self.given])
    }

    fn accepts(&self, tag: &VersionTag) -> bool {
        let is_full = self.given == 3;
        let order = self.compare(tag);
        // Whether the first so many numbers are equal.
        let has_same = |count: usize| tag.numbers()[..count] == self.numbers[..count];
        match self.operator {
            Operator::Equal if is_full => order.is_eq(),
            Operator::Equal => order.is_ge() && has_same(self.given),
            Operator::NotEqual if is_full => order.is_ne(),
            Operator::NotEqual => !has_same(self.given),
            Operator::Less => order.is_lt(),
            Operator::LessOrEqual if is_full => order.is_le(),
            Operator::LessOrEqual => self.compare_given(tag).is_le(),
            Operator::Greater if is_full => order.is_gt(),
            Operator::Greater => self.compare_given(tag).is_gt(),
            Operator::GreaterOrEqual => order.is_ge(),
            Operator::Tilde => order.is_ge() && has_same(self.given.min(2)),
            Operator::Caret => {
                let zeros = self.numbers.iter().take_while(|number| **number == 0);
                order.is_ge() && has_same(self.given.min(zeros.count() + 1))
            }
        }
    }

    /// The major number that it requires.
    fn major(&self) -> Option<u64> {
        let is_fixed = matches!(
            self.operator,
            Operator::Equal | Operator::Tilde | Operator::Caret
        );
        (is_fixed && self.given > 0).then_some(self.numbers[0])
    }

    /// Parses the version of a comparator.
    fn parse(operator: Option<Operator>, text: &str) -> Option<Self> {
        let is_wildcard = |part: &str| matches!(part, "x" | "X" | "*");
        let (core, pre_release) = split(text)?;
        let parts: Vec<&str> = core.split('.').collect();
        let given = parts.iter().take_while(|part| !is_wildcard(part)).count();
        let has_gap = !parts[given..].iter().all(|part| is_wildcard(part));
        // With an operator, such as in `<*`, a range of all versions makes no sense.
        let is_odd = given == 0 && (operator.is_some() || text.starts_with('v'));
        if parts.len() > 3 || has_gap || is_odd {
            return None;
        }
        let mut numbers = [0; 3];
        for (at, part) in parts[..given].iter().enumerate() {
            numbers[at] = number_of(part, at == 0)?;
        }
        Some(Self {
            operator: operator.unwrap_or(Operator::Equal),
            given,
            numbers,
            pre_release: pre_release.to_owned(),
        })
    }
}

/// Parses the comparators of an alternative.
fn comparators(text: &str) -> Option<Vec<Comparator>> {
    let mut rest = text.trim_matches(' ');
    if let Some((low, high)) = rest.split_once(" - ") {
        let end = |operator, text: &str| Comparator::parse(Some(operator), text.trim_matches(' '));
        return Some(vec![
            end(Operator::GreaterOrEqual, low)?,
            end(Operator::LessOrEqual, high)?,
        ]);
    }
    let mut comparators = Vec::new();
    loop {
        let known = OPERATORS
            .iter()
            .find_map(|(sign, operator)| Some((*operator, rest.strip_prefix(sign)?)));
        let operator = known.map(|(operator, _)| operator);
        let version = known.map_or(rest, |(_, rest)| rest.trim_start_matches(' '));
        let end = version.find([' ', ',']).unwrap_or(version.len());
        comparators.push(Comparator::parse(operator, &version[..end])?);
        let separator = version[end..].trim_start_matches(' ');
        if separator.is_empty() {
            return Some(comparators);
        }
        rest = separator.strip_prefix(',').unwrap_or(separator);
        rest = rest.trim_start_matches(' ');
    }
}

impl FromStr for VersionRange {
    type Err = ParseVersionRangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let alternatives = text.split("||").map(comparators).collect::<Option<_>>();
        Ok(Self {
            text: text.to_owned(),
            alternatives: alternatives.ok_or(ParseVersionRangeError)?,
        })
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests;
