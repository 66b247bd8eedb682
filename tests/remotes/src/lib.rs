//! Real git remotes for tests: file, smart HTTP and ssh.
//!
//! - [`Repo`]: a bare repository that tests commit to, with [`Repo::commit`].
//! - [`HttpServer`]: `git http-backend` behind a small server, over TLS and with a password if
//!   wanted, that counts, stops, starts again, hangs and answers nonsense.
//! - [`SshServer`]: a real `sshd` with keys of its own.
//! - [`Stub`]: a web server whose answers the test writes; [`Proxy`]: a forward proxy.
//! - [`not_run`]: lists a test that cannot run on this machine.
//!
//! Everything is in temporary directories and ends with its value. What is missing on the machine
//! panics with the command that installs it.

mod git;
mod http;
mod not_run;
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
pub use proxy::Proxy;
pub use repo::Commit;
pub use repo::Repo;
pub use ssh::SshServer;
pub use stub::Answer;
pub use stub::Asked;
pub use stub::Stub;
pub use trouble::Dialect;
pub use trouble::Trouble;
