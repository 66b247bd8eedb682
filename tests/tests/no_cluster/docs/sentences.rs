//! docs/troubleshooting.md has the cause and remedy of each error sentence that a user can meet,
//! and no entry for a sentence that no program prints.
//!
//! The sentences come from the code: from the golden refusals and warnings, and from
//! `#[error("…")]` in the programs' sources. `…` replaces inserted values.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use inject::ANNOTATIONS;
use inject::PREFIX;
use tests::settings;

use crate::docs::pages::Page;
use crate::docs::pages::pages;

/// Directories with user-visible errors.
const ERROR_DIRECTORIES: [&str; 9] = [
    "certs/src",
    "syncer/args/src",
    "syncer/cache/src",
    "syncer/poll/src",
    "syncer/push/src",
    "syncer/src",
    "webhook/inject/src",
    "webhook/cli/src",
    "webhook/src",
];

/// Sections of the page about messages of other programs.
const THIRD_PARTY_SECTIONS: [&str; 3] = [
    "## Where to look first",
    "## Symptoms in kubectl",
    "## No error, but not working",
];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// The sentences of golden files, one by one.
fn golden() -> BTreeSet<String> {
    let mut found = Vec::new();
    files(
        &settings::root().join("webhook/inject/testdata"),
        &mut found,
    );
    let mut sentences = BTreeSet::new();
    for path in found {
        let name = path.file_name().unwrap_or_default();
        if name != "message.txt" && name != "warnings.txt" {
            continue;
        }
        for line in fs::read_to_string(path).unwrap().lines() {
            // One line may contain several mistakes, and sentences contain semicolons.
            let mut rest = line;
            while let Some((sentence, more)) = first_of(rest) {
                sentences.insert(sentence.to_owned());
                rest = more;
            }
            sentences.insert(rest.to_owned());
        }
    }
    sentences
        .iter()
        .map(|sentence| as_of_an_annotation(sentence))
        .collect()
}

/// Splits before the next sentence, which begins with its location.
fn first_of(line: &str) -> Option<(&str, &str)> {
    let begins = [
        format!("; {PREFIX}"),
        "; gitRepo volume \"".to_owned(),
        "; GitVolume ".to_owned(),
        "; ClusterGitVolume ".to_owned(),
    ];
    let at = begins.iter().filter_map(|begin| line.find(begin)).min()?;
    Some((&line[..at], &line[at + 2..]))
}

/// The value of a Rust string literal that begins after its quote, and the rest of the source.
fn literal(source: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = source.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (value, &source[at + 1..]),
            '\\' => match chars.next().map(|(_, char)| char) {
                Some('\n') => {
                    let rest = chars.as_str().trim_start();
                    let skipped = chars.as_str().len() - rest.len();
                    for _ in 0..skipped {
                        chars.next();
                    }
                }
                Some('n') => value.push('\n'),
                Some(other) => value.push(other),
                None => {}
            },
            _ => value.push(char),
        }
    }
    (value, "")
}

/// A format string with `…` in place of its arguments.
fn filled(format: &str) -> String {
    let mut sentence = String::new();
    let mut chars = format.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '{' if chars.next_if_eq(&'{').is_some() => sentence.push('{'),
            '}' if chars.next_if_eq(&'}').is_some() => sentence.push('}'),
            '{' => {
                chars.by_ref().find(|char| *char == '}');
                sentence.push('…');
            }
            other => sentence.push(other),
        }
    }
    sentence
}

/// The texts in `#[error("…")]`, and the known causes of git's failures.
fn coded() -> BTreeSet<String> {
    let mut sentences = BTreeSet::new();
    let mut found = Vec::new();
    for directory in ERROR_DIRECTORIES {
        files(&settings::root().join(directory), &mut found);
    }
    for path in found {
        if path.extension().is_none_or(|found| found != "rs") {
            continue;
        }
        let source = fs::read_to_string(&path).unwrap();
        let source = source.split("#[cfg(test)]\nmod").next().unwrap_or_default();
        for rest in source.split("#[error(").skip(1) {
            if let Some(rest) = rest.trim_start().strip_prefix('"') {
                sentences.insert(filled(&literal(rest).0));
            }
        }
        if let Some((_, display)) = source.split_once("impl fmt::Display for FailureCause {") {
            let mut rest = display.split("\n}\n").next().unwrap_or_default();
            while let Some((_, after)) = rest.split_once('"') {
                let (sentence, more) = literal(after);
                sentences.insert(sentence);
                rest = more;
            }
        }
    }
    // Skips formats that only combine a location with another error's sentence.
    sentences.retain(|sentence| {
        sentence
            .replace("repos.", "")
            .chars()
            .any(char::is_alphabetic)
    });
    sentences
}

/// The sentences of the page's first columns, with the lines that they are on.
fn entries(page: &Page) -> Vec<(usize, String)> {
    let mut entries = Vec::new();
    let mut is_others = true;
    for (line, text) in page.prose() {
        if text.starts_with("## ") {
            is_others = THIRD_PARTY_SECTIONS.contains(&text);
        }
        let Some(cell) = text.strip_prefix("| ").filter(|_| !is_others) else {
            continue;
        };
        let cell = cell.split(" | ").next().unwrap_or_default();
        // A sentence with backticks is quoted by two of them.
        let fence = if cell.contains("``") { "``" } else { "`" };
        for code in cell.split(fence).skip(1).step_by(2) {
            entries.push((line, code.to_owned()));
        }
    }
    entries
}

/// Whether a sentence matches an entry, where `…` matches anything.
fn matches_entry(entry: &str, sentence: &str) -> bool {
    let mut parts = entry.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = sentence.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The refusal of an object's field, rewritten for the annotation with the same meaning.
fn as_of_an_annotation(sentence: &str) -> String {
    let of_use = format!("{PREFIX}use: ");
    let rest = match sentence.strip_prefix(&of_use) {
        Some(rest) => rest.split_once(": ").map_or(sentence, |(_, rest)| rest),
        None => sentence,
    };
    let is_object = rest.starts_with("GitVolume ") || rest.starts_with("ClusterGitVolume ");
    match rest.split_once(": spec.") {
        Some((before, rest)) if is_object && !before.contains(": ") => {
            let (field, rest) = rest.split_at(rest.find(':').unwrap_or(rest.len()));
            let mut key = String::new();
            for char in field.chars() {
                if char.is_ascii_uppercase() {
                    key.push('-');
                }
                key.push(char.to_ascii_lowercase());
            }
            format!("{PREFIX}{key}{rest}")
        }
        _ => sentence.to_owned(),
    }
}

/// Whether a sentence is the grammar of an annotation from the table: all such sentences share one
/// entry.
fn is_about_a_value(sentence: &str) -> bool {
    // The suggestion depends on the value.
    let sentence = sentence.split("; write \"").next().unwrap_or(sentence);
    ANNOTATIONS.iter().any(|row| {
        sentence
            .strip_suffix(row.grammar)
            .and_then(|rest| rest.strip_suffix(": expected "))
            .and_then(|rest| rest.strip_prefix(PREFIX))
            .and_then(|rest| rest.split_once(": "))
            .is_some_and(|(key, _)| key.ends_with(row.key.as_str()))
    })
}

#[test]
fn every_error_sentence_has_cause_and_remedy_and_no_entry_is_unused() {
    let pages = pages();
    let page = Path::new("docs/troubleshooting.md");
    let page = pages.iter().find(|found| found.path == page);
    let page = page.expect("docs/troubleshooting.md");
    assert!(page.text.contains("\n### Invalid value\n"));
    let entries = entries(page);
    let (golden, coded) = (golden(), coded());
    assert!(golden.len() > 100 && coded.len() > 80, "too few were found");
    let mut wrong = Vec::new();
    let sentences: BTreeSet<&String> = golden.union(&coded).collect();
    for sentence in &sentences {
        let has_entry = entries
            .iter()
            .any(|(_, entry)| matches_entry(entry, sentence));
        if !has_entry && !is_about_a_value(sentence) {
            wrong.push(format!("no entry: {sentence}"));
        }
    }
    for (line, entry) in &entries {
        // A shorter entry would match unrelated sentences.
        if entry.chars().filter(|char| char.is_alphabetic()).count() < 9 {
            wrong.push(format!("line {line}: says too little: {entry}"));
        }
        if !sentences
            .iter()
            .any(|sentence| matches_entry(entry, sentence))
        {
            wrong.push(format!("line {line}: nobody says: {entry}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_sentence_is_recognised_by_the_text_around_its_values() {
    assert!(matches_entry("a …: expected …", "a b: expected c"));
    assert!(matches_entry("the volume is full", "the volume is full"));
    assert!(!matches_entry("a …: expected b", "a b: expected c"));
    assert!(!matches_entry("the volume", "the volume is full"));
    assert_eq!(filled("{{x}} {0} of {name:?}"), "{x} … of …");
    let (value, rest) = literal("a \\\"b\\\" \\\n      c\" d");
    assert_eq!((value.as_str(), rest), ("a \"b\" c", " d"));
}
