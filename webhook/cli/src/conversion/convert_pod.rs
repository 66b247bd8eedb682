//! The conversion of one Pod or Pod template.

use json_patch::Patch;
use k8s_openapi::api::core::v1::PodSpec;
use serde::Deserialize;
use serde_json::Value;

use self::rewrite::Rewritten;
use crate::conversion::gitrepo;
use crate::conversion::gitsync;
use crate::conversion::plain;
use crate::conversion::process;
use crate::conversion::rewrite;
use crate::conversion::source::ConfigMaps;
use crate::conversion::source::Left;
use crate::conversion::source::Note;
use crate::conversion::source::Source;
use crate::conversion::source::left;
use crate::conversion::view;
use crate::report::without_texts;

/// The conversion of one Pod or Pod template.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Conversion {
    /// The patch, with paths from the template's root; empty if nothing is converted.
    pub patch: Patch,
    /// The notes for the author, in the order of the Pod.
    pub notes: Vec<Note>,
}

/// Converts a Pod or Pod template: an object with `metadata` and `spec`.
pub(crate) fn convert(template: &Value, config_maps: ConfigMaps<'_>) -> Conversion {
    let mut notes = Vec::new();
    let pod = match template.get("spec").map(PodSpec::deserialize) {
        Some(Ok(pod)) => pod,
        Some(Err(error)) if is_about_git(template) => {
            let error = without_texts(&error.to_string());
            let why = format!("the API server would not accept this Pod: {error}");
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
        // A partial conversion would make its annotations and injected containers inconsistent.
        for source in &mut sources {
            let about = match source {
                Ok(source) => source.about.clone(),
                Err(left) => left.about.clone(),
            };
            let why = "the Pod is already injected; `gitvolume uninject` removes the injection"
                .to_owned();
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
    // A removed container may make another conversion possible, because git-sync containers read no
    // repository.
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

/// Whether a Pod that cannot be parsed may contain anything to convert.
pub(crate) fn is_about_git(template: &Value) -> bool {
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
