//! Injects git repositories into Pods.
fn main() {}
