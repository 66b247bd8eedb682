//! Writes the edited texts.

use std::io;
use std::io::BufWriter;
use std::io::ErrorKind;
use std::io::Write;

use crate::Exit;
use crate::args::OutputArgs;
use crate::manifests::edit::Edited;
use crate::manifests::files;
use crate::report::Report;

/// Writes the files; with `--check`, reports whether they would change or contain parts that the
/// command left unchanged. After an error nothing is written: a partial result, piped into `kubectl
/// apply`, would run without its repository.
pub fn write(edited: &[Edited], output: OutputArgs, report: &mut Report) -> Exit {
    if report.has_errors() {
        return Exit::Wrong;
    }
    if output.check {
        let mut exit = match report.has_left() {
            true => Exit::Different,
            false => Exit::Done,
        };
        for edited in edited.iter().filter(|edited| edited.is_changed()) {
            report.note(&format!("{}: would change", edited.file.name));
            exit = Exit::Different;
        }
        return exit;
    }
    if !output.in_place {
        let text: Vec<String> = edited.iter().map(Edited::text).collect();
        return printed(&joined(&text), report);
    }
    if edited.iter().any(|edited| edited.file.path.is_none()) {
        report.error("--in-place: expected files, not standard input");
        return Exit::Wrong;
    }
    for edited in edited.iter().filter(|edited| edited.is_changed()) {
        let path = edited.file.path.iter();
        for error in path.filter_map(|path| files::write(path, &edited.text()).err()) {
            let name = &edited.file.name;
            report.error(&format!("{name}: cannot be written: {error:#}"));
        }
    }
    match report.has_errors() {
        true => Exit::Wrong,
        false => Exit::Done,
    }
}

/// Joins the texts of several files into one stream, with a marker between two YAML documents
/// without one.
fn joined(texts: &[String]) -> String {
    let mut all = String::new();
    for text in texts {
        if !all.is_empty() && !all.ends_with('\n') {
            all.push('\n');
        }
        if !all.is_empty() && !text.starts_with("---") && !text.trim().is_empty() {
            all.push_str("---\n");
        }
        // Only the beginning of a stream may have a byte order mark.
        let bare = text.strip_prefix('\u{feff}').filter(|_| !all.is_empty());
        all.push_str(bare.unwrap_or(text));
    }
    all
}

/// Writes to standard output; a closed pipe is no error.
pub fn printed(text: &str, report: &mut Report) -> Exit {
    let mut out = BufWriter::new(io::stdout().lock());
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            report.error(&format!("standard output cannot be written: {error}"));
            Exit::Wrong
        }
        _ => Exit::Done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_separated_by_markers_and_a_single_one_stays_unchanged() {
        let join = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            joined(&texts)
        };
        assert_eq!(join(&["\u{feff}a: 1"]), "\u{feff}a: 1");
        assert_eq!(
            join(&["a: 1", "---\nb: 2\n", "\u{feff}{}", ""]),
            "a: 1\n---\nb: 2\n---\n{}\n"
        );
    }
}
