//! A git host inside the cluster: real repositories over http, https and ssh.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use anyhow::anyhow;
use anyhow::bail;
use serde_json::Value;
use serde_json::json;

use crate::authority::authority;
use crate::eventually::eventually;
use crate::installation::ssh_key::SshKey;
use crate::kubernetes::kubectl::Kubectl;
use crate::oci::images;

/// The name of the host's Pod, Service and Secret.
pub const NAME: &str = "git-host";
/// User of the address that requires a password.
pub const USER: &str = "reader";
/// Password of [`USER`]; easy to search for, and hard on careless quoting.
pub const PASSWORD: &str = "p4ss $(word)%&'\"x";

/// A Pod with a git server in the test's namespace, and its keys.
#[derive(Debug)]
pub struct GitHost {
    kubectl: Kubectl,
    address: String,
    keys: Keys,
}

/// The credentials and certificates that a client needs.
#[derive(Clone, Debug)]
pub struct Keys {
    /// A private key that the host accepts, in OpenSSH's format.
    pub client: String,
    /// A private key that the host rejects.
    pub stranger: String,
    /// The host's line for `known_hosts`.
    pub known_hosts: String,
    /// A line for `known_hosts` with another key for the same host.
    pub wrong_known_hosts: String,
    /// The CA certificate that signed the host's certificate, PEM.
    pub ca: String,
}

impl GitHost {
    /// Starts the host and waits until it answers.
    pub fn start(kubectl: &Kubectl) -> Result<Self> {
        kubectl
            .apply(&service().to_string())
            .map_err(|error| anyhow!(error))?;
        // The certificate and known_hosts contain the Service's IP address: the node has no DNS.
        let address = eventually(
            "an address for the git host",
            Duration::from_secs(30),
            || {
                kubectl.cluster_ip(NAME).and_then(|ip| {
                    if ip.is_empty() {
                        Err("none yet".to_owned())
                    } else {
                        Ok(ip)
                    }
                })
            },
        )
        .map_err(|error| anyhow!(error))?;
        let (keys, secret) = make_keys(&address)?;
        let started = kubectl.start(NAME, &[secret, pod()]);
        started.map_err(|error| anyhow!(error))?;
        Ok(Self {
            kubectl: kubectl.clone(),
            address,
            keys,
        })
    }

    /// The keys of the host.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Creates an empty repository whose default branch is `main`.
    pub fn repository(&self, name: &str) -> Result<Repository<'_>> {
        self.repository_on(name, "main")
    }

    /// Creates an empty repository, `site` or `org/site`, with this default branch.
    pub fn repository_on(&self, name: &str, branch: &str) -> Result<Repository<'_>> {
        let repository = Repository {
            host: self,
            name: name.to_owned(),
        };
        repository.sh(&format!(
            "git init -q --bare -b {branch} /srv/git/{name}.git && \
             git clone -q /srv/git/{name}.git /work/{name} 2>/dev/null && \
             cd /work/{name} && git config user.name t && git config user.email t@t"
        ))?;
        Ok(repository)
    }

    /// Makes the host unreachable: its Service has no endpoints. Returns once new connections are
    /// refused, which the node applies with a short delay.
    pub fn vanish(&self) -> Result<()> {
        self.select("nothing")?;
        let script = format!(
            "git ls-remote http://{}/none.git 2>&1 || true",
            self.address
        );
        let refused = "Failed to connect";
        eventually("a host that is away", Duration::from_secs(60), || {
            let result = self
                .kubectl
                .exec(NAME, Some("http"), &["sh", "-c", &script]);
            result.and_then(|output| match output.contains(refused) {
                true => Ok(()),
                false => Err(output),
            })
        })
        .map_err(|error| anyhow!(error))
    }

    /// Makes the host reachable again.
    pub fn return_again(&self) -> Result<()> {
        self.select(NAME)
    }

    fn select(&self, app: &str) -> Result<()> {
        let patch = json!({"spec": {"selector": {"app": app}}}).to_string();
        let output = self
            .kubectl
            .run(&["patch", "service", NAME, "--patch", &patch]);
        output.map(drop).map_err(|error| anyhow!(error))
    }

    /// The log of the host's HTTP server, one line per request.
    pub fn http_log(&self) -> Result<String> {
        self.kubectl
            .logs(NAME, "http")
            .map_err(|error| anyhow!(error))
    }
}

/// A repository on the host, with a clone beside it for making commits.
#[derive(Debug)]
pub struct Repository<'a> {
    host: &'a GitHost,
    name: String,
}

impl Repository<'_> {
    /// Address over http, without authentication.
    pub fn http(&self) -> String {
        format!("http://{}/{}.git", self.host.address, self.name)
    }

    /// Address over https, without authentication; its certificate is signed by [`Keys::ca`].
    pub fn https(&self) -> String {
        format!("https://{}/{}.git", self.host.address, self.name)
    }

    /// Address over http that requires [`USER`] and [`PASSWORD`].
    pub fn private_http(&self) -> String {
        format!("http://{}:8001/{}.git", self.host.address, self.name)
    }

    /// Address over ssh, in git's short form.
    pub fn ssh(&self) -> String {
        format!("root@{}:/srv/git/{}.git", self.host.address, self.name)
    }

    /// Address over ssh as git hosts write it: the user `git`, and a path of two components.
    pub fn ssh_as_git(&self) -> String {
        format!("git@{}:{}.git", self.host.address, self.name)
    }

    /// Writes files, commits and pushes; returns the commit's hash.
    pub fn commit(&self, files: &[(&str, &str)]) -> Result<String> {
        let mut script = String::new();
        for (path, content) in files {
            if content.contains('\'') {
                bail!("{path}: a quote in the content would end the shell's");
            }
            let dir = Path::new(path)
                .parent()
                .unwrap_or(Path::new(""))
                .display()
                .to_string();
            let dir = if dir.is_empty() { ".".to_owned() } else { dir };
            script.push_str(&format!(
                "mkdir -p '{dir}' && printf %s '{content}' > '{path}' && "
            ));
        }
        let output = self.work(&format!(
            "{script}git add -A && git commit -q --allow-empty -m change && git push -q && \
             git rev-parse HEAD"
        ))?;
        Ok(output.trim().to_owned())
    }

    /// Runs a shell script in the clone.
    pub fn work(&self, script: &str) -> Result<String> {
        self.sh(&format!("cd /work/{} && {script}", self.name))
    }

    fn sh(&self, script: &str) -> Result<String> {
        let output = self
            .host
            .kubectl
            .exec(NAME, Some("http"), &["sh", "-euc", script]);
        output.map_err(|error| anyhow!("{script}: {error}"))
    }
}

fn service() -> Value {
    let port = |name: &str, port: u16, target: u16| json!({"name": name, "port": port, "targetPort": target});
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": NAME},
        "spec": {"selector": {"app": NAME}, "ports": [
            port("http", 80, 8000),
            port("private", 8001, 8001),
            port("https", 443, 8443),
            port("ssh", 22, 2222),
        ]},
    })
}

const SSHD_CONFIG: &str = "Port 2222
HostKey /keys/host
AuthorizedKeysFile /authorized/keys
# The keys are a Secret's files, which are links.
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
PidFile none
AcceptEnv GIT_PROTOCOL
";

const TLS_CONF: &str = "daemon off;
user root root;
pid /tmp/nginx.pid;
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path /tmp/body;
    proxy_temp_path /tmp/proxy;
    fastcgi_temp_path /tmp/f;
    uwsgi_temp_path /tmp/u;
    scgi_temp_path /tmp/s;
    server {
        listen 8443 ssl;
        ssl_certificate /keys/tls.crt;
        ssl_certificate_key /keys/tls.key;
        location / { proxy_pass http://127.0.0.1:8000; proxy_set_header Host $host; }
    }
}
";

fn pod() -> Value {
    let mounts = json!([
        {"name": "repositories", "mountPath": "/srv/git"},
        {"name": "keys", "mountPath": "/keys"},
        {"name": "authorized", "mountPath": "/authorized"},
        {"name": "work", "mountPath": "/work"},
        {"name": "tmp", "mountPath": "/tmp"},
    ]);
    let container = |name: &str, image: &str, command: Value, port: u16| {
        json!({
            "name": name, "image": image, "imagePullPolicy": "IfNotPresent",
            "command": command, "volumeMounts": mounts,
            "securityContext": {"runAsUser": 0},
            "env": [{"name": "HOME", "value": "/tmp"}],
            "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
        })
    };
    let git = images::GIT_SERVER;
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": NAME, "labels": {"app": NAME}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "enableServiceLinks": false,
            "volumes": [
                {"name": "repositories", "emptyDir": {}},
                {"name": "work", "emptyDir": {}},
                {"name": "tmp", "emptyDir": {}},
                {"name": "keys", "secret": {"secretName": NAME, "defaultMode": 256}},
                // sshd reads this file as the user who logs in.
                {"name": "authorized", "secret": {"secretName": NAME, "items": [
                    {"key": "authorized_keys", "path": "keys", "mode": 292},
                ]}},
            ],
            "containers": [
                container("http", git, json!(["git-http", "--root=/srv/git",
                    "--listen=0.0.0.0:8000"]), 8000),
                container("private", git, json!(["git-http", "--root=/srv/git",
                    "--listen=0.0.0.0:8001", format!("--user={USER}"),
                    "--password-file=/keys/password"]), 8001),
                container("ssh", git, json!(["/usr/sbin/sshd", "-D", "-e", "-f",
                    "/keys/sshd_config"]), 2222),
                container("https", images::NGINX, json!(["nginx", "-c", "/keys/tls.conf"]), 8443),
            ],
        },
    })
}

/// Creates the keys of one host, and the Secret that its Pod mounts.
fn make_keys(address: &str) -> Result<(Keys, Value)> {
    let host = SshKey::generate()?;
    let client = SshKey::generate()?;
    let stranger = SshKey::generate()?;

    let ca = authority()?;
    let leaf_key = rcgen::KeyPair::generate()?;
    let leaf =
        rcgen::CertificateParams::new(vec![address.to_owned()])?.signed_by(&leaf_key, &ca)?;

    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": NAME},
        "stringData": {
            "host": host.private,
            "authorized_keys": client.public,
            "sshd_config": SSHD_CONFIG,
            "tls.crt": leaf.pem(),
            "tls.key": leaf_key.serialize_pem(),
            "tls.conf": TLS_CONF,
            "password": PASSWORD,
        },
    });
    let keys = Keys {
        known_hosts: format!("{address} {}", host.public),
        wrong_known_hosts: format!("{address} {}", stranger.public),
        client: client.private,
        stranger: stranger.private,
        ca: ca.pem(),
    };
    Ok((keys, secret))
}
