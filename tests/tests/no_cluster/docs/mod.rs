//! The documentation, read as its readers do: links lead somewhere, manifests are accepted,
//! commands can be typed, and each error sentence has its cause and cure.
//!
//! What is shown on purpose to be refused stands in a block that says so: ` ```yaml refused `, and
//! its page has the sentence. `docs/cli.md` is also run, by the webhook's own tests.

mod commands;
mod links;
mod manifests;
mod metrics;
mod notes;
mod pages;
mod sentences;
mod shell;
