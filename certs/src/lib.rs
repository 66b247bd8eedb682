//! Serving certificates and their CA, changed without a restart and without a failed call.
//!
//! - [`Bundle`]: the CA that signs for us, with the certificates that callers trust.
//! - [`Names`] and [`Leaf`]: a serving certificate of seven days, made in memory by each replica.
//! - [`Resolver`]: hands the current leaf to rustls; swapping it is one atomic store.
//! - [`Serving`]: what is served now and what is known of our caBundle; readiness reads it.
//! - [`Cluster`]: the CA's home in one Secret, and our caBundle in the webhook configuration.
//! - [`Lifetimes`]: how long CA and leaf live. The CA is replaced in three steps with both trusted
//!   meanwhile; any replica takes any of them.
//! - [`Directory`]: a certificate that somebody else makes, in files.
//! - [`keep_in_memory`], [`keep_in_cluster`] and [`keep_files`]: the tasks that keep all of it
//!   current.
//!
//! Why a CA in a Secret and a leaf per replica: no leader is needed, nothing waits for another
//! replica, and a replica that was suspended for a week renews its own leaf at its next breath.
//! Leaders that share one leaf have stuck after an eviction (hashicorp/vault-helm#704), and
//! certificates made at install time have run out (linkerd/linkerd2#4977).

mod bundle;
mod files;
mod issue;
mod keep;
mod publish;
mod resolver;
mod rotation;
mod serving;

pub use bundle::Bundle;
pub use bundle::BundleError;
pub use files::Directory;
pub use files::FilesError;
pub use issue::IssueError;
pub use issue::LEAF_LIFETIME;
pub use issue::Leaf;
pub use issue::Names;
pub use keep::FILES_CHECK;
pub use keep::keep_files;
pub use keep::keep_in_cluster;
pub use keep::keep_in_memory;
pub use publish::Cluster;
pub use publish::PublishError;
pub use publish::Published;
pub use publish::Trust;
pub use resolver::Resolver;
pub use rotation::Lifetimes;
pub use serving::Serving;
