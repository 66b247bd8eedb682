//! A forge inside the cluster: Gitea with its API, a private repository over http and ssh, and webhooks.

use std::time::Duration;

use anyhow::Result;
use anyhow::anyhow;
use serde_json::Value;
use serde_json::json;

use crate::eventually::eventually;
use crate::installation::ssh_key::SshKey;
use crate::kubernetes::kubectl::Kubectl;
use crate::oci::images;

/// The name of the forge's Pod and Service.
pub const NAME: &str = "forge";
/// The port of the Service.
pub const PORT: u16 = 3000;
/// The port of ssh.
pub const SSH_PORT: u16 = 2222;
/// The account that owns the repositories.
pub const USER: &str = "acme";
/// Its password.
pub const PASSWORD: &str = "c2VjcmV0-of-acme";

/// The time for a commit or a call of the API on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The configuration. Gitea completes it, so the container copies it first.
const APP_INI: &str = "RUN_MODE = prod
RUN_USER = git
WORK_PATH = /data
[server]
HTTP_PORT = 3000
ROOT_URL = http://forge.test:3000/
STATIC_ROOT_PATH = /srv/gitea
START_SSH_SERVER = true
SSH_DOMAIN = forge.test
SSH_PORT = 2222
SSH_SERVER_HOST_KEYS = /data/host-key
OFFLINE_MODE = true
[database]
DB_TYPE = sqlite3
PATH = /data/gitea.db
[security]
INSTALL_LOCK = true
[service]
DISABLE_REGISTRATION = true
[actions]
ENABLED = false
[webhook]
ALLOWED_HOST_LIST = *
[log]
MODE = console
LEVEL = Info
logger.access.MODE = console
";

/// The script of the container.
const START: &str = "umask 077 && printf %s \"$APP_INI\" >/data/app.ini && \
                     printf %s \"$HOST_KEY\" >/data/host-key && exec gitea web --config=/data/app.ini";

/// A running forge in the test's namespace.
#[derive(Debug)]
pub struct Forge {
    kubectl: Kubectl,
    address: String,
    host_key: SshKey,
}

impl Forge {
    /// Starts the forge, waits until it answers, and creates the account.
    pub fn start(kubectl: &Kubectl) -> Result<Self> {
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": NAME},
            "spec": {"selector": {"app": NAME}, "ports": [
                {"name": "http", "port": PORT},
                {"name": "ssh", "port": SSH_PORT},
            ]},
        });
        let host_key = SshKey::generate()?;
        let started = kubectl.start(NAME, &[service, pod(&host_key)]);
        started.map_err(|error| anyhow!(error))?;
        let address = kubectl.cluster_ip(NAME).map_err(|error| anyhow!(error))?;
        let forge = Self {
            kubectl: kubectl.clone(),
            address,
            host_key,
        };
        let account = format!(
            "gitea admin user create --config=/data/app.ini --username={USER} \
             --password={PASSWORD} --email=acme@forge.test --admin --must-change-password=false"
        );
        forge.sh(&account)?;
        Ok(forge)
    }

    /// The IP address of its Service.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Creates a private repository of [`USER`] with an initial commit, and a clone for commits.
    pub fn create_repository(&self, name: &str) -> Result<()> {
        let repository = json!({
            "name": name, "private": true, "auto_init": true, "default_branch": "main",
        });
        self.post("user/repos", &repository)?;
        self.sh(&format!(
            "git clone -q http://{USER}:{PASSWORD}@localhost:{PORT}/{USER}/{name}.git /work/{name} && \
             cd /work/{name} && git config user.name t && git config user.email t@t"
        ))
        .map(drop)
    }

    /// The line of `known_hosts` for a name of the forge.
    pub fn known_hosts(&self, host: &str) -> String {
        format!("[{host}]:{SSH_PORT} {}", self.host_key.public)
    }

    /// Creates a key of [`USER`] for ssh, and returns its private part.
    pub fn create_ssh_key(&self) -> Result<String> {
        let key = SshKey::generate()?;
        let public = json!({"title": "syncer", "key": key.public.trim(), "read_only": true});
        self.post("user/keys", &public)?;
        Ok(key.private)
    }

    /// Creates a webhook for pushes to a repository, as a user does in its settings.
    pub fn create_webhook(&self, repository: &str, url: &str, secret: &str) -> Result<()> {
        let webhook = json!({
            "type": "gitea", "active": true, "events": ["push"],
            "config": {"url": url, "content_type": "json", "secret": secret},
        });
        self.post(&format!("repos/{USER}/{repository}/hooks"), &webhook)
            .map(drop)
    }

    /// Writes a file of a repository, commits and pushes; returns the commit's hash.
    pub fn commit(&self, repository: &str, path: &str, content: &str) -> Result<String> {
        let hash = self.sh(&format!(
            "cd /work/{repository} && printf %s '{content}' >'{path}' && git add -A && \
             git commit -q -m change && git push -q && git rev-parse HEAD"
        ))?;
        Ok(hash.trim().to_owned())
    }

    /// The requests for a repository in its access log, such as `POST /acme/site.git/git-upload-pack`.
    pub fn requests(&self, repository: &str) -> Result<Vec<String>> {
        let log = self
            .kubectl
            .logs(NAME, NAME)
            .map_err(|error| anyhow!(error))?;
        let path = format!("/{USER}/{repository}.git/");
        let quoted = |line: &str| Some(line.split('"').nth(1)?.to_owned());
        let requests = log.lines().filter_map(quoted);
        Ok(requests.filter(|request| request.contains(&path)).collect())
    }

    /// Sends a request to the API, again while the forge starts.
    fn post(&self, path: &str, body: &Value) -> Result<String> {
        let script = format!(
            "wget -q -O - --header='Content-Type: application/json' --post-data='{body}' \
             http://{USER}:{PASSWORD}@localhost:{PORT}/api/v1/{path}"
        );
        eventually("an answer of the forge's API", TIMEOUT, || {
            self.sh(&script).map_err(|error| error.to_string())
        })
        .map_err(|error| anyhow!(error))
    }

    fn sh(&self, script: &str) -> Result<String> {
        let output = self.kubectl.exec(NAME, Some(NAME), &["sh", "-euc", script]);
        output.map_err(|error| anyhow!("{script}: {error}"))
    }
}

fn pod(host_key: &SshKey) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": NAME, "labels": {"app": NAME}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "enableServiceLinks": false,
            "securityContext": {"fsGroup": 1000},
            "volumes": [
                {"name": "data", "emptyDir": {}},
                {"name": "work", "emptyDir": {}},
                {"name": "tmp", "emptyDir": {}},
            ],
            "containers": [{
                "name": NAME, "image": images::GITEA, "imagePullPolicy": "IfNotPresent",
                "command": ["sh", "-c", START],
                "env": [
                    {"name": "APP_INI", "value": APP_INI},
                    {"name": "HOST_KEY", "value": host_key.private},
                    {"name": "HOME", "value": "/tmp"},
                ],
                "volumeMounts": [
                    {"name": "data", "mountPath": "/data"},
                    {"name": "work", "mountPath": "/work"},
                    {"name": "tmp", "mountPath": "/tmp"},
                ],
                "readinessProbe": {
                    "httpGet": {"port": PORT, "path": "/api/healthz"}, "periodSeconds": 1,
                },
            }],
        },
    })
}
