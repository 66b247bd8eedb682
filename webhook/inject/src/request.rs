use args::GitDuration;
use args::Link;
use args::RepoUrl;
use args::Rev;
use args::Subdir;
use args::Submodules;

use crate::MountPath;
use crate::Name;
use crate::Quantity;

/// One repository a Pod asks for by annotations, or is given by objects, with every default filled
/// in.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The NAME of its keys; `None` for the unnamed ones.
    pub name: Option<Name>,
    /// What to fetch.
    pub repo: RepoUrl,
    /// What of it to follow.
    pub rev: Rev,
    /// Where it appears in the containers.
    pub mount_path: MountPath,
    /// The symlink's name where the link layout is wanted; else the tree is at the path itself.
    pub link: Option<Link>,
    /// The directory of the repository that appears instead of its top.
    pub subdir: Option<Subdir>,
    /// Whether it is followed.
    pub mode: Mode,
    /// How long to wait between checks of the remote.
    pub period: GitDuration,
    /// How long one pass may take; the operator's choice where it is left out.
    pub timeout: Option<GitDuration>,
    /// How many commits of history to fetch; 0 is all.
    pub depth: u32,
    /// Which submodules come with it.
    pub submodules: Submodules,
    /// Patterns that say which files are checked out, one per line.
    pub sparse_checkout: Option<String>,
    /// Which objects are left out until they are needed.
    pub filter: Option<String>,
    /// The Secret with credentials, in the Pod's namespace.
    pub secret: Option<String>,
    /// Whether the containers may only read.
    pub read_only: bool,
    /// An address to call once each new revision is published.
    pub notify: Option<String>,
    /// The size at which the Pod is evicted.
    pub size_limit: Option<Quantity>,
    /// What the files are kept in.
    pub medium: Medium,
}

/// Whether a repository is followed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// Fetched before the app starts, by an init container that ends.
    Once,
    /// Fetched before the app starts and followed, by a sidecar.
    #[default]
    Sync,
}

/// What an emptyDir is kept in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Medium {
    /// The node's own storage.
    #[default]
    Disk,
    /// Memory: what is in it counts against the syncer's limit.
    Memory,
}

/// What becomes of the Pod's gitRepo volumes.
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

/// Where our init containers are put among the Pod's own.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Position {
    /// After all others, and yet before the first that reads a repository.
    #[default]
    Last,
    /// Before all others.
    First,
    /// Just before the one of this name.
    Before(String),
    /// Just after the one of this name.
    After(String),
}

/// What some source says about one repository: only what it says, so that sources can be laid over
/// each other field by field before the defaults come in.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fields {
    pub(crate) repo: Option<RepoUrl>,
    pub(crate) rev: Option<Rev>,
    pub(crate) mount_path: Option<MountPath>,
    pub(crate) link: Option<Link>,
    pub(crate) subdir: Option<Subdir>,
    pub(crate) mode: Option<Mode>,
    pub(crate) period: Option<GitDuration>,
    pub(crate) timeout: Option<GitDuration>,
    pub(crate) depth: Option<u32>,
    pub(crate) submodules: Option<Submodules>,
    pub(crate) sparse_checkout: Option<String>,
    pub(crate) filter: Option<String>,
    pub(crate) secret: Option<String>,
    pub(crate) read_only: Option<bool>,
    pub(crate) notify: Option<String>,
    pub(crate) size_limit: Option<Quantity>,
    pub(crate) medium: Option<Medium>,
}

/// What a Pod says once, for all its repositories.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PodWide {
    /// The containers that read the repositories; all where it is left out.
    pub(crate) containers: Option<Vec<String>>,
    /// The init containers that do.
    pub(crate) init_containers: Vec<String>,
    /// Where ours are put; where it is left out, that depends on what they do.
    pub(crate) position: Option<Position>,
    /// Who ours run as: a user, and a group where one is given.
    pub(crate) user: Option<(i64, Option<i64>)>,
    pub(crate) image: Option<String>,
    /// `requests.cpu` and the like, by their names in a container's `resources`.
    pub(crate) resources: Vec<(&'static str, &'static str, Quantity)>,
    pub(crate) metrics_port: Option<u16>,
    /// The names of objects that say what this Pod gets: once these are looked up, those that
    /// nobody has.
    pub(crate) uses: Vec<String>,
    pub(crate) inject: Option<bool>,
    pub(crate) git_repo: Option<GitRepoMode>,
    /// Whether git in the readers' containers is told to trust the repositories.
    pub(crate) safe_directory: bool,
}

impl Fields {
    /// Fills the defaults in; `None` without a repository. The defaults are written in the table
    /// of annotations too, and a test holds them equal.
    pub(crate) fn resolve(self, name: Option<Name>) -> Option<Request> {
        Some(Request {
            repo: self.repo?,
            rev: self.rev.unwrap_or_default(),
            mount_path: self
                .mount_path
                .unwrap_or_else(|| MountPath::default_for(name.as_ref())),
            name,
            link: self.link,
            subdir: self.subdir,
            mode: self.mode.unwrap_or_default(),
            period: self.period.unwrap_or(DEFAULT_PERIOD),
            timeout: self.timeout,
            depth: self.depth.unwrap_or(DEFAULT_DEPTH),
            submodules: self.submodules.unwrap_or_default(),
            sparse_checkout: self.sparse_checkout,
            filter: self.filter,
            secret: self.secret,
            read_only: self.read_only.unwrap_or(true),
            notify: self.notify,
            size_limit: self.size_limit,
            medium: self.medium.unwrap_or_default(),
        })
    }
}

/// git-sync's.
pub(crate) const DEFAULT_PERIOD: GitDuration = GitDuration::from_secs(10);

/// git-sync v4's: a reader of files needs no history.
pub(crate) const DEFAULT_DEPTH: u32 = 1;
