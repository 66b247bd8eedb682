use std::fmt;

use args::Names;
use url::Url;

use crate::config::file::FileError;

/// Says which setting cannot be meant, in one sentence for the person who wrote it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{name}: {problem}")]
    Setting {
        flag: String,
        /// The flag in the words of whoever set it.
        name: String,
        problem: String,
        is_missing: bool,
    },
}

impl ConfigError {
    /// A flag with a value that is not `expected`, which is what follows that word.
    pub(crate) fn value(flag: &str, value: &dyn fmt::Display, expected: &str) -> Self {
        Self::new(flag, format!("\"{value}\": expected {expected}"))
    }

    /// A flag that is needed.
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

    /// The same in the words of whoever set the flag: its name in the environment, or an old name.
    pub(crate) fn named(mut self, name_of: impl FnOnce(&str) -> String) -> Self {
        if let Self::Setting { flag, name, .. } = &mut self {
            *name = name_of(flag);
        }
        self
    }
}

/// Reads an http(s) address. It may hold a password, and so is not repeated where it is none.
pub(super) fn http_url(flag: &str, text: &str, example: &str) -> Result<Url, ConfigError> {
    let is_http = |url: &Url| matches!(url.scheme(), "http" | "https");
    let url = text.parse().ok().filter(is_http);
    url.ok_or_else(|| ConfigError::new(flag, format!("expected an address such as {example}")))
}
