//! Real git remotes for tests: file, smart HTTP and ssh.
//!
//! - [`Repo`]: a bare repository for test commits, with [`Repo::commit`].
//! - [`HttpServer`]: `git http-backend` behind a small server, optionally with TLS and a password,
//!   that counts, stops, restarts, hangs and returns garbage.
//! - [`SshServer`]: a real `sshd` with its own keys.
//! - [`Stub`]: a web server whose responses the test defines; [`Proxy`]: a forward proxy.
//! - [`ReservedPort`]: a port for a program that cannot report which port it uses.
//! - [`not_run`]: lists a test that cannot run on this machine.
//!
//! Everything is in temporary directories and is removed when the value is dropped. A missing
//! program panics with the command that installs it.

mod git;
mod http;
mod not_run;
mod packets;
mod port;
mod proxy;
mod repo;
mod ssh;
mod stub;
mod tls;
mod trouble;

pub use git::git;
pub use http::BasicAuth;
pub use http::HttpServer;
pub use http::Seen;
pub use http::serve_for_ever;
pub use not_run::not_run;
pub use packets::request;
pub use port::ReservedPort;
pub use proxy::Proxy;
pub use repo::Commit;
pub use repo::Repo;
pub use ssh::SshServer;
pub use stub::Answer;
pub use stub::Asked;
pub use stub::Stub;
pub use tls::ClientCertificate;
pub use trouble::Dialect;
pub use trouble::Trouble;
