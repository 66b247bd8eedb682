//! The cost of the two programs, compared with their peers if those are installed: `make bench`, or
//! `cargo bench -p tests --bench figures -- [handler] [webhook] [objects] [syncer] [commits]
//! [cache]`.
//! docs/benchmarks.md explains the tables.

mod cache;
mod commits;
mod constant;
mod fleet;
mod handler;
mod load;
mod objects;
mod peers;
mod proxy;
mod remote;
mod review;
mod syncer;
mod syncers;
mod table;
mod targets;
mod vault;
mod webhook;

use std::process::Command;
use std::process::ExitCode;
use std::thread::available_parallelism;

use anyhow::Result;
use anyhow::bail;

use crate::peers::Peers;

type Part = (&'static str, fn(&Peers) -> Result<()>);

const PARTS: [Part; 6] = [
    ("handler", handler::print),
    ("webhook", webhook::print),
    ("objects", objects::print),
    ("syncer", syncer::print),
    ("commits", commits::print),
    ("cache", cache::print),
];

fn main() -> ExitCode {
    // When `run` returns, every value that started a process has been dropped, which stops the
    // process.
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("figures: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    // cargo adds --bench.
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    for name in &wanted {
        if !PARTS.iter().any(|(part, _)| part == name) {
            let parts = PARTS.map(|(part, _)| part).join(", ");
            bail!("no part is called {name}; there are {parts}");
        }
    }
    let cores = available_parallelism()?;
    println!("{cores} cores, {}", git_version()?);
    let peers = Peers::find();
    for (name, print) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            print(&peers)?;
        }
    }
    Ok(())
}

fn git_version() -> Result<String> {
    let said = Command::new("git").arg("--version").output()?;
    Ok(String::from_utf8(said.stdout)?.trim().to_owned())
}
