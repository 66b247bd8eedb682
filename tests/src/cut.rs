//! Pods that lose the API server, while it can still call them.

use std::process::Command;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;

use crate::control_plane::ControlPlane;

/// A cut between Pods and the API server of the node: their connections are torn and new ones
/// refused, until this is dropped.
#[derive(Debug)]
pub struct Cut {
    rules: Vec<Vec<String>>,
}

impl Cut {
    /// Cuts the Pods with these addresses off.
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
            let rule: Vec<String> = rule.split_whitespace().map(str::to_owned).collect();
            run("iptables", &[&["-w", "-I"], &words(&rule)[..]].concat())?;
            cut.rules.push(rule);
            let sockets = format!("src {address} sport = :{port} dst {pod}");
            let sockets: Vec<&str> = sockets.split(' ').collect();
            run("ss", &[&["-K"], &sockets[..]].concat())?;
        }
        Ok(cut)
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        for rule in &self.rules {
            if let Err(error) = run("iptables", &[&["-w", "-D"], &words(rule)[..]].concat()) {
                eprintln!("{error:#}");
            }
        }
    }
}

fn words(rule: &[String]) -> Vec<&str> {
    rule.iter().map(String::as_str).collect()
}

fn run(program: &str, args: &[&str]) -> Result<()> {
    let said = Command::new(program).args(args).output();
    let said = said.with_context(|| format!("run {program}"))?;
    if !said.status.success() {
        let error = String::from_utf8_lossy(&said.stderr);
        bail!("{program} {}: {error}", args.join(" "));
    }
    Ok(())
}
