//! Asks a command about each object, and puts what it says into the texts.

use std::fmt;

use json_patch::Patch;
use json_patch::PatchOperation;
use json_patch::jsonptr::PointerBuf;

use crate::cli::documents;
use crate::cli::documents::Document;
use crate::cli::documents::Unread;
use crate::cli::files::File;
use crate::cli::report::Report;
use crate::cli::workloads;
use crate::cli::workloads::Object;

/// What a command says about an object.
#[derive(Clone, Debug, Default)]
pub struct Judged {
    /// What is to be changed; the paths begin at the object.
    pub patch: Vec<PatchOperation>,
    /// What its author should know, a sentence each.
    pub notes: Vec<String>,
    /// What is wrong with it, a sentence each: nothing is written then.
    pub errors: Vec<String>,
}

/// A file with its texts, document by document.
#[derive(Clone, Debug)]
pub struct Edited {
    /// The file as it was read.
    pub file: File,
    /// Old and new text of each document, equal where it stays.
    pub documents: Vec<(String, String)>,
}

/// Where an object is, as messages name it.
#[derive(Clone, Copy, Debug)]
struct Site<'a> {
    file: &'a str,
    document: usize,
    object: Option<&'a Object<'a>>,
}

/// Asks about each object of each file, in order. What is wrong is reported, and the rest is looked
/// at all the same.
pub fn edit(
    files: Vec<File>,
    report: &mut Report,
    mut judge: impl FnMut(&Object<'_>) -> Judged,
) -> Vec<Edited> {
    let mut edited = Vec::new();
    for file in files {
        let documents = match documents::read(&file.text) {
            Ok(documents) => documents,
            Err(error) => {
                report.error(&format!("{}: {error}", file.name));
                continue;
            }
        };
        let documents = documents
            .iter()
            .map(|document| {
                let new = one(&file.name, document, report, &mut judge);
                (document.text().to_owned(), new)
            })
            .collect();
        edited.push(Edited { file, documents });
    }
    edited
}

fn one(
    file: &str,
    document: &Document,
    report: &mut Report,
    judge: &mut impl FnMut(&Object<'_>) -> Judged,
) -> String {
    let site = Site {
        file,
        document: document.number(),
        object: None,
    };
    let same = || document.text().to_owned();
    if document.unread() == Some(Unread::Template) {
        report.note(&format!("{site}: left as it is: a template, not yet YAML"));
    }
    let mut patch = Vec::new();
    for object in workloads::objects(document.value()) {
        let site = Site {
            object: Some(&object),
            ..site
        };
        let judged = judge(&object);
        for line in judged.notes {
            report.note(&format!("{site}: {line}"));
        }
        for line in judged.errors {
            report.error(&format!("{site}: {line}"));
        }
        let root = PointerBuf::parse(&object.at).unwrap_or_default();
        patch.extend(judged.patch.into_iter().map(|own| under(&root, own)));
    }
    if patch.is_empty() {
        return same();
    }
    match document.patched(&Patch(patch)) {
        Ok(patched) => {
            if patched.is_rewritten {
                report.note(&format!(
                    "{site}: written anew, since it cannot be edited in place: its comments and \
                     its style are lost"
                ));
            }
            patched.text
        }
        Err(error) => {
            report.error(&format!("{site}: {error}"));
            same()
        }
    }
}

/// An operation on an object as one on what the object is in.
pub fn under(root: &PointerBuf, mut operation: PatchOperation) -> PatchOperation {
    let moved = |path: &mut PointerBuf| *path = root.concat(&*path);
    match &mut operation {
        PatchOperation::Add(own) => moved(&mut own.path),
        PatchOperation::Remove(own) => moved(&mut own.path),
        PatchOperation::Replace(own) => moved(&mut own.path),
        PatchOperation::Test(own) => moved(&mut own.path),
        PatchOperation::Copy(own) => {
            moved(&mut own.path);
            moved(&mut own.from);
        }
        PatchOperation::Move(own) => {
            moved(&mut own.path);
            moved(&mut own.from);
        }
    }
    operation
}

impl fmt::Display for Site<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            document,
            object,
        } = self;
        write!(f, "{file}:document {document}")?;
        match object {
            Some(object) => write!(f, " ({})", object.name()),
            None => Ok(()),
        }
    }
}

impl Edited {
    /// The whole new text.
    pub fn text(&self) -> String {
        self.documents.iter().map(|(_, new)| new.as_str()).collect()
    }

    /// Whether anything is new.
    pub fn is_changed(&self) -> bool {
        self.documents.iter().any(|(old, new)| old != new)
    }
}
