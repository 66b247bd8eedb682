use std::fmt;

use args::ProcessArgs;
use args::RepoArgs;
use args::RepoKind;
use args::RepoUrl;
use args::SyncArgs;
use args::escape_for_kubelet;
use args::paths;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::Mode;
use crate::Mount;
use crate::Settings;
use crate::User;
use crate::entry::Content;
use crate::entry::Entry;
use crate::entry::SecretName;

/// How often the kubelet may ask in vain whether the first tree is there: a year of seconds, so it
/// never kills a first clone (what it would begin again is what was just interrupted). Not the
/// largest number there is: programs multiply it with the period, in 32 bits.
const STARTUP_FAILURES: u32 = 31_536_000;

/// The variable with what a syncer of several repositories is told about each.
pub(crate) const CONFIG: &str = "GITSYNC_CONFIG_INLINE";

/// What one of our containers does. There is at most one of each in a Pod, in this order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Role {
    /// Clones what the Pod has gitRepo volumes for, and ends.
    GitRepo,
    /// The same, for what another mutator added after the one above was put in.
    GitRepoLate,
    /// Fetches what is wanted once, and ends.
    Once,
    /// Stays beside the app and follows.
    Sync,
}

impl Role {
    /// Every role, in the order in which the containers start.
    pub const ALL: [Self; 4] = [Self::GitRepo, Self::GitRepoLate, Self::Once, Self::Sync];

    /// The container's name.
    pub fn container(self) -> &'static str {
        match self {
            Self::GitRepo => "gitvolume-gitrepo",
            Self::GitRepoLate => "gitvolume-gitrepo-late",
            Self::Once => "gitvolume-once",
            Self::Sync => "gitvolume",
        }
    }

    pub(crate) fn of_mode(mode: Mode) -> Self {
        match mode {
            Mode::Once => Self::Once,
            Mode::Sync => Self::Sync,
        }
    }

    /// The base of the name of its state volume.
    fn state(self) -> &'static str {
        match self {
            Self::GitRepo => "gitvolume-gitrepo-state",
            Self::GitRepoLate => "gitvolume-gitrepo-late-state",
            Self::Once => "gitvolume-once-state",
            Self::Sync => "gitvolume-state",
        }
    }

    /// The container's `restartPolicy`: that of a native sidecar (KEP-753), or the Pod's.
    pub(crate) fn restart_policy(self) -> Option<&'static str> {
        (self == Self::Sync).then_some("Always")
    }
}

/// A container added to the Pod.
#[derive(Clone, Debug, PartialEq)]
pub struct Syncer {
    /// What it does.
    pub role: Role,
    /// The place in the Pod's own init containers before which it is put.
    pub position: usize,
    /// What the syncer is told.
    pub told: Told,
    /// How its repositories are reached, each way once.
    pub kinds: Vec<RepoKind>,
    /// Where it has its volumes.
    pub mounts: Vec<Mount>,
    /// Requests and limits, as the container spec takes them.
    pub resources: Option<Value>,
    /// Who it runs as; `None` where the namespace decides.
    pub user: Option<User>,
    /// Another image than the operator's.
    pub image: Option<String>,
    /// Where it serves its metrics.
    pub metrics_port: Option<u16>,
}

/// What a syncer is told, written for the kubelet. `Debug` shows no configuration: an address in it
/// may have a password.
#[derive(Clone, PartialEq)]
pub struct Told {
    /// Its argv.
    pub args: Vec<String>,
    /// What it is told about each of several repositories.
    pub config: Option<String>,
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { args, config } = self;
        let config = config.as_ref().map(|_| "HIDDEN");
        let mut told = f.debug_struct("Told");
        told.field("args", args).field("config", &config).finish()
    }
}

/// What a syncer is told that no single repository decides.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wide {
    pub(crate) metrics_port: Option<u16>,
    /// Whether the Pod has an `fsGroup`, whose members may then write what the app may write.
    pub(crate) fs_group: bool,
}

/// A place that a syncer needs a volume at.
#[derive(Clone, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) path: String,
    pub(crate) read_only: bool,
    pub(crate) what: What<'a>,
}

/// What a syncer has a volume for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What<'a> {
    /// A published tree; the one kind of volume that the app's containers mount too.
    Content(&'a Content),
    /// Nothing, in the place of the ServiceAccount's token. The API server mounts that into every
    /// container that has no mount at its path, also into those that a webhook adds
    /// (plugin/pkg/admission/serviceaccount/admission.go). A volume of its own, since whatever
    /// else were in it would be taken for credentials of the cluster.
    NoToken,
    /// Credentials.
    Secret { name: &'a str, is_optional: bool },
    /// The syncer's own files: `HOME`, `TMPDIR`, git's repository, the probe's record. The name is
    /// the volume's base.
    State(&'static str),
}

/// Tells whether the repositories are told by flags: one is, and is easier to read so. An address
/// with a password or a token has no place in an argv.
fn is_by_flags(entries: &[Entry]) -> bool {
    let has_credentials = entries
        .iter()
        .filter_map(|entry| entry.args.repo.as_ref())
        .any(|url| url.user_info().has_secret());
    entries.len() == 1 && !has_credentials
}

/// What the container of a role is told about its repositories.
pub(crate) fn told(role: Role, entries: &[Entry], wide: Wide) -> Told {
    let process = ProcessArgs {
        group_write: wide.fs_group && entries.iter().any(|entry| entry.writable),
        http_bind: metrics_port(role, wide).map(|port| format!(":{port}")),
        http_metrics: metrics_port(role, wide).is_some(),
        ..ProcessArgs::default()
    };
    let placed = |args: RepoArgs| RepoArgs {
        root: Some(paths::CONTENT.into()),
        state: Some(paths::STATE.into()),
        ..args
    };
    let (repo, config) = match entries {
        [entry] if is_by_flags(entries) => {
            let secret_dir = entry.secret.is_some().then(|| paths::SECRET.into());
            let repo = RepoArgs {
                secret_dir,
                ..entry.args.clone()
            };
            (placed(repo), None)
        }
        _ => {
            // What is the same in all of them is said once, by flags; what names one repository
            // cannot be.
            let beside = entries.first().map(|first| usual(&first.args));
            let beside = beside.unwrap_or_default();
            let mut repos = Map::new();
            for entry in entries {
                let secret = entry.secret.as_ref();
                let args = RepoArgs {
                    secret_dir: secret.map(|secret| secrets_of(&secret.name).into()),
                    ..entry.args.clone()
                };
                repos.insert(entry.name.clone(), Value::Object(args.to_entry(&beside)));
            }
            (placed(beside), Some(json!({"repos": repos}).to_string()))
        }
    };
    let args = SyncArgs { process, repo }.to_argv();
    // Nearly every text stays as it is, and is not copied.
    let escaped = |text: String| match text.contains('$') {
        true => escape_for_kubelet(&text),
        false => text,
    };
    Told {
        args: args.into_iter().map(escaped).collect(),
        config: config.map(escaped),
    }
}

/// How repositories are reached, each way once.
pub(crate) fn kinds(entries: &[Entry]) -> Vec<RepoKind> {
    let mut kinds = Vec::new();
    for entry in entries {
        let kind = entry.args.repo.as_ref().map(RepoUrl::kind);
        kinds.extend(kind.filter(|kind| !kinds.contains(kind)));
    }
    kinds
}

/// What is told beside the entries: the first one's, but for what only some may have.
fn usual(first: &RepoArgs) -> RepoArgs {
    RepoArgs {
        one_time: first.one_time,
        max_failures: first.max_failures,
        stale_worktree_timeout: first.stale_worktree_timeout,
        layout: first.layout,
        depth: first.depth,
        period: first.period,
        sync_timeout: first.sync_timeout,
        ..RepoArgs::default()
    }
}

/// The volumes that the container of a role needs, in the order in which they are added.
pub(crate) fn places(role: Role, entries: &[Entry]) -> Vec<Place<'_>> {
    let is_one = is_by_flags(entries);
    let mut places: Vec<Place<'_>> = Vec::new();
    let mut add = |path: String, read_only, what| {
        if places.iter().all(|place| place.path != path) {
            places.push(Place {
                path,
                read_only,
                what,
            });
        }
    };
    for entry in entries {
        let path = match is_one {
            true => paths::CONTENT.to_owned(),
            false => format!("{}/{}", paths::CONTENT, entry.name),
        };
        add(path, false, What::Content(&entry.content));
    }
    add(paths::STATE.to_owned(), false, What::State(role.state()));
    let secrets = || entries.iter().filter_map(|entry| entry.secret.as_ref());
    for SecretName { name, .. } in secrets() {
        let path = match is_one {
            true => paths::SECRET.to_owned(),
            false => secrets_of(name),
        };
        let mut same = secrets().filter(|other| other.name == *name);
        let is_optional = same.all(|other| other.is_default);
        add(path, true, What::Secret { name, is_optional });
    }
    add(paths::SERVICE_ACCOUNT.to_owned(), true, What::NoToken);
    places
}

fn secrets_of(secret: &str) -> String {
    format!("{}/{secret}", paths::SECRETS)
}

/// Only the sidecar is there long enough to be asked.
pub(crate) fn metrics_port(role: Role, wide: Wide) -> Option<u16> {
    wide.metrics_port.filter(|_| role == Role::Sync)
}

impl Syncer {
    /// The container's name.
    pub fn name(&self) -> &'static str {
        self.role.container()
    }

    /// Writes the init container. Restricted by the Pod Security Standards' strictest level, and
    /// by more: the root file system is read-only, since everything is on volumes.
    pub(crate) fn to_json(&self, settings: &Settings) -> Value {
        let Self {
            role,
            position: _,
            told,
            kinds,
            mounts,
            resources,
            user,
            image,
            metrics_port,
        } = self;
        let mut security = json!({
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": true,
            "runAsNonRoot": true,
            "seccompProfile": {"type": "RuntimeDefault"},
        });
        if let Some(User { uid, gid }) = user {
            security["runAsUser"] = json!(uid);
            security["runAsGroup"] = json!(gid);
        }
        let mounts: Vec<Value> = mounts.iter().map(Mount::to_json).collect();
        let mut container = Map::new();
        let mut set = |key: &str, value| container.insert(key.to_owned(), value);
        set("name", json!(role.container()));
        set("image", json!(image.as_ref().unwrap_or(&settings.image)));
        if let Some(policy) = settings.image_pull_policy {
            set("imagePullPolicy", json!(policy));
        }
        if let Some(policy) = role.restart_policy() {
            set("restartPolicy", json!(policy));
            // Other probes there are none: a git host that is down must not unready the app.
            let probe = json!({
                "exec": {"command": [paths::PROGRAM, "probe"]},
                "periodSeconds": 1,
                "timeoutSeconds": 5,
                "failureThreshold": STARTUP_FAILURES,
            });
            set("startupProbe", probe);
        }
        set("command", json!([paths::PROGRAM]));
        set("args", json!(told.args));
        set("env", env(told, kinds, settings));
        if let Some(port) = metrics_port {
            set(
                "ports",
                json!([{"name": "gitvolume", "containerPort": port}]),
            );
        }
        set("volumeMounts", Value::Array(mounts));
        if let Some(resources) = resources {
            set("resources", resources.clone());
        }
        set("securityContext", security);
        // The last line of the log says why git did not come through; here `kubectl describe`
        // shows it too.
        set("terminationMessagePolicy", json!("FallbackToLogsOnError"));
        Value::Object(container)
    }
}

/// The user has no home on a read-only root, and perhaps not even a name; the probe sees no argv.
fn env(told: &Told, kinds: &[RepoKind], settings: &Settings) -> Value {
    let state = paths::STATE;
    let mut env = vec![
        json!({"name": "HOME", "value": format!("{state}/home")}),
        json!({"name": "TMPDIR", "value": format!("{state}/tmp")}),
        json!({"name": "GITSYNC_STATE", "value": state}),
    ];
    if let Some(config) = &told.config {
        env.push(json!({"name": CONFIG, "value": config}));
    }
    let trust = kinds.iter().filter_map(|kind| settings.trust(*kind));
    let all = settings.proxy.variables().chain(trust);
    env.extend(all.map(|(name, value)| json!({"name": name, "value": escape_for_kubelet(value)})));
    Value::Array(env)
}
