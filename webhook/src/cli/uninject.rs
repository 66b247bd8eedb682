//! `gitvolume uninject`: takes an injection out of manifests again, such as those that
//! `kubectl get -o yaml` shows.

use clap::Args;
use json_patch::jsonptr::PointerBuf;

use crate::cli::Exit;
use crate::cli::args::InputArgs;
use crate::cli::args::OutputArgs;
use crate::cli::edit;
use crate::cli::edit::Judged;
use crate::cli::files;
use crate::cli::inject::unreadable;
use crate::cli::output;
use crate::cli::report::Report;
use crate::cli::unhandled::Purpose;
use crate::cli::workloads::Object;

/// Flags of `uninject`.
#[derive(Args, Clone, Debug)]
pub struct UninjectArgs {
    /// Which manifests.
    #[command(flatten)]
    pub input: InputArgs,

    /// Where they go.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Runs the command.
pub fn run(args: UninjectArgs) -> anyhow::Result<Exit> {
    let UninjectArgs { input, output } = args;
    let mut report = Report::default();
    let files = files::read(&input.filenames, &mut report);
    let edited = edit::edit(files, Purpose::Uninject, &mut report, judge);
    Ok(output::write(&edited, output, &mut report))
}

fn judge(object: &Object<'_>) -> Judged {
    let mut judged = Judged::default();
    for (at, pod) in object.templates() {
        let root = PointerBuf::parse(at).unwrap_or_default();
        match inject::uninject(pod) {
            Ok(patch) => {
                let secrets = pod["spec"]["imagePullSecrets"].as_array();
                let is_lost = patch.is_some() && !inject::has_status(pod);
                if is_lost && secrets.is_some_and(|own| !own.is_empty()) {
                    judged.warnings.push(
                        "its imagePullSecrets stay: without the annotation gitvolume.dev/status \
                         nothing tells which of them were added"
                            .to_owned(),
                    );
                }
                let operations = patch.into_iter().flat_map(|patch| patch.0);
                let operations = operations.map(|own| edit::under(&root, own));
                judged.patch.extend(operations);
            }
            Err(error) => judged.errors.push(unreadable(error)),
        }
    }
    judged
}
