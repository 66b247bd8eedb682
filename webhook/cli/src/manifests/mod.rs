//! Manifests: files, documents, the Pods in them, and edits that keep everything else unchanged.
//!
//! [`files`] reads the named files, [`documents`] splits a text, [`workloads`] finds the Pods in a
//! document, [`edit`] runs a command on each of them and applies its patches to the text,
//! [`output`] writes the texts or reports that they differ, [`unhandled`] reports the parts that no
//! command handles.

pub mod documents;
pub mod edit;
pub mod files;
pub mod knative;
pub mod kustomize;
pub mod limit_ranges;
pub mod output;
pub mod residue;
pub mod unhandled;
pub mod volumes;
pub mod workloads;
