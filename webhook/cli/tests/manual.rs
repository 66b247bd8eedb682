//! Runs docs/cli.md: its files are written, its commands are run, and their output must be the one
//! on the page. A line with only … stands for any lines.

use std::fs;
use std::path::Path;
use std::process::Command;

/// The code blocks of the page: the text after the opening fence, and the lines.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(""), Some(_)) => blocks.extend(open.take()),
            (Some(kind), None) => open = Some((kind.to_owned(), String::new())),
            (_, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            _ => {}
        }
    }
    assert!(open.is_none());
    blocks
}

/// Whether a text matches the output on the page.
fn is_shown(text: &str, shown: &str) -> bool {
    let parts: Vec<&str> = shown.split("…\n").collect();
    let [first, .., last] = parts[..] else {
        return text == shown;
    };
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    for part in &parts[1..parts.len() - 1] {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[test]
fn every_command_of_the_page_has_the_printed_output() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    let page = fs::read_to_string(page).unwrap();
    let root = tempfile::tempdir().unwrap();
    let programs = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_gitvolume");
    std::os::unix::fs::symlink(program, programs.path().join("gitvolume")).unwrap();
    let mut seen = 0;
    for (kind, text) in blocks(&page) {
        if let Some(name) = kind.strip_prefix("yaml ") {
            fs::write(root.path().join(name), text).unwrap();
        } else if kind == "console" {
            for session in text.split("$ ").skip(1) {
                let (command, shown) = session.split_once('\n').unwrap();
                let path = format!("{}:/usr/bin:/bin", programs.path().display());
                let output = Command::new("sh")
                    .args(["-c", &format!("exec 2>&1; {command}")])
                    .current_dir(root.path())
                    .env_clear()
                    .env("PATH", path)
                    .output()
                    .unwrap();
                let stdout = String::from_utf8(output.stdout).unwrap();
                assert!(is_shown(&stdout, shown), "$ {command}\n{stdout}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 5, "{seen}");
}
