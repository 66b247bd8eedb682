//! Parsing and writing of the fields of flags.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::CaBundle;
use crate::CacheTrust;
use crate::Credential;
use crate::GarbageCollection;
use crate::GitDuration;
use crate::KnownHosts;
use crate::Layout;
use crate::LfsHosts;
use crate::Link;
use crate::RepoUrl;
use crate::Revision;
use crate::Secret;
use crate::Subdir;
use crate::Submodules;
use crate::flags::kind::Kind;

/// Error for a value that a flag does not accept.
#[derive(Debug)]
pub(crate) struct WrongValue {
    pub(crate) value: String,
    /// The accepted grammar: `expected …`.
    pub(crate) expected: String,
}

/// The value of a flag: one, an optional one, or a list.
pub(crate) trait FlagValue: Sized {
    /// Grammar of its texts.
    const KIND: Kind;

    /// The only accepted texts; empty if there are others.
    fn choices() -> Vec<String>;

    /// Parses well-formed texts.
    fn read(texts: &[String]) -> Result<Self, WrongValue>;

    /// The texts that parse to this value.
    fn write(&self) -> Vec<String>;
}

/// A value that is parsed from one text.
pub(crate) trait OneValue: Sized {
    const KIND: Kind;
    const LIST_KIND: Kind = Kind::Texts;

    fn choices() -> Vec<String> {
        Vec::new()
    }

    /// The error describes the expected form.
    fn read_one(text: &str) -> Result<Self, String>;

    fn write_one(&self) -> String;
}

fn read_one<T: OneValue>(text: &str) -> Result<T, WrongValue> {
    T::read_one(text).map_err(|expected| {
        let value = text.to_owned();
        WrongValue { value, expected }
    })
}

impl<T: OneValue> FlagValue for T {
    const KIND: Kind = T::KIND;

    fn choices() -> Vec<String> {
        T::choices()
    }

    fn read(texts: &[String]) -> Result<Self, WrongValue> {
        read_one(texts.last().map_or("", String::as_str))
    }

    fn write(&self) -> Vec<String> {
        vec![self.write_one()]
    }
}

impl<T: OneValue> FlagValue for Option<T> {
    const KIND: Kind = T::KIND;

    fn choices() -> Vec<String> {
        T::choices()
    }

    fn read(texts: &[String]) -> Result<Self, WrongValue> {
        let text = texts.last().filter(|text| !text.is_empty());
        text.map(|text| read_one(text)).transpose()
    }

    fn write(&self) -> Vec<String> {
        self.iter().map(T::write_one).collect()
    }
}

impl<T: OneValue> FlagValue for Vec<T> {
    const KIND: Kind = T::LIST_KIND;

    fn choices() -> Vec<String> {
        T::choices()
    }

    fn read(texts: &[String]) -> Result<Self, WrongValue> {
        let texts = texts.iter().filter(|text| !text.is_empty());
        texts.map(|text| read_one(text)).collect()
    }

    fn write(&self) -> Vec<String> {
        self.iter().map(T::write_one).collect()
    }
}

/// Types that have their own parser and text form.
macro_rules! parsed {
    ($($type:ty: $kind:ident, |$value:ident| $text:expr;)*) => {$(
        impl OneValue for $type {
            const KIND: Kind = Kind::$kind;

            fn read_one(text: &str) -> Result<Self, String> {
                text.parse().map_err(|error: <Self as std::str::FromStr>::Err| error.to_string())
            }

            fn write_one(&self) -> String {
                let $value = self;
                $text.to_owned()
            }
        }
    )*};
}

parsed! {
    bool: Bool, |value| if *value { "true" } else { "false" };
    CaBundle: Secret, |value| value.as_str();
    GitDuration: Duration, |value| value.to_string();
    KnownHosts: Secret, |value| value.as_str();
    LfsHosts: Text, |value| value.to_string();
    RepoUrl: Text, |value| value.reveal();
    Revision: Text, |value| value.as_str();
    Secret: Secret, |value| value.reveal();
    String: Text, |value| value;
    Subdir: Path, |value| value.to_string();
}

/// Whole numbers; the text is a signed 64-bit number.
macro_rules! numbers {
    ($($type:ty)*) => {$(
        impl OneValue for $type {
            const KIND: Kind = Kind::Int;

            fn read_one(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| {
                    let expected = if text.starts_with('-') {
                        "expected a whole number that is not negative"
                    } else {
                        "expected a smaller number"
                    };
                    expected.to_owned()
                })
            }

            fn write_one(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

numbers! { i64 u32 u64 usize }

/// Types with a fixed set of values.
macro_rules! choices {
    ($($type:ty)*) => {$(
        impl OneValue for $type {
            const KIND: Kind = Kind::Text;

            fn choices() -> Vec<String> {
                Self::value_variants().iter().map(Self::write_one).collect()
            }

            fn read_one(text: &str) -> Result<Self, String> {
                <Self as ValueEnum>::from_str(text, false)
                    .map_err(|_| format!("expected {}", <Self as OneValue>::choices().join(" or ")))
            }

            fn write_one(&self) -> String {
                let value = self.to_possible_value();
                value.map_or_else(String::new, |value| value.get_name().to_owned())
            }
        }
    )*};
}

choices! { CacheTrust GarbageCollection Layout Submodules }

impl OneValue for PathBuf {
    const KIND: Kind = Kind::Path;
    const LIST_KIND: Kind = Kind::Paths;

    fn read_one(text: &str) -> Result<Self, String> {
        Ok(Self::from(text))
    }

    fn write_one(&self) -> String {
        self.display().to_string()
    }
}

impl OneValue for Link {
    const KIND: Kind = Kind::Text;

    fn read_one(text: &str) -> Result<Self, String> {
        Self::from_flag(text).map_err(|error| error.to_string())
    }

    fn write_one(&self) -> String {
        self.to_string()
    }
}

impl OneValue for Credential {
    const KIND: Kind = Kind::Credentials;
    const LIST_KIND: Kind = Kind::Credentials;

    fn read_one(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|error: crate::ParseCredentialError| error.to_string())
    }

    fn write_one(&self) -> String {
        self.reveal()
    }
}

/// The log level, clamped: no level is below the first or above the last.
impl OneValue for u8 {
    const KIND: Kind = Kind::Int;

    fn read_one(text: &str) -> Result<Self, String> {
        let level = <i64 as OneValue>::read_one(text)?;
        Ok(Self::try_from(level.max(0)).unwrap_or(Self::MAX))
    }

    fn write_one(&self) -> String {
        self.to_string()
    }
}
