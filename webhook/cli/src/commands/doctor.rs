//! `gitvolume doctor`: checks a cluster and reports the problems of the installation and of the
//! Pods that use repositories, with remedies. It changes nothing in the cluster.
//!
//! [`mod@collect`] reads [`facts`] from the API server, [`mod@judge`] turns facts into findings,
//! [`report`] prints them. [`finding`] is the table of all checks.

pub mod cache;
pub mod collect;
pub mod facts;
pub mod finding;
pub mod judge;
pub mod mesh;
pub mod pods;
pub mod report;
pub mod syncer;
pub(crate) mod value;

use clap::Args;
use clap::ValueEnum;

use self::collect::Scope;
use self::collect::collect;
use self::facts::Facts;
use self::finding::Finding;
use self::judge::judge;
use self::report::Counts;
use crate::Exit;
use crate::live::ClusterReader;
use crate::live::ConnectArgs;
use crate::manifests::output::printed;
use crate::report::Report;

/// Flags of `doctor`.
#[derive(Args, Clone, Debug)]
pub struct DoctorArgs {
    /// Which cluster.
    #[command(flatten)]
    pub connect: ConnectArgs,

    /// Check the Pods, workloads and GitVolumes of this namespace only
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Option<String>,

    /// Check all namespaces (the default)
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,

    /// The output format
    #[arg(short, long, value_enum, default_value = "text")]
    pub output: Format,

    /// Exit with code 1 for warnings, too
    #[arg(long)]
    pub strict: bool,

    /// Read the Secrets that annotations name, the Secret of the webhook's CA and those of the caches'
    /// certificates, to check that they exist and what they contain. Their contents are never printed
    #[arg(long)]
    pub secrets: bool,

    /// Do not send a trial Pod to the API server (a server-side dry run in the given namespace or in
    /// `default`, which creates nothing)
    #[arg(long)]
    pub no_trial: bool,
}

/// How findings are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Format {
    /// One JSON document
    Json,
    /// Human-readable text
    Text,
}

/// Runs the command.
pub fn run(args: DoctorArgs) -> anyhow::Result<Exit> {
    let DoctorArgs {
        connect,
        namespace,
        all_namespaces: _,
        output,
        strict,
        secrets,
        no_trial,
    } = args;
    let trial = namespace.clone().unwrap_or_else(|| "default".to_owned());
    let scope = Scope {
        namespace,
        trial: Some(trial).filter(|_| !no_trial),
        secrets,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let facts = runtime.block_on(async {
        let live = ClusterReader::connect(&connect).await?;
        anyhow::Ok(collect(&live, &scope).await)
    })?;
    let findings = judge(&facts);
    let text = match output {
        Format::Text => report::to_text(&facts, &findings),
        Format::Json => serde_json::to_string_pretty(&report::to_json(&facts, &findings))? + "\n",
    };
    match printed(&text, &mut Report::default()) {
        Exit::Done => Ok(ends(&facts, &findings, strict)),
        exit => Ok(exit),
    }
}

/// The exit code: findings take precedence over facts that are unavailable.
fn ends(facts: &Facts, findings: &[Finding], strict: bool) -> Exit {
    let Counts {
        errors, warnings, ..
    } = Counts::of(findings);
    if errors > 0 || (strict && warnings > 0) {
        return Exit::Found;
    }
    match facts.unseen.is_empty() {
        true => Exit::Done,
        false => Exit::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding as f;
    use crate::commands::doctor::finding::Place;

    #[test]
    fn findings_take_precedence_over_unavailable_facts_in_the_exit_code() {
        let seen = Facts::default();
        let unseen = Facts {
            unseen: vec![("the nodes".to_owned(), "no".to_owned())],
            ..Facts::default()
        };
        let found = |check| vec![Finding::new(check, Place::cluster("Node", "n"), "x")];
        for (facts, findings, strict, exit) in [
            (&seen, Vec::new(), false, Exit::Done),
            (&unseen, Vec::new(), false, Exit::Wrong),
            (&seen, found(f::POD_OUTDATED), false, Exit::Done),
            (&seen, found(f::POD_OUTDATED), true, Exit::Found),
            (&seen, found(f::GUARD_MISSING), true, Exit::Done),
            (&unseen, found(f::NO_ENDPOINTS), false, Exit::Found),
        ] {
            assert_eq!(ends(facts, &findings, strict), exit, "{findings:?}");
        }
    }
}
