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
    for (program, name) in [
        (plugin.as_path(), "kubectl gitvolume"),
        (Path::new(env!("CARGO_BIN_EXE_gitvolume")), "gitvolume"),
    ] {
        let help = |args: &[&str]| {
            let output = Command::new(program).args(args).output().unwrap();
            String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
        };
        let inject = help(&["inject", "--help"]);
        let usage = format!("Usage: {name} inject ");
        assert!(inject.contains(&usage), "{inject}");
        let example = format!("\n  {name} inject -f web.yaml | kubectl apply -f -\n");
        assert!(inject.contains(&example), "{inject}");
        let own = help(&["--help"]);
        assert!(own.contains(&format!("Usage: {name} ")), "{own}");
        assert!(own.contains(&format!("\n  {name} doctor\n")), "{own}");
        let wrong = help(&["wait"]);
        assert!(wrong.contains(&format!("Usage: {name} wait ")), "{wrong}");
    }
}

/// kubectl calls the script with the words so far, and reads cobra's format.
#[test]
fn kubectl_gets_completions_from_the_script() {
    let root = tempfile::tempdir().unwrap();
    let plugin = root.path().join("kubectl-gitvolume");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_gitvolume"), &plugin).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("kubectl_complete-gitvolume");
    let completed = |words: &[&str]| {
        let output = Command::new(&script)
            .args(words)
            .env("PATH", format!("{}:/usr/bin:/bin", root.path().display()))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let commands = completed(&["st"]);
    assert!(
        commands.starts_with("status\tShow which commit "),
        "{commands}"
    );
    assert!(commands.ends_with("\n:4\n"), "{commands}");
    let formats = completed(&["status", "--output", ""]);
    assert!(formats.contains("json\t"), "{formats}");
    let flags = completed(&["wait", "deploy/web", "--rev"]);
    assert!(flags.starts_with("--revision\t"), "{flags}");
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
        "status",
        "wait",
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
