//! Asks a command about each object, and puts what it says into the texts.

use std::fmt;

use json_patch::Patch;
use json_patch::PatchOperation;
use json_patch::jsonptr::PointerBuf;

use crate::cli::documents;
use crate::cli::documents::Document;
use crate::cli::documents::Unread;
use crate::cli::files::File;
use crate::cli::kustomize::Kustomizations;
use crate::cli::report::Report;
use crate::cli::unhandled::Purpose;
use crate::cli::workloads;
use crate::cli::workloads::Object;

/// What a command says about an object.
#[derive(Clone, Debug, Default)]
pub struct Judged {
    /// What is to be changed; the paths begin at the object.
    pub patch: Vec<PatchOperation>,
    /// What is good to know, a sentence each.
    pub notes: Vec<String>,
    /// What is odd and allowed, a sentence each.
    pub warnings: Vec<String>,
    /// What the command is for and leaves as it is, a sentence each: `--check` ends with code 1.
    pub left: Vec<String>,
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
    purpose: Purpose,
    report: &mut Report,
    mut judge: impl FnMut(&Object<'_>) -> Judged,
) -> Vec<Edited> {
    let mut edited = Vec::new();
    let kustomizations = Kustomizations::of_files(&files);
    let known = Known {
        purpose,
        kustomizations: &kustomizations,
    };
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
                let new = one(&file, document, known, report, &mut judge);
                (document.text().to_owned(), new)
            })
            .collect();
        edited.push(Edited { file, documents });
    }
    edited
}

/// What is known beside a document.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// What the command is for.
    pub purpose: Purpose,
    /// The kustomizations among the files.
    pub kustomizations: &'a Kustomizations,
}

impl Known<'_> {
    /// Reports what is wrong with a document as a whole; each line begins with `site`.
    pub fn report(self, site: impl fmt::Display, document: &Document, report: &mut Report) {
        for line in self.purpose.duplicates_in(document) {
            report.warning(&format!("{site}: {line}"));
        }
        let Some(unread) = document.unread() else {
            return;
        };
        let why = match unread {
            Unread::Template => "left as it is: a template, not yet YAML",
            Unread::Foreign => "left as it is: no JSON says the same, so it is no object",
        };
        let line = format!("{site}: {why}");
        match (self.purpose.is_in_text(document.text()), unread) {
            (true, _) => report.left(&line),
            (false, Unread::Template) => report.note(&line),
            (false, Unread::Foreign) => {}
        }
    }

    /// Why nothing of an object is handled, where that is so, and the sentence about what of it is
    /// not.
    pub fn left(self, file: &File, object: &Object<'_>) -> (bool, Option<String>) {
        let whole = self.kustomizations.unfinished(file, object);
        (whole.is_some(), self.purpose.left_in(object, whole))
    }
}

fn one(
    file: &File,
    document: &Document,
    known: Known<'_>,
    report: &mut Report,
    judge: &mut impl FnMut(&Object<'_>) -> Judged,
) -> String {
    let site = Site {
        file: &file.name,
        document: document.number(),
        object: None,
    };
    let same = || document.text().to_owned();
    known.report(site, document, report);
    let mut patch = Vec::new();
    for object in workloads::objects(document.value()) {
        let site = Site {
            object: Some(&object),
            ..site
        };
        let (is_left, sentence) = known.left(file, &object);
        if let Some(sentence) = sentence {
            report.left(&format!("{site}: {sentence}"));
        }
        if is_left {
            continue;
        }
        let judged = judge(&object);
        for line in judged.left {
            report.left(&format!("{site}: {line}"));
        }
        for line in judged.notes {
            report.note(&format!("{site}: {line}"));
        }
        for line in judged.warnings {
            report.warning(&format!("{site}: {line}"));
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
                report.warning(&format!(
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
