//! Soak test (`make soak`): a commit each second for some minutes, with garbage collection on. In
//! each layout that follows the remote, a reader continuously checks that each revision is
//! complete, or an app edits each revision's files and checks that the next one has none of its
//! edits; at the end neither disk usage nor the program's memory may have grown.

mod app;
mod follower;
mod layout;
mod reader;
mod revision;
mod writer;

use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::thread::sleep;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::Result;
use anyhow::anyhow;
use anyhow::ensure;
use remotes::HttpServer;
use remotes::Repo;
use tempfile::TempDir;

use crate::follower::Follower;
use crate::layout::FOLLOWED;
use crate::revision::commit;

const MINUTES: u64 = 10;
/// Time between two commits.
const COMMIT: Duration = Duration::from_secs(1);
/// Time between two measurements of disk and memory.
const LOOK: Duration = Duration::from_secs(5);
/// Time between two printed lines.
const LINE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("soak: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let minutes = std::env::args().nth(1);
    let minutes = minutes.map_or(Ok(MINUTES), |text| {
        text.parse()
            .with_context(|| format!("{text}: no number of minutes"))
    })?;
    let length = Duration::from_secs(60 * minutes);
    let dir = TempDir::with_prefix("soak-")?;
    let repo = Repo::in_dir(dir.path(), "site.git");
    commit(&repo, 0);
    let server = HttpServer::start_tls(dir.path());
    let mut followers = Vec::new();
    for layout in &FOLLOWED {
        followers.push(Follower::start(layout, dir.path(), &server)?);
    }
    println!("{minutes} minutes of a commit each second, each with 100 kB that do not compress");

    let is_over = AtomicBool::new(false);
    let commits = thread::scope(|scope| {
        let committer = scope.spawn(|| {
            let start = Instant::now();
            let mut count = 0;
            while !is_over.load(Ordering::Relaxed) {
                count += 1;
                commit(&repo, count);
                let next = start + COMMIT * u32::try_from(count).unwrap_or(u32::MAX);
                sleep(next.saturating_duration_since(Instant::now()));
            }
            count
        });
        for follower in &followers {
            let (is_over, app) = (&is_over, follower.app.clone());
            scope.spawn(move || app.run_until(is_over));
        }
        let watched = watch(&mut followers, length);
        is_over.store(true, Ordering::Relaxed);
        let commits = committer.join().map_err(|_| anyhow!("no more commits"))?;
        watched.map(|()| commits)
    })?;

    let mut mistakes = Vec::new();
    for follower in &followers {
        println!("{}", follower.summary(commits));
        mistakes.extend(follower.mistakes(commits));
    }
    ensure!(mistakes.is_empty(), "{}", mistakes.join("\n"));
    Ok(())
}

/// Measures all followers periodically, and prints a line a minute.
fn watch(followers: &mut [Follower], length: Duration) -> Result<()> {
    let start = Instant::now();
    let mut line = start + LINE;
    while start.elapsed() < length {
        sleep(LOOK);
        for follower in &mut *followers {
            follower.look()?;
        }
        if Instant::now() >= line {
            line += LINE;
            let states: Vec<String> = followers.iter().map(Follower::state).collect();
            println!(
                "{:4} s  {}",
                start.elapsed().as_secs(),
                states.join("  |  ")
            );
        }
    }
    Ok(())
}
