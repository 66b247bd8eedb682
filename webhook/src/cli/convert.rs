//! `gitvolume convert`: rewrites what brings a repository into a Pod without us, `gitRepo` volumes and git-sync's
//! containers, to annotations.
//!
//! What the app sees stays where it is. What cannot be said by annotations is left as it is, or told
//! of where it does not matter to the app: nothing is dropped in silence.

mod access;
mod command;
mod gitrepo;
mod gitsync;
mod keys;
mod plain;
mod process;
mod references;
mod rewrite;
mod view;

use std::fmt;

use inject::Outcome;
use inject::Review;
use inject::Settings;
use json_patch::Patch;
use k8s_openapi::api::core::v1::Container;
use k8s_openapi::api::core::v1::PodSpec;
use serde::Deserialize;
use serde_json::Value;

pub use self::command::ConvertArgs;
pub use self::command::run;

use self::rewrite::Rewritten;
use crate::cli::inject::without_texts;

/// What becomes of one Pod or Pod template.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conversion {
    /// The change, with paths from the template's root; empty where nothing is converted.
    pub patch: Patch,
    /// What its author should know, in the order of the Pod.
    pub notes: Vec<Note>,
}

/// One thing that has no equivalent, or is otherwise than before.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Note {
    /// What it is about, such as `container git-sync`.
    pub about: String,
    /// What is so, and what can be done about it.
    pub text: String,
    /// Whether it was left as it is for this reason.
    pub is_left: bool,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = if self.is_left { "left as it is: " } else { "" };
        write!(f, "{}: {left}{}", self.about, self.text)
    }
}

/// One repository that a Pod has by other means, as annotations say it.
#[derive(Clone, Debug)]
struct Source {
    about: String,
    /// What its NAME is made of, where it needs one.
    base: String,
    /// The keys of the repository, without a NAME.
    keys: Vec<(&'static str, String)>,
    /// Those of the Pod.
    wide: Vec<(&'static str, String)>,
    /// The containers that read it.
    containers: Vec<String>,
    /// The init containers that do.
    init_containers: Vec<String>,
    /// The containers that go, by name.
    removed: Vec<String>,
    /// The volume that goes.
    volume: String,
    notes: Vec<String>,
}

/// What is left as it is, and why.
#[derive(Clone, Debug)]
struct Left {
    about: String,
    why: String,
}

/// The text of a ConfigMap's key, where the ConfigMap is among the manifests: by name, then key.
pub type ConfigMaps<'a> = &'a dyn Fn(&str, &str) -> Option<String>;

/// Converts a Pod or Pod template: an object with `metadata` and `spec`.
pub fn convert(template: &Value, config_maps: ConfigMaps<'_>) -> Conversion {
    let mut notes = Vec::new();
    let pod = match template.get("spec").map(PodSpec::deserialize) {
        Some(Ok(pod)) => pod,
        Some(Err(error)) if is_about_git(template) => {
            let error = without_texts(&error.to_string());
            let why = format!("it is no Pod that Kubernetes takes: {error}");
            notes.push(left("the Pod".to_owned(), why));
            return Conversion {
                patch: Patch(Vec::new()),
                notes,
            };
        }
        _ => return Conversion::default(),
    };
    let mut sources = gitrepo::sources(template, &pod);
    sources.extend(gitsync::sources(&pod, config_maps));
    sources.extend(plain::sources(&pod));
    if view::all(&pod).any(|(own, _)| process::is_ours(own)) {
        // Its annotations and its containers would no longer belong together.
        for source in &mut sources {
            let about = match source {
                Ok(source) => source.about.clone(),
                Err(left) => left.about.clone(),
            };
            let why = "the Pod is injected; `gitvolume uninject` takes that out".to_owned();
            *source = Err(Left { about, why });
        }
    }
    let mut accepted: Vec<Source> = Vec::new();
    let mut done = Rewritten::default();
    let mut refused: Vec<(Source, String)> = Vec::new();
    let mut pending: Vec<Source> = Vec::new();
    for source in sources {
        match source {
            Ok(source) => pending.push(source),
            Err(Left { about, why }) => notes.push(left(about, why)),
        }
    }
    // One that goes may make room for another: a container of git-sync's reads no repository.
    loop {
        let before = accepted.len();
        for source in std::mem::take(&mut pending) {
            let mut attempt = accepted.clone();
            attempt.push(source.clone());
            match rewrite::rewrite(template, &pod, &attempt) {
                Ok(outcome) => {
                    accepted = attempt;
                    done = outcome;
                }
                Err(why) => refused.push((source, why)),
            }
        }
        if accepted.len() == before || refused.is_empty() {
            break;
        }
        pending = refused.drain(..).map(|(source, _)| source).collect();
    }
    notes.extend(refused.into_iter().map(|(own, why)| left(own.about, why)));
    let of_sources = accepted.iter().flat_map(|source| {
        let note = |text: &String| Note {
            about: source.about.clone(),
            text: text.clone(),
            is_left: false,
        };
        source.notes.iter().map(note)
    });
    notes.extend(of_sources.chain(done.notes));
    Conversion {
        patch: done.patch,
        notes,
    }
}

/// Whether a container brings a repository into a Pod by git-sync or by a git command of its own.
pub fn is_git_program(container: &Container) -> bool {
    process::kind(container) != process::Kind::Other || plain::is_one(container)
}

fn left(about: String, why: String) -> Note {
    Note {
        about,
        text: why,
        is_left: true,
    }
}

/// What the injector says of a Pod, under settings that let every author have their way.
fn answered(template: &Value) -> Result<Outcome, String> {
    let mut settings = Settings::new("gitvolume-syncer");
    settings.allowed_images = vec!["*".to_owned()];
    let review = Review::of_pod(template.clone());
    let answer = inject::answer(&review, &settings, &inject::Namespace::default());
    answer
        .map(|answer| answer.outcome)
        .map_err(|error| error.to_string())
}

/// Tells whether anything in a Pod that cannot be read may be ours to convert.
fn is_about_git(template: &Value) -> bool {
    let text = template.to_string();
    [
        "\"gitRepo\"",
        "git-sync",
        "GIT_SYNC_",
        "GITSYNC_",
        "git clone",
    ]
    .iter()
    .any(|sign| text.contains(sign))
}

#[cfg(test)]
mod tests;
