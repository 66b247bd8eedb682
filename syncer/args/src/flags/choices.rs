//! Flags with a fixed set of values.

use clap::ValueEnum;
use serde::Deserialize;
use serde::Serialize;

/// How a tree appears under the root (design: Injection 6).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Layout {
    /// git-sync's: one symlink to the tree of the revision, with a working `.git`
    #[default]
    Link,
    /// A ConfigMap volume's: the entries appear at the root itself, switched by `..data`
    Projected,
    /// Real directories and files below `tree` in the root, each replaced by one rename
    Files,
    /// A gitRepo volume's: a real clone with all its history, made once and never touched again
    Clone,
}

/// What the pull-through cache is trusted with (design: Pull-through cache 3).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum CacheTrust {
    /// With the content of a commit, which git verifies; the git host says which commit it is
    #[default]
    Content,
    /// With the answer to which commit it is, too
    Full,
}

/// The submodules to check out.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Submodules {
    /// All, with theirs.
    #[default]
    Recursive,
    /// The repository's own, without theirs.
    Shallow,
    /// None.
    Off,
}

/// git's garbage collection after old trees are removed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum GarbageCollection {
    /// `git gc --aggressive`.
    Aggressive,
    /// `git gc`.
    #[default]
    Always,
    /// `git gc --auto`: git decides whether there is enough of it.
    Auto,
    /// Nothing.
    Off,
}
