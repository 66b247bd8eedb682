//! A network partition between Pods and the API server, in which the API server can still call the
//! Pods.

use std::process::Command;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;

use crate::kubernetes::control_plane::ControlPlane;

/// Blocks the connections from Pods to the node's API server: open ones are reset and new ones
/// refused, until it is dropped.
#[derive(Debug)]
pub struct Cut {
    rules: Vec<String>,
}

impl Cut {
    /// Blocks the Pods with these addresses.
    pub fn between(pods: &[String], plane: &ControlPlane) -> Result<Self> {
        let address = plane.url().strip_prefix("https://");
        let (address, port) = address
            .and_then(|address| address.rsplit_once(':'))
            .context("the API server's address")?;
        let mut cut = Self { rules: Vec::new() };
        for pod in pods {
            let rule = format!(
                "INPUT --source {pod} --destination {address} --protocol tcp --dport {port} \
                 --jump REJECT --reject-with tcp-reset"
            );
            run(&format!("iptables -w -I {rule}"))?;
            cut.rules.push(rule);
            run(&format!("ss -K src {address} sport = :{port} dst {pod}"))?;
        }
        Ok(cut)
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        for rule in &self.rules {
            if let Err(error) = run(&format!("iptables -w -D {rule}")) {
                eprintln!("{error:#}");
            }
        }
    }
}

fn run(command: &str) -> Result<()> {
    let mut words = command.split_whitespace();
    let output = Command::new(words.next().unwrap_or_default())
        .args(words)
        .output()
        .with_context(|| format!("run {command}"))?;
    if !output.status.success() {
        bail!("{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
