//! Real git remotes for tests: file, smart HTTP and ssh.
//!
//! - [`Repo`]: a bare repository that tests commit to, with [`Repo::commit`].
//! - [`HttpServer`]: `git http-backend` behind a small server, over TLS and with a password if
//!   wanted, that counts, stops, starts again, hangs and answers nonsense.
//! - [`SshServer`]: a real `sshd` with keys of its own.
//!
//! Everything is in temporary directories and ends with its value. What is missing on the machine
//! panics with the command that installs it.

mod git;
mod http;
mod repo;
mod ssh;
mod tls;
mod trouble;

pub use git::git;
pub use http::BasicAuth;
pub use http::HttpServer;
pub use http::Seen;
pub use http::serve_for_ever;
pub use repo::Commit;
pub use repo::Repo;
pub use ssh::SshServer;
pub use trouble::Dialect;
pub use trouble::Trouble;
