//! What a syncer is told about one repository.

use args::Layout;
use args::RepoArgs;
use args::Submodules;

use crate::GitRepo;
use crate::Mode;
use crate::Request;
use crate::Settings;
use crate::container::Role;
use crate::gitrepo::Follow;
use crate::volume::Source;
use crate::wanted::Wanted;

/// One repository of a syncer, wherever it was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// Its name among the syncer's: a DNS label.
    pub(crate) name: String,
    /// Which of our containers serves it.
    pub(crate) role: Role,
    /// The syncer's flags, but for those that say where its volumes are.
    pub(crate) args: RepoArgs,
    /// The Secret with its credentials.
    pub(crate) secret: Option<SecretName>,
    /// Where the files are published.
    pub(crate) content: Content,
    /// Whether the app may write there.
    pub(crate) writable: bool,
}

/// The volume that a repository is published on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    /// One of ours, of this base name.
    Ours { base: String, source: Source },
    /// The Pod's own of this name, once a gitRepo volume.
    Pods { volume: String, source: Source },
}

/// A Secret of the Pod's namespace.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SecretName {
    pub(crate) name: String,
    /// Whether nobody named it for this repository: then it need not exist.
    pub(crate) is_default: bool,
}

/// The name of the unnamed repository among several; a key, and so no NAME.
const UNNAMED: &str = "repo";

impl Entry {
    pub(crate) fn of_request(request: &Request, wanted: &Wanted<'_>) -> Self {
        // Taken apart without `..`: what no syncer is told does not compile.
        let Request {
            name,
            repo,
            rev,
            mount_path: _,
            link,
            subdir,
            mode,
            period,
            timeout,
            depth,
            submodules,
            sparse_checkout,
            filter,
            secret,
            read_only,
            notify,
            size_limit,
            medium,
        } = request;
        let mut args = common(wanted.settings);
        args.repo = Some(repo.clone());
        args.rev = rev.clone().into();
        args.layout = match link {
            Some(_) => Layout::Link,
            None => Layout::Projected,
        };
        args.link = link.clone();
        args.one_time = *mode == Mode::Once;
        args.period = *period;
        args.depth = *depth;
        args.submodules = *submodules;
        args.filter = filter.clone();
        args.webhook_url = notify.clone();
        if let Some(timeout) = timeout {
            args.sync_timeout = *timeout;
        }
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
            secret: wanted.secret_of(secret.as_ref(), repo),
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

    pub(crate) fn of_git_repo(volume: &GitRepo, wanted: &Wanted<'_>) -> Self {
        let role = volume.role();
        let GitRepo {
            index: _,
            volume,
            repository,
            revision,
            directory,
            secret,
            timeout,
            size_limit,
            medium,
            is_late: _,
            follow,
        } = volume;
        let mut args = common(wanted.settings);
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
                // The kubelet cloned without them.
                args.submodules = Submodules::Off;
            }
            Some(follow) => {
                let Follow {
                    period,
                    depth,
                    submodules,
                    filter,
                    sparse_checkout,
                    notify,
                } = follow;
                args.layout = match directory {
                    Some(_) => Layout::Link,
                    None => Layout::Projected,
                };
                args.period = *period;
                args.depth = *depth;
                args.submodules = *submodules;
                args.filter = filter.clone();
                args.webhook_url = notify.clone();
                args.sparse_checkout = sparse_checkout.clone();
            }
        }
        Self {
            name: volume.clone(),
            role,
            args,
            secret: wanted.secret_of(secret.as_ref(), repository),
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

/// What holds for every repository.
fn common(settings: &Settings) -> RepoArgs {
    RepoArgs {
        // Never give up: a container that ends is started again with the kubelet's back-off, which
        // is worse than our own, and the cause is lost with it.
        max_failures: -1,
        sync_timeout: settings.sync_timeout,
        stale_worktree_timeout: settings.stale_worktree_timeout,
        ..RepoArgs::default()
    }
}
