//! A namespace for one test.

use std::ops::Deref;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::eventually::eventually;
use crate::kubernetes::kubectl::Kubectl;

/// A namespace that exists as long as this value; it derefs to the [`Kubectl`] that it contains.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    kubectl: Kubectl,
    kept: bool,
}

impl Namespace {
    /// Creates a namespace with these labels; its name contains the test's name.
    pub fn create(cluster: &Kubectl, test: &str, labels: &[(&str, &str)]) -> Result<Self, String> {
        let name = unique_name(test);
        let labels: String = labels
            .iter()
            .map(|(key, value)| format!("    {key}: \"{value}\"\n"))
            .collect();
        let yaml = format!(
            "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n  labels:\n    \
             gitvolume.test/namespace: \"\"\n{labels}"
        );
        cluster.create(&yaml)?;
        let kubectl = cluster.in_namespace(&name);
        let namespace = Self {
            name,
            kubectl,
            kept: false,
        };
        namespace.await_service_account()?;
        Ok(namespace)
    }

    /// The namespace's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Keeps the namespace after the test, for inspection.
    pub fn keep(&mut self) {
        self.kept = true;
    }

    /// Waits for the `default` ServiceAccount: without it no Pod is admitted.
    fn await_service_account(&self) -> Result<(), String> {
        if self.kubectl.makes_service_accounts() {
            return self.run(&["create", "serviceaccount", "default"]).map(drop);
        }
        eventually(
            "the default ServiceAccount",
            Duration::from_secs(60),
            || self.run(&["get", "serviceaccount", "default"]),
        )
        .map(drop)
    }
}

impl Deref for Namespace {
    type Target = Kubectl;

    fn deref(&self) -> &Kubectl {
        &self.kubectl
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("namespace {}:\n{}", self.name, self.report());
        }
        if !self.kept {
            // Without waiting: the cluster deletes it in the background, and a plain API server
            // never does.
            let _ = self.run(&["delete", "namespace", &self.name, "--wait=false"]);
        }
    }
}

/// `module::a_pod_is_ready` becomes `a-pod-is-ready-<pid>-<n>`, at most the 63 bytes of a label.
fn unique_name(test: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let last = test.rsplit("::").next().unwrap_or(test);
    let mut name: String = last
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    name.truncate(40);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    // The PID distinguishes parallel runs on one external cluster.
    format!(
        "t-{}-{}-{count}",
        name.trim_matches('-'),
        std::process::id()
    )
}
