//! A real etcd and kube-apiserver: the environment of the `admit` tests, and the first two programs
//! of the node.

use std::fs;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::TcpListener;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use nix::sys::signal::Signal;

use crate::kubernetes::kubectl::Kubectl;
use crate::process::Process;
use crate::process::eventually_while;
use crate::tools::tool;

/// The bearer token of the user `admin` (group `system:masters`).
pub(crate) const ADMIN_TOKEN: &str = "admin-token";
/// Timeout of a start on a busy machine; it usually takes five seconds.
const START: Duration = Duration::from_secs(120);

/// A release of Kubernetes, as pinned by `tests/tools`; etcd is the same for both.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Version {
    /// The newest minor; all other programs have this version.
    #[default]
    Newest,
    /// The oldest supported minor.
    Oldest,
}

impl Version {
    /// Both versions, for tests that must pass on each.
    pub const ALL: &'static [Self] = &[Self::Newest, Self::Oldest];

    /// Prefix of a test's name for this version.
    pub fn name(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Oldest => "oldest",
        }
    }

    fn apiserver(self) -> &'static str {
        match self {
            Self::Newest => "kube-apiserver",
            Self::Oldest => "kube-apiserver-oldest",
        }
    }
}

/// Options of a control plane.
#[derive(Clone, Debug)]
pub struct Options {
    /// Version of the API server.
    pub version: Version,
    /// Listen and advertise address of the API server.
    pub address: IpAddr,
    /// Further flags for kube-apiserver.
    pub flags: Vec<String>,
    /// Whether `audit.log` in the directory records each request, with object metadata only.
    pub audit: bool,
    /// Users besides `admin`: name (also the token) and groups.
    pub users: Vec<(String, Vec<String>)>,
    /// Whether a controller-manager creates each namespace's `default` ServiceAccount. Otherwise
    /// [`crate::kubernetes::namespace::Namespace`] creates it.
    pub service_accounts_are_made: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            version: Version::default(),
            address: Ipv4Addr::LOCALHOST.into(),
            flags: Vec::new(),
            audit: false,
            users: Vec::new(),
            service_accounts_are_made: false,
        }
    }
}

/// A running etcd and kube-apiserver; dropping it stops both and waits for their end.
#[derive(Debug)]
pub struct ControlPlane {
    // Declared first, so that it is dropped, and stopped, before its store.
    apiserver: Process,
    etcd: Process,
    version: Version,
    dir: PathBuf,
    url: String,
    kubectl: Kubectl,
}

impl ControlPlane {
    /// Starts both in a directory, which the caller removes afterwards, and waits until they are
    /// ready.
    pub fn start(dir: &Path, options: &Options) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let ports = free_ports(3)?;
        let [client, peer, secure] = ports[..] else {
            unreachable!("three were asked for")
        };
        let etcd = start_etcd(dir, client, peer)?;

        let key = dir.join("service-accounts.key");
        let pair = rcgen::KeyPair::generate()?;
        fs::write(&key, pair.serialize_pem())?;
        fs::write(key.with_extension("pub"), pair.public_key_pem())?;
        fs::write(dir.join("tokens.csv"), tokens(options))?;
        let args = apiserver_args(dir, client, secure, &key, options)?;
        let program = tool(options.version.apiserver());
        let apiserver = Process::start("kube-apiserver", &program, &args, &logs(dir))?;

        let url = format!("https://{}:{secure}", options.address);
        let certificate = dir.join("certs/apiserver.crt");
        let kubeconfig = dir.join("admin.kubeconfig");
        let kubectl = Kubectl::new(&kubeconfig, !options.service_accounts_are_made);
        let plane = Self {
            apiserver,
            etcd,
            version: options.version,
            dir: dir.to_path_buf(),
            url,
            kubectl,
        };
        eventually_while(
            || plane.check(),
            "the API server's certificate",
            START,
            || {
                let chain = fs::read_to_string(&certificate).map_err(|error| error.to_string())?;
                // The chain begins with the server's certificate and ends with that of its
                // self-made CA.
                let ca = chain
                    .rfind("-----BEGIN")
                    .filter(|at| *at > 0)
                    .ok_or("no chain yet")?;
                fs::write(plane.ca(), &chain[ca..]).map_err(|error| error.to_string())
            },
        )?;
        fs::write(&kubeconfig, plane.kubeconfig_for(ADMIN_TOKEN))?;
        plane.wait_until_ready()?;
        Ok(plane)
    }

    /// Version of the API server.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The real kubectl as the user `admin`; always of the newest minor.
    pub fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }

    /// The API server's process id.
    pub fn api_server_pid(&self) -> u32 {
        self.apiserver.pid()
    }

    /// The API server's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// File with the CA certificate that signed the API server's certificate.
    pub fn ca(&self) -> PathBuf {
        self.dir.join("ca.crt")
    }

    /// File with the private key that signs ServiceAccount tokens.
    pub fn service_account_key(&self) -> PathBuf {
        self.dir.join("service-accounts.key")
    }

    /// The audit log so far; empty unless [`Options::audit`] is set.
    pub fn audit_log(&self) -> String {
        fs::read_to_string(self.dir.join("audit.log")).unwrap_or_default()
    }

    /// A kubeconfig for a user of [`Options::users`], by token.
    pub fn kubeconfig_for(&self, token: &str) -> String {
        format!(
            r#"apiVersion: v1
kind: Config
current-context: tests
contexts: [{{name: tests, context: {{cluster: tests, user: tests}}}}]
clusters: [{{name: tests, cluster: {{server: "{}", certificate-authority: "{}"}}}}]
users: [{{name: tests, user: {{token: "{token}"}}}}]
"#,
            self.url,
            self.ca().display()
        )
    }

    /// Stops the API server until [`restart_api_server`](Self::restart_api_server).
    pub fn stop_api_server(&self) {
        self.apiserver.stop();
    }

    /// Kills the API server, starts it again on the same port, and waits until it is ready.
    pub fn restart_api_server(&self) -> Result<()> {
        self.apiserver.restart()?;
        self.wait_until_ready()
    }

    /// Suspends etcd: it answers nothing and closes no connection.
    pub fn pause_etcd(&self) -> Result<()> {
        self.etcd.signal(Signal::SIGSTOP)
    }

    /// Resumes etcd.
    pub fn resume_etcd(&self) -> Result<()> {
        self.etcd.signal(Signal::SIGCONT)
    }

    /// Checks that both still run.
    pub fn check(&self) -> Result<()> {
        self.etcd.check()?;
        self.apiserver.check()
    }

    fn wait_until_ready(&self) -> Result<()> {
        eventually_while(
            || self.check(),
            "a ready API server",
            START,
            || {
                self.kubectl.run(&["get", "--raw", "/readyz"])?;
                // The system namespaces may still be missing when the server becomes ready.
                self.kubectl.run(&["get", "namespace", "default"])
            },
        )
        .map(drop)
        .with_context(|| self.apiserver.log_tail(20))
    }
}

fn logs(dir: &Path) -> PathBuf {
    dir.join("log")
}

fn start_etcd(dir: &Path, client: u16, peer: u16) -> Result<Process> {
    let args = [
        format!("--data-dir={}", dir.join("etcd").display()),
        format!("--listen-client-urls=http://127.0.0.1:{client}"),
        format!("--advertise-client-urls=http://127.0.0.1:{client}"),
        format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
        format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"),
        format!("--initial-cluster=default=http://127.0.0.1:{peer}"),
        // The data of a test need not survive a power failure.
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ];
    Process::start("etcd", &tool("etcd"), &args, &logs(dir))
}

fn apiserver_args(
    dir: &Path,
    etcd: u16,
    port: u16,
    service_account_key: &Path,
    options: &Options,
) -> Result<Vec<String>> {
    let address = options.address;
    let key = service_account_key.display();
    let mut args = vec![
        format!("--etcd-servers=http://127.0.0.1:{etcd}"),
        format!("--secure-port={port}"),
        format!("--bind-address={address}"),
        format!("--advertise-address={address}"),
        format!("--cert-dir={}", dir.join("certs").display()),
        format!("--token-auth-file={}", dir.join("tokens.csv").display()),
        format!(
            "--service-account-key-file={}",
            service_account_key.with_extension("pub").display()
        ),
        format!("--service-account-signing-key-file={key}"),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        "--authorization-mode=RBAC".to_owned(),
        "--allow-privileged=true".to_owned(),
        // For kubectl logs and exec: node names do not resolve here.
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        "--profiling=false".to_owned(),
    ];
    if address.is_loopback() {
        // The Service `kubernetes` cannot have a loopback address as endpoint.
        args.push("--endpoint-reconciler-type=none".to_owned());
    }
    if options.audit {
        let policy = dir.join("audit.yaml");
        fs::write(
            &policy,
            "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\n\
             rules: [{level: Metadata}]\n",
        )?;
        args.push(format!("--audit-policy-file={}", policy.display()));
        args.push(format!(
            "--audit-log-path={}",
            dir.join("audit.log").display()
        ));
    }
    args.extend(options.flags.iter().cloned());
    Ok(args)
}

fn tokens(options: &Options) -> String {
    let mut file = format!("{ADMIN_TOKEN},admin,admin,\"system:masters\"\n");
    for (name, groups) in &options.users {
        file.push_str(&format!("{name},{name},{name},\"{}\"\n", groups.join(",")));
    }
    file
}

/// Free ports; all are held until the last is found, so they differ.
fn free_ports(count: usize) -> Result<Vec<u16>> {
    let held: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind(("127.0.0.1", 0)))
        .collect::<Result<_, _>>()?;
    held.iter()
        .map(|listener| Ok(listener.local_addr()?.port()))
        .collect()
}
