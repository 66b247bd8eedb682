//! The table of annotations: key, the grammar that a refusal prints, the text of the page in
//! `docs`, and the parser of the value. The enum [`Key`] is generated from it.

use std::fmt;

use crate::keys::macros::annotations;
use crate::keys::macros::prefix;
use crate::keys::value;
use crate::keys::value::Wrong;
use crate::keys::wide;
use crate::model::request::Fields;
use crate::model::request::PodOptions;

/// The prefix of every gitvolume annotation.
pub const PREFIX: &str = prefix!();

/// One row of the table of annotations.
#[derive(Clone, Copy, Debug)]
pub struct Annotation {
    /// The key.
    pub key: Key,
    /// The scope.
    pub scope: Scope,
    /// The accepted form, as the object of "expected".
    pub grammar: &'static str,
    /// The default; `None` where there is none.
    pub default: Option<&'static str>,
    /// An accepted value.
    pub example: &'static str,
    /// The effect, for the docs.
    pub meaning: &'static str,
    pub(crate) read: Read,
}

/// The scope of an annotation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// The whole Pod.
    Pod,
    /// One repository.
    Repository,
    /// Written by the webhook, for people and programs.
    Status,
}

type Reader<T> = fn(&mut T, &str) -> Result<(), Wrong>;

/// The parser of a value, by scope. A status is never refused: the webhook writes it and does not
/// trust it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Read {
    Pod(Reader<PodOptions>),
    Repository(Reader<Fields>),
    Status(Reader<()>),
}

impl Key {
    /// The row of the table.
    pub fn row(self) -> &'static Annotation {
        &ANNOTATIONS[self as usize]
    }

    /// The key of a resource quantity: `requests` or `limits`, and the resource's name.
    pub(crate) fn of_resource(list: &str, name: &str) -> Option<Self> {
        Self::parse(&format!("resources.{list}.{name}"))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Annotation {
    /// The clause to print about a refused value.
    pub(crate) fn clause(&self, wrong: Wrong) -> String {
        match wrong {
            Wrong::Clause(clause) => clause.to_owned(),
            Wrong::Grammar => format!("expected {}", self.grammar),
        }
    }

    /// Validates a value; the error is the clause to print about it.
    pub(crate) fn check(&self, text: &str) -> Result<(), String> {
        let outcome = match self.read {
            Read::Pod(read) => read(&mut PodOptions::default(), text),
            Read::Repository(read) => read(&mut Fields::default(), text),
            Read::Status(read) => read(&mut (), text),
        };
        outcome.map_err(|wrong| self.clause(wrong))
    }
}

const AMOUNT: &str = "a quantity such as 100m, 0.5 or 64Mi";

annotations! {
    Repo = "repo" {
        scope: Repository,
        grammar: "the address of a remote repository: https://, http://, ssh:// or user@host:path",
        example: "https://git.example/site.git",
        meaning: "Address of the git repository. Required, unless a GitVolume of the same name sets it or the other settings are for a gitRepo volume. Do not put credentials in the address (see `secret`).",
        read: |fields, text| value::repo(text).map(|value| fields.repo = Some(value)),
    }
    Ref = "ref" {
        scope: Repository,
        grammar: "a branch, a tag, a full commit hash or a range of version tags such as main, v1.2.0, refs/heads/main or semver:^1.2",
        default: "HEAD",
        example: "main",
        meaning: "Branch, tag or commit to check out. `HEAD` is the remote's default branch; `semver:` and a range follow the highest version tag in the range (docs/versions.md).",
        read: |fields, text| value::rev(text).map(|value| fields.rev = Some(value)),
    }
    MountPath = "mount-path" {
        scope: Repository,
        grammar: "an absolute path such as /usr/share/nginx/html, without .., // or a colon",
        default: "/git",
        example: "/usr/share/nginx/html",
        meaning: "Path at which the containers mount the files; `/git/NAME` by default for a named repository. No other volume may be mounted at this path.",
        read: |fields, text| value::mount_path(text).map(|value| fields.mount_path = Some(value)),
    }
    Link = "link" {
        scope: Repository,
        grammar: "a relative path such as current, without ..",
        example: "current",
        meaning: "Publish as git-sync does: a symlink of this name below the mount path points to the current checkout, including a working `.git`. By default, the files are at the mount path itself, without `.git`.",
        read: |fields, text| value::link(text).map(|value| fields.link = Some(value)),
    }
    Layout = "layout" {
        scope: Repository,
        grammar: "projected or files",
        example: "files",
        meaning: "How the files appear at the mount path. `projected`, the default: symlinks to one directory per revision, switched together. `files`, the default with `mode: once`: real directories and files, for programs that do not follow symlinks; a new revision replaces them one by one. Cannot be combined with `link`, which selects the link layout.",
        read: |fields, text| value::layout(text).map(|value| fields.layout = Some(value)),
    }
    Mode = "mode" {
        scope: Repository,
        grammar: "sync or once",
        default: "sync",
        example: "once",
        meaning: "`sync`: a sidecar keeps the files up to date while the Pod runs; `once`: an init container fetches the files before the containers start.",
        read: |fields, text| value::mode(text).map(|value| fields.mode = Some(value)),
    }
    Period = "period" {
        scope: Repository,
        grammar: "a duration such as 30s, 5m or 1h30m",
        default: "10s",
        example: "1m",
        meaning: "Interval between polls of the remote; at least 10ms.",
        read: |fields, text| value::period(text).map(|value| fields.period = Some(value)),
    }
    Depth = "depth" {
        scope: Repository,
        grammar: "a whole number such as 1, or 0 for all history",
        default: "1",
        example: "50",
        meaning: "Number of commits of history to fetch; `0` fetches the full history.",
        read: |fields, text| value::depth(text).map(|value| fields.depth = Some(value)),
    }
    Secret = "secret" {
        scope: Repository,
        grammar: "the name of a Secret in the Pod's namespace such as git-credentials",
        example: "git-credentials",
        meaning: "Secret with the credentials for the repository; only the syncer mounts it. The syncer recognizes the keys `ssh` or `ssh-privatekey` with `known_hosts`, `username` with `password`, `token`, \
            `cookie_file`, `ca.crt`, a GitHub App's `github-app-…`, and the key names that Airflow, Argo CD and Flux use.",
        read: |fields, text| value::secret(text).map(|value| fields.secret = Some(value)),
    }
    Subdir = "subdir" {
        scope: Repository,
        grammar: "a relative path such as public, without .. or //",
        example: "public",
        meaning: "Directory of the repository to publish instead of the whole repository. Cannot be combined with `link`, which always publishes the whole repository.",
        read: |fields, text| value::subdir(text).map(|value| fields.subdir = Some(value)),
    }
    SparseCheckout = "sparse-checkout" {
        scope: Repository,
        grammar: "patterns as in a .gitignore, one per line, such as /docs/",
        example: "/docs/",
        meaning: "Files to check out, as git sparse-checkout patterns; all files by default.",
        read: |fields, text| value::sparse(text).map(|value| fields.sparse_checkout = Some(value)),
    }
    Filter = "filter" {
        scope: Repository,
        grammar: "blob:none, blob:limit=SIZE such as blob:limit=1m, or tree:DEPTH such as tree:0",
        example: "blob:none",
        meaning: "Filter for a partial clone: git fetches the excluded objects on demand, if the host supports it.",
        read: |fields, text| value::filter(text).map(|value| fields.filter = Some(value)),
    }
    Submodules = "submodules" {
        scope: Repository,
        grammar: "recursive, shallow or off",
        default: "recursive",
        example: "off",
        meaning: "Submodules to check out: all (`recursive`), direct ones only (`shallow`), or none (`off`).",
        read: |fields, text| value::submodules(text).map(|value| fields.submodules = Some(value)),
    }
    Lfs = "lfs" {
        scope: Repository,
        grammar: "true or false",
        default: "false",
        example: "true",
        meaning: "Whether Git LFS pointers are replaced by their content, which comes from the repository's own server, or from hosts that the operator allows.",
        read: |fields, text| value::boolean(text).map(|value| fields.lfs = Some(value)),
    }
    Timeout = "timeout" {
        scope: Repository,
        grammar: "a duration such as 30s, 5m or 1h30m",
        example: "30m",
        meaning: "Timeout of one sync attempt, including the first clone; the operator sets the default (10m).",
        read: |fields, text| value::period(text).map(|value| fields.timeout = Some(value)),
    }
    MaxStaleness = "max-staleness" {
        scope: Repository,
        grammar: "a duration such as 30s, 5m or 1h30m",
        example: "30m",
        meaning: "Maximum age of the revision with which the Pod starts while the git host is unreachable; at least 1s. Without a recent enough one, the Pod waits for the git host. It has an effect only if the operator runs a cache with `trust: full` \
            (docs/cache.md); the operator sets the default (no limit).",
        read: |fields, text| value::staleness(text).map(|value| fields.max_staleness = Some(value)),
    }
    ReadOnly = "read-only" {
        scope: Repository,
        grammar: "true or false",
        default: "true",
        example: "false",
        meaning: "Whether the containers mount the files read-only.",
        read: |fields, text| value::boolean(text).map(|value| fields.read_only = Some(value)),
    }
    Notify = "notify" {
        scope: Repository,
        grammar: "an address such as http://localhost:9300/reload, http:// or https://",
        example: "http://localhost:9300/reload",
        meaning: "URL to which the syncer sends a POST after publishing each new revision; retried until it answers 200.",
        read: |fields, text| value::notify(text).map(|value| fields.notify = Some(value)),
    }
    SizeLimit = "size-limit" {
        scope: Repository,
        grammar: "a quantity above 0 such as 500Mi or 2Gi",
        example: "2Gi",
        meaning: "Maximum size of the files, including old revisions that are still in use; the kubelet evicts the Pod if they exceed it. No limit by default.",
        read: |fields, text| value::amount(text).map(|value| fields.size_limit = Some(value)),
    }
    Medium = "medium" {
        scope: Repository,
        grammar: "disk or memory",
        default: "disk",
        example: "memory",
        meaning: "Where the files are stored: on the node's disk, or in memory (tmpfs), which counts towards the syncer's memory limit.",
        read: |fields, text| value::medium(text).map(|value| fields.medium = Some(value)),
    }
    Containers = "containers" {
        scope: Pod,
        grammar: "names of containers of the Pod, separated by commas",
        example: "web,worker",
        meaning: "Containers that mount the files. By default all containers, but no init containers.",
        read: |pod, text| value::names(text).map(|value| pod.containers = Some(value)),
    }
    InitContainers = "init-containers" {
        scope: Pod,
        grammar: "names of init containers of the Pod, separated by commas",
        example: "build",
        meaning: "Init containers that also mount the files. The gitvolume init containers are placed before the first of them.",
        read: |pod, text| value::names(text).map(|value| pod.init_containers = value),
    }
    Position = "position" {
        scope: Pod,
        grammar: "last, first, before:NAME or after:NAME of an init container of the Pod",
        default: "last",
        example: "after:istio-proxy",
        meaning: "Position of the gitvolume init containers among the Pod's own. `last` is after all others, but before those listed in `init-containers`; by default, gitRepo volumes are cloned `first`.",
        read: |pod, text| wide::position(text).map(|value| pod.position = Some(value)),
    }
    User = "user" {
        scope: Pod,
        grammar: "a numeric user ID above 0 such as 1000, or user and group IDs such as 1000:1000",
        example: "1000:1000",
        meaning: "User and group that the syncer container runs as. By default the `runAsUser` of the containers that mount the files if it is the same for all of them, else the Pod's, else 65533.",
        read: |pod, text| wide::user(text).map(|value| pod.user = Some(value)),
    }
    Image = "image" {
        scope: Pod,
        grammar: "an image such as registry.example/gitvolume-syncer:0.1.0",
        example: "registry.example/gitvolume-syncer:0.1.0",
        meaning: "Image of the syncer container, if the operator allows it.",
        read: |pod, text| wide::image(text).map(|value| pod.image = Some(value)),
    }
    RequestsCpu = "resources.requests.cpu" {
        scope: Pod,
        grammar: AMOUNT,
        example: "50m",
        meaning: "Resource request of the syncer container. The operator sets the defaults of all `resources` annotations.",
        read: |pod, text| wide::resource(pod, "requests", "cpu", text),
    }
    RequestsMemory = "resources.requests.memory" {
        scope: Pod,
        grammar: AMOUNT,
        example: "64Mi",
        meaning: "Resource request of the syncer container.",
        read: |pod, text| wide::resource(pod, "requests", "memory", text),
    }
    RequestsEphemeralStorage = "resources.requests.ephemeral-storage" {
        scope: Pod,
        grammar: AMOUNT,
        example: "1Gi",
        meaning: "Resource request of the syncer container.",
        read: |pod, text| wide::resource(pod, "requests", "ephemeral-storage", text),
    }
    LimitsCpu = "resources.limits.cpu" {
        scope: Pod,
        grammar: AMOUNT,
        example: "500m",
        meaning: "Resource limit of the syncer container.",
        read: |pod, text| wide::resource(pod, "limits", "cpu", text),
    }
    LimitsMemory = "resources.limits.memory" {
        scope: Pod,
        grammar: AMOUNT,
        example: "256Mi",
        meaning: "Resource limit of the syncer container; a large clone that needs more memory is killed and retried.",
        read: |pod, text| wide::resource(pod, "limits", "memory", text),
    }
    LimitsEphemeralStorage = "resources.limits.ephemeral-storage" {
        scope: Pod,
        grammar: AMOUNT,
        example: "2Gi",
        meaning: "Resource limit of the syncer container; the kubelet evicts the Pod if the syncer exceeds it.",
        read: |pod, text| wide::resource(pod, "limits", "ephemeral-storage", text),
    }
    MetricsPort = "metrics-port" {
        scope: Pod,
        grammar: "a port from 1024 to 65535",
        example: "9300",
        meaning: "Port on which the sidecar serves `/metrics`, `/status`, `/livez` and `/readyz`. Off by default.",
        read: |pod, text| wide::port(text).map(|value| pod.metrics_port = Some(value)),
    }
    Use = "use" {
        scope: Pod,
        grammar: "names of GitVolumes in the Pod's namespace, or of ClusterGitVolumes, separated by commas",
        example: "site,rules",
        meaning: "GitVolume objects to apply to this Pod, regardless of their `podSelector`. They are GitVolumes of the Pod's namespace, or ClusterGitVolumes whose `namespaceSelector` matches it.",
        read: |pod, text| wide::uses(text).map(|value| pod.uses = value),
    }
    GitRepo = "gitrepo" {
        scope: Pod,
        grammar: "convert, follow or off",
        default: "convert",
        example: "follow",
        meaning: "How to handle the Pod's `gitRepo` volumes: `convert` clones them once before all containers start, as the kubelet used to; `follow` also keeps them up to date; `off` leaves them to the kubelet, which refuses them since Kubernetes 1.36. docs/gitrepo.md lists the annotations that apply to them.",
        read: |pod, text| wide::git_repo(text).map(|value| pod.git_repo = Some(value)),
    }
    SafeDirectory = "safe-directory" {
        scope: Pod,
        grammar: "true or false",
        default: "false",
        example: "true",
        meaning: "Whether the webhook sets environment variables in the containers that mount the files so that git works in repositories owned by another user (`safe.directory=*`).",
        read: |pod, text| value::boolean(text).map(|value| pod.safe_directory = value),
    }
    Inject = "inject" {
        scope: Pod,
        grammar: "true or false",
        default: "true",
        example: "false",
        meaning: "`false` disables injection for this Pod, regardless of all other annotations and GitVolume objects.",
        read: |pod, text| value::boolean(text).map(|value| pod.inject = Some(value)),
    }
    Injected = "injected" {
        scope: Status,
        grammar: "names separated by commas, or -",
        example: "gitvolume,gitvolume-once",
        meaning: "Written by the webhook: the names of the init containers that it added, for the guard; `-` if it added none, with the reason in the status annotation.",
        read: |(), _| Ok(()),
    }
    Status = "status" {
        scope: Status,
        grammar: "JSON",
        example: r#"{"config":"0123456789abcdef","containers":["gitvolume"],"version":"0.1.0"}"#,
        meaning: "Written by the webhook: the names of the containers and volumes that it added, its version, and a hash of its configuration; or the reason why it added none.",
        read: |(), _| Ok(()),
    }
}
