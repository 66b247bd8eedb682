use std::cell::Cell;
use std::cell::RefCell;
use std::io::IsTerminal;
use std::path::Path;
use std::time::Instant;

use similar::ChangeTag;
use similar::TextDiff;

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

/// Prints the steps to standard output, one line each with its time.
pub(super) struct Show {
    colour: bool,
    step: RefCell<String>,
    since: Cell<Instant>,
}

impl Show {
    pub(super) fn new() -> Self {
        Self {
            colour: std::io::stdout().is_terminal(),
            step: RefCell::default(),
            since: Cell::new(Instant::now()),
        }
    }

    /// Records the name of the current step, for the error if it fails.
    pub(super) fn begin(&self, step: &str) {
        step.clone_into(&mut self.step.borrow_mut());
        self.since.set(Instant::now());
    }

    pub(super) fn done(&self, what: &str) {
        let took = self.since.get().elapsed();
        println!("{:7.3} s  {what}", took.as_secs_f64());
        self.since.set(Instant::now());
    }

    pub(super) fn note(&self, text: &str) {
        println!("           {text}");
    }

    pub(super) fn failed_step(&self) -> String {
        format!("failed to {}", self.step.borrow())
    }

    /// Escape codes before and after each log line of the syncer.
    pub(super) fn log_prefix(&self) -> (&'static str, &'static str) {
        if self.colour { (DIM, RESET) } else { ("", "") }
    }

    pub(super) fn page(&self, page: &str) {
        println!();
        for line in page.lines().take(20) {
            println!("           | {line}");
        }
        println!();
    }

    pub(super) fn diff(&self, example: &Path, before: &str, after: &str) {
        let diff = TextDiff::from_lines(before, after);
        println!();
        println!("--- {}", example.display());
        println!("+++ the Pod as it is stored");
        for hunk in diff.unified_diff().context_radius(2).iter_hunks() {
            println!("{}", hunk.header());
            for change in hunk.iter_changes() {
                let (sign, colour) = match change.tag() {
                    ChangeTag::Delete => ('-', RED),
                    ChangeTag::Equal => (' ', ""),
                    ChangeTag::Insert => ('+', GREEN),
                };
                let line = change.value().trim_end_matches('\n');
                if self.colour && !colour.is_empty() {
                    println!("{colour}{sign}{line}{RESET}");
                } else {
                    println!("{sign}{line}");
                }
            }
        }
        println!();
    }
}
