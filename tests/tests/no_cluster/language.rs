//! The words of CONTRIBUTING's "Language": what a person reads uses the terms of the field.
//!
//! Pages, chart texts, messages and comments must not contain the phrases below. Code in backticks and
//! fenced blocks is exempt, since it may quote others.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use proc_macro2::TokenStream;
use proc_macro2::TokenTree;
use tests::settings;

/// Phrases in lower case, each with the words to use instead.
const PHRASES: &[(&str, &str)] = &[
    ("a stranger", "not created by the syncer, another"),
    ("an authority of", "private CA"),
    ("are told", "get, log, print, pass"),
    ("asks for nothing", "requests nothing"),
    ("cheap question", "polling"),
    ("elders", "legacy flags"),
    ("hands out", "assigns"),
    ("heard of", "known"),
    ("in vain", "without success, unpublished"),
    ("is heard", "takes precedence"),
    ("is told", "gets, logs, prints, passes"),
    ("laid over", "merged, overridden"),
    ("let in", "authenticated"),
    ("lets in", "authenticates"),
    ("lets us in", "authenticates"),
    ("of ours", "of gitvolume, the webhook's, the syncer's"),
    ("somebody", "the component or the person by its role"),
    ("told of", "reported, logged, warned about"),
    ("what is said", "what the component reports or sets"),
    ("whoever", "the component or the person by its role"),
];

/// A text that people read, with the place where it stands.
struct Prose {
    file: PathBuf,
    line: usize,
    text: String,
}

fn tracked(extensions: &[&str]) -> Vec<PathBuf> {
    let root = settings::root();
    let mut git = Command::new("git");
    let listed = git.arg("-C").arg(&root).args(["ls-files", "-z"]).output();
    let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
    let is_wanted = |path: &Path| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| extensions.contains(&extension))
    };
    let files = listed.split_terminator('\0').map(PathBuf::from);
    files.filter(|path| is_wanted(path)).collect()
}

/// The lines of a page without code.
fn of_page(file: &Path, text: &str, prose: &mut Vec<Prose>) {
    let mut is_code = false;
    for (line, text) in (1..).zip(text.lines()) {
        if text.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            let text: String = text.split('`').step_by(2).collect();
            let file = file.to_owned();
            prose.push(Prose { file, line, text });
        }
    }
}

/// The string literals and the comments of a source file, without those of its unit tests.
fn of_source(file: &Path, text: &str, prose: &mut Vec<Prose>) {
    let text = text
        .split("\n#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or(text);
    let mut add = |line, text: String| {
        let file = file.to_owned();
        prose.push(Prose { file, line, text });
    };
    for (line, text) in (1..).zip(text.lines()) {
        // `///` and `//!` are among the literals.
        let comment = text.trim_start().strip_prefix("//");
        if let Some(comment) = comment.filter(|comment| !comment.starts_with(['/', '!'])) {
            add(line, comment.split('`').step_by(2).collect());
        }
    }
    let tokens: TokenStream = text.parse().unwrap();
    literals(tokens, &mut add);
}

fn literals(tokens: TokenStream, add: &mut impl FnMut(usize, String)) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => literals(group.stream(), add),
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                if text.contains('"') {
                    add(literal.span().start().line, text);
                }
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
}

/// Whether the phrase stands in the text as whole words.
fn contains(text: &str, phrase: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(phrase).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + phrase.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

#[test]
fn texts_use_the_terms_of_the_field() {
    let root = settings::root();
    let mut prose = Vec::new();
    for file in tracked(&["md", "rs", "yaml", "txt", "tpl"]) {
        let text = fs::read_to_string(root.join(&file)).unwrap();
        let path = file.to_str().unwrap();
        let is_quoted = [
            "CHANGELOG.md",
            "tests/cases/",
            "testdata/",
            "/tests/",
            "tests/tests/",
        ];
        if is_quoted.iter().any(|part| path.contains(part))
            || path.ends_with("no_cluster/language.rs")
        {
            continue;
        }
        if path.ends_with(".rs") {
            of_source(&file, &text, &mut prose);
        } else {
            of_page(&file, &text, &mut prose);
        }
    }
    let mut found = Vec::new();
    for Prose { file, line, text } in &prose {
        let lower = text.to_lowercase();
        for (phrase, instead) in PHRASES
            .iter()
            .filter(|(phrase, _)| contains(&lower, phrase))
        {
            let file = file.display();
            let text = text.trim();
            found.push(format!(
                "{file}:{line}: \"{phrase}\": better {instead}: {text}"
            ));
        }
    }
    assert!(found.is_empty(), "{}\n{}", found.len(), found.join("\n"));
}
