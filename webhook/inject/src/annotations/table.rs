//! Every annotation, once: what the parser reads, what a refusal says is accepted, and what the
//! page in `docs` shows.

use std::fmt::Write;

use crate::request::Fields;
use crate::request::PodWide;
use crate::value;
use crate::value::Wrong;
use crate::wide;

/// What every annotation of ours begins with.
pub const PREFIX: &str = "gitvolume.dev/";

/// One annotation: its grammar for refusals and docs, and its reader.
#[derive(Clone, Copy, Debug)]
pub struct Annotation {
    /// The key without [`PREFIX`].
    pub key: &'static str,
    /// What it is about.
    pub scope: Scope,
    /// What is accepted, as the object of "expected".
    pub grammar: &'static str,
    /// What holds without it; `None` where it has no value then.
    pub default: Option<&'static str>,
    /// A value that is accepted.
    pub example: &'static str,
    /// What it does, for the docs.
    pub meaning: &'static str,
    pub(super) read: Read,
}

/// What an annotation is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// The whole Pod.
    Pod,
    /// One repository.
    Repository,
    /// Written by the webhook; read by people and programs.
    Status,
}

type Reader<T> = fn(&mut T, &str) -> Result<(), Wrong>;

#[derive(Clone, Copy, Debug)]
pub(super) enum Read {
    Pod(Reader<PodWide>),
    Repository(Reader<Fields>),
    /// Anything goes: the webhook writes it, and trusts nothing because of it.
    Status,
}

const fn repository(
    key: &'static str,
    grammar: &'static str,
    example: &'static str,
    meaning: &'static str,
    read: Reader<Fields>,
) -> Annotation {
    Annotation {
        key,
        scope: Scope::Repository,
        grammar,
        default: None,
        example,
        meaning,
        read: Read::Repository(read),
    }
}

const fn pod(
    key: &'static str,
    grammar: &'static str,
    example: &'static str,
    meaning: &'static str,
    read: Reader<PodWide>,
) -> Annotation {
    Annotation {
        key,
        scope: Scope::Pod,
        grammar,
        default: None,
        example,
        meaning,
        read: Read::Pod(read),
    }
}

impl Annotation {
    const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }
}

const AMOUNT: &str = "an amount such as 100m, 0.5 or 64Mi";

/// Every annotation that is known, in the order in which mistakes are reported.
pub const ANNOTATIONS: &[Annotation] = &[
    repository(
        "repo",
        "the address of a remote repository: https://, http://, ssh:// or user@host:path",
        "https://git.example/site.git",
        "The repository. All that a Pod needs; without it the other keys are refused. Credentials \
         do not belong in the address (see `secret`).",
        |fields, text| value::repo(text).map(|value| fields.repo = Some(value)),
    ),
    repository(
        "ref",
        "a branch, a tag or a full commit hash such as main, v1.2.0 or refs/heads/main",
        "main",
        "What to follow. `HEAD` is the remote's default branch.",
        |fields, text| {
            let rev = text.parse().map_err(|_| Wrong::Grammar)?;
            fields.rev = Some(rev);
            Ok(())
        },
    )
    .or("HEAD"),
    repository(
        "mount-path",
        "an absolute path such as /usr/share/nginx/html, without .., // or a colon",
        "/usr/share/nginx/html",
        "Where the files appear in the containers; `/git/NAME` by default for one with a name. No \
         other volume may be mounted there.",
        |fields, text| value::mount_path(text).map(|value| fields.mount_path = Some(value)),
    )
    .or("/git"),
    repository(
        "link",
        "a relative path such as current, without ..",
        "current",
        "Publish as git-sync does: a symlink of this name below the mount path, to a tree with a \
         working `.git`. Without it the files are at the mount path itself, without `.git`.",
        |fields, text| value::link(text).map(|value| fields.link = Some(value)),
    ),
    repository(
        "mode",
        "sync or once",
        "once",
        "`sync` follows the ref for as long as the Pod runs, in a sidecar; `once` fetches before \
         the containers start, in an init container.",
        |fields, text| value::mode(text).map(|value| fields.mode = Some(value)),
    )
    .or("sync"),
    repository(
        "period",
        "a duration such as 30s, 5m or 1h30m",
        "1m",
        "How long to wait between checks of the remote; at least 10ms.",
        |fields, text| value::period(text).map(|value| fields.period = Some(value)),
    )
    .or("10s"),
    repository(
        "depth",
        "a whole number such as 1, or 0 for all history",
        "50",
        "How many commits of history to fetch; `0` is all.",
        |fields, text| value::depth(text).map(|value| fields.depth = Some(value)),
    )
    .or("1"),
    repository(
        "secret",
        "the name of a Secret in the Pod's namespace such as git-credentials",
        "git-credentials",
        "The Secret with credentials; only the syncer mounts it. Its keys say what they are: \
         `ssh` or `ssh-privatekey` with `known_hosts`, `username` with `password`, `token`, \
         `cookie_file`, `ca.crt`, a GitHub App's `github-app-…`, and the names that Airflow, Argo \
         CD and Flux give them.",
        |fields, text| value::secret(text).map(|value| fields.secret = Some(value)),
    ),
    repository(
        "subdir",
        "a relative path such as public, without .. or //",
        "public",
        "The directory of the repository that appears instead of all of it. Not together with \
         `link`, below which it can be named as it is.",
        |fields, text| value::subdir(text).map(|value| fields.subdir = Some(value)),
    ),
    repository(
        "sparse-checkout",
        "patterns as in a .gitignore, one per line, such as /docs/",
        "/docs/",
        "Which files are checked out (git's sparse-checkout patterns); all of them by default.",
        |fields, text| value::sparse(text).map(|value| fields.sparse_checkout = Some(value)),
    ),
    repository(
        "filter",
        "blob:none, blob:limit=SIZE such as blob:limit=1m, or tree:DEPTH such as tree:0",
        "blob:none",
        "Which objects git fetches only when they are needed, where the host supports it.",
        |fields, text| value::filter(text).map(|value| fields.filter = Some(value)),
    ),
    repository(
        "submodules",
        "recursive, shallow or off",
        "off",
        "Which submodules come with the repository: all, its own without theirs, or none.",
        |fields, text| value::submodules(text).map(|value| fields.submodules = Some(value)),
    )
    .or("recursive"),
    repository(
        "timeout",
        "a duration such as 30s, 5m or 1h30m",
        "30m",
        "How long one attempt may take, the first clone included; the operator's choice by \
         default (10m).",
        |fields, text| value::period(text).map(|value| fields.timeout = Some(value)),
    ),
    repository(
        "read-only",
        "true or false",
        "false",
        "Whether the containers may only read the files.",
        |fields, text| value::boolean(text).map(|value| fields.read_only = Some(value)),
    )
    .or("true"),
    repository(
        "notify",
        "an address such as http://localhost:9300/reload, http:// or https://",
        "http://localhost:9300/reload",
        "An address that gets a POST once each new revision is published, until it answers 200.",
        |fields, text| value::notify(text).map(|value| fields.notify = Some(value)),
    ),
    repository(
        "size-limit",
        "an amount above 0 such as 500Mi or 2Gi",
        "2Gi",
        "How large the files may become, old revisions that are still in use included; the kubelet \
         evicts the Pod above it. No limit by default.",
        |fields, text| value::amount(text).map(|value| fields.size_limit = Some(value)),
    ),
    repository(
        "medium",
        "disk or memory",
        "memory",
        "Where the files are kept: on the node's storage, or in memory, which counts against the \
         syncer's limit.",
        |fields, text| value::medium(text).map(|value| fields.medium = Some(value)),
    )
    .or("disk"),
    pod(
        "containers",
        "names of containers of the Pod, separated by commas",
        "web,worker",
        "The containers that get the files. All of them by default; init containers get none.",
        |pod, text| value::names(text).map(|value| pod.containers = Some(value)),
    ),
    pod(
        "init-containers",
        "names of init containers of the Pod, separated by commas",
        "build",
        "The init containers that get the files too. Ours come before the first of them.",
        |pod, text| value::names(text).map(|value| pod.init_containers = value),
    ),
    pod(
        "position",
        "last, first, before:NAME or after:NAME of an init container of the Pod",
        "after:istio-proxy",
        "Where our init containers are put among the Pod's. `last` is after all others, but before \
         those of `init-containers`; gitRepo volumes are cloned `first` where this is left out.",
        |pod, text| wide::position(text).map(|value| pod.position = Some(value)),
    )
    .or("last"),
    pod(
        "user",
        "a user number above 0 such as 1000, or user and group such as 1000:1000",
        "1000:1000",
        "Who the syncer runs as. By default the user of the containers that get the files where \
         they name one and the same, else the Pod's, else 65533.",
        |pod, text| wide::user(text).map(|value| pod.user = Some(value)),
    ),
    pod(
        "image",
        "an image such as registry.example/gitvolume-syncer:0.1.0",
        "registry.example/gitvolume-syncer:0.1.0",
        "The syncer's image, where the operator allows it.",
        |pod, text| wide::image(text).map(|value| pod.image = Some(value)),
    ),
    pod(
        "resources.requests.cpu",
        AMOUNT,
        "50m",
        "What the syncer asks for. The operator's choice by default, as for the next five.",
        |pod, text| wide::resource(pod, "requests", "cpu", text),
    ),
    pod(
        "resources.requests.memory",
        AMOUNT,
        "64Mi",
        "What the syncer asks for.",
        |pod, text| wide::resource(pod, "requests", "memory", text),
    ),
    pod(
        "resources.requests.ephemeral-storage",
        AMOUNT,
        "1Gi",
        "What the syncer asks for.",
        |pod, text| wide::resource(pod, "requests", "ephemeral-storage", text),
    ),
    pod(
        "resources.limits.cpu",
        AMOUNT,
        "500m",
        "What the syncer may use at most.",
        |pod, text| wide::resource(pod, "limits", "cpu", text),
    ),
    pod(
        "resources.limits.memory",
        AMOUNT,
        "256Mi",
        "What the syncer may use at most; a large clone that needs more is killed and begun again.",
        |pod, text| wide::resource(pod, "limits", "memory", text),
    ),
    pod(
        "resources.limits.ephemeral-storage",
        AMOUNT,
        "2Gi",
        "What the syncer may use at most; the Pod is evicted above it.",
        |pod, text| wide::resource(pod, "limits", "ephemeral-storage", text),
    ),
    pod(
        "metrics-port",
        "a port from 1024 to 65535",
        "9300",
        "Where the sidecar serves `/metrics`, `/status`, `/livez` and `/readyz`. Off by default.",
        |pod, text| wide::port(text).map(|value| pod.metrics_port = Some(value)),
    ),
    pod(
        "use",
        "names of GitVolume objects of the Pod's namespace, separated by commas",
        "site,rules",
        "The objects that say what this Pod gets, whatever their `podSelector` says. They are \
         GitVolumes of its namespace, or ClusterGitVolumes whose `namespaceSelector` takes it.",
        |pod, text| wide::uses(text).map(|value| pod.uses = value),
    ),
    pod(
        "gitrepo",
        "convert, follow or off",
        "follow",
        "What becomes of the Pod's `gitRepo` volumes: cloned once before all containers, as the \
         kubelet did; cloned and followed; or left to the kubelet, which refuses them since \
         Kubernetes 1.36. docs/gitrepo.md has the keys that mean something for them.",
        |pod, text| wide::git_repo(text).map(|value| pod.git_repo = Some(value)),
    )
    .or("convert"),
    pod(
        "safe-directory",
        "true or false",
        "true",
        "Whether git in the containers that get the files is told, by its environment, to work in \
         repositories of another user (`safe.directory=*`).",
        |pod, text| value::boolean(text).map(|value| pod.safe_directory = value),
    )
    .or("false"),
    pod(
        "inject",
        "true or false",
        "false",
        "`false` leaves the Pod alone, whatever else is asked for.",
        |pod, text| value::boolean(text).map(|value| pod.inject = Some(value)),
    )
    .or("true"),
    Annotation {
        key: "injected",
        scope: Scope::Status,
        grammar: "names with commas between them, or -",
        default: None,
        example: "gitvolume,gitvolume-once",
        meaning: "Written by the webhook: the names of its init containers in the Pod, for the guard; \
                  `-` where it added nothing and the status gives the reason.",
        read: Read::Status,
    },
    Annotation {
        key: "status",
        scope: Scope::Status,
        grammar: "JSON",
        default: None,
        example: r#"{"config":"0123456789abcdef","containers":["gitvolume"],"version":"0.1.0"}"#,
        meaning: "Written by the webhook: the names of what it added, its version, and a hash of \
                  its configuration; or why it added nothing.",
        read: Read::Status,
    },
];

/// Writes the page `docs/annotations.md`; a test holds the file equal.
pub fn annotations_markdown() -> String {
    let mut page = String::from(INTRODUCTION);
    for (scope, heading) in [
        (Scope::Repository, "## The repository"),
        (Scope::Pod, "## The Pod"),
        (Scope::Status, "## Written by the webhook"),
    ] {
        let _ = write!(
            page,
            "\n{heading}\n\n| Annotation | Accepted | Default | Example | Meaning |\n\
             |---|---|---|---|---|\n"
        );
        for row in ANNOTATIONS.iter().filter(|row| row.scope == scope) {
            let default = row
                .default
                .map(|text| format!("`{text}`"))
                .unwrap_or_default();
            let _ = writeln!(
                page,
                "| `{PREFIX}{}` | {} | {default} | `{}` | {} |",
                row.key, row.grammar, row.example, row.meaning
            );
        }
    }
    page
}

/// Writes the short table of the README; a test holds the file's part equal.
pub fn annotations_summary() -> String {
    let mut table = String::from(
        "| `gitvolume.dev/…` | what it says | example | default |\n|---|---|---|---|\n",
    );
    for row in ANNOTATIONS.iter().filter(|row| row.scope != Scope::Status) {
        let default = row
            .default
            .map(|text| format!("`{text}`"))
            .unwrap_or_default();
        // The first sentence; the page has the rest.
        let meaning = row
            .meaning
            .split_once(". ")
            .map_or(row.meaning, |(first, _)| first);
        let meaning = meaning.trim_end_matches('.');
        let _ = writeln!(
            table,
            "| `{}` | {meaning} | `{}` | {default} |",
            row.key, row.example
        );
    }
    table
}

const INTRODUCTION: &str = "\
<!-- Written from the table in webhook/inject/src/annotations/table.rs by
     `make goldens`; edit that table. -->
# Annotations

They go on the Pod, or in a Deployment, StatefulSet, Job or the like on the Pod template
(`spec.template.metadata.annotations`). Every value is a text: quote numbers and booleans in YAML.

A value that is not accepted refuses the Pod with a sentence that names the key, the value and
what is accepted; a key under `gitvolume.dev/` that is not in these tables gives a warning with
the nearest one that is, or with all of them where none is near.

A Pod may have several repositories. The keys of each further one begin with a name of its own, a
DNS label of at most 40 characters: `gitvolume.dev/rules.repo`, `gitvolume.dev/rules.ref`. One
sidecar serves them all.
";
