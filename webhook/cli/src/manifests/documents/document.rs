//! A document of a file, with its position in the text.

use serde_json::Value;

/// A document of a text, including what precedes it: a separator, comments, empty lines.
#[derive(Clone, Debug)]
pub struct Document {
    pub(crate) text: String,
    pub(crate) value: Value,
    pub(crate) syntax: Syntax,
    pub(crate) number: usize,
    pub(crate) line: usize,
    pub(crate) unread: Option<Unread>,
}

/// The syntax of a document.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Syntax {
    Json,
    Yaml,
}

/// The reason why a document is passed on without being parsed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unread {
    /// It is not YAML and contains `{{`: a template of a chart.
    Template,
    /// It is YAML without an equivalent in JSON, such as a map whose keys are maps: not a
    /// Kubernetes object.
    Foreign,
}

/// An edited document.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Patched {
    /// The new text.
    pub text: String,
    /// Whether it was written anew, without its comments and in another style.
    pub is_rewritten: bool,
}

/// A text that is neither YAML nor JSON. The message quotes nothing of the text, which may be a
/// Secret.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: expected YAML or JSON: {problem}")]
pub struct ReadError {
    /// The line of the text, from 1.
    pub line: usize,
    /// The parser's message.
    pub problem: String,
}

/// An error in applying a patch to a document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PatchError {
    /// The path of an operation does not exist in the document.
    #[error("the patch does not fit the document")]
    Apply(#[from] json_patch::PatchError),
    /// The written text would not parse to the same value.
    #[error("the document cannot be written as YAML")]
    Write,
}
