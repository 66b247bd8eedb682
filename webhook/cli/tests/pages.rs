//! The program's name, its completions and its manual.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::run_in;

#[test]
fn as_a_kubectl_plugin_its_usage_shows_that_name() {
    let root = tempfile::tempdir().unwrap();
    let plugin = root.path().join("kubectl-gitvolume");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_gitvolume"), &plugin).unwrap();
    for (program, usage) in [
        (plugin.as_path(), "Usage: kubectl gitvolume inject "),
        (
            Path::new(env!("CARGO_BIN_EXE_gitvolume")),
            "Usage: gitvolume inject ",
        ),
    ] {
        let output = Command::new(program)
            .args(["inject", "--help"])
            .output()
            .unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(help.contains(usage), "{help}");
    }
}

#[test]
fn there_are_completions_for_each_shell_and_a_page_for_each_command() {
    let root = tempfile::tempdir().unwrap();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = run_in(root.path(), &["completions", shell], "");
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(ran.out.contains("uninject"), "{shell}");
    }
    let ran = run_in(root.path(), &["man", "inject"], "");
    assert!(ran.out.contains("in\\-place"), "{}", ran.out);
    assert_eq!(run_in(root.path(), &["man", "no-such"], "").code, 2);
    let ran = run_in(root.path(), &["man", "--out", "pages"], "");
    assert_eq!((ran.code, ran.out + &ran.err), (0, String::new()));
    for page in ["gitvolume.1", "gitvolume-diff.1", "gitvolume-uninject.1"] {
        let page = root.path().join("pages").join(page);
        let text = fs::read_to_string(&page).unwrap_or_default();
        assert!(text.contains(".TH"), "{}", page.display());
    }
}

#[test]
fn help_and_manual_have_examples_and_exit_codes() {
    let root = tempfile::tempdir().unwrap();
    for command in [
        "inject",
        "uninject",
        "diff",
        "convert",
        "explain",
        "doctor",
        "man",
        "completions",
    ] {
        for flag in ["-h", "--help"] {
            let ran = run_in(root.path(), &[command, flag], "");
            assert_eq!(ran.code, 0);
            assert!(
                ran.out.contains("\nExamples:\n  # "),
                "{command}: {}",
                ran.out
            );
            assert!(
                ran.out.contains("\nExit codes:\n  0  "),
                "{command}: {}",
                ran.out
            );
        }
        let page = run_in(root.path(), &["man", command], "").out;
        let title = format!(".TH gitvolume-{command} 1 20");
        assert!(page.contains(&title), "{page}");
        let version = env!("CARGO_PKG_VERSION");
        assert!(page.contains(&format!("\"gitvolume {version}\"")), "{page}");
        for section in [
            "NAME",
            "SYNOPSIS",
            "OPTIONS",
            "\"EXIT STATUS\"",
            "EXAMPLES",
            "VERSION",
        ] {
            assert!(
                page.contains(&format!(".SH {section}\n")),
                "{command} {section}: {page}"
            );
        }
    }
    let page = run_in(root.path(), &["man"], "").out;
    assert!(page.contains(".SH SUBCOMMANDS\n"), "{page}");
    assert!(page.contains(".SH \"EXIT STATUS\"\n"), "{page}");
    let script = run_in(root.path(), &["completions", "bash"], "").out;
    for values in [
        "deny warn",
        "Always IfNotPresent Never",
        "json text",
        "completions convert diff",
    ] {
        assert!(script.contains(values), "{values}");
    }
}
