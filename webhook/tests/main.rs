//! Tests of the server from outside: over TLS, and as the program `gitvolume-webhook`.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod answers;
mod auto;
mod common;
mod connections;
mod goldens;
mod namespaces;
mod program;
mod settings;
