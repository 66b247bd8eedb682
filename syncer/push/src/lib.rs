//! Push webhooks: a git host reports a push, and whatever follows the repository polls at once.
//!
//! Data flow: request → `delivery` (signature over the body as it arrives, addresses in the payload,
//! which of them the secret's holder may wake) → [`SpacedQueue`] (at most one look per repository and
//! second) → `relay` (every replica of the cache), or the loops of a syncer that serves `POST /push`
//! itself.
//!
//! | folder | what it holds |
//! |---|---|
//! | `receiver` | the program `gitvolume-syncer push`: HTTP server, TLS, metrics, relay to the cache |
//! | `delivery` | pure but for [`DeliveryReader`], which reads the body: secrets, signature schemes, payloads |
//! | `limits` | deliveries per second, looks per repository and second |
//! | `secret_file` | secrets in mounted files, read again when they change |
//!
//! Start at `delivery/body.rs` for one delivery and at `receiver/server.rs` for the program. A delivery
//! carries no commit that anything relies on: a replayed one costs one poll, a forged one nothing.

mod delivery;
#[cfg(test)]
#[path = "../fuzz/targets.rs"]
mod fuzzing;
mod limits;
mod listen;
mod lock;
mod receiver;
mod secret_file;

pub use delivery::body::DeliveryError;
pub use delivery::body::DeliveryReader;
pub use delivery::body::response;
pub use delivery::secret::ParsePushSecretError;
pub use delivery::secret::PushSecret;
pub use delivery::selection::wake_of;
pub use limits::spacing::SpacedQueue;
pub use listen::listen;
pub use receiver::config::PushConfig;
pub use receiver::error::PushError;
pub use receiver::server::run;
pub use secret_file::SecretFile;
