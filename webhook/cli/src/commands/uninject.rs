//! `gitvolume uninject`: removes an injection from manifests, such as the output of `kubectl get -o
//! yaml`.

use clap::Args;
use json_patch::jsonptr::PointerBuf;

use crate::Exit;
use crate::args::InputArgs;
use crate::args::OutputArgs;
use crate::commands::inject::unreadable;
use crate::manifests::edit;
use crate::manifests::edit::Judged;
use crate::manifests::files;
use crate::manifests::output;
use crate::manifests::residue::gone;
use crate::manifests::residue::residue;
use crate::manifests::unhandled::Purpose;
use crate::manifests::workloads::Object;
use crate::report::Report;

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
                        "its imagePullSecrets are kept: without the annotation gitvolume.dev/status it is unknown which of them gitvolume added"
                            .to_owned(),
                    );
                }
                let Some(patch) = patch else { continue };
                let mut after = pod.clone();
                if json_patch::patch(&mut after, &patch).is_ok() {
                    judged.left.extend(residue(pod, &after));
                    judged.left.extend(gone(pod));
                }
                let operations = patch.0.into_iter();
                let operations = operations.map(|own| edit::under(&root, own));
                judged.patch.extend(operations);
            }
            Err(error) => judged.errors.push(unreadable(error)),
        }
    }
    judged
}
