//! Examples and exit codes for `--help` and the manual pages, in one place.

use std::fmt::Write;

use clap::Command;

/// The page of a command.
struct Page {
    command: &'static str,
    /// Command lines, each with its description.
    examples: &'static [(&'static str, &'static str)],
    codes: &'static [(u8, &'static str)],
}

/// The exit codes of commands that write manifests.
const EDIT: &[(u8, &str)] = &[
    (0, "done; with --check: nothing would change"),
    (1, "with --check: something would change or is skipped"),
    (
        2,
        "an error occurred and nothing was written; see standard error",
    ),
];

const PLAIN: &[(u8, &str)] = &[(0, "done"), (2, "an error occurred; see standard error")];

const PAGES: &[Page] = &[
    Page {
        command: "inject",
        examples: &[
            (
                "gitvolume inject -f web.yaml | kubectl apply -f -",
                "for a cluster without the webhook",
            ),
            (
                "gitvolume inject --in-place -f manifests/",
                "write all manifests of a directory",
            ),
            (
                "gitvolume inject --check -f manifests/",
                "in CI: check that all are injected",
            ),
            (
                "helm template site ./chart | gitvolume inject -f -",
                "render a chart first",
            ),
        ],
        codes: EDIT,
    },
    Page {
        command: "convert",
        examples: &[
            (
                "gitvolume convert -f web.yaml",
                "print the manifest with annotations",
            ),
            (
                "gitvolume convert --in-place -f manifests/",
                "write all manifests of a directory",
            ),
            (
                "gitvolume convert --check -f manifests/",
                "in CI: check that nothing is left to convert",
            ),
        ],
        codes: EDIT,
    },
    Page {
        command: "uninject",
        examples: &[
            (
                "kubectl get deploy/web -o yaml | gitvolume uninject -f -",
                "print the manifest without the injection",
            ),
            (
                "gitvolume uninject --in-place -f manifests/",
                "write all manifests of a directory",
            ),
        ],
        codes: EDIT,
    },
    Page {
        command: "diff",
        examples: &[
            (
                "gitvolume diff -f web.yaml",
                "show what inject would change",
            ),
            (
                "gitvolume diff --config=settings.yaml -f manifests/",
                "with the cluster's settings",
            ),
        ],
        codes: &[
            (0, "nothing would change"),
            (1, "something would change"),
            (2, "an error occurred; see standard error"),
        ],
    },
    Page {
        command: "explain",
        examples: &[
            ("gitvolume explain", "list all annotations"),
            (
                "gitvolume explain -f web.yaml",
                "explain what the webhook would do to the Pods of a manifest",
            ),
            (
                "gitvolume explain -n shop deploy/web",
                "explain a workload of the cluster",
            ),
            (
                "gitvolume explain -n shop gitvolume/site",
                "show which Pods a GitVolume selects and what it sets",
            ),
        ],
        codes: &[
            (0, "done"),
            (2, "a Pod would be refused, or an error occurred"),
        ],
    },
    Page {
        command: "doctor",
        examples: &[
            ("gitvolume doctor", "check the installation and all Pods"),
            (
                "gitvolume doctor -n shop --no-trial",
                "with access to one namespace only",
            ),
            (
                "gitvolume doctor --strict -o json",
                "for scripts; warnings count too",
            ),
        ],
        codes: &[
            (0, "no errors; with --strict: no errors and no warnings"),
            (1, "errors were found; with --strict: errors or warnings"),
            (2, "no errors were found, but some checks could not run"),
        ],
    },
    Page {
        command: "status",
        examples: &[
            (
                "gitvolume status -n shop",
                "the Pods of a namespace that have a repository",
            ),
            (
                "gitvolume status -n shop deploy/web",
                "the Pods of a workload",
            ),
            (
                "gitvolume status gitvolume/site -o json",
                "the Pods of a GitVolume, for programs",
            ),
        ],
        codes: &[
            (
                0,
                "every Pod has published a commit, and its last pass succeeded",
            ),
            (1, "a Pod has published nothing, or its last pass failed"),
            (
                2,
                "the state of a Pod cannot be read, or another error occurred",
            ),
        ],
    },
    Page {
        command: "wait",
        examples: &[
            (
                "gitvolume wait -n shop deploy/web --revision 0a1b2c3d4e5f",
                "in CI: after a push, wait until all Pods serve the commit",
            ),
            (
                "gitvolume wait gitvolume/site --revision 0a1b2c3d4e5f --timeout 10m",
                "all Pods that a GitVolume selects",
            ),
        ],
        codes: &[
            (0, "every Pod has published the commit"),
            (1, "not every Pod has published it within the timeout"),
            (
                2,
                "an error occurred, such as a missing permission or a Pod without a repository",
            ),
        ],
    },
    Page {
        command: "completions",
        examples: &[
            ("source <(gitvolume completions bash)", "for this shell"),
            (
                "gitvolume completions zsh > \"${fpath[1]}/_gitvolume\"",
                "for every new zsh",
            ),
        ],
        codes: PLAIN,
    },
    Page {
        command: "man",
        examples: &[
            ("gitvolume man inject | man -l -", "read one page"),
            (
                "gitvolume man --out /usr/local/share/man/man1",
                "install all pages",
            ),
        ],
        codes: PLAIN,
    },
];

const OWN: Page = Page {
    command: "",
    examples: &[
        (
            "gitvolume explain -f web.yaml",
            "explain what the webhook would do to the Pods of a manifest",
        ),
        (
            "gitvolume inject -f web.yaml | kubectl apply -f -",
            "for a cluster without the webhook",
        ),
        (
            "gitvolume doctor",
            "check the installation and all Pods of a cluster",
        ),
    ],
    codes: &[
        (0, "done"),
        (
            1,
            "diff, doctor, status, wait or --check found a difference or a problem",
        ),
        (
            2,
            "an error occurred, such as a wrong flag; see standard error",
        ),
    ],
};

/// The commands that have a page.
pub const COMMANDS: [&str; 10] = [
    "completions",
    "convert",
    "diff",
    "doctor",
    "explain",
    "inject",
    "man",
    "status",
    "uninject",
    "wait",
];

fn page(command: &str) -> &'static Page {
    PAGES
        .iter()
        .find(|page| page.command == command)
        .unwrap_or(&OWN)
}

/// Adds examples and exit codes to the help of every command; `program` is the name by which the
/// user calls the program.
pub fn with_examples(command: Command, program: &str) -> Command {
    let command = command.after_help(OWN.help(program));
    COMMANDS.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, |own| own.after_help(page(name).help(program)))
    })
}

/// The sections of a command's manual page, in roff; those of the program if the name is empty.
pub fn sections(command: &str) -> String {
    let page = page(command);
    let escaped = |text: &str| text.replace('\\', "\\e").replace('-', "\\-");
    let mut text = ".SH \"EXIT STATUS\"\n".to_owned();
    for (code, meaning) in page.codes {
        // Writing to a String cannot fail.
        let _ = writeln!(text, ".TP\n\\fB{code}\\fR\n{}", escaped(meaning));
    }
    text.push_str(".SH EXAMPLES\n");
    for (line, meaning) in page.examples {
        let _ = writeln!(text, ".TP\n\\fB{}\\fR\n{}", escaped(line), escaped(meaning));
    }
    text
}

impl Page {
    fn help(&self, program: &str) -> String {
        let mut text = "Examples:\n".to_owned();
        for (line, meaning) in self.examples {
            let line = line.replace("gitvolume ", &format!("{program} "));
            let _ = writeln!(text, "  # {meaning}\n  {line}");
        }
        text.push_str("\nExit codes:\n");
        for (code, meaning) in self.codes {
            let _ = writeln!(text, "  {code}  {meaning}");
        }
        text.truncate(text.trim_end().len());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command_line::Cli;
    use clap::CommandFactory;

    #[test]
    fn every_command_has_examples_that_parse() {
        let names: Vec<String> = Cli::command()
            .get_subcommands()
            .map(|own| own.get_name().to_owned())
            .collect();
        let mut known = COMMANDS.map(str::to_owned).to_vec();
        known.sort();
        let mut names = names;
        names.sort();
        assert_eq!(names, known);
        assert_eq!(PAGES.len(), COMMANDS.len());
        for page in PAGES.iter().chain([&OWN]) {
            assert!(!page.codes.is_empty());
            for (line, _) in page.examples {
                let words = line.split('|').find(|part| part.contains("gitvolume "));
                let start = words.unwrap_or_default();
                let start = &start[start.find("gitvolume ").unwrap_or_default()..];
                let words = start.split([')', '>']).next().unwrap_or_default();
                let words = words.split_whitespace();
                let parsed = Cli::command().try_get_matches_from(words);
                assert!(parsed.is_ok(), "{line}: {:?}", parsed.err());
            }
        }
    }
}
