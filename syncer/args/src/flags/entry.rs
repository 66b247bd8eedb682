//! An entry of `--config`: the flags of one repository as a JSON object, by their names.

use serde_json::Map;
use serde_json::Value;

use crate::RepoArgs;
use crate::flags::flag_value::WrongValue;
use crate::flags::kind::Kind;
use crate::flags::to_argv::default_texts;

impl RepoArgs {
    /// Whether an entry of `--config` may have this key.
    pub fn is_key(key: &str) -> bool {
        Self::FLAGS.iter().any(|flag| flag.name == key)
    }

    /// Sets a flag to the value of its key in an entry; `null` is the default. The error for a
    /// wrong value contains the text and what is expected; it does not repeat a list or an object.
    pub fn set_key(&mut self, key: &str, value: &Value) -> Result<(), (String, String)> {
        let Some(flag) = Self::FLAGS.iter().find(|flag| flag.name == key) else {
            return Ok(());
        };
        if value.is_null() {
            self.reset_keys(&[key]);
            return Ok(());
        }
        let shown = match value {
            Value::Array(_) | Value::Object(_) => String::new(),
            scalar => scalar.to_string(),
        };
        let written =
            texts_of(flag.kind, value).map_err(|expected| (shown, expected.to_owned()))?;
        let mut texts = Vec::new();
        for text in written {
            let read = flag.kind.read(&text);
            texts.extend(read.map_err(|expected| (quoted(&text), expected))?);
        }
        let set = self.set(key, &texts);
        set.map_err(|WrongValue { value, expected }| (quoted(&value), expected))
    }

    /// Sets the flags of these names to their defaults.
    pub fn reset_keys(&mut self, keys: &[&str]) {
        for flag in Self::FLAGS.iter().filter(|flag| keys.contains(&flag.name)) {
            // A default is always valid.
            let _ = self.set(flag.name, default_texts(flag));
        }
    }

    /// The entry of `--config` that produces these arguments if the flags beside it are `beside`:
    /// only the differences. It contains passwords; the caller must protect the text.
    pub fn to_entry(&self, beside: &Self) -> Map<String, Value> {
        let differing = self.write().zip(beside.write());
        let differing = differing.filter(|((_, texts), (_, beside))| texts != beside);
        let keys = differing.filter_map(|((flag, texts), _)| {
            Some((flag.name.to_owned(), value_of(flag.kind, texts)?))
        });
        keys.collect()
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// The texts of a JSON value; the error describes the expected form.
fn texts_of(kind: Kind, value: &Value) -> Result<Vec<String>, &'static str> {
    match (kind, value) {
        (Kind::Bool, Value::Bool(value)) => Ok(vec![value.to_string()]),
        (Kind::Bool, _) => Err("expected true or false"),
        (Kind::Int, Value::Number(number)) if !number.is_f64() => Ok(vec![number.to_string()]),
        (Kind::Int | Kind::Float, _) => Err("expected a whole number"),
        (Kind::Credentials, Value::Array(items)) => {
            Ok(items.iter().map(Value::to_string).collect())
        }
        (Kind::Credentials, _) => Err("expected a list"),
        (Kind::Paths | Kind::Texts, Value::Array(items)) => {
            let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
            let texts: Option<_> = texts.collect();
            texts.ok_or("expected a list of texts in quotes")
        }
        (Kind::Paths | Kind::Texts, _) => Err("expected a list"),
        (Kind::Duration | Kind::Path | Kind::Secret | Kind::Text, Value::String(text)) => {
            Ok(vec![text.clone()])
        }
        (Kind::Duration | Kind::Path | Kind::Secret | Kind::Text, _) => {
            Err("expected a text in quotes")
        }
    }
}

/// The JSON value for these texts, if there is one.
fn value_of(kind: Kind, texts: Vec<String>) -> Option<Value> {
    // The texts come from `write`, so both JSON and the kind accept them.
    let parsed = |text: &String| text.parse().ok();
    match kind {
        Kind::Paths | Kind::Texts => Some(texts.into()),
        Kind::Credentials => texts.iter().map(parsed).collect(),
        Kind::Bool | Kind::Int | Kind::Float => texts.last().and_then(parsed),
        Kind::Duration | Kind::Path | Kind::Secret | Kind::Text => {
            texts.into_iter().next_back().map(Value::from)
        }
    }
}
