//! The server and the command line as their users meet them: over TLS, and as the program `gitvolume`.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod answers;
mod auto;
mod cli;
mod common;
mod connections;
mod goldens;
mod namespaces;
mod program;
mod settings;
