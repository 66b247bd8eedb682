//! `gitvolume diff`: the changes that `inject` would make, as a unified diff.

use std::fmt::Write;
use std::time::Duration;
use std::time::Instant;

use clap::Args;
use similar::Algorithm;
use similar::DiffOp;
use similar::capture_diff_slices_deadline;
use similar::group_diff_ops;

use crate::Exit;
use crate::args::InputArgs;
use crate::commands::inject;
use crate::commands::inject::IMAGE_HELP;
use crate::manifests::edit::Edited;
use crate::manifests::output;
use crate::report::Report;
use webhook::settings::SettingsArgs;

/// Context lines around a change.
const CONTEXT: usize = 3;

/// Timeout of the search for the shortest diff of a document; after it a longer diff is used, which
/// is equally correct.
const LONGEST: Duration = Duration::from_secs(2);

/// Flags of `diff`.
#[derive(Args, Clone, Debug)]
#[command(mut_arg("syncer_image", |arg| arg.help(IMAGE_HELP)))]
pub struct DiffArgs {
    /// Which manifests.
    #[command(flatten)]
    pub input: InputArgs,

    /// What is injected.
    #[command(flatten)]
    pub settings: SettingsArgs,
}

/// Runs the command. As with diff(1), the exit code is 1 if there is a difference, or if a part was
/// left unchanged.
pub fn run(args: DiffArgs) -> anyhow::Result<Exit> {
    let mut report = Report::default();
    let edited = inject::edited(&args.input, args.settings, &mut report)?;
    let text: String = edited.iter().map(unified).collect();
    let written = output::printed(&text, &mut report);
    Ok(match written {
        _ if report.has_errors() => Exit::Wrong,
        Exit::Done if !text.is_empty() || report.has_left() => Exit::Different,
        exit => exit,
    })
}

/// The unified diff of one file; empty without a change. Documents are compared one by one, so the
/// time grows linearly with their number.
pub(crate) fn unified(edited: &Edited) -> String {
    if !edited.is_changed() {
        return String::new();
    }
    let mut old: Vec<&str> = Vec::new();
    let mut new: Vec<&str> = Vec::new();
    let mut operations: Vec<DiffOp> = Vec::new();
    for (before, after) in &edited.documents {
        let (old_start, new_start) = (old.len(), new.len());
        old.extend(before.split_inclusive('\n'));
        new.extend(after.split_inclusive('\n'));
        let (before, after) = (&old[old_start..], &new[new_start..]);
        if before == after {
            push(
                &mut operations,
                DiffOp::Equal {
                    old_index: old_start,
                    new_index: new_start,
                    len: before.len(),
                },
            );
            continue;
        }
        let deadline = Some(Instant::now() + LONGEST);
        for operation in capture_diff_slices_deadline(Algorithm::Myers, before, after, deadline) {
            push(&mut operations, moved(operation, old_start, new_start));
        }
    }
    let name = &edited.file.name;
    let mut text = format!("--- {name}\n+++ {name} (injected)\n");
    for group in group_diff_ops(operations, CONTEXT) {
        hunk(&mut text, &group, &old, &new);
    }
    text
}

/// Appends an operation; joins equal parts on both sides of a document boundary.
fn push(operations: &mut Vec<DiffOp>, operation: DiffOp) {
    if let (Some(DiffOp::Equal { len, .. }), DiffOp::Equal { len: further, .. }) =
        (operations.last_mut(), &operation)
    {
        *len += further;
    } else if !operation.old_range().is_empty() || !operation.new_range().is_empty() {
        operations.push(operation);
    }
}

fn moved(operation: DiffOp, old: usize, new: usize) -> DiffOp {
    let (before, after) = (operation.old_range(), operation.new_range());
    let (old_index, new_index) = (old + before.start, new + after.start);
    let (old_len, new_len) = (before.len(), after.len());
    match operation {
        DiffOp::Equal { len, .. } => DiffOp::Equal {
            old_index,
            new_index,
            len,
        },
        DiffOp::Delete { .. } => DiffOp::Delete {
            old_index,
            old_len,
            new_index,
        },
        DiffOp::Insert { .. } => DiffOp::Insert {
            old_index,
            new_index,
            new_len,
        },
        DiffOp::Replace { .. } => DiffOp::Replace {
            old_index,
            old_len,
            new_index,
            new_len,
        },
    }
}

fn hunk(text: &mut String, group: &[DiffOp], old: &[&str], new: &[&str]) {
    let (Some(first), Some(last)) = (group.first(), group.last()) else {
        return;
    };
    let before = first.old_range().start..last.old_range().end;
    let after = first.new_range().start..last.new_range().end;
    // Writing to a String cannot fail.
    let _ = writeln!(text, "@@ -{} +{} @@", place(&before), place(&after));
    let mut put = |sign: char, lines: &[&str]| {
        for line in lines {
            text.push(sign);
            text.push_str(line);
            if !line.ends_with('\n') {
                text.push_str("\n\\ No newline at end of file\n");
            }
        }
    };
    for operation in group {
        if let DiffOp::Equal { .. } = operation {
            put(' ', &old[operation.old_range()]);
        } else {
            put('-', &old[operation.old_range()]);
            put('+', &new[operation.new_range()]);
        }
    }
}

/// A range of lines as diff(1) prints it: counted from 1; an empty range has the number of the line
/// before it.
fn place(range: &std::ops::Range<usize>) -> String {
    match range.len() {
        0 => format!("{},0", range.start),
        1 => (range.start + 1).to_string(),
        length => format!("{},{length}", range.start + 1),
    }
}
