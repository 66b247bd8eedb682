//! `gitvolume status`: which commit each Pod of a cluster has published, by the syncers' own
//! reports.
//!
//! [`pods`] finds the Pods, [`state`] is what a syncer reports, [`syncers`] reads it, [`report`]
//! prints it.

pub mod pods;
pub mod report;
pub mod state;
pub mod syncers;

use clap::Args;
use jiff::Timestamp;

use self::pods::Target;
use self::state::PodState;
use crate::Exit;
use crate::commands::doctor::Format;
use crate::live::ClusterReader;
use crate::live::ConnectArgs;
use crate::manifests::output::printed;
use crate::report::Report;

/// Flags of `status`.
#[derive(Args, Clone, Debug)]
pub struct StatusArgs {
    /// A Pod, a workload such as deploy/web, or a GitVolume such as gitvolume/site; by default all
    /// Pods of the namespace
    #[arg(value_name = "KIND/NAME", conflicts_with = "all_namespaces")]
    pub object: Option<String>,

    /// Which cluster.
    #[command(flatten)]
    pub connect: ConnectArgs,

    /// The namespace; by default the one of the context
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Option<String>,

    /// The Pods of all namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,

    /// The output format
    #[arg(short, long, value_enum, default_value = "text")]
    pub output: Format,
}

/// Runs the command.
pub fn run(args: StatusArgs) -> anyhow::Result<Exit> {
    let StatusArgs {
        object,
        connect,
        namespace,
        all_namespaces,
        output,
    } = args;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let states = runtime.block_on(async {
        let live = ClusterReader::connect(&connect).await?;
        let namespace = namespace.unwrap_or_else(|| live.namespace().to_owned());
        let target = match (object, all_namespaces) {
            (Some(object), _) => Target::of_object(&object, &namespace)?,
            (None, true) => Target::Everywhere,
            (None, false) => Target::Namespace(namespace),
        };
        let pods = pods::list(&live, &target).await?;
        anyhow::Ok(syncers::read_all(&live, &pods).await)
    })?;
    let mut report = Report::default();
    if states.is_empty() {
        report.note("no Pod with a repository was found");
    }
    let text = match output {
        Format::Text => report::to_text(&states, all_namespaces, Timestamp::now()),
        Format::Json => serde_json::to_string_pretty(&report::to_json(&states))? + "\n",
    };
    match printed(&text, &mut report) {
        Exit::Done => Ok(ends(&states)),
        exit => Ok(exit),
    }
}

/// The exit code: a problem of a Pod takes precedence over a state that cannot be read.
fn ends(states: &[PodState]) -> Exit {
    if states.iter().any(PodState::has_problem) {
        return Exit::Found;
    }
    match states.iter().any(|pod| pod.unreadable().is_some()) {
        true => Exit::Wrong,
        false => Exit::Done,
    }
}
