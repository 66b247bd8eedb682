//! `gitvolume inject`: makes the webhook's changes to Pods in manifests.

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

use crate::Exit;
use crate::args::InputArgs;
use crate::args::OutputArgs;
use crate::args::settings;
use crate::manifests::edit;
use crate::manifests::edit::Edited;
use crate::manifests::edit::Judged;
use crate::manifests::files;
use crate::manifests::knative;
use crate::manifests::limit_ranges::LimitRanges;
use crate::manifests::output;
use crate::manifests::residue::gone;
use crate::manifests::residue::residue;
use crate::manifests::unhandled::Purpose;
use crate::manifests::volumes;
use crate::manifests::volumes::Volumes;
use crate::manifests::workloads::Object;
use crate::report::Report;
use crate::report::without_texts;
use webhook::settings::SettingsArgs;

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

/// The help of `--syncer-image` where the flag is optional.
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

/// Reads and injects manifests, and writes nothing.
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
        judged.left.extend(volumes::unlabelled(object));
        return judged;
    }
    judged.left.extend(misplaced(object));
    let namespace = object.namespace().or(namespace).unwrap_or("default");
    let limits = volumes.limits(namespace);
    let known = (settings, &volumes.namespace(namespace));
    for (at, pod) in object.templates() {
        if is_template(pod) {
            let line = format!("skipped: its {PREFIX} annotations have {{{{ in them");
            judged.left.push(line);
            continue;
        }
        let root = PointerBuf::parse(at).unwrap_or_default();
        let named = knative::with_names(object, pod);
        let template = (&named, namespace, &root);
        let before = judged.patch.len();
        if let Err(error) = judge_pod(template, known, &limits, &mut judged) {
            judged.errors.push(unreadable(error));
        }
        for operation in &mut judged.patch[before..] {
            if let PatchOperation::Replace(whole) = operation
                && whole.path == root
            {
                knative::without_names(&mut whole.value, pod);
            }
        }
    }
    judged
}

/// Injects one Pod; an existing injection is removed and made anew.
fn judge_pod(
    (manifest, name, root): (&Value, &str, &PointerBuf),
    (settings, namespace): (&Settings, &Namespace),
    limits: &LimitRanges,
    judged: &mut Judged,
) -> Result<(), InternalError> {
    let review = &Review::of_pod(limits.defaulted(manifest)).in_namespace(name);
    let objects = inject::injected_objects(review.object());
    let is_of_files = objects.is_empty() || !namespace.volumes.is_empty();
    let renewal = match is_of_files {
        true => inject::renew(review, settings, namespace)?,
        false => {
            judged.warnings.push(format!(
                "injected for {}, which is not among the files; its injection is not changed",
                objects.join(" and ")
            ));
            None
        }
    };
    let (answer, operations) = match renewal {
        Some(Renewal {
            mut pod,
            answer,
            is_same,
            ..
        }) => {
            judged.warnings.extend(limits.refused(&pod));
            limits.restore(&mut pod, manifest);
            judged.left.extend(residue(manifest, &pod));
            judged
                .left
                .extend(gone(manifest).filter(|_| !answer.allowed));
            let replace = ReplaceOperation {
                path: root.clone(),
                value: pod,
            };
            let change = (!is_same).then_some(PatchOperation::Replace(replace));
            (answer, change.into_iter().collect())
        }
        None => {
            let mut answer = inject::answer(review, settings, namespace)?;
            let refused = limits.refused_injection(review, (settings, namespace))?;
            judged.warnings.extend(refused);
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

/// The message for a Pod that the crate `inject` cannot process.
pub(crate) fn unreadable(error: InternalError) -> String {
    without_texts(&format!("{:#}", anyhow::Error::new(error)))
}

/// The message about annotations at a place where they have no effect.
pub(crate) fn misplaced(object: &Object<'_>) -> Option<String> {
    let sentences = inject::misplaced(object.value);
    (!sentences.is_empty()).then(|| sentences.join("; "))
}

/// Whether an annotation of gitvolume still has to be filled in by a chart.
fn is_template(pod: &Value) -> bool {
    let annotations = pod
        .pointer("/metadata/annotations")
        .and_then(Value::as_object);
    annotations.into_iter().flatten().any(|(key, value)| {
        let text = value.as_str().unwrap_or_default();
        key.starts_with(PREFIX) && (key.contains("{{") || text.contains("{{"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_quotes_nothing_of_the_manifest() {
        assert_eq!(
            without_texts("invalid type: string \"hunter2\", expected i32"),
            "invalid type: string \"…\", expected i32"
        );
    }
}
