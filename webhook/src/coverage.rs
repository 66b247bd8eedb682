//! Which namespaces auto-injection is for.

use std::collections::BTreeMap;
use std::str::FromStr;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::Expression;
use kube::core::Selector;
use kube::core::SelectorExt;

/// The label that the API server gives every namespace.
pub(crate) const NAME: &str = "kubernetes.io/metadata.name";

/// Which namespaces auto-injection is for, as the webhook's registration has it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Coverage {
    /// What a namespace's labels must be; nothing covers every namespace.
    pub selector: Vec<Expression>,
    /// The namespaces that no registration is for: `kube-system`, and our own.
    pub never: Vec<String>,
}

/// Why a text is no [`Coverage`].
#[derive(Debug, thiserror::Error)]
#[error(
    "expected a label such as gitvolume.dev/auto-inject=enabled, a label selector in JSON, or nothing \
     for all namespaces"
)]
pub struct ParseCoverageError;

impl FromStr for Coverage {
    type Err = ParseCoverageError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let selector: Vec<Expression> = match text.split_once('=') {
            _ if text.is_empty() => Vec::new(),
            _ if text.starts_with('{') => {
                let selector = serde_json::from_str::<LabelSelector>(text);
                let selector = selector.map_err(|_| ParseCoverageError)?;
                let selector = Selector::try_from(selector).map_err(|_| ParseCoverageError)?;
                selector.into_iter().collect()
            }
            Some((key, value)) if !key.is_empty() => {
                vec![Expression::Equal(key.to_owned(), value.to_owned())]
            }
            Some(_) | None => return Err(ParseCoverageError),
        };
        Ok(Self {
            selector,
            never: Vec::new(),
        })
    }
}

impl Coverage {
    /// Tells whether a namespace is covered.
    pub fn covers(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        self.selector.iter().all(|own| own.matches(labels))
            && self.never.iter().all(|never| never != name)
    }

    /// The label that a namespace lacks, as kubectl takes it; `None` where no label would help.
    pub(crate) fn missing(&self, labels: &BTreeMap<String, String>) -> Option<String> {
        let missing = self.selector.iter().filter(|own| !own.matches(labels));
        let missing: Vec<String> = missing
            .filter(|own| match own {
                Expression::In(key, _)
                | Expression::NotIn(key, _)
                | Expression::Equal(key, _)
                | Expression::NotEqual(key, _)
                | Expression::Exists(key)
                | Expression::DoesNotExist(key) => key != NAME,
            })
            .map(ToString::to_string)
            .collect();
        (!missing.is_empty()).then(|| missing.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_coverage_is_a_label_a_selector_or_nothing() {
        let coverage: Coverage = "a.example/b=c".parse().unwrap();
        let labels = |text: &str| serde_json::from_str(text).unwrap();
        let (bare, own) = (labels("{}"), labels(r#"{"a.example/b": "c"}"#));
        assert!(coverage.covers("shop", &own) && !coverage.covers("shop", &bare));
        assert_eq!(coverage.missing(&bare).as_deref(), Some("a.example/b=c"));
        let all: Coverage = "".parse().unwrap();
        assert!(all.covers("shop", &bare));
        let selector = json!({
            "matchLabels": {"a.example/b": "c"},
            "matchExpressions": [
                {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["bank"]},
            ],
        });
        let coverage: Coverage = selector.to_string().parse().unwrap();
        assert!(coverage.covers("shop", &own) && !coverage.covers("shop", &bare));
        assert_eq!(coverage.missing(&bare).as_deref(), Some("a.example/b=c"));
        let bank = labels(r#"{"a.example/b": "c", "kubernetes.io/metadata.name": "bank"}"#);
        assert!(!coverage.covers("bank", &bank));
        assert_eq!(coverage.missing(&bank), None);
        for text in [
            "a",
            "=b",
            "{",
            r#"{"matchExpressions": [{"key": "a", "operator": "x"}]}"#,
        ] {
            let error = text.parse::<Coverage>().unwrap_err().to_string();
            assert!(error.starts_with("expected a label such as"), "{error}");
        }
    }
}
