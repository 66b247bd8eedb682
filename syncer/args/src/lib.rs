//! The contract between the injector and the syncer: what the one writes into a Pod
//! and the other reads.
//!
//! - [`SyncArgs`]: every flag with its environment name and default, and its inverse
//!   [`SyncArgs::to_argv`], so that what the webhook writes is what the syncer parses.
//! - [`paths`]: where the injected container finds its volumes.
//! - [`probe`]: what the startup probe prints.
//! - [`secret`]: which keys of a mounted Secret mean what.
//! - [`GitDuration`], [`RepoUrl`], [`Rev`], [`Link`], [`Subdir`], [`CaBundle`], [`KnownHosts`]: the
//!   values, checked once at the edge.
//! - [`read`]: the program's arguments and environment, as git-sync v2, v3 and v4 had them.
//!
//! Pure: no clock, no environment of its own, no file system.

mod ca_bundle;
mod command_line;
mod credential;
mod duration;
mod flags;
mod known_hosts;
mod kubelet;
mod label;
mod link;
mod mask;
mod nearest;
pub mod paths;
pub mod probe;
mod repo_url;
mod rev;
pub mod secret;
mod secret_text;
mod sensitive;
mod ssh_address;
mod subdir;
mod text;
mod user_info;

pub use ca_bundle::CaBundle;
pub use ca_bundle::ParseCaBundleError;
pub use command_line::Asked;
pub use command_line::Names;
pub use command_line::Refusal;
pub use command_line::Typed;
pub use command_line::keys::about_unknown_key;
pub use command_line::keys::keys_markdown;
pub use command_line::page::flags_markdown;
pub use command_line::read;
pub use command_line::value::go_int;
pub use credential::Credential;
pub use credential::ParseCredentialError;
pub use credential::Password;
pub use duration::GitDuration;
pub use duration::ParseDurationError;
pub use flags::Cli;
pub use flags::Command;
pub use flags::CredentialArgs;
pub use flags::GarbageCollection;
pub use flags::Layout;
pub use flags::ProbeArgs;
pub use flags::ProcessArgs;
pub use flags::RepoArgs;
pub use flags::Submodules;
pub use flags::SyncArgs;
pub use known_hosts::KnownHosts;
pub use known_hosts::ParseKnownHostsError;
pub use kubelet::escape_for_kubelet;
pub use kubelet::expand_as_kubelet;
pub use label::is_label;
pub use link::Link;
pub use link::ParseLinkError;
pub use mask::MASK;
pub use mask::address_secrets;
pub use mask::mask_addresses;
pub use repo_url::ParseRepoUrlError;
pub use repo_url::RepoKind;
pub use repo_url::RepoUrl;
pub use rev::ParseRevError;
pub use rev::Rev;
pub use rev::Revision;
pub use secret_text::Secret;
pub use sensitive::is_secret;
pub use sensitive::secret_variables;
pub use ssh_address::SshAddress;
pub use subdir::ParseSubdirError;
pub use subdir::Subdir;
pub use user_info::TOKEN_PREFIXES;
pub use user_info::UserInfo;
pub use user_info::is_token;
pub use user_info::may_be_token;
