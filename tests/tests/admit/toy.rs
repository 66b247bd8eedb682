//! Minimal third-party webhooks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::SystemTime;

use anyhow::Context;
use anyhow::Result;
use anyhow::anyhow;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certs::Bundle;
use certs::Leaf;
use certs::Names;
use certs::Serving;
use inject::Settings;
use serde_json::Value;
use serde_json::json;
use tests::eventually::eventually;
use tests::installation::world::World;
use tests::kubernetes::kubectl::Kubectl;
use tests::kubernetes::namespace::Namespace;
use tokio::runtime::Runtime;
use webhook::cluster::known::Known;
use webhook::server;
use webhook::server::Config;
use webhook::server::Limits;
use webhook::server::Running;
use webhook::server::judge::Failure;
use webhook::server::judge::Verdict;

/// Registration of a toy webhook.
pub(crate) struct Registration {
    /// Whether it is called before ours. API servers call webhooks in the order of their
    /// configurations' names; ours is `gitvolume`.
    pub(crate) before_us: bool,
    pub(crate) failure_policy: &'static str,
    pub(crate) match_condition: Option<&'static str>,
}

/// After our webhook, and for every Pod of its namespace.
pub(crate) const AFTER_US: Registration = Registration {
    before_us: false,
    failure_policy: "Fail",
    match_condition: None,
};

/// A mutating webhook that responds to each creation of a Pod in one namespace with a patch.
pub(crate) struct Toy {
    calls: Arc<AtomicUsize>,
    name: String,
    kubectl: Kubectl,
    // Declared first: the server must be dropped before its runtime.
    _running: Running,
    _runtime: Runtime,
}

impl Toy {
    /// Starts and registers it. `patch` returns the operations (RFC 6902) for a Pod; null means a
    /// response of 500 without a patch.
    pub(crate) fn start(
        world: &World,
        namespace: &Namespace,
        registration: &Registration,
        patch: impl Fn(&Value) -> Value + Send + Sync + 'static,
    ) -> Result<Self> {
        let calls = Arc::new(AtomicUsize::new(0));
        let bundle = Bundle::generate(SystemTime::now())?;
        let serving = Serving::new();
        serving.set_leaf(Leaf::issue(&bundle, &Names::local(), SystemTime::now())?);
        let listen = "127.0.0.1:0".parse()?;
        let config = Config {
            listen,
            admin_listen: listen,
            limits: Limits::default(),
        };
        let judge = {
            let calls = Arc::clone(&calls);
            move |body: &[u8]| {
                calls.fetch_add(1, Ordering::SeqCst);
                answer(body, &patch)
            }
        };
        let runtime = Runtime::new()?;
        let running = runtime.block_on(server::start(
            config,
            serving,
            Known::only(Settings::new("none")),
            Arc::new(judge),
        ))?;
        let order = if registration.before_us { "a" } else { "z" };
        let toy = Self {
            calls,
            name: format!("{order}-{}", namespace.name()),
            kubectl: world.kubectl().clone(),
            _running: running,
            _runtime: runtime,
        };
        toy.register(namespace, registration, toy._running.address(), &bundle)?;
        Ok(toy)
    }

    /// Number of calls.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn register(
        &self,
        namespace: &Namespace,
        registration: &Registration,
        address: SocketAddr,
        bundle: &Bundle,
    ) -> Result<()> {
        let conditions = registration
            .match_condition
            .map(|expression| json!([{"name": "condition", "expression": expression}]));
        let configuration = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": self.name},
            "webhooks": [{
                "name": "toy.example.com",
                "admissionReviewVersions": ["v1"],
                "clientConfig": {
                    "url": format!("https://{address}/mutate"),
                    "caBundle": STANDARD.encode(bundle.pem()),
                },
                "namespaceSelector": {
                    "matchLabels": {"kubernetes.io/metadata.name": namespace.name()},
                },
                "rules": [{
                    "operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"],
                    "resources": ["pods"],
                }],
                "matchConditions": conditions.unwrap_or(json!([])),
                "failurePolicy": registration.failure_policy,
                "sideEffects": "None",
                "timeoutSeconds": 5,
            }],
        });
        let to_error = |error: String| anyhow!(error);
        self.kubectl
            .create(&configuration.to_string())
            .map_err(to_error)?;
        // The API server's watch delivers the registration with a short delay.
        let probe = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "probe", "annotations": {"example.com/probe": ""}},
            "spec": {"containers": [{"name": "x", "image": "x"}]},
        });
        eventually("a toy in force", Duration::from_secs(30), || {
            let output = namespace.create_with(&["--dry-run=server"], &probe.to_string());
            match self.calls() {
                0 => Err(format!("{output:?}")),
                _ => Ok(()),
            }
        })
        .map_err(to_error)
        .context("the toy is never asked")
    }
}

impl Drop for Toy {
    fn drop(&mut self) {
        let kind = "mutatingwebhookconfiguration";
        let _ = self.kubectl.run(&["delete", kind, &self.name]);
    }
}

fn answer(body: &[u8], patch: impl Fn(&Value) -> Value) -> Result<Verdict, Failure> {
    let review: Value = serde_json::from_slice(body).map_err(|error| Failure::Unreadable {
        cause: error.to_string(),
    })?;
    let patch = match patch(&review["request"]["object"]) {
        Value::Null => {
            return Err(Failure::Internal {
                namespace: String::new(),
                pod: String::new(),
                cause: "a toy that fails".to_owned(),
            });
        }
        patch => patch.to_string(),
    };
    let response = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "response": {
            "uid": review["request"]["uid"], "allowed": true,
            "patchType": "JSONPatch", "patch": STANDARD.encode(&patch),
        },
    });
    Ok(Verdict {
        body: response.to_string().into_bytes(),
        namespace: String::new(),
        pod: String::new(),
        decision: "inject",
        reason: "toy",
        patch_bytes: patch.len(),
        dry_run: false,
    })
}
