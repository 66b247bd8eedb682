//! Every command in the pages is valid: our own parsers accept our commands, helm renders the
//! chart, and kubectl knows its subcommands and flags.

use clap::CommandFactory;
use clap::Parser;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use tests::settings;
use tests::tools::found_or_not_run;
use tests::tools::tool;

use crate::docs::manifests::helm;
use crate::docs::manifests::syncer;
use crate::docs::pages::pages;
use crate::docs::shell::Words;
use crate::docs::shell::commands;

/// Third-party programs whose arguments are not checked.
const OTHERS: [&str; 24] = [
    "awk",
    "cargo",
    "cat",
    "cd",
    "cmp",
    "cp",
    "curl",
    "docker",
    "echo",
    "export",
    "git",
    "grep",
    "install",
    "jq",
    "kind",
    "ls",
    "openssl",
    "podman",
    "sed",
    "sha256sum",
    "sleep",
    "ssh-keygen",
    "ssh-keyscan",
    "tar",
];

#[test]
fn every_command_is_valid() {
    let targets = make_targets();
    let has_kubectl = found_or_not_run("kubectl").is_some();
    let mut kubectl = Kubectl::default();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for page in pages() {
        for block in page.blocks() {
            if !["console", "sh"].contains(&block.kind.as_str()) {
                continue;
            }
            for words in commands(&block.kind, &block.text) {
                seen += 1;
                let trouble = match words[0].as_str() {
                    "gitvolume" => gitvolume(&words),
                    "gitvolume-syncer" => syncer_command(&words[1..]),
                    "make" => make(&words[1..], &targets),
                    "helm" => helm_command(&words[1..]),
                    "kubectl" if words.get(1).is_some_and(|word| word == "gitvolume") => {
                        gitvolume(&words[1..])
                    }
                    "kubectl" if has_kubectl => kubectl.check(&words[1..]),
                    "kubectl" => Ok(()),
                    other if OTHERS.contains(&other) => Ok(()),
                    other => Err(format!("{other}: teach this test what it is")),
                };
                wrong.extend(
                    trouble
                        .err()
                        .map(|error| format!("{block}: {}: {error}", words.join(" "))),
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 30, "only {seen} commands were found");
}

/// Inline commands such as `gitvolume explain`, and targets such as `make demo`, exist.
#[test]
fn every_inline_command_exists() {
    let targets = make_targets();
    let ours = webhook_commands();
    let mut wrong = Vec::new();
    for page in pages() {
        for (line, text) in page.prose() {
            for code in text.split('`').skip(1).step_by(2) {
                let words: Vec<&str> = code.split(' ').collect();
                let is_known = match words[..] {
                    ["make", target, ..] => targets.contains(target),
                    ["gitvolume", command, ..] | ["kubectl", "gitvolume", command, ..] => {
                        ours.contains(command) || command == "…"
                    }
                    _ => true,
                };
                if !is_known {
                    wrong.push(format!("{}:{line}: `{code}`", page.path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn webhook_commands() -> BTreeSet<String> {
    let cli = cli::command_line::Cli::command();
    cli.get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect()
}

fn gitvolume(words: &[String]) -> Result<(), String> {
    match cli::command_line::Cli::try_parse_from(words) {
        Ok(_) => Ok(()),
        Err(error) if !error.use_stderr() => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

fn syncer_command(words: &[String]) -> Result<(), String> {
    syncer(words.to_vec(), [])
}

fn make_targets() -> BTreeSet<String> {
    let makefile = fs::read_to_string(settings::root().join("Makefile")).unwrap();
    let target = |line: &str| Some(line.split_once(": ")?.0.strip_prefix(".PHONY").is_some());
    makefile
        .lines()
        .filter(|line| target(line) == Some(true))
        .filter_map(|line| line.split_once(": "))
        .map(|(_, name)| name.to_owned())
        .collect()
}

fn make(words: &[String], targets: &BTreeSet<String>) -> Result<(), String> {
    for word in words.iter().filter(|word| !word.contains('=')) {
        if !targets.contains(word) {
            return Err(format!("there is no target {word}"));
        }
    }
    Ok(())
}

/// Renders what is installed; for other subcommands, checks the flags against the help.
fn helm_command(words: &[String]) -> Result<(), String> {
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    let only_for_a_release = ["--install", "--reset-then-reuse-values", "--reuse-values"];
    let is_ours = words.contains(&"charts/gitvolume");
    match words.first() {
        Some(&"install" | &"upgrade" | &"template") if is_ours => {
            words[0] = "template";
            words.retain(|word| !only_for_a_release.contains(word));
            // The reader's file does not exist here; its name is used as the contents.
            for word in words.iter_mut().filter(|word| **word == "--set-file") {
                *word = "--set-string";
            }
            helm(&words)
        }
        _ => {
            words.retain(|word| {
                word.starts_with('-') || word.chars().all(|char| char.is_ascii_lowercase())
            });
            helm(&[&words[..1], &["--help"]].concat())
        }
    }
}

/// Cache of kubectl's help for its subcommands.
#[derive(Default)]
pub(crate) struct Kubectl {
    help: BTreeMap<String, String>,
}

impl Kubectl {
    fn help(&mut self, path: &[&str]) -> &str {
        // `kubectl options` prints the flags of all subcommands, not its help.
        let arguments: Vec<&str> = match path {
            ["options"] => path.to_vec(),
            _ => [path, &["--help"]].concat(),
        };
        self.help.entry(path.join(" ")).or_insert_with(|| {
            let output = Command::new(tool("kubectl")).args(&arguments).output();
            let output = output.expect("run kubectl: make tools builds it");
            String::from_utf8_lossy(&output.stdout).into_owned()
        })
    }

    /// Checks the subcommand and each of the flags.
    pub(crate) fn check(&mut self, words: &[String]) -> Result<(), String> {
        let words: Words = words
            .iter()
            .take_while(|word| *word != "--")
            .cloned()
            .collect();
        // Flags may precede the subcommand; of those in the pages, these take a value.
        let mut names = Vec::new();
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            if [
                "-n",
                "--namespace",
                "--context",
                "-f",
                "-c",
                "-l",
                "-o",
                "--for",
            ]
            .contains(&word.as_str())
            {
                rest.next();
            } else if !word.starts_with('-') {
                names.push(word.as_str());
            }
        }
        let first = *names.first().ok_or("no subcommand")?;
        let mut path = vec![first];
        let groups = [
            "auth",
            "certificate",
            "config",
            "create",
            "rollout",
            "set",
            "top",
        ];
        for name in &names[1..] {
            let at = path.last().copied().unwrap_or_default();
            let is_group = groups.contains(&at) || at == "secret";
            let list = self.help(&path).to_owned();
            let listed = |line: &str| line.split_whitespace().next() == Some(*name);
            if is_group
                && list
                    .lines()
                    .any(|line| line.starts_with("  ") && listed(line))
            {
                path.push(name);
            } else {
                break;
            }
        }
        let global = self.help(&["options"]).to_owned();
        let known = format!("{}\n{global}", self.help(&path));
        if !known.contains("Usage:") {
            return Err(format!("kubectl has no {}", path.join(" ")));
        }
        let is_missing =
            |word: &&String| word.starts_with("examples/") && !settings::root().join(word).exists();
        if let Some(word) = words.iter().find(is_missing) {
            return Err(format!("{word} is not there"));
        }
        for word in words.iter().filter(|word| word.len() > 1) {
            let flag = word.split('=').next().unwrap_or(word);
            let is_there = match flag.strip_prefix("--") {
                Some(name) => [format!("--{name}="), format!("--{name}:")]
                    .iter()
                    .any(|written| known.contains(written.as_str())),
                None if flag.starts_with('-') => {
                    let short: String = flag.chars().take(2).collect();
                    known.contains(&format!("{short}, --"))
                }
                None => true,
            };
            if !is_there {
                return Err(format!("kubectl {} has no {flag}", path.join(" ")));
            }
        }
        Ok(())
    }
}

#[test]
fn an_invalid_command_is_detected() {
    let words = |line: &str| -> Words { line.split(' ').map(str::to_owned).collect() };
    assert!(gitvolume(&words("gitvolume inject --frobnicate")).is_err());
    assert!(syncer_command(&words("--frobnicate")).is_err());
    assert!(make(&words("frobnicate"), &make_targets()).is_err());
}

#[test]
fn an_invalid_kubectl_command_is_detected() {
    if found_or_not_run("kubectl").is_none() {
        return;
    }
    let mut kubectl = Kubectl::default();
    let words = |line: &str| -> Words { line.split(' ').map(str::to_owned).collect() };
    for line in [
        "apply -f examples/frobnicate.yaml",
        "frobnicate pods",
        "get pods --frobnicate",
        "create secret generic x --from-nothing=y",
        "rollout status -Q deployment/x",
    ] {
        assert!(kubectl.check(&words(line)).is_err(), "{line}");
    }
    let line = "create secret generic x --from-literal=a=b -n shop";
    assert_eq!(kubectl.check(&words(line)), Ok(()));
}

#[test]
fn an_invalid_helm_command_is_detected() {
    if found_or_not_run("helm").is_none() {
        return;
    }
    let words = |line: &str| -> Words { line.split(' ').map(str::to_owned).collect() };
    let values = "install gitvolume charts/gitvolume --set frobnicate=1";
    assert!(helm_command(&words(values)).is_err());
    let file = "install gitvolume charts/gitvolume --set-file settings.frobnicate=a.pem";
    assert!(helm_command(&words(file)).is_err());
}
