//! Sources of repositories in a Pod without gitvolume, and the notes about them.

use std::fmt;

use inject::Key;
use inject::Outcome;
use inject::Review;
use inject::Settings;
use serde_json::Value;

/// A note about a part that has no equivalent, or behaves differently.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Note {
    /// The subject, such as `container git-sync`.
    pub about: String,
    /// The problem and its remedy.
    pub text: String,
    /// Whether the part was left unchanged for this reason.
    pub is_left: bool,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = if self.is_left { "skipped: " } else { "" };
        write!(f, "{}: {left}{}", self.about, self.text)
    }
}

/// A repository of a Pod that has an equivalent in annotations.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) about: String,
    /// The text from which its NAME is derived, if it needs one.
    pub(crate) base: String,
    /// The keys of the repository, without a NAME.
    pub(crate) keys: Vec<(Key, String)>,
    /// The keys of the whole Pod.
    pub(crate) wide: Vec<(Key, String)>,
    /// The containers that read it.
    pub(crate) containers: Vec<String>,
    /// The init containers that read it.
    pub(crate) init_containers: Vec<String>,
    /// The names of the containers to remove.
    pub(crate) removed: Vec<String>,
    /// The volume to remove.
    pub(crate) volume: String,
    pub(crate) notes: Vec<String>,
}

/// A part that is left unchanged, with the reason.
#[derive(Clone, Debug)]
pub(crate) struct Left {
    pub(crate) about: String,
    pub(crate) why: String,
}

/// Looks up the text of a ConfigMap in the manifests, by its name and key.
pub(crate) type ConfigMaps<'a> = &'a dyn Fn(&str, &str) -> Option<String>;

pub(crate) fn left(about: String, why: String) -> Note {
    Note {
        about,
        text: why,
        is_left: true,
    }
}

/// The injector's decision on a Pod, under settings that permit everything.
pub(crate) fn answered(template: &Value) -> Result<Outcome, String> {
    let mut settings = Settings::new("gitvolume-syncer");
    settings.allowed_images = vec!["*".to_owned()];
    let review = Review::of_pod(template.clone());
    let answer = inject::answer(&review, &settings, &inject::Namespace::default());
    answer
        .map(|answer| answer.outcome)
        .map_err(|error| error.to_string())
}
