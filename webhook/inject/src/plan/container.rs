use std::fmt;

use args::CaBundle;
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

use crate::Mount;
use crate::Settings;
use crate::User;
use crate::model::role::Role;
use crate::model::user::UserRule;
use crate::plan::cache::CacheChoice;
use crate::plan::entry::Content;
use crate::plan::entry::Entry;
use crate::plan::entry::Wide;
use crate::plan::position::Placement;
use crate::pod::inline_config::CONFIG;
use crate::pod::resources::ResourcesRule;
use crate::policy::trust::CACHE_CA;
use crate::sources::sourced::Origin;
use crate::sources::sourced::Sourced;

/// The `failureThreshold` of the startup probe: a year of seconds, so that the kubelet never kills
/// a first clone, which would start again from the beginning. Not the largest number that there is:
/// programs multiply it with the period, in 32 bits.
const STARTUP_FAILURES: u32 = 31_536_000;

/// The flag of the startup probe, and its `timeoutSeconds`. The kubelet starts a probe once a
/// second: one that waits for the first clone ends with it, and the app starts up to a second
/// earlier.
const PROBE_WAIT: &str = "--wait=10s";
const PROBE_TIMEOUT_SECONDS: u32 = 15;

/// A container added to the Pod.
#[derive(Clone, Debug, PartialEq)]
pub struct Syncer {
    /// Its role.
    pub role: Role,
    /// Its position among the Pod's own init containers.
    pub position: Placement,
    /// The syncer's configuration.
    pub syncer_config: SyncerConfig,
    /// The kinds of its repositories' addresses, each once.
    pub kinds: Vec<RepoKind>,
    /// Its volume mounts.
    pub mounts: Vec<Mount>,
    /// Requests and limits, in the form of the container spec.
    pub resources: Option<Value>,
    /// The rule that chose the resources.
    pub resources_rule: ResourcesRule,
    /// The user it runs as; `None` where the namespace decides.
    pub user: Option<User>,
    /// The rule that chose the user.
    pub user_rule: UserRule,
    /// An image other than the operator's.
    pub image: Option<String>,
    /// The port of its metrics.
    pub metrics_port: Option<u16>,
    /// The CAs of the pull-through cache that it uses.
    pub cache_ca: Option<CaBundle>,
}

/// The configuration of a syncer, escaped for the kubelet. `Debug` does not show it: an address in
/// it may have a password.
#[derive(Clone, PartialEq)]
pub struct SyncerConfig {
    /// Its argv.
    pub args: Vec<String>,
    /// The inline configuration of several repositories.
    pub config: Option<String>,
}

impl fmt::Debug for SyncerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { args, config } = self;
        let config = config.as_ref().map(|_| "HIDDEN");
        let mut debug = f.debug_struct("SyncerConfig");
        debug.field("args", args).field("config", &config).finish()
    }
}

/// A path where a syncer needs a volume.
#[derive(Clone, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) path: String,
    pub(crate) read_only: bool,
    pub(crate) what: What<'a>,
}

/// The purpose of a syncer's volume.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What<'a> {
    /// A published tree; the one kind of volume that the app's containers mount too.
    Content(&'a Content),
    /// An empty volume that replaces the ServiceAccount's token. The API server mounts the token
    /// into every container without a mount at its path, including injected ones
    /// (plugin/pkg/admission/serviceaccount/admission.go). It is a separate volume, because any
    /// file in it would be taken for cluster credentials.
    NoToken,
    /// Credentials.
    Secret { name: &'a str, is_optional: bool },
    /// The syncer's own files: `HOME`, `TMPDIR`, git's repository, the probe's record. The name is
    /// the volume's base.
    State(&'static str),
}

/// Whether flags configure the repositories: that is easier to read for a single one. An address
/// with a password or a token must not be in an argv.
fn is_by_flags(entries: &[Entry]) -> bool {
    let has_credentials = entries
        .iter()
        .filter_map(|entry| entry.args.repo.as_ref())
        .any(|url| url.user_info().has_secret());
    entries.len() == 1 && !has_credentials
}

/// The configuration of the container of a role.
pub(crate) fn syncer_config(role: Role, entries: &[Entry], wide: Wide) -> SyncerConfig {
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
            // Settings that are the same in all of them become flags, once; flags that name one
            // repository cannot.
            let beside = entries.first().map(|first| usual(&first.args));
            let beside = beside.unwrap_or_default();
            let mut repos = Map::new();
            for entry in entries {
                let secret = entry.secret.as_ref();
                let args = RepoArgs {
                    secret_dir: secret.map(|secret| secrets_of(&secret.value).into()),
                    ..entry.args.clone()
                };
                repos.insert(entry.name.clone(), Value::Object(args.to_entry(&beside)));
            }
            (placed(beside), Some(json!({"repos": repos}).to_string()))
        }
    };
    let args = SyncArgs { process, repo }.to_argv();
    // Nearly every string needs no escape and is not copied.
    let escaped = |text: String| {
        if text.contains('$') {
            escape_for_kubelet(&text)
        } else {
            text
        }
    };
    SyncerConfig {
        args: args.into_iter().map(escaped).collect(),
        config: config.map(escaped),
    }
}

/// The kinds of the repositories' addresses, each once.
pub(crate) fn kinds(entries: &[Entry]) -> Vec<RepoKind> {
    let mut kinds = Vec::new();
    for entry in entries {
        let kind = entry.args.repo.as_ref().map(RepoUrl::kind);
        kinds.extend(kind.filter(|kind| !kinds.contains(kind)));
    }
    kinds
}

/// The CAs of the pull-through cache, if an entry uses it.
pub(crate) fn cache_ca(entries: &[Entry], cache: CacheChoice<'_>) -> Option<CaBundle> {
    let is_used = entries.iter().any(|entry| entry.args.cache.is_some());
    cache.used().filter(|_| is_used)?.ca_bundle.clone()
}

/// The flags common to all entries: those of the first one, without those that not every entry has.
fn usual(first: &RepoArgs) -> RepoArgs {
    RepoArgs {
        one_time: first.one_time,
        max_failures: first.max_failures,
        stale_worktree_timeout: first.stale_worktree_timeout,
        link_trees: first.link_trees,
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
        let path = if is_one {
            paths::CONTENT.to_owned()
        } else {
            format!("{}/{}", paths::CONTENT, entry.name)
        };
        add(path, false, What::Content(&entry.content));
    }
    add(paths::STATE.to_owned(), false, What::State(role.state()));
    let secrets = || entries.iter().filter_map(|entry| entry.secret.as_ref());
    for Sourced { value: name, .. } in secrets() {
        let path = if is_one {
            paths::SECRET.to_owned()
        } else {
            secrets_of(name)
        };
        let mut same = secrets().filter(|other| other.value == *name);
        let is_optional = same.all(|other| other.origin == Origin::Operator);
        add(path, true, What::Secret { name, is_optional });
    }
    add(paths::SERVICE_ACCOUNT.to_owned(), true, What::NoToken);
    places
}

fn secrets_of(secret: &str) -> String {
    format!("{}/{secret}", paths::SECRETS)
}

/// The metrics port of a role: only the sidecar runs long enough to be scraped.
pub(crate) fn metrics_port(role: Role, wide: Wide) -> Option<u16> {
    wide.metrics_port.filter(|_| role == Role::Sync)
}

impl Syncer {
    /// The container's name.
    pub fn name(&self) -> &'static str {
        self.role.container()
    }

    /// The init container as JSON. It meets the strictest level of the Pod Security Standards, and
    /// its root file system is read-only: everything that it writes is on volumes.
    pub(crate) fn to_json(&self, settings: &Settings) -> Value {
        let Self {
            role,
            position: _,
            syncer_config,
            kinds,
            mounts,
            resources,
            user,
            image,
            metrics_port,
            cache_ca,
            resources_rule: _,
            user_rule: _,
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
            // There is no other probe: a git host that is down must not make the app unready.
            let probe = json!({
                "exec": {"command": [paths::PROGRAM, "probe", PROBE_WAIT]},
                "periodSeconds": 1,
                "timeoutSeconds": PROBE_TIMEOUT_SECONDS,
                "failureThreshold": STARTUP_FAILURES,
            });
            set("startupProbe", probe);
        }
        set("command", json!([paths::PROGRAM]));
        set("args", json!(syncer_config.args));
        let cache_ca = cache_ca.as_ref().map(CaBundle::as_str);
        set("env", env(syncer_config, kinds, cache_ca, settings));
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
        // The last line of the log gives the cause of a git failure; with this policy
        // `kubectl describe` shows it too.
        set("terminationMessagePolicy", json!("FallbackToLogsOnError"));
        Value::Object(container)
    }
}

/// The container's environment. The user has no home on a read-only root, and perhaps no name; the
/// probe does not get the argv.
fn env(
    syncer_config: &SyncerConfig,
    kinds: &[RepoKind],
    cache_ca: Option<&str>,
    settings: &Settings,
) -> Value {
    let state = paths::STATE;
    let mut env = vec![
        json!({"name": "HOME", "value": format!("{state}/home")}),
        json!({"name": "TMPDIR", "value": format!("{state}/tmp")}),
        json!({"name": "GITSYNC_STATE", "value": state}),
    ];
    if let Some(config) = &syncer_config.config {
        env.push(json!({"name": CONFIG, "value": config}));
    }
    let trust = kinds.iter().filter_map(|kind| settings.trust(*kind));
    let cache_ca = cache_ca.map(|pem| (CACHE_CA, pem));
    let all = settings.proxy.variables().chain(trust).chain(cache_ca);
    env.extend(all.map(|(name, value)| json!({"name": name, "value": escape_for_kubelet(value)})));
    Value::Array(env)
}
