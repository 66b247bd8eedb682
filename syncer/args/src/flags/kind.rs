use crate::Credential;
use crate::GitDuration;
use crate::ParseCredentialError;

/// Grammar of a flag's text, in Go's notation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// `true`, `false` and Go's other spellings; without a value it is true.
    Bool,
    /// JSON, an object or a list of them; occurrences add up, the environment's first.
    Credentials,
    /// A length of time such as `1m30s`.
    Duration,
    /// A number of seconds such as `0.5`.
    Float,
    /// A whole number, also as `0x10`.
    Int,
    /// A path; an empty one means none.
    Path,
    /// Paths: one per occurrence on the command line, which replace those of the environment, where
    /// colons separate them.
    Paths,
    /// A text that an argv must not contain, because it is secret or long: environment only, except
    /// in tests.
    Secret,
    /// A text.
    Text,
    /// Texts; occurrences add up.
    Texts,
}

impl Kind {
    /// Whether occurrences add up; otherwise the last one wins.
    pub(crate) fn is_list(self) -> bool {
        matches!(self, Self::Credentials | Self::Paths | Self::Texts)
    }

    /// Parses one occurrence on the command line into the texts that the fields' parsers accept:
    /// one text, or any number for a list. The error describes the expected form.
    pub(crate) fn read(self, text: &str) -> Result<Vec<String>, String> {
        let one = match self {
            Self::Bool => bool_of(text).ok_or("expected true or false")?.to_string(),
            Self::Credentials => return credentials(text),
            Self::Duration => {
                let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
                let read = unsigned.parse::<GitDuration>();
                read.map_err(|error| error.to_string())?;
                text.strip_prefix('+').unwrap_or(text).to_owned()
            }
            Self::Float => seconds(text)
                .ok_or("expected a number of seconds such as 30 or 0.5")?
                .to_string(),
            Self::Int => go_int(text)
                .ok_or("expected a whole number such as 1")?
                .to_string(),
            Self::Path | Self::Paths if text.is_empty() => return Ok(Vec::new()),
            Self::Path | Self::Paths | Self::Secret | Self::Text | Self::Texts => text.to_owned(),
        };
        Ok(vec![one])
    }

    /// Parses the value of a variable: as on the command line, but several paths in one text.
    pub(crate) fn read_variable(self, text: &str) -> Result<Vec<String>, String> {
        match self {
            Self::Paths => Ok(text
                .split(':')
                .filter(|path| !path.is_empty())
                .map(str::to_owned)
                .collect()),
            _ => self.read(text),
        }
    }
}

/// Go's `strconv.ParseBool`.
fn bool_of(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Parses a whole number as Go's `strconv.ParseInt` does with base 0: decimal, or with the prefix
/// `0x`, `0o`, `0b` or `0`; single underscores may separate the digits. `None` if it is not a
/// number or exceeds 64 bits.
pub fn go_int(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let sign = if text.starts_with('-') { "-" } else { "" };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = [("0x", 16), ("0o", 8), ("0b", 2)]
        .iter()
        .find_map(|(prefix, base)| Some((*base, lower.strip_prefix(prefix)?)))
        .or_else(|| Some((8, lower.strip_prefix('0').filter(|rest| !rest.is_empty())?)))
        .unwrap_or((10, &lower));
    let parts_badly =
        digits.ends_with('_') || digits.contains("__") || (base == 10 && digits.starts_with('_'));
    if parts_badly || digits.starts_with(['+', '-']) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{}", digits.replace('_', "")), base).ok()
}

fn seconds(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// The objects of a JSON text, one text each. Text that is not JSON, or has unknown fields, fails
/// here; the parser of `Credential` reports missing fields.
fn credentials(text: &str) -> Result<Vec<String>, String> {
    use serde_json::Value;
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let objects: Vec<String> = match serde_json::from_str(text) {
        Ok(Value::Array(objects)) => objects.iter().map(Value::to_string).collect(),
        _ => vec![text.to_owned()],
    };
    for object in &objects {
        if let Err(error @ ParseCredentialError::Json(_)) = object.parse::<Credential>() {
            return Err(error.to_string());
        }
    }
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_parsed_as_in_go() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("+5", Some(5)),
            ("0x10", Some(16)),
            ("0X1f", Some(31)),
            ("-0x10", Some(-16)),
            ("010", Some(8)),
            ("0o10", Some(8)),
            ("0b101", Some(5)),
            ("1_000", Some(1000)),
            ("0x_ff", Some(255)),
            ("0_7", Some(7)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("", None),
            ("-", None),
            ("0x", None),
            ("08", None),
            ("1__0", None),
            ("_1", None),
            ("1_", None),
            ("--1", None),
            ("-+1", None),
            ("1.0", None),
            ("1e3", None),
            (" 1", None),
        ] {
            assert_eq!(go_int(text), expected, "{text:?}");
        }
    }

    #[test]
    fn booleans_are_parsed_as_in_go() {
        for text in ["1", "t", "T", "TRUE", "true", "True"] {
            assert_eq!(Kind::Bool.read(text), Ok(vec!["true".to_owned()]), "{text}");
        }
        for text in ["0", "f", "F", "FALSE", "false", "False"] {
            assert_eq!(
                Kind::Bool.read(text),
                Ok(vec!["false".to_owned()]),
                "{text}"
            );
        }
        for text in ["", "yes", "no", "on", "tRUE", "2"] {
            assert!(Kind::Bool.read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_may_be_negative_and_seconds_must_be_finite() {
        assert_eq!(Kind::Duration.read("+5s"), Ok(vec!["5s".to_owned()]));
        // Well formed; a later check rejects it as too short.
        assert_eq!(Kind::Duration.read("-5s"), Ok(vec!["-5s".to_owned()]));
        assert!(Kind::Duration.read("5").is_err());
        assert!(Kind::Float.read("1.5").is_ok());
        assert!(Kind::Float.read("inf").is_err());
        assert!(Kind::Float.read("").is_err());
    }

    #[test]
    fn credentials_come_as_one_or_as_a_list() {
        let object = r#"{"url":"https://a","username":"me","password-file":"/p"}"#;
        assert_eq!(Kind::Credentials.read(object).unwrap().len(), 1);
        let list = format!("[{object},{object}]");
        assert_eq!(Kind::Credentials.read(&list).unwrap().len(), 2);
        assert!(Kind::Credentials.read(" ").unwrap().is_empty());
        for text in ["x", "3", "[3]", r#"{"url":"a","user":"b"}"#, "{"] {
            assert!(Kind::Credentials.read(text).is_err(), "{text}");
        }
        // A later check rejects it, as in git-sync.
        assert!(Kind::Credentials.read(r#"{"url":"a"}"#).is_ok());
    }

    #[test]
    fn paths_in_a_variable_are_separated_by_colons() {
        let paths = |text| Kind::Paths.read_variable(text).unwrap();
        assert_eq!(paths("/a:/b"), ["/a", "/b"]);
        assert!(paths("").is_empty());
        assert_eq!(Kind::Paths.read("/a:/b"), Ok(vec!["/a:/b".to_owned()]));
    }
}
