use args::GitDuration;
use args::Layout;
use args::Link;
use args::RepoUrl;
use args::Rev;
use args::Subdir;
use args::Submodules;
use args::paths;

use crate::MountPath;
use crate::Name;
use crate::Quantity;

/// One repository that a Pod requests by annotations or gets from objects, with every default
/// filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The NAME of its keys; `None` for the unnamed ones.
    pub name: Option<Name>,
    /// What to fetch.
    pub repo: RepoUrl,
    /// The revision to follow.
    pub rev: Rev,
    /// The mount path in the containers.
    pub mount_path: MountPath,
    /// How the files appear at the mount path.
    pub layout: Layout,
    /// The symlink's name with the link layout; without it the tree is at the mount path itself.
    pub link: Option<Link>,
    /// The directory of the repository that is published instead of its root.
    pub subdir: Option<Subdir>,
    /// Whether it is fetched once or followed.
    pub mode: Mode,
    /// The interval between polls of the remote.
    pub period: GitDuration,
    /// The timeout of one pass; `None` is the operator's setting.
    pub timeout: Option<GitDuration>,
    /// The maximum age of a revision with which the Pod starts while the git host is unreachable;
    /// `None` is the operator's setting.
    pub max_staleness: Option<GitDuration>,
    /// The number of commits of history to fetch; 0 is all.
    pub depth: u32,
    /// The submodules to fetch.
    pub submodules: Submodules,
    /// Patterns of the files to check out, one per line.
    pub sparse_checkout: Option<String>,
    /// git's object filter: the objects that are fetched only when needed.
    pub filter: Option<String>,
    /// Whether Git LFS pointers are replaced by their content.
    pub lfs: bool,
    /// The Secret with credentials, in the Pod's namespace.
    pub secret: Option<String>,
    /// Whether the mounts are read-only.
    pub read_only: bool,
    /// The address to call after each published revision.
    pub notify: Option<String>,
    /// The size at which the Pod is evicted.
    pub size_limit: Option<Quantity>,
    /// The storage medium of the volume.
    pub medium: Medium,
}

/// Whether a repository is fetched once or followed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// Fetched before the app starts, by an init container.
    Once,
    /// Fetched before the app starts and then followed, by a sidecar.
    #[default]
    Sync,
}

/// The storage medium of an emptyDir.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Medium {
    /// The node's own storage.
    #[default]
    Disk,
    /// Memory: the files count against the syncer's memory limit.
    Memory,
}

/// The treatment of the Pod's gitRepo volumes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum GitRepoMode {
    /// Cloned once, as the kubelet did.
    #[default]
    Convert,
    /// Cloned and followed.
    Follow,
    /// Left as they are.
    Off,
}

/// The position of injected init containers among the Pod's own.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Position {
    /// After all others, except that the first init container that reads a repository starts later.
    #[default]
    Last,
    /// Before all others.
    First,
    /// Directly before the init container of this name.
    Before(String),
    /// Directly after the init container of this name.
    After(String),
}

/// The values that the sources set for one repository, without defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fields {
    pub(crate) repo: Option<RepoUrl>,
    pub(crate) rev: Option<Rev>,
    pub(crate) mount_path: Option<MountPath>,
    pub(crate) layout: Option<Layout>,
    pub(crate) link: Option<Link>,
    pub(crate) subdir: Option<Subdir>,
    pub(crate) mode: Option<Mode>,
    pub(crate) period: Option<GitDuration>,
    pub(crate) timeout: Option<GitDuration>,
    pub(crate) max_staleness: Option<GitDuration>,
    pub(crate) depth: Option<u32>,
    pub(crate) submodules: Option<Submodules>,
    pub(crate) sparse_checkout: Option<String>,
    pub(crate) filter: Option<String>,
    pub(crate) lfs: Option<bool>,
    pub(crate) secret: Option<String>,
    pub(crate) read_only: Option<bool>,
    pub(crate) notify: Option<String>,
    pub(crate) size_limit: Option<Quantity>,
    pub(crate) medium: Option<Medium>,
}

/// The values that a Pod sets once, for all its repositories.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PodOptions {
    /// The containers that read the repositories; `None` is all of them.
    pub(crate) containers: Option<Vec<String>>,
    /// The init containers that read the repositories.
    pub(crate) init_containers: Vec<String>,
    /// The position of injected containers; `None` is the default of each role.
    pub(crate) position: Option<Position>,
    /// The user of injected containers, and the group where one is set.
    pub(crate) user: Option<(i64, Option<i64>)>,
    pub(crate) image: Option<String>,
    /// `requests.cpu` and other quantities, by their names in a container's `resources`.
    pub(crate) resources: Vec<(&'static str, &'static str, Quantity)>,
    pub(crate) metrics_port: Option<u16>,
    /// The names of objects that the Pod requests; after they are looked up, those that do not
    /// exist.
    pub(crate) uses: Vec<String>,
    pub(crate) inject: Option<bool>,
    pub(crate) git_repo: Option<GitRepoMode>,
    /// Whether git in the readers' containers is configured to trust the repositories.
    pub(crate) safe_directory: bool,
}

impl Request {
    /// The part of the volume that the containers mount; `None` is all of it.
    pub fn sub_path(&self) -> Option<&'static str> {
        (self.layout == Layout::Files).then_some(paths::TREE)
    }
}

/// The layout without a link: nothing changes after the start with `mode: once`, so that symlinks
/// have no use.
pub(crate) fn default_layout(mode: Mode) -> Layout {
    match mode {
        Mode::Once => Layout::Files,
        Mode::Sync => Layout::Projected,
    }
}

impl Fields {
    /// Fills in the defaults; `None` without a repository. The table of annotations has the
    /// defaults too; a test compares both.
    pub(crate) fn resolve(self, name: Option<Name>) -> Option<Request> {
        let mode = self.mode.unwrap_or_default();
        Some(Request {
            repo: self.repo?,
            layout: match (&self.link, self.layout) {
                (Some(_), _) => Layout::Link,
                (None, Some(layout)) => layout,
                (None, None) => default_layout(mode),
            },
            rev: self.rev.unwrap_or_default(),
            mount_path: self
                .mount_path
                .unwrap_or_else(|| MountPath::default_for(name.as_ref())),
            name,
            link: self.link,
            subdir: self.subdir,
            mode,
            period: self.period.unwrap_or(DEFAULT_PERIOD),
            timeout: self.timeout,
            max_staleness: self.max_staleness,
            depth: self.depth.unwrap_or(DEFAULT_DEPTH),
            submodules: self.submodules.unwrap_or_default(),
            sparse_checkout: self.sparse_checkout,
            filter: self.filter,
            lfs: self.lfs.unwrap_or_default(),
            secret: self.secret,
            read_only: self.read_only.unwrap_or(true),
            notify: self.notify,
            size_limit: self.size_limit,
            medium: self.medium.unwrap_or_default(),
        })
    }
}

/// The default of git-sync.
pub(crate) const DEFAULT_PERIOD: GitDuration = GitDuration::from_secs(10);

/// The default of git-sync v4: a reader of files needs no history.
pub(crate) const DEFAULT_DEPTH: u32 = 1;
