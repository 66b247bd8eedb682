//! `gitvolume inject`: what the webhook would do to the Pods of manifests, done to the manifests.

use clap::Args;
use inject::InternalError;
use inject::Namespace;
use inject::Outcome;
use inject::PREFIX;
use inject::Renewal;
use inject::Review;
use inject::Settings;
use json_patch::PatchOperation;
use json_patch::ReplaceOperation;
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
use crate::cli::unhandled::Purpose;
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
    Ok(edit::edit(files, Purpose::Inject, report, |object| {
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
    if object.pods.is_empty() {
        judged.errors = volumes::judged(object, namespace, settings);
        return judged;
    }
    judged.left.extend(misplaced(object));
    let namespace = object.namespace().or(namespace).unwrap_or("default");
    let known = (settings, &volumes.namespace(namespace));
    for (at, pod) in object.templates() {
        if is_template(pod) {
            let line = format!("left as it is: its {PREFIX} annotations have {{{{ in them");
            judged.left.push(line);
            continue;
        }
        let review = Review::of_pod(pod.clone()).in_namespace(namespace);
        let root = PointerBuf::parse(at).unwrap_or_default();
        if let Err(error) = judge_pod(&review, &root, known, &mut judged) {
            judged.errors.push(unreadable(error));
        }
    }
    judged
}

/// Injects one Pod; an injection that is in it already is taken out and put in anew.
fn judge_pod(
    review: &Review,
    root: &PointerBuf,
    (settings, namespace): (&Settings, &Namespace),
    judged: &mut Judged,
) -> Result<(), InternalError> {
    let objects = inject::injected_objects(review.object());
    let is_of_files = objects.is_empty() || !namespace.volumes.is_empty();
    let renewal = match is_of_files {
        true => inject::renew(review, settings, namespace)?,
        false => {
            judged.warnings.push(format!(
                "injected for {}, which is not among the files; its injection stays as it is",
                objects.join(" and ")
            ));
            None
        }
    };
    let (answer, operations) = match renewal {
        Some(Renewal {
            pod,
            answer,
            is_same,
            ..
        }) => {
            let replace = ReplaceOperation {
                path: root.clone(),
                value: pod,
            };
            let change = (!is_same).then_some(PatchOperation::Replace(replace));
            (answer, change.into_iter().collect())
        }
        None => {
            let mut answer = inject::answer(review, settings, namespace)?;
            let patch = answer.patch.take().into_iter();
            let operations = patch.flat_map(|patch| patch.0);
            let operations = operations.map(|own| edit::under(root, own));
            (answer, operations.collect::<Vec<_>>())
        }
    };
    judged.warnings.extend(answer.all_warnings);
    if let Outcome::Deny(refusal) = &answer.outcome
        && !answer.allowed
    {
        let mistakes = refusal.mistakes().map(ToString::to_string);
        judged.errors.extend(mistakes);
    }
    judged.patch.extend(operations);
    Ok(())
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
