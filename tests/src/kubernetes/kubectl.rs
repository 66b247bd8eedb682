//! The real kubectl.

use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::eventually::eventually;
use crate::tools::tool;

/// The time for a Pod of the tests' own to become Ready.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// kubectl for one cluster, and for one namespace if created by [`Kubectl::in_namespace`].
///
/// Every error is kubectl's standard error, the text that a user would read.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    namespace: Option<String>,
    makes_service_accounts: bool,
}

impl Kubectl {
    /// kubectl with this kubeconfig; `makes_service_accounts` if no controller creates them.
    pub fn new(kubeconfig: &Path, makes_service_accounts: bool) -> Self {
        Self {
            program: tool("kubectl"),
            kubeconfig: kubeconfig.to_path_buf(),
            namespace: None,
            makes_service_accounts,
        }
    }

    /// A copy for one namespace.
    pub fn in_namespace(&self, namespace: &str) -> Self {
        Self {
            namespace: Some(namespace.to_owned()),
            ..self.clone()
        }
    }

    /// A copy for the same cluster with another user's kubeconfig.
    pub fn with_kubeconfig(&self, kubeconfig: &Path) -> Self {
        Self {
            kubeconfig: kubeconfig.to_path_buf(),
            ..self.clone()
        }
    }

    /// Path of the kubeconfig, for programs other than kubectl.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    pub(crate) fn makes_service_accounts(&self) -> bool {
        self.makes_service_accounts
    }

    /// Runs kubectl with these arguments and returns its standard output.
    pub fn run(&self, args: &[&str]) -> Result<String, String> {
        self.run_with_input(args, "").map(|(stdout, _)| stdout)
    }

    /// Applies manifests; returns the output, including the API server's warnings.
    pub fn apply(&self, yaml: &str) -> Result<String, String> {
        self.apply_with(&[], yaml)
    }

    /// Applies manifests with further flags, such as `--dry-run=server`.
    pub fn apply_with(&self, flags: &[&str], yaml: &str) -> Result<String, String> {
        self.send("apply", flags, yaml)
    }

    /// Creates objects, `generateName` included; returns the output, including warnings.
    pub fn create(&self, yaml: &str) -> Result<String, String> {
        self.send("create", &[], yaml)
    }

    /// Creates objects with further flags, such as `-o=yaml`.
    pub fn create_with(&self, flags: &[&str], yaml: &str) -> Result<String, String> {
        self.send("create", flags, yaml)
    }

    /// Creates objects with further flags, such as `--dry-run=server`; returns them as the API
    /// server created them, in order, and its warnings, one per line.
    pub fn created(&self, flags: &[&str], yaml: &str) -> Result<(Vec<Value>, String), String> {
        let args = [&["create", "-o=json", "-f", "-"], flags].concat();
        let (stdout, stderr) = self.run_with_input(&args, yaml)?;
        let objects: Result<_, _> = serde_json::Deserializer::from_str(&stdout)
            .into_iter()
            .collect();
        Ok((
            objects.map_err(|error| format!("{error}: {stdout}"))?,
            stderr,
        ))
    }

    /// Gets objects as JSON: `get_json(&["pod", "web"])`.
    pub fn get_json(&self, what: &[&str]) -> Result<Value, String> {
        let mut args = vec!["get", "-o=json"];
        args.extend(what);
        serde_json::from_str(&self.run(&args)?).map_err(|error| error.to_string())
    }

    /// Runs a command in a Pod's container (the first one if none is named).
    pub fn exec(
        &self,
        pod: &str,
        container: Option<&str>,
        command: &[&str],
    ) -> Result<String, String> {
        let mut args = vec!["exec", pod];
        args.extend(container.iter().flat_map(|name| ["-c", name]));
        args.push("--");
        args.extend(command);
        self.run(&args)
    }

    /// A container's log.
    pub fn logs(&self, pod: &str, container: &str) -> Result<String, String> {
        self.run(&["logs", pod, "-c", container])
    }

    /// Waits until a container's log is exactly this text: a Pod may be Ready before its first
    /// line.
    pub fn wait_for_log(&self, pod: &str, container: &str, expected: &str) -> Result<(), String> {
        let what = format!("{expected:?} from {pod}/{container}");
        eventually(&what, Duration::from_secs(60), || {
            match self.logs(pod, container)? {
                log if log == expected => Ok(()),
                log => Err(format!("{log:?}")),
            }
        })
    }

    /// The log of the container's previous run.
    pub fn previous_logs(&self, pod: &str, container: &str) -> Result<String, String> {
        self.run(&["logs", pod, "-c", container, "--previous"])
    }

    /// Deletes an object immediately and waits until it is gone.
    pub fn delete(&self, kind: &str, name: &str) -> Result<String, String> {
        self.run(&["delete", kind, name, "--now"])
    }

    /// Applies manifests, a Pod's among them, and waits until it is Ready; the error has the namespace's
    /// state.
    pub fn start(&self, pod: &str, manifests: &[Value]) -> Result<(), String> {
        for manifest in manifests {
            self.apply(&manifest.to_string())?;
        }
        self.wait_ready(pod, START_TIMEOUT)
            .map_err(|error| format!("{error}\n{}", self.report()))
    }

    /// Waits until a Pod is Ready; on time-out the error is the output of `kubectl describe`.
    pub fn wait_ready(&self, pod: &str, timeout: Duration) -> Result<(), String> {
        self.wait_for(&format!("pod/{pod}"), "condition=Ready", timeout)
    }

    /// Waits for a condition of `kubectl wait --for`; on time-out the error is the output of
    /// `kubectl describe`.
    pub fn wait_for(&self, object: &str, state: &str, timeout: Duration) -> Result<(), String> {
        let timeout = format!("--timeout={}s", timeout.as_secs());
        self.run(&["wait", object, &format!("--for={state}"), &timeout])
            .map(drop)
            .map_err(|error| {
                let described = self
                    .run(&["describe", object])
                    .unwrap_or_else(|error| error);
                format!("{object} never had {state}: {error}\n{described}")
            })
    }

    /// Output of `kubectl describe` for an object.
    pub fn describe(&self, kind: &str, name: &str) -> Result<String, String> {
        self.run(&["describe", kind, name])
    }

    /// A Pod's address.
    pub fn pod_ip(&self, pod: &str) -> Result<String, String> {
        match self.run(&["get", "pod", pod, "-o=jsonpath={.status.podIP}"])? {
            ip if ip.is_empty() => Err(format!("pod {pod} has no address yet")),
            ip => Ok(ip),
        }
    }

    /// A Service's ClusterIP.
    pub fn cluster_ip(&self, service: &str) -> Result<String, String> {
        self.run(&["get", "service", service, "-o=jsonpath={.spec.clusterIP}"])
    }

    /// Fetches a page of a Pod through the API server, which works on every cluster.
    pub fn page(&self, pod: &str, port: u16, path: &str) -> Result<String, String> {
        let namespace = self.namespace.as_deref().unwrap_or("default");
        let path = path.trim_start_matches('/');
        let raw = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/{path}");
        self.run(&["get", "--raw", &raw])
    }

    /// Diagnostics after a failure: Pods, events, states, the ends of the logs.
    pub fn report(&self) -> String {
        let mut text = String::new();
        for args in [
            &["get", "all", "-o=wide"][..],
            &["get", "events", "--sort-by=.lastTimestamp"],
            &["describe", "pods"],
        ] {
            let printed = self.run(args).unwrap_or_else(|error| error);
            text.push_str(&format!("--- kubectl {}\n{printed}\n", args.join(" ")));
        }
        let pods = self.run(&["get", "pods", "-o=name"]).unwrap_or_default();
        for pod in pods.lines() {
            let args = ["logs", pod, "--all-containers", "--prefix", "--tail=20"];
            let printed = self.run(&args).unwrap_or_else(|error| error);
            text.push_str(&format!("--- kubectl {}\n{printed}\n", args.join(" ")));
        }
        text
    }

    fn send(&self, verb: &str, flags: &[&str], yaml: &str) -> Result<String, String> {
        let mut args = vec![verb, "-f", "-"];
        args.extend(flags);
        let (stdout, stderr) = self.run_with_input(&args, yaml)?;
        Ok(stdout + &stderr)
    }

    fn run_with_input(&self, args: &[&str], input: &str) -> Result<(String, String), String> {
        let output = self
            .output(args, input)
            .map_err(|error| format!("run kubectl: {error}"))?;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            return Ok((stdout, stderr));
        }
        // A failed command in a container often explains the reason on its standard output.
        Err(if stdout.is_empty() {
            stderr
        } else {
            stderr + &stdout
        })
    }

    fn output(&self, args: &[&str], input: &str) -> std::io::Result<Output> {
        let mut command = Command::new(&self.program);
        command.arg("--kubeconfig").arg(&self.kubeconfig);
        command.args(self.namespace.iter().flat_map(|name| ["--namespace", name]));
        command
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let stdin = child.stdin.take();
        // kubectl prints while it still reads, and both pipes have a limit.
        thread::scope(|scope| {
            scope.spawn(|| {
                if let Some(mut stdin) = stdin {
                    // kubectl may exit before it has read everything, for example because of an
                    // unknown flag.
                    let _ = stdin.write_all(input.as_bytes());
                }
            });
            child.wait_with_output()
        })
    }
}
