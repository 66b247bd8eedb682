//! Splits a text of manifests into documents, and edits them. Each document keeps its exact text,
//! and an edited one as much of it as possible. The texts of all documents together are the whole
//! text, so everything that is not edited stays the same to the byte: separators, comments, line
//! ends.

pub(crate) mod document;
mod edit;
mod json;
mod split;
mod tree;
mod write;
mod yaml;

use json_patch::Patch;
use serde_json::Value;

use crate::manifests::documents::document::Document;
use crate::manifests::documents::document::PatchError;
use crate::manifests::documents::document::Patched;
use crate::manifests::documents::document::ReadError;
use crate::manifests::documents::document::Syntax;
use crate::manifests::documents::document::Unread;

/// Splits a text into YAML documents, or into consecutive JSON values. Every byte belongs to some
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

    /// The document's value; null if it is empty or [`Unread`].
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The number of the document in the text, from 1; empty documents do not count.
    pub fn number(&self) -> usize {
        self.number
    }

    /// The line of the text where the document begins, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The reason why a document with content has no value.
    pub fn unread(&self) -> Option<Unread> {
        self.unread
    }

    /// Duplicate keys of maps, each with the line of the text of its last occurrence, from 1. As in
    /// kubectl, the last one takes precedence.
    pub fn duplicates(&self) -> Vec<(usize, String)> {
        let bare = yaml::bare(&self.text);
        let mut found = Vec::new();
        if let Some(root) = tree::parse(bare) {
            root.duplicates(&mut found);
        }
        let line = |at: usize| self.line + bare[..at].matches('\n').count();
        found.into_iter().map(|(at, key)| (line(at), key)).collect()
    }

    /// The comments of a YAML document with their lines, from 1; none for JSON.
    pub fn comments(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        if self.syntax == Syntax::Yaml {
            for (line, text) in tree::comments(yaml::bare(&self.text)) {
                found.push((self.line + line - 1, text));
            }
        }
        found
    }

    /// The document's text after a patch, whose paths begin at the document's root. The text has
    /// exactly the value that the patch produces: if it cannot be edited in place, it is written
    /// anew.
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

    /// Edits the text in place and parses the result; `None` if that has another value.
    fn edited(&self, wanted: &Value) -> Option<String> {
        let bare = yaml::bare(&self.text);
        let mark = &self.text[..self.text.len() - bare.len()];
        let is_json = self.syntax == Syntax::Json;
        let edited = edit::edited(bare, &self.value, wanted, is_json)?;
        let parsed = match self.syntax {
            Syntax::Json => serde_json::from_str(&edited).ok()?,
            Syntax::Yaml => yaml::value(&edited)?,
        };
        (parsed == *wanted).then(|| format!("{mark}{edited}"))
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
