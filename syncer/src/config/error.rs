use std::fmt;

use args::Names;
use url::Url;

use crate::config::file_error::FileError;

/// An invalid setting, as one sentence for the user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{name}: {problem}")]
    Setting {
        flag: String,
        /// The flag's name as the user wrote it.
        name: String,
        problem: String,
        is_missing: bool,
    },
}

impl ConfigError {
    /// A flag with an invalid value; `expected` completes the sentence "expected …".
    pub(crate) fn value(flag: &str, value: &dyn fmt::Display, expected: &str) -> Self {
        Self::new(flag, format!("\"{value}\": expected {expected}"))
    }

    /// A required flag that is missing.
    pub(crate) fn missing(flag: &str, expected: &str) -> Self {
        Self::setting(flag, format!("required: expected {expected}"), true)
    }

    /// A flag, and the rest of the sentence about it.
    pub(crate) fn new(flag: &str, problem: impl Into<String>) -> Self {
        Self::setting(flag, problem.into(), false)
    }

    fn setting(flag: &str, problem: String, is_missing: bool) -> Self {
        Self::Setting {
            flag: flag.to_owned(),
            name: Names::default().of(flag),
            problem,
            is_missing,
        }
    }

    /// The same error under the name that the user wrote: a variable or a legacy flag.
    pub(crate) fn named(mut self, name_of: impl FnOnce(&str) -> String) -> Self {
        if let Self::Setting { flag, name, .. } = &mut self {
            *name = name_of(flag);
        }
        self
    }
}

/// Parses an http(s) address. An error does not quote it, since it may contain a password.
pub(super) fn http_url(flag: &str, text: &str, example: &str) -> Result<Url, ConfigError> {
    let is_http = |url: &Url| matches!(url.scheme(), "http" | "https");
    let url = text.parse().ok().filter(is_http);
    url.ok_or_else(|| ConfigError::new(flag, format!("expected an address such as {example}")))
}
