//! Other programs for the same work, if they are installed.

use std::path::Path;
use std::path::PathBuf;

use tests::settings;

/// The installed programs of the peers.
pub(crate) struct Peers {
    /// kubernetes/git-sync.
    pub(crate) git_sync: Option<PathBuf>,
    /// hashicorp/vault-k8s.
    pub(crate) vault_k8s: Option<PathBuf>,
}

impl Peers {
    /// Searches the directory that the caller configures, and prints what is missing there.
    pub(crate) fn find() -> Self {
        let dir = settings::peers();
        Self {
            git_sync: find(&dir, "git-sync"),
            vault_k8s: find(&dir, "vault-k8s"),
        }
    }
}

fn find(dir: &Path, name: &str) -> Option<PathBuf> {
    let program = dir.join(name);
    if program.is_file() {
        return Some(program);
    }
    println!(
        "{name}: not in {}, so without it; PEERS=DIR names its directory",
        dir.display()
    );
    None
}
