//! `gitvolume explain`: what the webhook would do to each Pod of manifests, with the origin of each
//! value and the reasons; the same for objects of a cluster (`live`); without arguments, the list
//! of all annotations.

mod live;
mod object;

use std::path::PathBuf;

use clap::Args;
use clap::ValueEnum;
use inject::Explanation;
use inject::InternalError;
use inject::Review;
use inject::Settings;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::Exit;
use crate::args::settings;
use crate::commands::inject::IMAGE_HELP;
use crate::commands::inject::misplaced;
use crate::live::ClusterReader;
use crate::live::ConnectArgs;
use crate::live::named;
use crate::manifests::documents;
use crate::manifests::documents::document::ReadError;
use crate::manifests::edit::Known;
use crate::manifests::files;
use crate::manifests::files::File;
use crate::manifests::knative;
use crate::manifests::kustomize::Kustomizations;
use crate::manifests::output::printed;
use crate::manifests::unhandled::Purpose;
use crate::manifests::volumes;
use crate::manifests::volumes::Volumes;
use crate::manifests::workloads::Object;
use crate::manifests::workloads::objects;
use crate::report::Report;
use crate::report::without_texts;
use webhook::settings::SettingsArgs;

/// Flags of `explain`.
#[derive(Args, Clone, Debug)]
#[command(mut_arg("syncer_image", |arg| arg.help(IMAGE_HELP)))]
pub struct ExplainArgs {
    /// Objects of a cluster, such as pod/web or deploy/web: explain what was injected, its state, and
    /// what the webhook would inject into a new Pod; for gitvolume/site: explain what it sets
    #[arg(value_name = "KIND/NAME")]
    pub objects: Vec<String>,

    /// Manifests in YAML or JSON: a file, - for standard input, or a directory; may be repeated. Without
    /// manifests and objects, all annotations are listed
    #[arg(
        short = 'f',
        long = "filename",
        conflicts_with = "objects",
        value_name = "FILE|-|DIR"
    )]
    pub filenames: Vec<PathBuf>,

    /// Which cluster.
    #[command(flatten)]
    pub connect: ConnectArgs,

    /// The namespace of objects that do not set one
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Option<String>,

    /// The output format
    #[arg(short, long, value_enum, default_value = "text")]
    pub output: Format,

    /// What is injected.
    #[command(flatten)]
    pub settings: SettingsArgs,
}

/// How an explanation is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Format {
    /// A JSON list with one item per Pod
    Json,
    /// Human-readable text
    Text,
}

/// The explanation of one Pod of a file.
struct ExplainedPod {
    file: String,
    document: usize,
    object: String,
    explanation: Explanation,
    misplaced: Option<String>,
}

/// Runs the command. A Pod that would be rejected is an error, as for `inject`.
pub fn run(args: ExplainArgs) -> anyhow::Result<Exit> {
    let ExplainArgs {
        objects,
        filenames,
        connect,
        namespace,
        output,
        settings: flags,
    } = args;
    let mut report = Report::default();
    if !objects.is_empty() {
        let live_args = LiveArgs {
            objects,
            connect,
            namespace,
            settings: flags,
        };
        return explain_live(live_args, output, &mut report);
    }
    if filenames.is_empty() {
        let text = match output {
            Format::Text => inject::annotations_text(),
            Format::Json => pretty(&inject::annotations_json())?,
        };
        return Ok(printed(&text, &mut report));
    }
    let settings = settings(flags)?;
    let mut all = Vec::new();
    let files = files::read(&filenames, &mut report);
    let volumes = Volumes::of_files(&files, namespace.as_deref());
    let kustomizations = Kustomizations::of_files(&files);
    let known = Context {
        namespace: namespace.as_deref(),
        settings: &settings,
        volumes: &volumes,
        files: Known {
            purpose: Purpose::Inject,
            kustomizations: &kustomizations,
        },
    };
    for file in files {
        match explain_file(&file, known, &mut report) {
            Ok(explain_file) => {
                for explain_file in explain_file {
                    match explain_file {
                        Ok(explain_file) => all.push(explain_file),
                        Err(error) => report.error(&format!("{}: {error}", file.name)),
                    }
                }
            }
            Err(error) => report.error(&format!("{}: {error}", file.name)),
        }
    }
    let text = match output {
        Format::Text => {
            let each = all.iter().map(ToString::to_string);
            each.collect::<Vec<_>>().join("\n")
        }
        Format::Json => pretty(&Value::Array(
            all.iter().map(ExplainedPod::to_json).collect(),
        ))?,
    };
    let exit = printed(&text, &mut report);
    let is_refused = all
        .iter()
        .any(|explain_file| explain_file.explanation.is_refused());
    Ok(match report.has_errors() || is_refused {
        true => Exit::Wrong,
        false => exit,
    })
}

/// Arguments of an explanation of cluster objects.
struct LiveArgs {
    objects: Vec<String>,
    connect: ConnectArgs,
    namespace: Option<String>,
    settings: SettingsArgs,
}

/// The explanation of a cluster object.
#[derive(Serialize)]
#[serde(untagged)]
enum Seen {
    /// A Pod, or a workload that creates Pods.
    Pods(Box<live::ExplainedLiveObject>),
    /// A GitVolume or ClusterGitVolume.
    Ours(object::ExplainedVolume),
}

impl Seen {
    /// Whether its Pods would be rejected, or the object itself is not accepted.
    fn is_refused(&self) -> bool {
        match self {
            Self::Pods(explain_file) => explain_file.explanation.is_refused(),
            Self::Ours(explain_file) => !explain_file.explanation.is_accepted,
        }
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pods(explain_file) => write!(f, "{explain_file}"),
            Self::Ours(explain_file) => write!(f, "{explain_file}"),
        }
    }
}

async fn seen(
    cluster: &ClusterReader,
    name: &str,
    namespace: Option<&str>,
    settings: SettingsArgs,
    report: &mut Report,
) -> anyhow::Result<Seen> {
    Ok(match named::volume_kind(name) {
        Some(kind) => {
            let explain_file =
                object::explain_volume(cluster, (kind, name), namespace, settings, report);
            Seen::Ours(explain_file.await?)
        }
        None => {
            let explain_file = live::explain_live(cluster, name, namespace, settings, report);
            Seen::Pods(Box::new(explain_file.await?))
        }
    })
}

/// Explains objects of a cluster.
fn explain_live(args: LiveArgs, output: Format, report: &mut Report) -> anyhow::Result<Exit> {
    let LiveArgs {
        objects,
        connect,
        namespace,
        settings,
    } = args;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let all = runtime.block_on(async {
        let cluster = ClusterReader::connect(&connect).await?;
        let mut all = Vec::new();
        for object in &objects {
            let namespace = namespace.as_deref();
            match seen(&cluster, object, namespace, settings.clone(), report).await {
                Ok(seen) => all.push(seen),
                Err(error) => report.error(&format!("{error:#}")),
            }
        }
        anyhow::Ok(all)
    })?;
    let text = match output {
        Format::Text => {
            let each = all.iter().map(ToString::to_string);
            each.collect::<Vec<_>>().join("\n")
        }
        Format::Json => pretty(&serde_json::to_value(&all)?)?,
    };
    let exit = printed(&text, report);
    let is_refused = all.iter().any(Seen::is_refused);
    Ok(match report.has_errors() || is_refused {
        true => Exit::Wrong,
        false => exit,
    })
}

/// Shared data for the documents of a file.
#[derive(Clone, Copy)]
struct Context<'a> {
    namespace: Option<&'a str>,
    settings: &'a Settings,
    volumes: &'a Volumes,
    files: Known<'a>,
}

/// Explains every Pod and Pod template of a file. GitVolume objects are only checked, and unhandled
/// parts are reported.
fn explain_file(
    file: &File,
    context: Context<'_>,
    report: &mut Report,
) -> Result<Vec<Result<ExplainedPod, String>>, ReadError> {
    let mut all = Vec::new();
    for document in documents::read(&file.text)? {
        let site = format!("{}:document {}", file.name, document.number());
        context.files.report(&site, &document, report);
        for object in objects(document.value()) {
            let (is_left, sentence) = context.files.left(file, &object);
            if let Some(sentence) = sentence {
                report.left(&format!("{site} ({}): {sentence}", object.name()));
            }
            if is_left {
                continue;
            }
            if let Some(sentence) = volumes::unlabelled(&object) {
                report.left(&format!("{site} ({}): {sentence}", object.name()));
            }
            let mistakes = volumes::judged(&object, context.namespace, context.settings);
            all.extend(mistakes.into_iter().map(Err));
            for (_, pod) in object.templates() {
                let explain_file =
                    explained(&object, pod, context).map(|explanation| ExplainedPod {
                        file: file.name.clone(),
                        document: document.number(),
                        object: object.name(),
                        explanation,
                        misplaced: misplaced(&object),
                    });
                all.push(explain_file.map_err(|error| {
                    // The message may quote a secret of the manifest.
                    let error = without_texts(&format!("{:#}", anyhow::Error::new(error)));
                    format!(
                        "document {} ({}): {error}",
                        document.number(),
                        object.name()
                    )
                }));
            }
        }
    }
    Ok(all)
}

/// Explains one Pod of an object.
fn explained(
    object: &Object<'_>,
    pod: &Value,
    context: Context<'_>,
) -> Result<Explanation, InternalError> {
    let mut pod = knative::with_names(object, pod);
    // Every Pod has metadata in a cluster; a template may have none.
    if !pod["metadata"].is_object() {
        pod["metadata"] = json!({});
    }
    let namespace = object.namespace().or(context.namespace);
    let namespace = namespace.unwrap_or("default");
    let limits = context.volumes.limits(namespace);
    let known = (context.settings, &context.volumes.namespace(namespace));
    let review = Review::of_pod(limits.defaulted(&pod)).in_namespace(namespace);
    let mut explanation = inject::explain(&review, known.0, known.1)?;
    explanation
        .warnings
        .extend(limits.refused_injection(&review, known)?);
    Ok(explanation)
}

impl ExplainedPod {
    fn to_json(&self) -> Value {
        json!({
            "file": self.file,
            "document": self.document,
            "object": self.object,
            "misplaced": self.misplaced,
            "explanation": self.explanation,
        })
    }
}

impl std::fmt::Display for ExplainedPod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            file,
            document,
            object,
            explanation,
            misplaced,
        } = self;
        write!(f, "{file}:document {document} ({object}): {explanation}")?;
        match misplaced {
            Some(misplaced) => writeln!(f, "  {misplaced}"),
            None => Ok(()),
        }
    }
}

fn pretty(value: &Value) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<Result<ExplainedPod, String>> {
        let file = File {
            name: "x.yaml".to_owned(),
            path: None,
            text: text.to_owned(),
        };
        let context = Context {
            namespace: Some("shop"),
            settings: &Settings::new("syncer:1"),
            volumes: &Volumes::default(),
            files: Known {
                purpose: Purpose::Inject,
                kustomizations: &Kustomizations::default(),
            },
        };
        explain_file(&file, context, &mut Report::default()).unwrap()
    }

    fn explanations(text: &str) -> Vec<ExplainedPod> {
        all(text).into_iter().map(Result::unwrap).collect()
    }

    #[test]
    fn each_pod_is_explained_under_its_name_and_nothing_else_is() {
        let explain_file = explanations(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n---\n\
             apiVersion: apps/v1\nkind: Deployment\n\
             metadata: {name: web, annotations: {gitvolume.dev/repo: x}}\n\
             spec: {template: {spec: {containers: [{name: web}]}}}\n",
        );
        assert_eq!(explain_file.len(), 1);
        assert_eq!(
            explain_file[0].to_string(),
            "x.yaml:document 2 (Deployment web): skip (not-requested): no annotation, GitVolume or gitRepo volume requests a repository\n  gitvolume.dev/repo: no effect on a Deployment; expected in \
             spec.template.metadata\n"
        );
        assert_eq!(explain_file[0].to_json()["explanation"]["decision"], "skip");
    }

    #[test]
    fn a_pod_that_would_be_rejected_has_the_reason() {
        let explain_file = explanations(
            "apiVersion: v1\nkind: Pod\n\
             metadata: {name: web, annotations: {gitvolume.dev/repo: ./x}}\n\
             spec: {containers: [{name: web}]}\n",
        );
        assert!(explain_file[0].explanation.is_refused());
        let json = explain_file[0].to_json();
        let mistake = json["explanation"]["mistakes"][0].as_str().unwrap();
        assert!(
            mistake.starts_with("gitvolume.dev/repo: \"./x\""),
            "{mistake}"
        );
    }

    #[test]
    fn an_invalid_pod_is_an_error_that_does_not_quote_it() {
        let text = "apiVersion: v1\nkind: Pod\n\
            metadata: {name: web, annotations: {gitvolume.dev/repo: 'https://git.example/x'}}\n\
            spec: {containers: hunter2}\n";
        let explain_file = all(text);
        assert_eq!(explain_file.len(), 1);
        let error = explain_file[0]
            .as_ref()
            .err()
            .map(String::as_str)
            .unwrap_or_default();
        assert!(error.starts_with("document 1 (Pod web): "), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
