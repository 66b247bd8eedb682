//! A setting that disables the poller.

use std::fmt;

/// A setting that only git or ssh implements; without its value, which may be a secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Setting(String);

impl Setting {
    /// A setting by its name, or in a few words.
    pub(crate) fn of(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// A remote without a server that could be polled.
    pub(crate) fn local() -> Self {
        Self::of("a path on this machine")
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
