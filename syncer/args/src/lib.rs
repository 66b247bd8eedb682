//! The contract between webhook and syncer: the webhook writes it into a Pod, the syncer reads it.
//!
//! - `flags`: [`SyncArgs`], every flag declared once with its type, default, variables and
//!   description, and its inverse [`SyncArgs::to_argv`], so that the syncer parses exactly what the
//!   webhook writes.
//! - `command_line`: [`read`], which parses the program's arguments and environment, compatible
//!   with git-sync v2, v3 and v4; help, manual and docs/flags.md.
//! - `values`, `address`: [`GitDuration`], [`RepoUrl`], [`Rev`], [`Link`], [`Subdir`],
//!   [`CaBundle`], [`KnownHosts`], [`VersionRange`], each validated once, when parsed.
//! - [`paths`]: mount paths in the injected container. [`secret`]: the keys of a mounted Secret.
//!   [`probe`]: output of the startup probe. [`cache`]: paths and headers of the pull-through cache.
//!   [`wake`]: the push receiver's message to the cache.
//!
//! Start at `flags/repo.rs`. Pure: no clock, no access to the process environment, no file system.

mod address;
pub mod cache;
mod command_line;
mod flags;
mod kubelet;
mod nearest;
pub mod paths;
pub mod probe;
pub mod secret;
mod values;
pub mod wake;

pub use crate::command_line::usage_error::UsageError;
pub use address::credential::Credential;
pub use address::credential::ParseCredentialError;
pub use address::credential::Password;
pub use address::mask::MASK;
pub use address::mask::address_secrets;
pub use address::mask::mask_addresses;
pub use address::repo_url::ParseRepoUrlError;
pub use address::repo_url::RepoKind;
pub use address::repo_url::RepoUrl;
pub use address::ssh_address::SshAddress;
pub use address::user_info::TOKEN_PREFIXES;
pub use address::user_info::UserInfo;
pub use address::user_info::is_token;
pub use address::user_info::may_be_token;
pub use command_line::Action;
pub use command_line::Names;
pub use command_line::ParsedSync;
pub use command_line::read;
pub use command_line::reference::keys::about_unknown_key;
pub use command_line::reference::keys::keys_markdown;
pub use command_line::reference::page::flags_markdown;
pub use command_line::sensitive::is_secret;
pub use command_line::sensitive::secret_variables;
pub use command_line::variables::is_service_variable;
pub use flags::CacheArgs;
pub use flags::Conversion;
pub use flags::CredentialArgs;
pub use flags::Flag;
pub use flags::ParseWakeRuleError;
pub use flags::ProbeArgs;
pub use flags::ProcessArgs;
pub use flags::PushArgs;
pub use flags::RepoArgs;
pub use flags::SshArgs;
pub use flags::SyncArgs;
pub use flags::WakeRule;
pub use flags::choices::CacheTrust;
pub use flags::choices::GarbageCollection;
pub use flags::choices::Layout;
pub use flags::choices::Submodules;
pub use flags::kind::go_int;
pub use kubelet::escape_for_kubelet;
pub use kubelet::expand_as_kubelet;
pub use values::ca_bundle::CaBundle;
pub use values::ca_bundle::ParseCaBundleError;
pub use values::duration::GitDuration;
pub use values::duration::ParseDurationError;
pub use values::known_hosts::KnownHosts;
pub use values::known_hosts::ParseKnownHostsError;
pub use values::label::is_label;
pub use values::lfs_hosts::LfsHosts;
pub use values::lfs_hosts::ParseLfsHostsError;
pub use values::link::Link;
pub use values::link::ParseLinkError;
pub use values::rev::ParseRevError;
pub use values::rev::Rev;
pub use values::rev::Revision;
pub use values::secret_text::Secret;
pub use values::subdir::ParseSubdirError;
pub use values::subdir::Subdir;
pub use values::version::VersionTag;
pub use values::version_range::ParseVersionRangeError;
pub use values::version_range::VersionRange;
