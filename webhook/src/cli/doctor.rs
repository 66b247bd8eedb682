//! `gitvolume doctor`: looks at a cluster and says what is wrong with the installation, with the Pods
//! that ask for repositories, and what to do about it. It writes nothing.
//!
//! [`mod@collect`] makes [`facts`] of what the API server tells, [`mod@judge`] makes findings of the facts,
//! [`report`] tells them. [`finding`] is the table of all there are.

pub mod collect;
pub mod facts;
pub mod finding;
pub mod judge;
pub mod mesh;
pub mod pods;
pub mod report;
pub mod syncer;

use clap::Args;
use clap::ValueEnum;

use self::collect::Scope;
use self::collect::collect;
use self::facts::Facts;
use self::finding::Finding;
use self::judge::judge;
use self::report::Counts;
use crate::cli::Exit;
use crate::cli::live::ConnectArgs;
use crate::cli::live::Live;
use crate::cli::output::printed;
use crate::cli::report::Report;

/// Flags of `doctor`.
#[derive(Args, Clone, Debug)]
pub struct DoctorArgs {
    /// Which cluster.
    #[command(flatten)]
    pub connect: ConnectArgs,

    /// Look at the Pods, workloads and GitVolumes of this namespace alone
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Option<String>,

    /// Look at those of all namespaces, as without --namespace
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,

    /// How it is written
    #[arg(short, long, value_enum, default_value = "text")]
    pub output: Format,

    /// End with code 1 where there are warnings, too
    #[arg(long)]
    pub strict: bool,

    /// Read the Secrets that annotations name, and that of the webhook's CA: whether they are there,
    /// and which keys they have. Their contents are never shown
    #[arg(long)]
    pub secrets: bool,

    /// Do not ask the API server what would become of a Pod with an annotation (a server-side dry
    /// run, in the namespace given or in `default`, that makes nothing)
    #[arg(long)]
    pub no_trial: bool,
}

/// How findings are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Format {
    /// One document
    Json,
    /// For people
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
        let live = Live::connect(&connect).await?;
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

/// How it ends: what was found counts more than what was not looked at.
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
    use crate::cli::doctor::finding as f;
    use crate::cli::doctor::finding::Place;

    #[test]
    fn the_code_tells_what_was_found_and_then_what_was_not_looked_at() {
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
