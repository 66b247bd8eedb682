//! Internal errors, and errors of documents that cannot be read.

use serde_json::error::Category;

/// The webhook's own failure, never the author's: the caller answers HTTP 500 and `failurePolicy`
/// decides.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InternalError {
    /// The status annotation, which records the Pod before the injection, is missing.
    #[error(
        "gitvolume.dev/status is missing or unreadable, but it is the only record of which volumes were gitRepo volumes; restore the annotation, or use the manifest from before the injection"
    )]
    NoStatus,
    /// A converted volume has another name than in the status.
    #[error(
        "volume {0}: gitvolume.dev/status has no entry for it, and it is the only record of the repository of a converted gitRepo volume; restore the volume's name and the annotation, or use the manifest from before the injection"
    )]
    UnknownVolume(String),
    /// The document has no place for an edit.
    #[error("the Pod's structure does not allow a patch at {0}")]
    NoPlace(String),
    /// The patch does not apply to the document it was made from.
    #[error("the webhook's patch does not apply to the Pod")]
    Patch(#[source] Box<json_patch::PatchError>),
    /// The patched Pod breaks a rule that the API server would refuse it for.
    #[error("the webhook's patch would produce an invalid Pod: {0}")]
    Unsound(String),
    /// The document cannot be read as a Pod.
    #[error("the object cannot be read as a Pod")]
    Unreadable(#[source] ShapeError),
}

/// The problem with a document's shape. It never quotes the document: that may contain a secret,
/// and the sentence is logged.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct ShapeError(String);

impl From<serde_json::Error> for ShapeError {
    fn from(error: serde_json::Error) -> Self {
        let text = error.to_string();
        Self(match (error.classify(), text.split_once(", expected ")) {
            (Category::Data, Some((_, expected))) => format!("expected {expected}"),
            // The message names only a field of the expected type.
            (Category::Data, None) if text.starts_with("missing field") => text,
            (Category::Data, None) => {
                "a field does not have the type that the Kubernetes API defines".to_owned()
            }
            // The message is about the syntax alone.
            (Category::Eof | Category::Io | Category::Syntax, _) => text,
        })
    }
}
