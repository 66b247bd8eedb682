//! The author's mistakes.

use std::fmt;

use crate::keys::table::Key;

/// The mistakes in a Pod's annotations, for its author; never empty.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    first: Mistake,
    others: Vec<Mistake>,
}

/// One mistake of the author: a sentence that names key, value and accepted form.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mistake {
    key: Key,
    sentence: String,
}

impl Refusal {
    /// Collects mistakes, the most useful one first; `None` where there are none.
    pub(crate) fn of(mistakes: Vec<Mistake>) -> Option<Self> {
        let mut mistakes = mistakes.into_iter();
        let first = mistakes.next()?;
        Some(Self {
            first,
            others: mistakes.collect(),
        })
    }

    /// The mistakes, the most useful one first.
    pub fn mistakes(&self) -> impl Iterator<Item = &Mistake> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The key of the first mistake: a closed set, suitable as a metric's label.
    pub fn key(&self) -> Key {
        self.first.key
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        self.others
            .iter()
            .try_for_each(|mistake| write!(f, "; {mistake}"))
    }
}

impl Mistake {
    pub(crate) fn new(key: Key, sentence: String) -> Self {
        Self { key, sentence }
    }

    /// Appends advice to the sentence.
    pub(crate) fn append(&mut self, clause: &str) {
        self.sentence.push_str(clause);
    }

    /// The key of the annotation with the mistake.
    pub fn key(&self) -> Key {
        self.key
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl From<Mistake> for Refusal {
    fn from(first: Mistake) -> Self {
        Self {
            first,
            others: Vec::new(),
        }
    }
}
