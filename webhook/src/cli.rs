//! The command line that needs no cluster: manifests in, manifests out, by the webhook's engine.
//!
//! [`documents`] takes a text apart and puts edits into it,
//! [`workloads`] finds the Pods in a document.

pub mod documents;
pub mod workloads;
