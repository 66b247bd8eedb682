//! Why a call gets no decision: a closed set, so that each is shown before it happens.

/// What kept a call from being decided.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trouble {
    /// The body ended too early.
    Incomplete,
    /// An answer of ours that did not stand its check.
    Internal,
    /// There is too much to do.
    Overload,
    /// The answer panicked.
    Panic,
    /// The body did not arrive in time.
    Slow,
    /// The body is larger than any review.
    TooLarge,
    /// The body is no review.
    Unreadable,
}

impl Trouble {
    pub(super) const ALL: [Self; 7] = [
        Self::Incomplete,
        Self::Internal,
        Self::Overload,
        Self::Panic,
        Self::Slow,
        Self::TooLarge,
        Self::Unreadable,
    ];

    /// The word for it in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::Internal => "internal",
            Self::Overload => "overload",
            Self::Panic => "panic",
            Self::Slow => "slow",
            Self::TooLarge => "too-large",
            Self::Unreadable => "unreadable",
        }
    }
}
