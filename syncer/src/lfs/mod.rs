//! Git LFS: pointers in a new tree are replaced by their content, without the program git-lfs. Those
//! of a submodule come from the submodule's own server.
//!
//! `pointer` parses a pointer, `scan` finds those of a tree, `store` keeps contents by their hash
//! across revisions. What the store lacks is downloaded: `endpoint` finds the server, `batch` asks
//! it for addresses, `download` fetches and verifies, `http` sends each request and checks its host.

mod batch;
mod download;
mod endpoint;
mod error;
mod http;
pub(crate) mod pointer;
mod scan;
mod store;

use std::fmt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use args::Subdir;
use tokio::task::JoinSet;

use crate::config::LayoutConfig;
use crate::config::RepoConfig;
use crate::git::Hash;
use crate::git::Repository;
use crate::git::WorkTree;
use crate::lfs::batch::MAX_OBJECTS;
use crate::lfs::endpoint::Endpoint;
use crate::lfs::error::Problem;
use crate::lfs::http::Access;
use crate::lfs::pointer::Pointer;
use crate::lfs::scan::PointerFile;
use crate::lfs::store::Store;
use crate::remote::auth::RemoteCredentials;
use crate::system::files;

pub(crate) use crate::lfs::error::LfsError;
pub(crate) use crate::lfs::pointer::is_content;

/// The number of parallel downloads.
const PARALLEL: usize = 4;

/// The repository that contains pointers.
#[derive(Clone, Copy)]
struct PointerOrigin<'a> {
    repository: Repository<'a>,
    /// The path of a submodule in the tree; `None` for the repository itself.
    submodule: Option<&'a Path>,
}

/// Replaces the pointers of one repository and its submodules.
pub(crate) struct Lfs {
    store: Store,
    access: Arc<Access>,
    /// The published subdirectory.
    subdir: Option<Subdir>,
    /// Whether credentials were read: before that the remote is not contacted.
    has_credentials: bool,
}

impl fmt::Debug for Lfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It holds credentials.
        f.debug_struct("Lfs")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl Lfs {
    /// The settings of a repository with the credentials of the current pass; `None` unless they
    /// enable LFS.
    pub(crate) fn of(config: &RepoConfig, grant: &Arc<RemoteCredentials>) -> Option<Arc<Self>> {
        let dir = store_dir(config).filter(|_| config.lfs)?;
        Some(Arc::new(Self {
            store: Store::new(dir, config.link_trees),
            access: Arc::new(Access::new(config, grant.clone())),
            subdir: config.layout.subdir().cloned(),
            has_credentials: grant.generation > 0,
        }))
    }

    /// Replaces the pointers among a tree's checked-out files that have the attribute `filter=lfs`,
    /// and returns their paths. Files that were linked from the tree of `previous` already have
    /// their content.
    pub(crate) async fn fill(
        &self,
        tree: WorkTree<'_>,
        commit: &Hash,
        previous: Option<&Hash>,
    ) -> Result<Vec<PathBuf>, LfsError> {
        let pointers = scan::pointers(tree).await?;
        let noted = self.store.note(commit, tree.dir, &pointers, previous);
        noted.await?;
        let origin = PointerOrigin {
            repository: tree.repository,
            submodule: None,
        };
        self.replace(origin, commit, tree.dir, pointers).await
    }

    /// The same for a checked-out submodule of the commit's tree at `top`, after the files of the
    /// repository itself and of earlier submodules.
    pub(crate) async fn fill_submodule(
        &self,
        top: &Path,
        commit: &Hash,
        module: WorkTree<'_>,
    ) -> Result<(), LfsError> {
        let pointers = scan::pointers_in_submodule(top, self.subdir.as_ref(), module).await?;
        if pointers.is_empty() {
            return Ok(());
        }
        // What was noted for the same tree stays.
        let noted = self.store.note(commit, top, &pointers, Some(commit));
        noted.await?;
        let origin = PointerOrigin {
            repository: module.repository,
            submodule: Some(module.dir.strip_prefix(top).unwrap_or(module.dir)),
        };
        self.replace(origin, commit, top, pointers).await.map(drop)
    }

    async fn replace(
        &self,
        origin: PointerOrigin<'_>,
        commit: &Hash,
        top: &Path,
        pointers: Vec<PointerFile>,
    ) -> Result<Vec<PathBuf>, LfsError> {
        if pointers.is_empty() {
            return Ok(Vec::new());
        }
        let missing = self.store.missing(&pointers).await?;
        if !missing.is_empty() {
            let deadline = origin.repository.session.deadline;
            let downloads = self.download(origin, commit, &missing);
            let Ok(downloaded) = tokio::time::timeout_at(deadline, downloads).await else {
                return Err(self.timed_out(&missing).await?);
            };
            downloaded?;
        }
        tracing::info!(
            hash = %commit,
            submodule = origin.submodule.map(|path| path.display().to_string()),
            files = pointers.len(),
            downloads = missing.len(),
            bytes = missing.iter().map(|file| file.pointer.size).sum::<u64>(),
            "replacing Git LFS pointers by their content"
        );
        let paths = pointers.iter().map(|file| file.path.clone()).collect();
        self.store.place(top, pointers).await?;
        Ok(paths)
    }

    async fn download(
        &self,
        origin: PointerOrigin<'_>,
        commit: &Hash,
        missing: &[PointerFile],
    ) -> Result<(), LfsError> {
        if !self.has_credentials {
            return Err(LfsError::Unread);
        }
        let (access, endpoint) = match origin.submodule {
            None => {
                let endpoint = endpoint::find(&self.access, origin.repository, commit).await?;
                (self.access.clone(), endpoint)
            }
            Some(path) => {
                let found = self.find_of_submodule(origin.repository).await;
                found.map_err(|error| error.of_submodule(path))?
            }
        };
        for files in missing.chunks(MAX_OBJECTS) {
            let objects = batch::request(&access, &endpoint, files).await?;
            let mut waiting = objects.into_iter().zip(files);
            let mut running = JoinSet::new();
            loop {
                while running.len() < PARALLEL
                    && let Some((action, file)) = waiting.next()
                {
                    let (access, store) = (access.clone(), self.store.clone());
                    let file = file.clone();
                    running.spawn(download::fetch(access, store, action, file));
                }
                match running.join_next().await {
                    None => break,
                    Some(ended) => ended.map_err(|error| LfsError::Task(error.to_string()))??,
                }
            }
        }
        Ok(())
    }

    /// The server of a submodule: git fetched the submodule from its address.
    async fn find_of_submodule(
        &self,
        repository: Repository<'_>,
    ) -> Result<(Arc<Access>, Endpoint), LfsError> {
        let address = repository.ls_remote_get_url().await?;
        let access = Arc::new(self.access.of_submodule(&address)?);
        let head = repository.rev_parse_head().await?;
        let head = head.ok_or_else(|| LfsError::Task("a submodule has no commit".to_owned()))?;
        let endpoint = endpoint::find(&access, repository, &head).await?;
        Ok((access, endpoint))
    }

    async fn timed_out(&self, missing: &[PointerFile]) -> Result<LfsError, LfsError> {
        let missing = self.store.missing(missing).await?;
        Ok(LfsError::TimedOut {
            files: missing.len(),
        })
    }
}

/// Whether a tree, without its submodules, has no pointer that should have been replaced.
pub(crate) async fn is_filled(tree: WorkTree<'_>) -> Result<bool, LfsError> {
    Ok(scan::pointers(tree).await?.is_empty())
}

/// The same for a submodule of the tree at `top`.
pub(crate) async fn is_submodule_filled(
    top: &Path,
    subdir: Option<&Subdir>,
    module: WorkTree<'_>,
) -> Result<bool, LfsError> {
    let pointers = scan::pointers_in_submodule(top, subdir, module).await?;
    Ok(pointers.is_empty())
}

/// Drops the contents that no existing tree needs; without LFS, the whole store. `trees` are the
/// directories of the existing trees, whose names contain their commits.
pub(crate) async fn sweep(config: &RepoConfig, trees: Vec<PathBuf>) -> std::io::Result<()> {
    let Some(dir) = store_dir(config) else {
        return Ok(());
    };
    let is_needed = config.lfs;
    files::blocking(move || match Store::new(dir.clone(), false) {
        store if !store.is_own() => Ok(()),
        store if is_needed => store.sweep(&trees),
        _ => files::remove_any(&dir),
    })
    .await
}

/// The directory of the contents: beside git's repository, in the link layout where git-lfs itself
/// has it.
fn store_dir(config: &RepoConfig) -> Option<PathBuf> {
    match &config.layout {
        LayoutConfig::Link { .. } => Some(config.root.join(".git/lfs")),
        LayoutConfig::Projected { state, .. } | LayoutConfig::Files { state, .. } => {
            Some(state.join("lfs"))
        }
        LayoutConfig::Clone { .. } => None,
    }
}
