//! vault-k8s, a webhook in Go that injects a sidecar by annotations.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::anyhow;
use rcgen::CertifiedKey;
use rcgen::generate_simple_self_signed;
use tests::eventually::eventually;
use tests::kubernetes::control_plane::ControlPlane;
use tests::kubernetes::control_plane::Options;
use tests::process::Process;

use crate::load::Client;
use crate::load::Target;
use crate::review;

/// The API server's user for vault-k8s, and that user's token.
const USER: &str = "vault-k8s";

/// Mounts the ServiceAccount's files where client-go expects them, in its own mount namespace.
const INSIDE: &str = r#"
set -eu
program=$1 ca=$(cat "$2") token=$3 host=$4 port=$5
shift 5
mount -t tmpfs tmpfs /run
dir=/run/secrets/kubernetes.io/serviceaccount
mkdir -p "$dir"
printf '%s\n' "$ca" >"$dir/ca.crt"
printf '%s' "$token" >"$dir/token"
printf 'default' >"$dir/namespace"
exec env KUBERNETES_SERVICE_HOST="$host" KUBERNETES_SERVICE_PORT="$port" "$program" "$@"
"#;

/// A running vault-k8s with its own API server.
pub(crate) struct Vault {
    // The webhook is the first field: it is dropped, and so stopped, before its API server.
    process: Process,
    _plane: ControlPlane,
    target: Target,
}

impl Vault {
    /// Starts both in a directory and waits until the webhook answers.
    pub(crate) fn start(program: &Path, dir: &Path) -> Result<Self> {
        let users = vec![(USER.to_owned(), vec!["system:masters".to_owned()])];
        let options = Options {
            users,
            ..Options::default()
        };
        let plane = ControlPlane::start(&dir.join("plane"), &options)?;
        let (host, port) = plane
            .url()
            .strip_prefix("https://")
            .and_then(|url| url.rsplit_once(':'))
            .context("the API server's address")?;

        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec!["127.0.0.1".to_owned()])?;
        let (ca, key) = (dir.join("vault.crt"), dir.join("vault.key"));
        fs::write(&ca, cert.pem())?;
        fs::write(&key, signing_key.serialize_pem())?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();

        let text = |path: &Path| path.display().to_string();
        let mut args: Vec<String> = ["--mount", "--propagation=private", "sh", "-c", INSIDE, "sh"]
            .map(str::to_owned)
            .into();
        args.extend([
            text(program),
            text(&plane.ca()),
            USER.to_owned(),
            host.to_owned(),
            port.to_owned(),
            "agent-inject".to_owned(),
            format!("-listen={address}"),
            format!("-tls-cert-file={}", ca.display()),
            format!("-tls-key-file={}", key.display()),
            "-vault-address=http://127.0.0.1:8200".to_owned(),
        ]);
        let process = Process::start(USER, Path::new("unshare"), &args, &dir.join("log"))?;
        let vault = Self {
            process,
            _plane: plane,
            target: Target {
                address,
                ca,
                path: "/mutate",
                body: review::for_vault()?.into(),
            },
        };
        eventually("vault-k8s that answers", Duration::from_secs(60), || {
            vault.process.check()?;
            Client::connect(&vault.target, 1)?.at_once(1)
        })
        .map_err(|error| {
            let log = vault.process.log_tail(20);
            anyhow!("{error} (it needs root, for a mount namespace)\n{log}")
        })?;
        Ok(vault)
    }

    /// The address and the requests for the load.
    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }
}
