//! The documentation as readers use it: links have targets, manifests are accepted, commands are
//! valid, and each error sentence has its cause and remedy.
//!
//! A manifest that must be refused is in a block marked ` ```yaml refused `, and its page contains
//! the sentence. The webhook's own tests also run `docs/cli.md`.

mod commands;
mod examples;
mod links;
mod manifests;
mod metrics;
mod notes;
mod pages;
mod sentences;
mod shell;
mod site;
