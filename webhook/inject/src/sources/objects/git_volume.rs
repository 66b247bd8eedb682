//! A GitVolume or ClusterGitVolume.

use std::fmt;

use crate::Key;
use crate::Mistake;
use crate::Name;
use crate::policy::selector::Selector;

/// A GitVolume or ClusterGitVolume: a repository, and the Pods that get it.
///
/// Parsed once when the object changes, and shared by all decisions. Parsing never fails;
/// [`GitVolume::accepted`] returns the mistakes.
#[derive(Clone, Debug, PartialEq)]
pub struct GitVolume {
    pub(crate) kind: Kind,
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
    pub(crate) uid: Option<String>,
    pub(crate) generation: Option<i64>,
    pub(crate) priority: i32,
    pub(super) pod_selector: Selector,
    pub(super) namespace_selector: Selector,
    /// Its values: annotation keys with their texts, in the table's order.
    pub(crate) said: Vec<(Key, String)>,
    /// Its name as that of a repository; `None` where it is not valid for one.
    pub(crate) repository: Option<Name>,
    /// Its mistakes, regardless of the operator's settings.
    pub(crate) mistakes: Vec<Mistake>,
    pub(crate) warnings: Vec<String>,
}

/// The kind of an object. `GitVolume` overrides `ClusterGitVolume`, field by field.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// `GitVolume`: for Pods of its own namespace.
    GitVolume,
    /// `ClusterGitVolume`: for Pods of every namespace that its selector covers.
    ClusterGitVolume,
}

/// A field of an object that an object of higher precedence overrides, for the Pods of both.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Shadowed {
    /// The field below `spec`, such as `mountPath`.
    pub field: String,
    /// The object that takes precedence, in the form of [`GitVolume`]'s `Display`.
    pub by: String,
}

impl Kind {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::GitVolume, Self::ClusterGitVolume];
    /// The API group of both.
    pub const GROUP: &str = "gitvolume.dev";
    /// The API version that is stored and watched. Every release serves it, so a client that reads
    /// it works before and after an upgrade or a rollback.
    pub const VERSION: &str = "v1alpha1";
    /// All API versions that are served. Their schemas are identical, so none is converted.
    pub const VERSIONS: [&str; 2] = [Self::VERSION, "v1beta1"];

    /// Whether this is the `apiVersion` of an object of the API group.
    pub fn is_api_version(text: &str) -> bool {
        let version = text.strip_prefix(Self::GROUP);
        let version = version.and_then(|rest| rest.strip_prefix('/'));
        version.is_some_and(|version| Self::VERSIONS.contains(&version))
    }

    /// The plural of the kind, as in API paths.
    pub fn plural(self) -> &'static str {
        match self {
            Self::GitVolume => "gitvolumes",
            Self::ClusterGitVolume => "clustergitvolumes",
        }
    }

    /// The kind, as in manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GitVolume => "GitVolume",
            Self::ClusterGitVolume => "ClusterGitVolume",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
