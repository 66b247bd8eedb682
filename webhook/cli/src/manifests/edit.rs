//! Runs a command on each object of manifests and applies its patches to the texts.

use std::fmt;

use json_patch::Patch;
use json_patch::PatchOperation;
use json_patch::jsonptr::PointerBuf;
use similar::Algorithm;
use similar::DiffTag;
use similar::capture_diff_slices;

use crate::manifests::documents;
use crate::manifests::documents::document::Document;
use crate::manifests::documents::document::Unread;
use crate::manifests::files::File;
use crate::manifests::kustomize::Kustomizations;
use crate::manifests::kustomize::is_kustomization;
use crate::manifests::unhandled::Purpose;
use crate::manifests::workloads;
use crate::manifests::workloads::Object;
use crate::report::Report;

/// The result of a command for an object.
#[derive(Clone, Debug, Default)]
pub struct Judged {
    /// The patch; its paths begin at the object.
    pub patch: Vec<PatchOperation>,
    /// Information, one sentence each.
    pub notes: Vec<String>,
    /// Warnings about suspicious but valid input, one sentence each.
    pub warnings: Vec<String>,
    /// Parts that the command should handle but leaves unchanged, one sentence each: `--check` ends
    /// with code 1.
    pub left: Vec<String>,
    /// Errors, one sentence each: nothing is written then.
    pub errors: Vec<String>,
}

/// A file with the old and new texts of its documents.
#[derive(Clone, Debug)]
pub struct Edited {
    /// The file as it was read.
    pub file: File,
    /// Old and new text of each document, equal if it is unchanged.
    pub documents: Vec<(String, String)>,
}

/// The location of an object, for messages.
#[derive(Clone, Copy, Debug)]
struct Site<'a> {
    file: &'a str,
    document: usize,
    object: Option<&'a Object<'a>>,
}

/// Runs a command on each object of each file, in order. Errors are reported, and the remaining
/// objects are still processed.
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

/// Data that all documents share.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The purpose of the command.
    pub purpose: Purpose,
    /// The kustomizations among the files.
    pub kustomizations: &'a Kustomizations,
}

impl Known<'_> {
    /// Reports the problems of a document as a whole; each line begins with `site`.
    pub fn report(self, site: impl fmt::Display, document: &Document, report: &mut Report) {
        for line in self.purpose.duplicates_in(document) {
            report.warning(&format!("{site}: {line}"));
        }
        let Some(unread) = document.unread() else {
            return;
        };
        let why = match unread {
            Unread::Template => "skipped: a template, not yet YAML",
            Unread::Foreign => {
                "skipped: it cannot be written as JSON, so it is not a Kubernetes object"
            }
        };
        let line = format!("{site}: {why}");
        match (self.purpose.is_in_text(document.text()), unread) {
            (true, _) => report.left(&line),
            (false, Unread::Template) => report.note(&line),
            (false, Unread::Foreign) => {}
        }
    }

    /// Whether an object is skipped entirely, and the message about the parts of it that are not
    /// handled.
    pub fn left(self, file: &File, object: &Object<'_>) -> (bool, Option<String>) {
        let whole = self.kustomizations.unfinished(file, object);
        let sentence = self.purpose.left_in(object, whole, is_kustomization(file));
        (whole.is_some(), sentence)
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
    let mut is_injected = false;
    for object in workloads::objects(document.value()) {
        let site = Site {
            object: Some(&object),
            ..site
        };
        let mut templates = object.templates();
        is_injected |= templates.any(|(_, pod)| inject::is_injected(pod));
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
                    "{site}: rewritten, because it cannot be edited in place: its comments and its formatting are lost"
                ));
            }
            let lost = (!is_injected && !patched.is_rewritten)
                .then(|| lost(document, &patched.text, known.purpose));
            if let Some(line) = lost.flatten() {
                report.note(&format!("{site}: {line}"));
            }
            patched.text
        }
        Err(error) => {
            report.error(&format!("{site}: {error}"));
            same()
        }
    }
}

/// The message about lost lines: comments that `convert` removes, lines of the document that
/// `uninject` cannot restore.
fn lost(document: &Document, text: &str, purpose: Purpose) -> Option<String> {
    let read = |text: &str| documents::read(text).ok();
    let comments = |document: &Document| {
        let all = document.comments().into_iter();
        all.collect::<Vec<(usize, String)>>()
    };
    let (numbers, rest): (Vec<usize>, &str) = match purpose {
        Purpose::Uninject => return None,
        Purpose::Convert => {
            let after = read(text)?;
            let mut after: Vec<String> = after
                .iter()
                .flat_map(comments)
                .map(|(_, text)| text)
                .collect();
            let gone = comments(document).into_iter().filter(|(_, own)| {
                let at = after.iter().position(|other| other == own);
                at.map(|at| after.swap_remove(at)).is_none()
            });
            let numbers: Vec<usize> = gone.map(|(line, _)| line).collect();
            (numbers, "lost with the part that contains the comments")
        }
        Purpose::Inject => {
            // An existing injection can be undone only by `uninject`.
            let back = uninjected(text)?;
            let before: Vec<&str> = document.text().lines().collect();
            let after: Vec<&str> = back.lines().collect();
            let differ = capture_diff_slices(Algorithm::Myers, &before, &after);
            let differ = differ.iter().filter(|own| own.tag() != DiffTag::Equal);
            let numbers = differ.flat_map(|own| own.old_range());
            let numbers = numbers.map(|index| document.line() + index).collect();
            (
                numbers,
                "not restored exactly by uninject: comments, quotes, or how an empty list or null is \
                 written",
            )
        }
    };
    let shown: Vec<String> = numbers.iter().take(5).map(usize::to_string).collect();
    let more = if numbers.len() > 5 { ", …" } else { "" };
    let lines = if numbers.len() == 1 { "line" } else { "lines" };
    (!numbers.is_empty()).then(|| format!("{lines} {}{more}: {rest}", shown.join(", ")))
}

/// The text of a document with its injections removed.
fn uninjected(text: &str) -> Option<String> {
    let documents = documents::read(text).ok()?;
    let mut back = String::new();
    for document in &documents {
        let mut patch = Vec::new();
        for object in workloads::objects(document.value()) {
            for (at, pod) in object.templates() {
                let root = PointerBuf::parse(format!("{}{at}", object.at)).ok()?;
                let operations = inject::uninject(pod).ok()?.into_iter();
                let operations = operations.flat_map(|patch| patch.0);
                patch.extend(operations.map(|own| under(&root, own)));
            }
        }
        back.push_str(&document.patched(&Patch(patch)).ok()?.text);
    }
    Some(back)
}

/// Rebases an operation on an object to the document that contains it.
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

    /// Whether any document changed.
    pub fn is_changed(&self) -> bool {
        self.documents.iter().any(|(old, new)| old != new)
    }
}
