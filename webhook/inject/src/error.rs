use crate::ShapeError;

/// Our own failure, never the author's: the caller answers HTTP 500 and `failurePolicy` decides.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InternalError {
    /// The patch makes another document than the one that was planned.
    #[error("our patch makes another Pod than planned")]
    Differs,
    /// The annotation is gone that tells what was there before an injection.
    #[error(
        "gitvolume.dev/status is missing or unreadable, and only it tells which volumes were \
         gitRepo volumes; restore the annotation, or take the manifest as it was before"
    )]
    NoStatus,
    /// The document has no place for an edit.
    #[error("the Pod has no place for {0}")]
    NoPlace(String),
    /// The patch does not apply to the document it was made from.
    #[error("our patch does not apply to the Pod")]
    Patch(#[source] Box<json_patch::PatchError>),
    /// The Pod after our patch breaks a rule that the API server would refuse it for.
    #[error("our patch would make an invalid Pod: {0}")]
    Unsound(String),
    /// The document is not a Pod that we can read.
    #[error("the object cannot be read as a Pod")]
    Unreadable(#[source] ShapeError),
}
