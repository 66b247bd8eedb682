//! Serving certificates and their CA, replaced without a restart and without a failed call.
//!
//! - [`Bundle`]: the CA that signs, with the certificates that callers trust.
//! - [`Names`] and [`Leaf`]: a serving certificate of seven days, issued in memory by each replica.
//! - [`Resolver`]: passes the current leaf to rustls; swapping it is one atomic store.
//! - [`Serving`]: the current leaf and the known state of the caBundle; readiness reads it.
//! - [`Cluster`]: the Secret that stores the CA, and the caBundle in the webhook configuration.
//! - [`Lifetimes`]: lifetimes of CA and leaf. The CA is replaced in three steps, with both CAs
//!   trusted meanwhile; any replica can take any step.
//! - [`IssuedCertificate`]: the certificate of another server (the pull-through cache), in a Secret.
//! - [`Directory`]: certificate files that another tool maintains.
//! - [`keep_in_memory`], [`keep_in_cluster`], [`keep_issued`] and [`keep_files`]: the tasks that keep all of it
//!   current.
//!
//! Why a CA in a Secret and a leaf per replica: no leader is needed, no replica waits for another
//! one, and a replica that was suspended for a week renews its own leaf as soon as it resumes.
//! Leaders that share one leaf have got stuck after an eviction (hashicorp/vault-helm#704), and
//! certificates made at install time have expired (linkerd/linkerd2#4977).

mod bundle;
mod files;
mod issue;
mod issued;
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
pub use issued::IssuedCertificate;
pub use issued::keep_issued;
pub use keep::FILES_CHECK;
pub use keep::keep_files;
pub use keep::keep_in_cluster;
pub use keep::keep_in_memory;
pub use publish::Cluster;
pub use publish::PublishError;
pub use publish::Published;
pub use publish::SharedSecret;
pub use publish::Trust;
pub use resolver::Resolver;
pub use rotation::Lifetimes;
pub use serving::Serving;
