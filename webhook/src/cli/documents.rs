//! A text of manifests as its documents: each keeps its very text, and an edited one as much of it
//! as can be. The text is the documents' texts put together again, so what is not edited stays as
//! it is to the byte: separators, comments, line ends.

mod edit;
mod json;
mod split;
mod tree;
mod write;
mod yaml;

use json_patch::Patch;
use serde_json::Value;

/// One document of a text, with what stands before it: a separator, comments, empty lines.
#[derive(Clone, Debug)]
pub struct Document {
    text: String,
    value: Value,
    syntax: Syntax,
    number: usize,
    line: usize,
    unread: Option<Unread>,
}

/// How a document is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Syntax {
    Json,
    Yaml,
}

/// Why a document is passed on without a look at what is in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unread {
    /// It is no YAML, and has `{{`: a chart's template, before it is one.
    Template,
    /// It is YAML that no JSON can say, such as a map whose keys are maps: no Kubernetes object.
    Foreign,
}

/// An edited document.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Patched {
    /// Its new text.
    pub text: String,
    /// Whether it had to be written anew, without its comments and in another style.
    pub is_rewritten: bool,
}

/// A text is neither YAML nor JSON. Nothing of the text is in the message: it may be a Secret's.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: expected YAML or JSON: {problem}")]
pub struct ReadError {
    /// The line of the text, from 1.
    pub line: usize,
    /// What the parser says.
    pub problem: String,
}

/// A patch does not fit the document it is for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PatchError {
    /// An operation's path is not in the document.
    #[error("the patch does not fit the document")]
    Apply(#[from] json_patch::PatchError),
    /// What was to be written cannot be read back as what it is.
    #[error("the document cannot be written as YAML")]
    Write,
}

/// Takes a text apart: YAML documents, or JSON values one after another. All of the text is in some
/// document. Linear in the text's length.
pub fn read(text: &str) -> Result<Vec<Document>, ReadError> {
    match json::read(text) {
        Some(documents) => Ok(documents),
        None => yaml::read(text),
    }
}

impl Document {
    /// The document's text, to the byte.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the document says; null where it says nothing, or is [`Unread`].
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Which document of the text it is, from 1; empty ones do not count.
    pub fn number(&self) -> usize {
        self.number
    }

    /// The line of the text where it begins, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Why nothing is known about it, where something is in it.
    pub fn unread(&self) -> Option<Unread> {
        self.unread
    }

    /// The keys that a map of the document has more than once, each with the line of the text where
    /// it is given for the last time, from 1. Only that one counts, as for kubectl.
    pub fn duplicates(&self) -> Vec<(usize, String)> {
        let bare = yaml::bare(&self.text);
        let mut found = Vec::new();
        if let Some(root) = tree::parse(bare) {
            root.duplicates(&mut found);
        }
        let line = |at: usize| self.line + bare[..at].matches('\n').count();
        found.into_iter().map(|(at, key)| (line(at), key)).collect()
    }

    /// The lines of the document's comments, from 1, with each comment's text; none of JSON.
    pub fn comments(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        if self.syntax == Syntax::Yaml {
            for (line, text) in tree::comments(yaml::bare(&self.text)) {
                found.push((self.line + line - 1, text));
            }
        }
        found
    }

    /// The document's text after an edit. The operations' paths begin at the document's root. The
    /// text says exactly what the patch makes: what cannot be edited in place is written anew.
    pub fn patched(&self, patch: &Patch) -> Result<Patched, PatchError> {
        let mut wanted = self.value.clone();
        json_patch::patch(&mut wanted, patch)?;
        if wanted == self.value {
            return Ok(Patched {
                text: self.text.clone(),
                is_rewritten: false,
            });
        }
        if let Some(text) = self.edited(&wanted) {
            return Ok(Patched {
                text,
                is_rewritten: false,
            });
        }
        self.rewritten(&wanted).map(|text| Patched {
            text,
            is_rewritten: true,
        })
    }

    /// Edits the text in place, and reads it again: a text that says something else is none.
    fn edited(&self, wanted: &Value) -> Option<String> {
        let bare = yaml::bare(&self.text);
        let mark = &self.text[..self.text.len() - bare.len()];
        let is_json = self.syntax == Syntax::Json;
        let edited = edit::edited(bare, &self.value, wanted, is_json)?;
        let said = match self.syntax {
            Syntax::Json => serde_json::from_str(&edited).ok()?,
            Syntax::Yaml => yaml::value(&edited)?,
        };
        (said == *wanted).then(|| format!("{mark}{edited}"))
    }

    fn rewritten(&self, value: &Value) -> Result<String, PatchError> {
        match self.syntax {
            Syntax::Json => Ok(json::rewritten(&self.text, value)),
            Syntax::Yaml => yaml::rewritten(&self.text, value),
        }
    }
}

#[cfg(test)]
mod tests;
