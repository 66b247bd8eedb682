//! Settings of the tests, from environment variables; no other code in the tests reads any.

use std::path::Path;
use std::path::PathBuf;

// Tests have no argument struct, so only this file reads the environment.
#[expect(
    clippy::disallowed_methods,
    reason = "the tests' one door to the environment"
)]
fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The checkout's root.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// The build directory: `target` in the checkout.
pub fn target() -> PathBuf {
    root().join("target")
}

/// The kubeconfig of an existing cluster to use instead of our own node (`KUBECONFIG`).
pub fn kubeconfig() -> Option<PathBuf> {
    var("KUBECONFIG").map(PathBuf::from)
}

/// The shell command that loads an image tar into that cluster (`GITVOLUME_IMAGE_LOAD`).
pub fn image_load() -> Option<String> {
    var("GITVOLUME_IMAGE_LOAD")
}

/// Whether the node's state is kept after the tests (`GITVOLUME_KEEP`).
pub fn keep() -> bool {
    var("GITVOLUME_KEEP").is_some()
}

/// Whether golden files are written instead of compared (`UPDATE_GOLDENS`).
pub fn update_goldens() -> bool {
    var("UPDATE_GOLDENS").is_some()
}

/// Duration of the load during the certificate rotation in seconds, and its rate in admissions per
/// second (`GITVOLUME_ROTATION_SECONDS`, `GITVOLUME_ROTATION_RATE`).
pub fn rotation() -> Result<(u64, u64), String> {
    let number = |name: &str, usual| match var(name) {
        None => Ok(usual),
        Some(text) => text
            .parse()
            .map_err(|_| format!("{name}: {text:?}: expected a whole number")),
    };
    Ok((
        number("GITVOLUME_ROTATION_SECONDS", 20)?,
        number("GITVOLUME_ROTATION_RATE", 20)?,
    ))
}

/// The directory of the Kubernetes programs (`GITVOLUME_TOOLS`, the same as in build.sh).
pub fn tools() -> PathBuf {
    var("GITVOLUME_TOOLS")
        .map_or_else(|| target().join("tools"), PathBuf::from)
        .join("bin")
}

/// A program built with the profile of the tests, which `make demo` runs as well.
pub fn built(name: &str) -> PathBuf {
    target().join("debug").join(name)
}

/// The static webhook binary (`GITVOLUME_WEBHOOK_BIN`).
pub fn webhook_binary() -> PathBuf {
    var("GITVOLUME_WEBHOOK_BIN")
        .map_or_else(|| target().join("dist/gitvolume-webhook"), PathBuf::from)
}

/// The static binary of the command line (`GITVOLUME_BIN`).
pub fn cli_binary() -> PathBuf {
    var("GITVOLUME_BIN").map_or_else(|| target().join("dist/gitvolume"), PathBuf::from)
}

/// The static syncer binary (`GITVOLUME_SYNCER_BIN`).
pub fn syncer_binary() -> PathBuf {
    var("GITVOLUME_SYNCER_BIN")
        .map_or_else(|| target().join("dist/gitvolume-syncer"), PathBuf::from)
}

/// The static HTTP server around `git http-backend` (`GITVOLUME_GIT_HTTP_BIN`).
pub fn git_http_binary() -> PathBuf {
    var("GITVOLUME_GIT_HTTP_BIN").map_or_else(|| target().join("dist/git-http"), PathBuf::from)
}

/// The static server of the benchmark that returns a constant (`GITVOLUME_CONSTANT_BIN`).
pub fn constant_binary() -> PathBuf {
    var("GITVOLUME_CONSTANT_BIN").map_or_else(|| target().join("dist/constant"), PathBuf::from)
}

/// The directory of other programs to compare with (`PEERS`), or its default path.
pub fn peers() -> PathBuf {
    var("PEERS").map_or_else(|| root().join("../shared/peers"), PathBuf::from)
}

/// The directory of the node that this process runs inside of; set by
/// [`crate::kubernetes::enclosure`].
pub(crate) fn enclosure() -> Option<PathBuf> {
    var(crate::settings::INSIDE).map(PathBuf::from)
}

/// The directory that this process cleans up after the node's end; set by
/// [`crate::kubernetes::enclosure`].
pub(crate) fn janitor() -> Option<PathBuf> {
    var(crate::settings::JANITOR).map(PathBuf::from)
}

/// The directories of `PATH`.
pub(crate) fn path() -> Vec<PathBuf> {
    var("PATH").map_or_else(Vec::new, |path| std::env::split_paths(&path).collect())
}

/// `PATH`, with the Kubernetes programs before it: containerd looks there for its shim.
pub(crate) fn path_with_tools() -> String {
    let path = var("PATH").unwrap_or_else(|| "/usr/bin:/bin".to_owned());
    // iptables is in sbin, which is often missing in the PATH of an ordinary user.
    format!("{}:{path}:/usr/sbin:/sbin", tools().display())
}

/// Variable that marks a process inside the enclosure; its value is the node's directory.
pub(crate) const INSIDE: &str = "GITVOLUME_TEST_ENCLOSURE";

/// Variable that marks the janitor; its value is the directory to clean up.
pub(crate) const JANITOR: &str = "GITVOLUME_TEST_JANITOR";
