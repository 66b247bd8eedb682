//! A gitRepo volume.

use args::GitDuration;
use args::Link;
use args::RepoUrl;
use args::Revision;
use args::Submodules;

use crate::Key;
use crate::Medium;
use crate::Mistake;
use crate::Quantity;
use crate::model::role::Role;
use crate::sources::sourced::Values;

/// A gitRepo volume of the Pod that is converted.
#[derive(Clone, Debug, PartialEq)]
pub struct GitRepo {
    /// Its index in the Pod's volumes.
    pub index: usize,
    /// The volume's name, which does not change.
    pub volume: String,
    /// The repository.
    pub repository: RepoUrl,
    /// The revision to check out; `HEAD` is the default branch.
    pub revision: Revision,
    /// The directory in the volume; `None` is the volume's root.
    pub directory: Option<Link>,
    /// The Secret with credentials that an annotation names, in the Pod's namespace.
    pub secret: Option<String>,
    /// The timeout of one attempt; `None` is the operator's setting.
    pub timeout: Option<GitDuration>,
    /// The size at which the Pod is evicted; the kubelet's volumes had none.
    pub size_limit: Option<Quantity>,
    /// The storage medium of the volume.
    pub medium: Medium,
    /// Whether another mutator added it after the container for the others was injected.
    pub is_late: bool,
    /// The values of the annotations about it, with their origins.
    pub values: Values,
    /// The settings of a followed volume; `None` is a single clone, as by the kubelet.
    pub follow: Option<Follow>,
}

/// The settings of a followed gitRepo volume.
#[derive(Clone, Debug, PartialEq)]
pub struct Follow {
    /// The interval between polls of the remote.
    pub period: GitDuration,
    /// The maximum age of a revision with which the Pod starts while the git host is unreachable;
    /// `None` is the operator's setting.
    pub max_staleness: Option<GitDuration>,
    /// The number of commits of history to fetch; 0 is all.
    pub depth: u32,
    /// The submodules to fetch; the kubelet fetched none.
    pub submodules: Submodules,
    /// git's object filter: the objects that are fetched only when needed.
    pub filter: Option<String>,
    /// Whether Git LFS pointers are replaced by their content.
    pub lfs: bool,
    /// Patterns of the files to check out, one per line.
    pub sparse_checkout: Option<String>,
    /// The address to call after each published revision.
    pub notify: Option<String>,
}

impl GitRepo {
    /// The role of the container that serves it.
    pub(crate) fn role(&self) -> Role {
        match self.follow {
            None if self.is_late => Role::GitRepoLate,
            None => Role::GitRepo,
            Some(_) => Role::Sync,
        }
    }
}

/// A mistake about a volume.
pub(crate) fn mistake(volume: &str, sentence: &str) -> Mistake {
    let volume = crate::keys::value::shown(volume);
    Mistake::new(Key::GitRepo, format!("gitRepo volume {volume}: {sentence}"))
}

/// The annotation that makes volumes followed.
pub(crate) fn follow_key() -> String {
    format!("{}: follow", Key::GitRepo.annotation())
}
