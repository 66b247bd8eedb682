//! What a new commit costs in trees of many files, beside the git commands that git-sync runs for
//! one: on the disk of the temporary directory, and in memory.

mod follower;
mod git_commands;
mod remote;
mod space;

use std::path::Path;

use anyhow::Result;
use tempfile::TempDir;
use tests::samples::Samples;

use crate::commits::follower::Follower;
use crate::commits::remote::Remote;
use crate::peers::Peers;
use crate::table::Table;
use crate::targets::Targets;
use crate::targets::Wanted;

/// The numbers of files.
const SIZES: [usize; 3] = [200, 20_000, 50_000];

const ROUNDS: usize = 5;

/// The number of commits in one round: the kernel counts CPU in ticks of 10 ms.
const COMMITS: usize = 4;

/// The most files on the disk: 50,000 would take half an hour.
const MOST_ON_DISK: usize = 20_000;

/// A file system in memory on every Linux machine.
const MEMORY: &str = "/dev/shm";

/// What a program's commits have cost.
#[derive(Default)]
struct Figures {
    /// CPU per commit, in ms.
    cpu: Samples,
    /// From the start of the pass to the publication, in ms.
    took: Samples,
    /// CPU of the first sync, in ms.
    first: Samples,
    /// Disk space of one more revision that is kept, in MB.
    space: Samples,
    /// Memory of the page cache for the files of two revisions, in MB.
    cache: Samples,
}

/// Measures and prints.
pub(crate) fn print(peers: &Peers) -> Result<()> {
    let mut followers = vec![Follower::Linked, Follower::Files, Follower::Separate];
    followers.extend(peers.git_sync.clone().map(Follower::GitSync));
    followers.push(Follower::GitCommands);
    let mut targets = Targets::new("commit", "git commands");
    for files in SIZES {
        for (place, parent) in [("disk", None), ("memory", Some(Path::new(MEMORY)))] {
            if parent.is_none() && files > MOST_ON_DISK {
                continue;
            }
            let title = format!("{files} files, 4 changed, {place}");
            let figures = measure_all(&title, &followers, files, parent)?;
            print_table(&title, &followers, &figures);
            judge(&mut targets, files, place, &figures);
        }
    }
    targets.print();
    Ok(())
}

fn measure_all(
    title: &str,
    followers: &[Follower],
    files: usize,
    parent: Option<&Path>,
) -> Result<Vec<Figures>> {
    let dir = match parent {
        Some(parent) => TempDir::with_prefix_in("figures-commits-", parent)?,
        None => TempDir::with_prefix("figures-commits-")?,
    };
    let remote = Remote::new(dir.path(), files);
    let mut figures: Vec<Figures> = followers.iter().map(|_| Figures::default()).collect();
    for round in 0..ROUNDS {
        for turn in 0..followers.len() {
            // The order alternates from round to round.
            let index = (round + turn) % followers.len();
            let follower = &followers[index];
            eprintln!(
                "{title}, round {} of {ROUNDS}: {}",
                round + 1,
                follower.name()
            );
            let place = TempDir::with_prefix_in("follower-", dir.path())?;
            follower.measure(&remote, place.path(), &mut figures[index])?;
        }
    }
    Ok(figures)
}

fn print_table(title: &str, followers: &[Follower], figures: &[Figures]) {
    let names: Vec<&str> = followers.iter().map(Follower::name).collect();
    let mut table = Table::new(&format!("new commit: {title}"), &names, true);
    let mut row = |label: &str, figure: fn(&Figures) -> &Samples| {
        let values: Vec<Samples> = figures.iter().map(|all| figure(all).clone()).collect();
        table.row(label, &values);
    };
    row("CPU per commit, ms", |figures| &figures.cpu);
    row("time to publication, ms", |figures| &figures.took);
    row("first sync: CPU, ms", |figures| &figures.first);
    row("space of a kept revision, MB", |figures| &figures.space);
    row("page cache of two revisions, MB", |figures| &figures.cache);
    table.print();
}

/// The targets of linked trees; the last follower is the baseline.
fn judge(targets: &mut Targets, files: usize, place: &str, figures: &[Figures]) {
    let (ours, baseline) = (&figures[0], &figures[figures.len() - 1]);
    let ratio = match (files, place) {
        (200, _) => 3.0,
        (_, "memory") => 1.8,
        _ => 5.0,
    };
    let what = |what: &str| format!("{files} files, {place}: {what}");
    let cpu = what("CPU ms");
    targets.line(
        &cpu,
        Wanted::Ratio(ratio),
        &ours.cpu,
        Some(baseline.cpu.clone()),
    );
    if files > 200 {
        let space = what("space MB");
        let wanted = Wanted::Ratio(50.0);
        targets.line(&space, wanted, &ours.space, Some(baseline.space.clone()));
    }
}
