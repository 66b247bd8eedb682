//! Checks of objects in files that an API server makes before it evaluates any rule: unknown
//! fields, wrong types, and missing or too long values.

use serde_json::Map;
use serde_json::Value;

use super::spec;
use crate::Kind;
use crate::keys::suggest;
use crate::keys::value::shown;

/// The messages for everything in an object that violates the schema of its kind, each with its
/// path.
pub(in crate::sources::objects) fn judged(kind: Kind, object: &Value) -> Vec<(String, String)> {
    let schema = super::schema(kind);
    let mut wrong = Wrong::default();
    wrong.look("", object, &schema);
    wrong.sentences
}

#[derive(Default)]
struct Wrong {
    sentences: Vec<(String, String)>,
}

impl Wrong {
    fn say(&mut self, at: &str, rest: &str) {
        self.sentences
            .push((at.to_owned(), format!("{at}: {rest}")));
    }

    fn look(&mut self, at: &str, value: &Value, schema: &Value) {
        if schema["x-kubernetes-int-or-string"] == true {
            match value {
                Value::String(text) => self.length(at, text, schema),
                Value::Number(number) if !number.is_f64() => {}
                other => self.kind(at, other, "a whole number or a string"),
            }
            return;
        }
        match (schema["type"].as_str().unwrap_or_default(), value) {
            ("object", Value::Object(members)) => self.object(at, members, schema),
            ("array", Value::Array(items)) => {
                self.most(at, items.len(), &schema["maxItems"], "items");
                for (index, item) in items.iter().enumerate() {
                    self.look(&format!("{at}[{index}]"), item, &schema["items"]);
                }
            }
            ("string", Value::String(text)) => self.length(at, text, schema),
            ("integer", Value::Number(number)) if number.is_i64() => {}
            ("boolean", Value::Bool(_)) => {}
            ("object", other) => {
                let fields = fields(schema);
                let expected = if fields.is_empty() {
                    "a map".to_owned()
                } else {
                    format!("a map of {fields}")
                };
                self.kind(at, other, &expected);
            }
            ("array", other) => self.kind(at, other, "a list"),
            ("string", other) => self.kind(at, other, "a string; in YAML, put it in quotes"),
            ("integer", other) => self.kind(at, other, "a whole number, without quotes"),
            ("boolean", other) => self.kind(at, other, "true or false, without quotes"),
            _ => {}
        }
    }

    fn object(&mut self, at: &str, members: &Map<String, Value>, schema: &Value) {
        let child = |key: &str| match at {
            "" => key.to_owned(),
            at => format!("{at}.{key}"),
        };
        for key in schema["required"].as_array().into_iter().flatten() {
            let key = key.as_str().unwrap_or_default();
            if members.get(key).is_none_or(Value::is_null) {
                self.say(&child(key), "missing");
            }
        }
        self.most(at, members.len(), &schema["maxProperties"], "members");
        let known = schema["properties"].as_object();
        for (key, value) in members {
            // The API server drops null values.
            if value.is_null() {
                continue;
            }
            let own = known.and_then(|known| known.get(key));
            match (own, schema.get("additionalProperties")) {
                (Some(own), _) => self.look(&child(key), value, own),
                (None, Some(each)) => self.look(&format!("{at}[{key}]"), value, each),
                // The API server validates metadata itself.
                (None, None) if known.is_none() => {}
                (None, None) => self.unknown(&child(key), key, schema),
            }
        }
    }

    fn unknown(&mut self, at: &str, key: &str, schema: &Value) {
        let known = schema["properties"].as_object();
        // The names of selectors in Services and Deployments.
        let selectors = ["labelselector", "matchlabels", "selector"];
        let is_selector = selectors.contains(&&*key.to_ascii_lowercase());
        let nearest = if is_selector {
            Some("podSelector".to_owned())
        } else {
            suggest::nearest(key).map(|(_, row)| spec::field_of(row.key))
        };
        let meant = nearest.filter(|field| known.is_some_and(|known| known.contains_key(field)));
        let meant = meant.or_else(|| {
            let known = known.into_iter().flatten().map(|(own, _)| own);
            let alike = known.filter(|own| strsim::jaro_winkler(key, own) >= 0.8);
            alike
                .max_by(|one, other| {
                    let like = |own: &str| strsim::jaro_winkler(key, own);
                    like(one).total_cmp(&like(other))
                })
                .cloned()
        });
        match meant {
            Some(meant) => self.say(at, &format!("unknown field; did you mean {meant}?")),
            None => self.say(at, &format!("unknown field; expected {}", fields(schema))),
        }
    }

    fn kind(&mut self, at: &str, value: &Value, expected: &str) {
        let text = match value {
            Value::String(text) => shown(text),
            Value::Object(_) => "a map".to_owned(),
            Value::Array(_) => "a list".to_owned(),
            other => other.to_string(),
        };
        self.say(at, &format!("{text}: expected {expected}"));
    }

    fn length(&mut self, at: &str, text: &str, schema: &Value) {
        self.most(at, text.chars().count(), &schema["maxLength"], "characters");
    }

    fn most(&mut self, at: &str, number: usize, most: &Value, what: &str) {
        if let Some(most) = most.as_u64().filter(|most| number as u64 > *most) {
            self.say(at, &format!("{number} {what}: expected at most {most}"));
        }
    }
}

/// The names of the fields that a map may have.
fn fields(schema: &Value) -> String {
    let known = schema["properties"].as_object().into_iter().flatten();
    known
        .map(|(key, _)| key.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}
