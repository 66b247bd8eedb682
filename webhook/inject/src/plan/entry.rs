//! A syncer's configuration of one repository.

use args::GitDuration;
use args::Layout;
use args::RepoArgs;
use args::RepoKind;
use args::RepoUrl;
use args::Submodules;

use crate::Cache;
use crate::GitRepo;
use crate::Mode;
use crate::Request;
use crate::Settings;
use crate::model::role::Role;
use crate::model::volume::Source;
use crate::sources::gitrepo::volume::Follow;
use crate::sources::sourced::Sourced;

/// One repository of a syncer, from any source.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// Its name, unique in the syncer: a DNS label.
    pub(crate) name: String,
    /// The role of the container that serves it.
    pub(crate) role: Role,
    /// The syncer's flags, without those for the paths of its volumes.
    pub(crate) args: RepoArgs,
    /// The Secret with its credentials. A Secret that the operator chose may be missing.
    pub(crate) secret: Option<Sourced<String>>,
    /// The volume that the files are published on.
    pub(crate) content: Content,
    /// Whether the app may write to the files.
    pub(crate) writable: bool,
}

/// The volume that a repository is published on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    /// An added volume of this base name.
    Ours { base: String, source: Source },
    /// The Pod's own volume of this name, a gitRepo volume before the conversion.
    Pods { volume: String, source: Source },
}

/// The name of the unnamed repository among several; it is a key, so no NAME can equal it.
const UNNAMED: &str = "repo";

impl Entry {
    pub(crate) fn of_request(
        request: &Request,
        secret: Option<Sourced<String>>,
        settings: &Settings,
    ) -> Self {
        // Destructured without `..`: a field that no syncer gets does not compile.
        let Request {
            name,
            repo,
            rev,
            mount_path: _,
            layout,
            link,
            subdir,
            mode,
            period,
            timeout,
            max_staleness,
            depth,
            submodules,
            sparse_checkout,
            filter,
            lfs,
            secret: _,
            read_only,
            notify,
            size_limit,
            medium,
        } = request;
        let mut args = common(settings);
        args.repo = Some(repo.clone());
        args.rev = rev.clone().into();
        args.layout = *layout;
        args.link = link.clone();
        args.one_time = *mode == Mode::Once;
        // The files layout has one tree only.
        args.link_trees = *read_only && *mode == Mode::Sync && *layout != Layout::Files;
        args.period = *period;
        args.depth = *depth;
        args.submodules = *submodules;
        args.filter = filter.clone();
        set_lfs(&mut args, *lfs, settings);
        args.webhook_url = notify.clone();
        if let Some(timeout) = timeout {
            args.sync_timeout = *timeout;
        }
        args.max_staleness = max_staleness.unwrap_or_default();
        args.subdir = subdir.clone();
        args.sparse_checkout = sparse_checkout.clone();
        let base = match name {
            None => "gitvolume-content".to_owned(),
            Some(name) => format!("gitvolume-content-{name}"),
        };
        Self {
            name: name
                .as_ref()
                .map_or(UNNAMED, |name| name.as_str())
                .to_owned(),
            role: Role::of_mode(*mode),
            args,
            secret,
            content: Content::Ours {
                base,
                source: Source::Empty {
                    medium: *medium,
                    size_limit: size_limit.clone(),
                },
            },
            writable: !read_only,
        }
    }

    pub(crate) fn of_git_repo(
        volume: &GitRepo,
        secret: Option<Sourced<String>>,
        settings: &Settings,
    ) -> Self {
        let role = volume.role();
        let GitRepo {
            index: _,
            volume,
            repository,
            revision,
            directory,
            secret: _,
            timeout,
            size_limit,
            medium,
            is_late: _,
            values: _,
            follow,
        } = volume;
        let mut args = common(settings);
        args.repo = Some(repository.clone());
        args.rev = revision.clone();
        if let Some(timeout) = timeout {
            args.sync_timeout = *timeout;
        }
        args.link = directory.clone();
        match follow {
            None => {
                args.layout = Layout::Clone;
                args.one_time = true;
                args.depth = 0;
                // The kubelet cloned without submodules.
                args.submodules = Submodules::Off;
            }
            Some(follow) => {
                let Follow {
                    period,
                    max_staleness,
                    depth,
                    submodules,
                    filter,
                    lfs,
                    sparse_checkout,
                    notify,
                } = follow;
                args.layout = match directory {
                    Some(_) => Layout::Link,
                    None => Layout::Projected,
                };
                args.period = *period;
                args.max_staleness = max_staleness.unwrap_or_default();
                args.depth = *depth;
                args.submodules = *submodules;
                args.filter = filter.clone();
                set_lfs(&mut args, *lfs, settings);
                args.webhook_url = notify.clone();
                args.sparse_checkout = sparse_checkout.clone();
            }
        }
        Self {
            name: volume.clone(),
            role,
            args,
            secret,
            content: Content::Pods {
                volume: volume.clone(),
                source: Source::Empty {
                    medium: *medium,
                    size_limit: size_limit.clone(),
                },
            },
            writable: true,
        }
    }
}

impl Entry {
    /// Sets the pull-through cache, which serves repositories over http(s). For one over ssh it only
    /// reports pushes.
    pub(crate) fn set_cache(&mut self, cache: Option<&Cache>) {
        let kind = self.args.repo.as_ref().map(RepoUrl::kind);
        let used = cache.filter(|_| matches!(kind, Some(RepoKind::Http | RepoKind::Ssh)));
        self.args.cache = used.map(ToString::to_string);
        let cache = cache.filter(|_| kind == Some(RepoKind::Http));
        let own = Some(self.args.max_staleness).filter(|own| *own != GitDuration::default());
        // A clone never starts with an answer of the cache.
        let stale = cache.filter(|cache| cache.serves_stale() && self.args.layout != Layout::Clone);
        let max_staleness = stale.and_then(|cache| own.or(cache.max_staleness));
        self.args.max_staleness = max_staleness.unwrap_or_default();
        self.args.cache_trust = cache.map(|cache| cache.trust).unwrap_or_default();
    }
}

/// The flags of every repository.
fn common(settings: &Settings) -> RepoArgs {
    RepoArgs {
        // Never give up: the kubelet restarts a container that exits with its own back-off, which
        // is worse than the syncer's, and the cause of the failure is lost.
        max_failures: -1,
        sync_timeout: settings.sync_timeout,
        stale_worktree_timeout: settings.stale_worktree_timeout,
        ..RepoArgs::default()
    }
}

/// The hosts of Git LFS content are the operator's choice.
fn set_lfs(args: &mut RepoArgs, lfs: bool, settings: &Settings) {
    args.lfs = lfs;
    if lfs {
        args.lfs_allowed_hosts = settings.lfs_allowed_hosts.clone();
    }
}

/// The syncer's configuration that does not depend on a single repository.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wide {
    pub(crate) metrics_port: Option<u16>,
    /// Whether the Pod has an `fsGroup`: its members may then write wherever the app may.
    pub(crate) fs_group: bool,
}
