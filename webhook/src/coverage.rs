//! Which namespaces auto-injection is for.

use std::collections::BTreeMap;

use kube::core::Expression;
use kube::core::SelectorExt;

/// The label that the API server gives every namespace.
pub(crate) const NAME: &str = "kubernetes.io/metadata.name";

/// What is known of the registration's entry for auto-injection.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum AutoInjection {
    /// It has not been read yet.
    #[default]
    Unread,
    /// It cannot be read, and never was.
    Unreadable,
    /// There is no such entry.
    Unregistered,
    /// It is there, for these namespaces.
    Registered(Coverage),
}

impl AutoInjection {
    /// Tells whether a namespace with these labels is covered, as far as is known.
    pub fn covers(&self, labels: &BTreeMap<String, String>) -> bool {
        matches!(self, Self::Registered(coverage) if coverage.covers(labels))
    }
}

/// Which namespaces auto-injection is for: the labels that a namespace must have.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Coverage {
    /// The requirements; none covers every namespace.
    pub selector: Vec<Expression>,
}

impl Coverage {
    /// Tells whether a namespace is covered.
    pub fn covers(&self, labels: &BTreeMap<String, String>) -> bool {
        self.selector.iter().all(|own| own.matches(labels))
    }

    /// The labels that a namespace lacks, as `kubectl label` takes them; `None` where no label would
    /// help.
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
    fn what_is_missing_is_a_label_that_kubectl_takes() {
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
        // No label of its own brings a namespace in that is named.
        let never = Expression::NotIn(text(NAME), values(&["shop"]));
        assert_eq!(missing(vec![equal, never]), None);
        assert_eq!(missing(vec![]), None);
    }

    #[test]
    fn what_is_not_known_to_be_registered_covers_no_namespace() {
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
