//! What `--help` and the manual's pages say beside the flags: examples and exit codes, in one place.

use std::fmt::Write;

use clap::Command;

/// One command's pages.
struct Page {
    command: &'static str,
    /// A command line, and what it does.
    examples: &'static [(&'static str, &'static str)],
    codes: &'static [(u8, &'static str)],
}

/// Of what writes manifests.
const EDIT: &[(u8, &str)] = &[
    (0, "done; with --check: nothing would change"),
    (
        1,
        "with --check: something would change, or is left as it is",
    ),
    (
        2,
        "something is wrong, as standard error says; nothing was written",
    ),
];

const PLAIN: &[(u8, &str)] = &[
    (0, "done"),
    (2, "something is wrong, as standard error says"),
];

const SERVER: &[(u8, &str)] = &[
    (0, "ended by a signal"),
    (1, "it cannot start, as standard error says"),
];

const PAGES: &[Page] = &[
    Page {
        command: "serve",
        examples: &[
            (
                "gitvolume serve --tls=in-memory --syncer-image=registry.example/syncer:1",
                "answer over TLS with a certificate of its own, for a trial",
            ),
            (
                "gitvolume serve --tls=files --tls-dir=/tls --config=/etc/gitvolume/config.yaml",
                "with a certificate from a mounted Secret",
            ),
        ],
        codes: SERVER,
    },
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
                "in CI: are they all injected?",
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
                "in CI: is anything left to convert?",
            ),
        ],
        codes: EDIT,
    },
    Page {
        command: "uninject",
        examples: &[
            (
                "kubectl get deploy/web -o yaml | gitvolume uninject -f -",
                "print it as it was",
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
            (2, "something is wrong, as standard error says"),
        ],
    },
    Page {
        command: "explain",
        examples: &[
            ("gitvolume explain", "list all annotations"),
            (
                "gitvolume explain -f web.yaml",
                "what comes of the Pods of a manifest, and why",
            ),
            (
                "gitvolume explain -n shop deploy/web",
                "of what is in a cluster",
            ),
            (
                "gitvolume explain -n shop gitvolume/site",
                "which Pods an object is for, and what it gives",
            ),
        ],
        codes: &[
            (0, "done"),
            (2, "a Pod would be refused, or something is wrong"),
        ],
    },
    Page {
        command: "doctor",
        examples: &[
            (
                "gitvolume doctor",
                "look at the installation and at all Pods",
            ),
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
            (0, "no errors; with --strict no warnings either"),
            (
                1,
                "errors were found; with --strict also where there are warnings",
            ),
            (2, "no errors were found, but some checks could not run"),
        ],
    },
    Page {
        command: "demo",
        examples: &[
            (
                "gitvolume demo --syncer=./gitvolume-syncer",
                "the whole way on this machine",
            ),
            (
                "gitvolume demo --syncer=./gitvolume-syncer --repo=https://git.example/site.git",
                "with a repository of yours",
            ),
        ],
        codes: &[(0, "done"), (1, "a step failed, as standard error says")],
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
            "what comes of the Pods of a manifest, and why",
        ),
        (
            "gitvolume inject -f web.yaml | kubectl apply -f -",
            "for a cluster without the webhook",
        ),
        (
            "gitvolume doctor",
            "look at the installation and at all Pods of a cluster",
        ),
    ],
    codes: &[
        (0, "done"),
        (
            1,
            "a difference or an error was found, where the command looks for them",
        ),
        (
            2,
            "something is wrong, as standard error says, such as a wrong flag",
        ),
    ],
};

/// The commands that have a page.
pub const COMMANDS: [&str; 10] = [
    "completions",
    "convert",
    "demo",
    "diff",
    "doctor",
    "explain",
    "inject",
    "man",
    "serve",
    "uninject",
];

fn page(command: &str) -> &'static Page {
    PAGES
        .iter()
        .find(|page| page.command == command)
        .unwrap_or(&OWN)
}

/// Adds examples and exit codes to the help of all commands.
pub fn with_examples(command: Command) -> Command {
    let command = command.after_help(OWN.help());
    COMMANDS.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, |own| own.after_help(page(name).help()))
    })
}

/// The sections of the manual's page of a command, in roff; the program's own where the name is none.
pub fn sections(command: &str) -> String {
    let page = page(command);
    let escaped = |text: &str| text.replace('\\', "\\e").replace('-', "\\-");
    let mut text = ".SH \"EXIT STATUS\"\n".to_owned();
    for (code, meaning) in page.codes {
        // A text cannot fail to be written to.
        let _ = writeln!(text, ".TP\n\\fB{code}\\fR\n{}", escaped(meaning));
    }
    text.push_str(".SH EXAMPLES\n");
    for (line, meaning) in page.examples {
        let _ = writeln!(text, ".TP\n\\fB{}\\fR\n{}", escaped(line), escaped(meaning));
    }
    text
}

impl Page {
    fn help(&self) -> String {
        let mut text = "Examples:\n".to_owned();
        for (line, meaning) in self.examples {
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
    use crate::args::Cli;
    use clap::CommandFactory;

    #[test]
    fn every_command_has_examples_that_it_takes() {
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
