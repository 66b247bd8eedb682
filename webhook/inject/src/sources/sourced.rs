//! Values with their origins.

use std::sync::Arc;

use args::Layout;

use crate::ANNOTATIONS;
use crate::GitVolume;
use crate::Key;
use crate::MountPath;
use crate::Name;
use crate::Scope;
use crate::Settings;
use crate::keys::key::full_key;
use crate::keys::table::Read;
use crate::model::request::Fields;
use crate::model::request::default_layout;
use crate::sources::objects;

/// A value with its origin.
#[derive(Clone, Debug, PartialEq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Its origin.
    pub origin: Origin,
}

impl<T> Sourced<T> {
    pub(crate) fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }
}

/// The origin of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// An annotation of the Pod, of the repository of this name.
    Annotation(Option<Name>),
    /// A field of a GitVolume or ClusterGitVolume.
    Object(Arc<GitVolume>),
    /// The operator's settings.
    Operator,
    /// The default.
    Default,
}

/// The name of the operator's settings in sentences.
pub(crate) const OPERATOR: &str = "the operator";

impl Origin {
    /// The name of a key with this origin in sentences: the annotation, or the object and its
    /// field.
    pub(crate) fn of_key(&self, key: Key) -> String {
        match self {
            Self::Annotation(name) => full_key(name.as_ref(), key),
            Self::Object(object) => format!("{object}: spec.{}", objects::field_of(key)),
            Self::Operator => OPERATOR.to_owned(),
            Self::Default => "default".to_owned(),
        }
    }
}

/// The values of some keys as they were written, including refused ones, each with its origin; in
/// the table's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values(Vec<(Key, Sourced<String>)>);

impl Values {
    /// The value of a key.
    pub fn get(&self, key: Key) -> Option<&Sourced<String>> {
        let mut values = self.0.iter();
        values.find(|entry| entry.0 == key).map(|entry| &entry.1)
    }

    /// All keys and their values.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &Sourced<String>)> {
        self.0.iter().map(|(key, value)| (*key, value))
    }

    /// The first key that has a value.
    pub(crate) fn first_key(&self) -> Option<Key> {
        self.0.first().map(|entry| entry.0)
    }

    /// Adds the value of a key, where it has none yet.
    pub(crate) fn add(&mut self, key: Key, value: Sourced<String>) {
        if let Err(place) = self.0.binary_search_by_key(&key, |entry| entry.0) {
            self.0.insert(place, (key, value));
        }
    }

    /// Merges two sources; this one takes precedence.
    pub(crate) fn or(mut self, other: &Self) -> Self {
        for (key, value) in other.iter() {
            self.add(key, value.clone());
        }
        self
    }

    /// The accepted values of a repository.
    pub(crate) fn fields(&self) -> Fields {
        let mut fields = Fields::default();
        for (key, Sourced { value, .. }) in self.iter() {
            if let Read::Repository(read) = key.row().read {
                // A refused value is reported where it is parsed first.
                let _ = read(&mut fields, value);
            }
        }
        fields
    }

    /// Adds defaults for keys without a value: the operator's settings, then the defaults of the
    /// table.
    pub(crate) fn or_defaults(
        mut self,
        scope: Scope,
        name: Option<&Name>,
        settings: &Settings,
    ) -> Self {
        for row in ANNOTATIONS.iter().filter(|row| row.scope == scope) {
            let value = match (row.key, row.default) {
                (Key::MountPath, _) => {
                    let path = MountPath::default_for(name).to_string();
                    Sourced::new(path, Origin::Default)
                }
                (Key::Timeout, _) => {
                    Sourced::new(settings.sync_timeout.to_string(), Origin::Operator)
                }
                (Key::Layout, _) => {
                    let fields = self.fields();
                    if fields.link.is_some() {
                        continue;
                    }
                    let layout = match default_layout(fields.mode.unwrap_or_default()) {
                        Layout::Files => "files",
                        _ => "projected",
                    };
                    Sourced::new(layout.to_owned(), Origin::Default)
                }
                (_, Some(default)) => Sourced::new(default.to_owned(), Origin::Default),
                (_, None) => continue,
            };
            self.add(row.key, value);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_source_of_a_key_takes_precedence_and_defaults_come_last() {
        let name: Name = "site".parse().unwrap();
        let by = |name: Option<&Name>, text: &str| {
            Sourced::new(text.to_owned(), Origin::Annotation(name.cloned()))
        };
        let mut named = Values::default();
        named.add(Key::Period, by(Some(&name), "1m"));
        let mut unnamed = Values::default();
        unnamed.add(Key::Depth, by(None, "5"));
        unnamed.add(Key::Period, by(None, "2m"));
        let settings = Settings::new("syncer:1");
        let all = named.or(&unnamed);
        let all = all.or_defaults(Scope::Repository, Some(&name), &settings);
        let shown = |key: Key| {
            let value = all.get(key).unwrap();
            (value.value.as_str(), value.origin.of_key(key))
        };
        assert_eq!(
            shown(Key::Period),
            ("1m", "gitvolume.dev/site.period".to_owned())
        );
        assert_eq!(shown(Key::Depth), ("5", "gitvolume.dev/depth".to_owned()));
        assert_eq!(shown(Key::MountPath), ("/git/site", "default".to_owned()));
        assert_eq!(shown(Key::Timeout).1, OPERATOR);
        assert_eq!(all.get(Key::Secret), None);
        assert!(all.iter().is_sorted_by_key(|(key, _)| key));
        assert_eq!(all.fields().depth, Some(5));
    }
}
