//! Publishes each revision of a git repository.
fn main() {}
