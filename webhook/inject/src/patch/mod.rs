//! The plan as a JSON patch, and the check of the patched Pod.

pub(crate) mod check;
pub(crate) mod mutate;
pub(crate) mod recorder;
