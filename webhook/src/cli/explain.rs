//! `gitvolume explain`: what the webhook would do about each Pod of manifests, who said so, and why;
//! the same of what is in a cluster (`live`); of neither, what can be said at all.

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

use crate::cli::Exit;
use crate::cli::args::settings;
use crate::cli::documents;
use crate::cli::documents::ReadError;
use crate::cli::edit::Known;
use crate::cli::files;
use crate::cli::files::File;
use crate::cli::inject::IMAGE_HELP;
use crate::cli::inject::misplaced;
use crate::cli::inject::without_texts;
use crate::cli::kustomize::Kustomizations;
use crate::cli::live::ConnectArgs;
use crate::cli::live::Live;
use crate::cli::output::printed;
use crate::cli::report::Report;
use crate::cli::unhandled::Purpose;
use crate::cli::volumes;
use crate::cli::volumes::Volumes;
use crate::cli::workloads::Object;
use crate::cli::workloads::objects;
use crate::settings::SettingsArgs;

/// Flags of `explain`.
#[derive(Args, Clone, Debug)]
#[command(mut_arg("syncer_image", |arg| arg.help(IMAGE_HELP)))]
pub struct ExplainArgs {
    /// Objects of a cluster, such as pod/web or deploy/web: what was injected, how it is, and what a
    /// new Pod would get, by the webhook's own settings; of gitvolume/site what it gives
    #[arg(value_name = "KIND/NAME")]
    pub objects: Vec<String>,

    /// Manifests, YAML or JSON: a file, - for standard input, or a directory; may be repeated.
    /// Without any of both, the annotations there are
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

    /// The namespace of what does not name one
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Option<String>,

    /// How it is written
    #[arg(short, long, value_enum, default_value = "text")]
    pub output: Format,

    /// What is injected.
    #[command(flatten)]
    pub settings: SettingsArgs,
}

/// How an explanation is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Format {
    /// A list, one item for each Pod
    Json,
    /// For people
    Text,
}

/// One Pod of a text, explained.
struct Told {
    file: String,
    document: usize,
    object: String,
    explanation: Explanation,
    misplaced: Option<String>,
}

/// Runs the command. A Pod that would be refused is an error, as for `inject`.
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
        let asked = LiveArgs {
            objects,
            connect,
            namespace,
            settings: flags,
        };
        return explain_live(asked, output, &mut report);
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
        match told(&file, known, &mut report) {
            Ok(told) => {
                for told in told {
                    match told {
                        Ok(told) => all.push(told),
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
        Format::Json => pretty(&Value::Array(all.iter().map(Told::to_json).collect()))?,
    };
    let exit = printed(&text, &mut report);
    let is_refused = all.iter().any(|told| told.explanation.is_refused());
    Ok(match report.has_errors() || is_refused {
        true => Exit::Wrong,
        false => exit,
    })
}

/// What is asked of a cluster.
struct LiveArgs {
    objects: Vec<String>,
    connect: ConnectArgs,
    namespace: Option<String>,
    settings: SettingsArgs,
}

/// What is told of an object of a cluster.
#[derive(Serialize)]
#[serde(untagged)]
enum Seen {
    /// A Pod, or what makes some.
    Pods(Box<live::Told>),
    /// One of ours.
    Ours(object::Told),
}

impl Seen {
    /// Whether its Pods would be refused, or it is not accepted itself.
    fn is_refused(&self) -> bool {
        match self {
            Self::Pods(told) => told.explanation.is_refused(),
            Self::Ours(told) => !told.explanation.is_accepted,
        }
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pods(told) => write!(f, "{told}"),
            Self::Ours(told) => write!(f, "{told}"),
        }
    }
}

async fn seen(
    cluster: &Live,
    name: &str,
    namespace: Option<&str>,
    settings: SettingsArgs,
    report: &mut Report,
) -> anyhow::Result<Seen> {
    Ok(match object::kind(name) {
        Some(kind) => {
            let told = object::told(cluster, (kind, name), namespace, settings, report);
            Seen::Ours(told.await?)
        }
        None => {
            let told = live::told(cluster, name, namespace, settings, report);
            Seen::Pods(Box::new(told.await?))
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
        let cluster = Live::connect(&connect).await?;
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

/// What is known beside a file.
#[derive(Clone, Copy)]
struct Context<'a> {
    namespace: Option<&'a str>,
    settings: &'a Settings,
    volumes: &'a Volumes,
    files: Known<'a>,
}

/// Explains every Pod and Pod template of a file; of our objects only what is wrong is told, and
/// what is not handled is reported.
fn told(
    file: &File,
    context: Context<'_>,
    report: &mut Report,
) -> Result<Vec<Result<Told, String>>, ReadError> {
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
            let mistakes = volumes::judged(&object, context.namespace, context.settings);
            all.extend(mistakes.into_iter().map(Err));
            for (_, pod) in object.templates() {
                let told = explained(&object, pod, context).map(|explanation| Told {
                    file: file.name.clone(),
                    document: document.number(),
                    object: object.name(),
                    explanation,
                    misplaced: misplaced(&object),
                });
                all.push(told.map_err(|error| {
                    // What it says of the manifest may be a secret of it.
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
    let mut pod = pod.clone();
    // The API server gives each Pod its metadata; a template may have none.
    if !pod["metadata"].is_object() {
        pod["metadata"] = json!({});
    }
    let namespace = object.namespace().or(context.namespace);
    let namespace = namespace.unwrap_or("default");
    let review = Review::of_pod(pod).in_namespace(namespace);
    inject::explain(
        &review,
        context.settings,
        &context.volumes.namespace(namespace),
    )
}

impl Told {
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

impl std::fmt::Display for Told {
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

    fn all(text: &str) -> Vec<Result<Told, String>> {
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
        told(&file, context, &mut Report::default()).unwrap()
    }

    fn said(text: &str) -> Vec<Told> {
        all(text).into_iter().map(Result::unwrap).collect()
    }

    #[test]
    fn each_pod_is_explained_under_its_name_and_nothing_else_is() {
        let told = said(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n---\n\
             apiVersion: apps/v1\nkind: Deployment\n\
             metadata: {name: web, annotations: {gitvolume.dev/repo: x}}\n\
             spec: {template: {spec: {containers: [{name: web}]}}}\n",
        );
        assert_eq!(told.len(), 1);
        assert_eq!(
            told[0].to_string(),
            "x.yaml:document 2 (Deployment web): skip (not-requested): no annotation and no gitRepo \
             volume asks for anything\n  gitvolume.dev/repo: no effect on a Deployment; expected in \
             spec.template.metadata\n"
        );
        assert_eq!(told[0].to_json()["explanation"]["decision"], "skip");
    }

    #[test]
    fn a_pod_that_would_be_refused_says_why() {
        let told = said(
            "apiVersion: v1\nkind: Pod\n\
             metadata: {name: web, annotations: {gitvolume.dev/repo: ./x}}\n\
             spec: {containers: [{name: web}]}\n",
        );
        assert!(told[0].explanation.is_refused());
        let json = told[0].to_json();
        let mistake = json["explanation"]["mistakes"][0].as_str().unwrap();
        assert!(
            mistake.starts_with("gitvolume.dev/repo: \"./x\""),
            "{mistake}"
        );
    }

    #[test]
    fn what_is_no_pod_is_an_error_without_its_texts() {
        let text = "apiVersion: v1\nkind: Pod\n\
            metadata: {name: web, annotations: {gitvolume.dev/repo: 'https://git.example/x'}}\n\
            spec: {containers: hunter2}\n";
        let told = all(text);
        assert_eq!(told.len(), 1);
        let error = told[0]
            .as_ref()
            .err()
            .map(String::as_str)
            .unwrap_or_default();
        assert!(error.starts_with("document 1 (Pod web): "), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
