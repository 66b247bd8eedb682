//! Reasons why a call gets no decision: a closed set, so that each is exposed before it occurs.

/// The reason why a call got no decision.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trouble {
    /// The body ended before its announced length.
    Incomplete,
    /// The answer failed its own verification.
    Internal,
    /// The call was rejected to shed load.
    Overload,
    /// The code that makes the request handler panicked.
    Panic,
    /// The body did not arrive before its timeout.
    Slow,
    /// The body exceeds the size limit.
    TooLarge,
    /// The body is not an AdmissionReview.
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

    /// The name in logs and metrics.
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
