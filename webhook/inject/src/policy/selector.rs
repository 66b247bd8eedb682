//! Label selectors, with Kubernetes' semantics
//! (<https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>).

use serde_json::Value;

use crate::keys::value::shown;

/// A label selector; the default has no requirement and matches everything.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Selector(Vec<Requirement>);

/// One requirement; all of a selector must hold.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Requirement {
    Is(String, String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    DoesNotExist(String),
    /// The requirement of a selector that cannot be parsed: it never holds.
    Never,
}

/// A mistake in a selector.
pub(crate) struct Wrong {
    /// The path below the selector, with a leading dot.
    pub(crate) at: String,
    /// The value at that path.
    pub(crate) text: String,
    pub(crate) expected: &'static str,
}

/// The accepted form of each part.
pub(crate) const KEY: &str = "expected the key of a label such as app or example.com/app";
pub(crate) const VALUE: &str = "expected the value of a label such as web, of at most 63 \
                                letters, digits, hyphens, underscores and dots";
pub(crate) const OPERATOR: &str = "expected In, NotIn, Exists or DoesNotExist";
pub(crate) const VALUES: &str =
    "expected values for In and NotIn, and none for Exists and DoesNotExist";
const SHAPE: &str = "expected matchLabels, matchExpressions or both";

impl Selector {
    /// A selector that matches nothing.
    pub(crate) fn nobody() -> Self {
        Self(vec![Requirement::Never])
    }

    /// Whether no other label than this one matters.
    pub(crate) fn is_about(&self, label: &str) -> bool {
        self.0.iter().all(|requirement| match requirement {
            Requirement::Is(key, _)
            | Requirement::In(key, _)
            | Requirement::NotIn(key, _)
            | Requirement::Exists(key)
            | Requirement::DoesNotExist(key) => key == label,
            Requirement::Never => true,
        })
    }

    /// Whether it matches these labels. Does not allocate: it is called for each Pod and object.
    pub(crate) fn matches<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.0.iter().all(|requirement| match requirement {
            Requirement::Is(key, value) => label(key) == Some(value),
            Requirement::In(key, values) => {
                label(key).is_some_and(|own| values.iter().any(|value| value == own))
            }
            // As in Kubernetes: without the label the requirement holds.
            Requirement::NotIn(key, values) => {
                label(key).is_none_or(|own| values.iter().all(|value| value != own))
            }
            Requirement::Exists(key) => label(key).is_some(),
            Requirement::DoesNotExist(key) => label(key).is_none(),
            Requirement::Never => false,
        })
    }

    pub(crate) fn read(selector: &Value) -> Result<Self, Wrong> {
        let mut requirements = Vec::new();
        let object = match selector {
            Value::Null => return Ok(Self::default()),
            Value::Object(object) => object,
            other => return Err(wrong("", other, SHAPE)),
        };
        match object.get("matchLabels") {
            None | Some(Value::Null) => {}
            Some(Value::Object(labels)) => {
                for (key, value) in labels {
                    let at = ".matchLabels";
                    requirements.push(Requirement::Is(
                        label_key(at, &Value::from(key.as_str()))?,
                        label_value(&format!("{at}[{key}]"), value)?,
                    ));
                }
            }
            Some(other) => return Err(wrong(".matchLabels", other, SHAPE)),
        }
        match object.get("matchExpressions") {
            None | Some(Value::Null) => {}
            Some(Value::Array(expressions)) => {
                for (index, expression) in expressions.iter().enumerate() {
                    let at = format!(".matchExpressions[{index}]");
                    requirements.push(expression_of(&at, expression)?);
                }
            }
            Some(other) => return Err(wrong(".matchExpressions", other, SHAPE)),
        }
        Ok(Self(requirements))
    }
}

fn expression_of(at: &str, expression: &Value) -> Result<Requirement, Wrong> {
    let key = label_key(&format!("{at}.key"), &expression["key"])?;
    let at_values = format!("{at}.values");
    let values = match &expression["values"] {
        Value::Null => Vec::new(),
        Value::Array(values) => values
            .iter()
            .map(|value| label_value(&at_values, value))
            .collect::<Result<_, _>>()?,
        other => return Err(wrong(&at_values, other, VALUES)),
    };
    let operator = &expression["operator"];
    match (operator.as_str(), values.is_empty()) {
        (Some("In"), false) => Ok(Requirement::In(key, values)),
        (Some("NotIn"), false) => Ok(Requirement::NotIn(key, values)),
        (Some("Exists"), true) => Ok(Requirement::Exists(key)),
        (Some("DoesNotExist"), true) => Ok(Requirement::DoesNotExist(key)),
        (Some("In" | "NotIn" | "Exists" | "DoesNotExist"), _) => {
            Err(wrong(&at_values, &Value::from(values), VALUES))
        }
        _ => Err(wrong(&format!("{at}.operator"), operator, OPERATOR)),
    }
}

fn wrong(at: &str, value: &Value, expected: &'static str) -> Wrong {
    Wrong {
        at: at.to_owned(),
        text: value.as_str().map_or_else(|| value.to_string(), shown),
        expected,
    }
}

/// Parses a label key: a name of at most 63 characters, alone or after a DNS name and a slash.
fn label_key(at: &str, value: &Value) -> Result<String, Wrong> {
    let is_right = |key: &str| {
        let (prefix, name) = match key.split_once('/') {
            Some((prefix, name)) => (Some(prefix), name),
            None => (None, key),
        };
        let is_dns = |prefix: &str| prefix.len() <= 253 && prefix.split('.').all(args::is_label);
        !name.is_empty() && is_name(name) && prefix.is_none_or(is_dns)
    };
    let key = value.as_str().filter(|key| is_right(key));
    key.map(str::to_owned).ok_or_else(|| wrong(at, value, KEY))
}

fn label_value(at: &str, value: &Value) -> Result<String, Wrong> {
    let text = value.as_str().filter(|text| is_name(text));
    text.map(str::to_owned)
        .ok_or_else(|| wrong(at, value, VALUE))
}

/// Whether a text is valid as a label's value, and, if not empty, as the name in its key.
fn is_name(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let ends = [text.bytes().next(), text.bytes().last()];
    text.len() <= 63
        && text.bytes().all(is_inner)
        && ends.iter().flatten().all(u8::is_ascii_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn takes(selector: Value, labels: Value) -> bool {
        let selector = Selector::read(&selector).ok().unwrap();
        selector.matches(|key| labels.get(key)?.as_str())
    }

    #[test]
    fn absent_and_empty_selectors_match_everything() {
        for selector in [json!(null), json!({}), json!({"matchLabels": {}})] {
            assert!(takes(selector, json!({})));
        }
        assert!(!Selector::nobody().matches(|_| Some("x")));
    }

    #[test]
    fn operators_have_the_semantics_of_kubernetes() {
        for (operator, values, of_web, of_db, of_none) in [
            ("In", json!(["web", "api"]), true, false, false),
            ("NotIn", json!(["web", "api"]), false, true, true),
            ("Exists", json!([]), true, true, false),
            ("DoesNotExist", json!(null), false, false, true),
        ] {
            let selector = json!({"matchExpressions": [
                {"key": "app", "operator": operator, "values": values},
            ]});
            for (labels, expected) in [
                (json!({"app": "web"}), of_web),
                (json!({"app": "db"}), of_db),
                (json!({"tier": "web"}), of_none),
            ] {
                let applied_object = takes(selector.clone(), labels.clone());
                assert_eq!(applied_object, expected, "{operator} {labels}");
            }
        }
    }

    #[test]
    fn labels_and_expressions_must_all_hold() {
        let selector = json!({
            "matchLabels": {"app": "web", "tier": "front"},
            "matchExpressions": [{"key": "canary", "operator": "DoesNotExist"}],
        });
        for (labels, expected) in [
            (json!({"app": "web", "tier": "front"}), true),
            (json!({"app": "web"}), false),
            (json!({"app": "web", "tier": "front", "canary": ""}), false),
        ] {
            assert_eq!(takes(selector.clone(), labels), expected);
        }
    }

    #[test]
    fn an_invalid_selector_is_refused_with_its_path() {
        let expression = |key: Value| json!({"matchExpressions": [key]});
        for (selector, at, expected) in [
            (json!("app=web"), "", SHAPE),
            (json!({"matchLabels": []}), ".matchLabels", SHAPE),
            (json!({"matchLabels": {"-": "x"}}), ".matchLabels", KEY),
            (json!({"matchLabels": {"A_b/c": "x"}}), ".matchLabels", KEY),
            (
                json!({"matchLabels": {"a": "b c"}}),
                ".matchLabels[a]",
                VALUE,
            ),
            (json!({"matchExpressions": {}}), ".matchExpressions", SHAPE),
            (
                expression(json!({"key": "a", "operator": "in"})),
                ".matchExpressions[0].operator",
                OPERATOR,
            ),
            (
                expression(json!({"key": "a", "operator": "In"})),
                ".matchExpressions[0].values",
                VALUES,
            ),
            (
                expression(json!({"key": "a", "operator": "Exists", "values": ["x"]})),
                ".matchExpressions[0].values",
                VALUES,
            ),
            (
                expression(json!({"operator": "Exists"})),
                ".matchExpressions[0].key",
                KEY,
            ),
        ] {
            let wrong = Selector::read(&selector).err().unwrap();
            assert_eq!(
                (wrong.at.as_str(), wrong.expected),
                (at, expected),
                "{selector}"
            );
        }
    }
}
