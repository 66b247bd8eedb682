//! `gitvolume inject`: what the webhook would do to the Pods of manifests, done to the manifests.

use clap::Args;
use inject::InternalError;
use inject::Outcome;
use inject::PREFIX;
use inject::Review;
use inject::Settings;
use json_patch::jsonptr::PointerBuf;
use serde_json::Value;

use crate::cli::Exit;
use crate::cli::args::InputArgs;
use crate::cli::args::OutputArgs;
use crate::cli::args::settings;
use crate::cli::edit;
use crate::cli::edit::Edited;
use crate::cli::edit::Judged;
use crate::cli::files;
use crate::cli::output;
use crate::cli::report::Report;
use crate::cli::volumes;
use crate::cli::volumes::Volumes;
use crate::cli::workloads::Object;
use crate::settings::SettingsArgs;

/// Flags of `inject`.
#[derive(Args, Clone, Debug)]
#[command(mut_arg("syncer_image", |arg| arg.help(IMAGE_HELP)))]
pub struct InjectArgs {
    /// Which manifests.
    #[command(flatten)]
    pub input: InputArgs,

    /// Where they go.
    #[command(flatten)]
    pub output: OutputArgs,

    /// What is injected.
    #[command(flatten)]
    pub settings: SettingsArgs,
}

/// The flag's help where it may be left out.
pub(crate) const IMAGE_HELP: &str =
    "The syncer's image, with tag or digest [default: this version's]";

/// Runs the command.
pub fn run(args: InjectArgs) -> anyhow::Result<Exit> {
    let InjectArgs {
        input,
        output,
        settings: flags,
    } = args;
    let mut report = Report::default();
    let edited = edited(&input, flags, &mut report)?;
    Ok(output::write(&edited, output, &mut report))
}

/// Reads and injects, and writes nothing.
pub(crate) fn edited(
    input: &InputArgs,
    flags: SettingsArgs,
    report: &mut Report,
) -> anyhow::Result<Vec<Edited>> {
    let settings = settings(flags)?;
    let files = files::read(&input.filenames, report);
    let namespace = input.namespace.as_deref();
    let volumes = Volumes::of_files(&files, namespace);
    Ok(edit::edit(files, report, |object| {
        judge(object, namespace, &settings, &volumes)
    }))
}

fn judge(
    object: &Object<'_>,
    namespace: Option<&str>,
    settings: &Settings,
    volumes: &Volumes,
) -> Judged {
    let mut judged = Judged::default();
    let Some(at) = object.pod else {
        (judged.errors, judged.notes) = volumes::judged(object, namespace, settings);
        return judged;
    };
    if let Some(note) = misplaced(object) {
        judged.notes.push(note);
    }
    let Some(pod) = object.value.pointer(at) else {
        return judged;
    };
    if is_template(pod) {
        let note = format!("left as it is: its {PREFIX} annotations have {{{{ in them");
        judged.notes.push(note);
        return judged;
    }
    let root = PointerBuf::parse(at).unwrap_or_default();
    let namespace = object.namespace().or(namespace).unwrap_or("default");
    let review = Review::of_pod(pod.clone()).in_namespace(namespace);
    let answer = match inject::answer(&review, settings, &volumes.namespace(namespace)) {
        Ok(answer) => answer,
        Err(error) => {
            judged.errors.push(unreadable(error));
            return judged;
        }
    };
    judged.notes.extend(answer.warnings);
    if let Outcome::Deny(refusal) = &answer.outcome
        && !answer.allowed
    {
        judged
            .errors
            .extend(refusal.mistakes().map(ToString::to_string));
    }
    let operations = answer.patch.into_iter().flat_map(|patch| patch.0);
    judged.patch = operations.map(|own| edit::under(&root, own)).collect();
    judged
}

/// The sentence for a Pod that the engine could not deal with.
pub(crate) fn unreadable(error: InternalError) -> String {
    without_texts(&format!("{:#}", anyhow::Error::new(error)))
}

/// Annotations that are where nobody looks for them.
pub(crate) fn misplaced(object: &Object<'_>) -> Option<String> {
    let told = inject::misplaced(object.value);
    (!told.is_empty()).then(|| told.join("; "))
}

/// Tells whether what asks for us is still to be filled in by a chart.
fn is_template(pod: &Value) -> bool {
    let annotations = pod
        .pointer("/metadata/annotations")
        .and_then(Value::as_object);
    annotations.into_iter().flatten().any(|(key, value)| {
        let text = value.as_str().unwrap_or_default();
        key.starts_with(PREFIX) && (key.contains("{{") || text.contains("{{"))
    })
}

/// Takes quoted texts out of a message: they are the manifest's, and may be secret.
pub(crate) fn without_texts(message: &str) -> String {
    let parts = message.split('"').enumerate();
    let parts = parts.map(|(index, part)| if index % 2 == 0 { part } else { "…" });
    parts.collect::<Vec<&str>>().join("\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_none_of_the_manifests_texts() {
        assert_eq!(
            without_texts("invalid type: string \"hunter2\", expected i32"),
            "invalid type: string \"…\", expected i32"
        );
    }
}
