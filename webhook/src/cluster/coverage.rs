//! The namespaces that auto-injection covers.

use std::collections::BTreeMap;

use kube::core::Expression;
use kube::core::SelectorExt;

/// The label that the API server gives every namespace.
pub(crate) const NAME: &str = "kubernetes.io/metadata.name";

/// The `namespaceSelector` of the auto-injection entry in the webhook's registration.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum AutoInjection {
    /// The registration has not been read yet.
    #[default]
    Unread,
    /// The registration cannot be read, and no read has succeeded since the start.
    Unreadable,
    /// The registration has no such entry.
    Unregistered,
    /// The entry exists and covers these namespaces.
    Registered(Coverage),
}

impl AutoInjection {
    /// Whether a namespace with these labels is covered; `false` until the entry has been read.
    pub fn covers(&self, labels: &BTreeMap<String, String>) -> bool {
        matches!(self, Self::Registered(coverage) if coverage.covers(labels))
    }
}

/// The label selector of the namespaces that auto-injection covers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Coverage {
    /// The requirements; an empty list matches every namespace.
    pub selector: Vec<Expression>,
}

impl Coverage {
    /// Whether the selector matches a namespace with these labels.
    pub fn covers(&self, labels: &BTreeMap<String, String>) -> bool {
        self.selector.iter().all(|own| own.matches(labels))
    }

    /// The labels that a namespace lacks, as arguments for `kubectl label`; `None` where no label
    /// would make the selector match.
    pub(crate) fn missing(&self, labels: &BTreeMap<String, String>) -> Option<String> {
        let missing = self.selector.iter().filter(|own| !own.matches(labels));
        let missing: Vec<String> = missing
            .map(|own| match own {
                Expression::Equal(key, value) if key != NAME => Some(format!("{key}={value}")),
                Expression::In(key, values) if key != NAME => {
                    values.first().map(|value| format!("{key}={value}"))
                }
                Expression::Exists(key) => Some(format!("{key}=")),
                Expression::Equal(..)
                | Expression::In(..)
                | Expression::NotIn(..)
                | Expression::NotEqual(..)
                | Expression::DoesNotExist(_) => None,
            })
            .collect::<Option<_>>()?;
        (!missing.is_empty()).then(|| missing.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        let all = all.iter();
        all.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn the_missing_label_is_an_argument_for_kubectl() {
        let text = str::to_owned;
        let bare = labels(&[(NAME, "shop")]);
        let missing = |selector: Vec<Expression>| Coverage { selector }.missing(&bare);
        let values = |all: &[&str]| all.iter().map(|own| text(own)).collect();
        let equal = Expression::Equal(text("a.example/b"), text("c"));
        assert_eq!(
            missing(vec![equal.clone()]).as_deref(),
            Some("a.example/b=c")
        );
        let one_of = Expression::In(text("team"), values(&["a", "b"]));
        assert_eq!(missing(vec![one_of]).as_deref(), Some("team=a"));
        let any = Expression::Exists(text("team"));
        assert_eq!(missing(vec![any]).as_deref(), Some("team="));
        // No label helps a namespace that the selector excludes by name.
        let never = Expression::NotIn(text(NAME), values(&["shop"]));
        assert_eq!(missing(vec![equal, never]), None);
        assert_eq!(missing(vec![]), None);
    }

    #[test]
    fn without_a_known_entry_no_namespace_is_covered() {
        let own = labels(&[("a", "b")]);
        assert!(AutoInjection::Registered(Coverage::default()).covers(&own));
        for unknown in [
            AutoInjection::Unread,
            AutoInjection::Unreadable,
            AutoInjection::Unregistered,
        ] {
            assert!(!unknown.covers(&own), "{unknown:?}");
        }
    }
}
