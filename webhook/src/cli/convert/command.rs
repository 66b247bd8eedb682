use clap::Args;
use json_patch::jsonptr::PointerBuf;

use super::Conversion;
use super::convert;
use crate::cli::Exit;
use crate::cli::args::InputArgs;
use crate::cli::args::OutputArgs;
use crate::cli::edit;
use crate::cli::edit::Judged;
use crate::cli::files;
use crate::cli::output;
use crate::cli::report::Report;
use crate::cli::workloads::Object;

/// Flags of `convert`.
#[derive(Args, Clone, Debug)]
pub struct ConvertArgs {
    /// Which manifests.
    #[command(flatten)]
    pub input: InputArgs,

    /// Where they go.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Runs the command. What is left as it is is told of, and is no error.
pub fn run(args: ConvertArgs) -> Exit {
    let ConvertArgs { input, output } = args;
    let mut report = Report::default();
    let files = files::read(&input.filenames, &mut report);
    let edited = edit::edit(files, &mut report, judge);
    output::write(&edited, output, &mut report)
}

pub(super) fn judge(object: &Object<'_>) -> Judged {
    let Some((at, template)) = object
        .pod
        .and_then(|at| Some((at, object.value.pointer(at)?)))
    else {
        return Judged::default();
    };
    let root = PointerBuf::parse(at).unwrap_or_default();
    let Conversion { patch, notes } = convert(template);
    let patch = patch.0.into_iter();
    Judged {
        patch: patch.map(|own| edit::under(&root, own)).collect(),
        notes: notes.iter().map(ToString::to_string).collect(),
        errors: Vec::new(),
    }
}
