use args::Layout;
use args::SyncArgs;
use args::escape_for_kubelet;
use args::paths;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::Mode;
use crate::Mount;
use crate::Request;
use crate::Settings;
use crate::User;

/// How often the kubelet may ask in vain whether the first tree is there: a year of seconds, so it
/// never kills a first clone (what it would begin again is what was just interrupted). Not the
/// largest number there is: programs multiply it with the period, in 32 bits.
const STARTUP_FAILURES: u32 = 31_536_000;

/// A container added to the Pod.
#[derive(Clone, Debug, PartialEq)]
pub struct Syncer {
    /// Its name in the Pod.
    pub name: &'static str,
    /// Whether it stays beside the app.
    pub mode: Mode,
    /// The syncer's argv, written for the kubelet.
    pub args: Vec<String>,
    /// Where it has its volumes.
    pub mounts: Vec<Mount>,
    /// Requests and limits, as the container spec takes them.
    pub resources: Option<Value>,
    /// Who it runs as; `None` where the namespace decides.
    pub user: Option<User>,
}

impl Syncer {
    /// The names of our containers. One per mode: a Pod may come to have both.
    pub(crate) const NAMES: [&'static str; 2] = ["gitvolume", "gitvolume-once"];

    /// The name of the container that serves a request.
    pub(crate) fn name_for(mode: Mode) -> &'static str {
        let [sync, once] = Self::NAMES;
        match mode {
            Mode::Once => once,
            Mode::Sync => sync,
        }
    }

    /// Writes the init container. Restricted by the Pod Security Standards' strictest level, and
    /// by more: the root file system is read-only, since everything is on volumes.
    pub(crate) fn to_json(&self, settings: &Settings) -> Value {
        let Self {
            name,
            mode,
            args,
            mounts,
            resources,
            user,
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
        set("name", json!(name));
        set("image", json!(settings.image));
        if let Some(policy) = settings.image_pull_policy {
            set("imagePullPolicy", json!(policy));
        }
        if *mode == Mode::Sync {
            // A native sidecar (KEP-753). Other probes there are none: a git host that is down
            // must not unready the app.
            set("restartPolicy", json!("Always"));
            let probe = json!({
                "exec": {"command": [paths::PROGRAM, "probe"]},
                "periodSeconds": 1,
                "timeoutSeconds": 5,
                "failureThreshold": STARTUP_FAILURES,
            });
            set("startupProbe", probe);
        }
        set("command", json!([paths::PROGRAM]));
        set("args", json!(args));
        set("env", env());
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
fn env() -> Value {
    let state = paths::STATE;
    json!([
        {"name": "HOME", "value": format!("{state}/home")},
        {"name": "TMPDIR", "value": format!("{state}/tmp")},
        {"name": "GITSYNC_STATE", "value": state},
    ])
}

/// The syncer's argv for a request, as a container's `args`.
pub(crate) fn args_for(request: &Request, settings: &Settings) -> Vec<String> {
    let mut args = SyncArgs::new(request.repo.clone(), paths::CONTENT);
    args.repo.rev = request.rev.clone().into();
    args.repo.link = request.link.clone();
    args.repo.layout = match request.link {
        Some(_) => Layout::Link,
        None => Layout::Projected,
    };
    args.repo.state = Some(paths::STATE.into());
    args.repo.secret_dir = request.secret.is_some().then(|| paths::SECRET.into());
    args.repo.depth = request.depth;
    args.repo.period = request.period;
    args.repo.one_time = request.mode == Mode::Once;
    // Never give up: a container that ends is started again with the kubelet's back-off, which is
    // worse than our own, and the cause is lost with it.
    args.repo.max_failures = -1;
    args.repo.sync_timeout = settings.sync_timeout;
    args.repo.stale_worktree_timeout = settings.stale_worktree_timeout;
    args.to_argv()
        .iter()
        .map(|arg| escape_for_kubelet(arg))
        .collect()
}
