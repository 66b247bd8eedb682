//! `gitvolume-syncer` in both layouts, beside git-sync: its first sync, a look that finds nothing
//! new, and a new commit.

use std::cell::Cell;
use std::thread::sleep;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use remotes::HttpServer;
use remotes::Repo;
use tempfile::TempDir;

use crate::peers::Peers;
use crate::samples::Samples;
use crate::syncers::Kind;
use crate::syncers::PERIOD;
use crate::syncers::Reading;
use crate::syncers::STAMP;
use crate::syncers::Syncer;
use crate::table::Table;

const ROUNDS: usize = 5;
/// How long idle polls are watched in one round.
const IDLE: Duration = Duration::from_secs(8);
/// How many commits are made in one round.
const COMMITS: usize = 6;
const REPO: &str = "site.git";
const FILES: usize = 200;
const HISTORY: usize = 300;

/// What passes cost, each.
#[derive(Clone, Copy)]
struct Cost {
    /// CPU time of the program and all it starts, in ms.
    cpu: f64,
    /// That of the program alone.
    own: f64,
    requests: f64,
    connections: f64,
    sent: f64,
    received: f64,
}

impl Cost {
    fn between(before: &Reading, after: &Reading) -> Self {
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        let count = |figure: fn(&Reading) -> u64| (figure(after) - figure(before)) as f64;
        Self {
            cpu: millis(after.cpu.total()) - millis(before.cpu.total()),
            own: millis(after.cpu.own) - millis(before.cpu.own),
            requests: count(|reading| reading.requests),
            connections: count(|reading| reading.traffic.connections),
            sent: count(|reading| reading.traffic.sent),
            received: count(|reading| reading.traffic.received),
        }
    }

    /// The rest without so many times another cost, shared among so many passes.
    fn less(self, times: f64, other: Option<Self>, passes: f64) -> Self {
        let rest = |figure: fn(&Self) -> f64| {
            let other = other.as_ref().map_or(0.0, figure);
            (figure(&self) - times * other) / passes
        };
        Self {
            cpu: rest(|cost| cost.cpu),
            own: rest(|cost| cost.own),
            requests: rest(|cost| cost.requests),
            connections: rest(|cost| cost.connections),
            sent: rest(|cost| cost.sent),
            received: rest(|cost| cost.received),
        }
    }
}

/// One program's round.
struct Round {
    polls: f64,
    rss: f64,
    first: Cost,
    idle: Cost,
    commit: Cost,
}

/// The repository that all of them follow.
struct Remote {
    repo: Repo,
    server: HttpServer,
    commits: Cell<usize>,
}

impl Remote {
    fn start(dir: &TempDir) -> Self {
        let remote = Self {
            repo: Repo::in_dir(dir.path(), REPO),
            server: HttpServer::start(dir.path()),
            commits: Cell::new(0),
        };
        let all = (0..FILES).fold(remote.repo.commit(), |commit, file| {
            commit.write(&path(file), text(file, 0))
        });
        all.write(STAMP, "0").push();
        for _ in 0..HISTORY {
            remote.commit();
        }
        remote.repo.run(&["gc", "--quiet"]);
        remote
    }

    /// Changes three files and the stamp, and answers the stamp.
    fn commit(&self) -> String {
        let number = self.commits.get() + 1;
        self.commits.set(number);
        let files = (0..3).map(|nth| (number * 3 + nth) % FILES);
        files
            .fold(self.repo.commit(), |commit, file| {
                commit.write(&path(file), text(file, number))
            })
            .write(STAMP, self.stamp())
            .push();
        self.stamp()
    }

    fn stamp(&self) -> String {
        self.commits.get().to_string()
    }
}

fn path(file: usize) -> String {
    format!("part{}/page{file}.html", file % 12)
}

/// Some 2 kB that compress as text does.
fn text(file: usize, revision: usize) -> String {
    let line = |line: usize| {
        let number = (file * 7919 + revision * 104_729 + line * 1_299_709) % 999_983;
        format!("<p>page {file}, line {line}: {number:06} of {revision}</p>\n")
    };
    (0..45).map(line).collect()
}

/// Measures and prints.
pub(crate) fn print(peers: &Peers) -> Result<()> {
    let dir = TempDir::with_prefix("figures-remote-")?;
    eprintln!("syncer: making a repository");
    let remote = Remote::start(&dir);
    let mut kinds = vec![Kind::Link, Kind::Projected];
    kinds.extend(peers.git_sync.clone().map(Kind::GitSync));
    let mut rounds: Vec<Vec<Round>> = kinds.iter().map(|_| Vec::new()).collect();
    for round in 0..ROUNDS {
        for turn in 0..kinds.len() {
            // Who goes first changes from round to round.
            let index = (round + turn) % kinds.len();
            let kind = &kinds[index];
            eprintln!("syncer, round {} of {ROUNDS}: {}", round + 1, kind.name());
            let measured = measure(kind, &remote).with_context(|| kind.name())?;
            rounds[index].push(measured);
        }
    }

    let names: Vec<&str> = kinds.iter().map(Kind::name).collect();
    let title = format!("syncer over http, {FILES} files, depth 1");
    let mut table = Table::new(&title, &names, peers.git_sync.is_some());
    let mut row = |label: &str, figure: &dyn Fn(&Round) -> f64| {
        let values: Vec<Samples> = rounds
            .iter()
            .map(|rounds| {
                let mut samples = Samples::default();
                rounds.iter().for_each(|round| samples.push(figure(round)));
                samples
            })
            .collect();
        table.row(label, &values);
    };
    row("RSS idle of the program, MB", &|round| round.rss);
    row("polls watched per round", &|round| round.polls);
    let mut rows = |what: &str, cost: fn(&Round) -> &Cost| {
        let mut row = |label: &str, figure: fn(&Cost) -> f64| {
            row(&format!("{what}: {label}"), &|round| figure(cost(round)));
        };
        row("CPU, ms", |cost| cost.cpu);
        row("CPU of the program alone, ms", |cost| cost.own);
        row("requests", |cost| cost.requests);
        row("connections", |cost| cost.connections);
        row("bytes sent", |cost| cost.sent);
        row("bytes received", |cost| cost.received);
    };
    rows("idle poll", |round| &round.idle);
    rows("new commit", |round| &round.commit);
    rows("first sync", |round| &round.first);
    table.print();
    Ok(())
}

/// A fresh program with nothing on its disk: its first sync, its rest, and some commits.
fn measure(kind: &Kind, remote: &Remote) -> Result<Round> {
    let dir = TempDir::with_prefix("figures-syncer-")?;
    let syncer = Syncer::start(kind, dir.path(), &remote.server, REPO)?;
    syncer.await_stamp(&remote.stamp())?;
    // Past whatever follows the first sync.
    sleep(2 * PERIOD);

    let start = syncer.read()?;
    sleep(IDLE);
    let rested = syncer.read()?;
    let polls = (rested.idle - start.idle) as f64;
    ensure!(
        polls > 0.0 && rested.published == start.published,
        "{polls} idle polls"
    );
    let rss = syncer.rss()?;
    let idle = Cost::between(&start, &rested).less(0.0, None, polls);

    // What came before, and what follows, has idle polls in it that are known now.
    let without_polls = |before: &Reading, after: &Reading, expected: usize| {
        let published = after.published - before.published;
        ensure!(published == expected as u64, "{published} were published");
        let polls = (after.idle - before.idle) as f64;
        Ok(Cost::between(before, after).less(polls, Some(idle), published as f64))
    };
    let first = without_polls(&Reading::default(), &start, 1)?;

    let before = syncer.read()?;
    for _ in 0..COMMITS {
        syncer.await_quiet()?;
        syncer.await_stamp(&remote.commit())?;
    }
    // A pass goes on after it has published: old trees are removed.
    sleep(2 * PERIOD);
    let after = syncer.read()?;
    let commit = without_polls(&before, &after, COMMITS)?;
    Ok(Round {
        polls,
        rss,
        first,
        idle,
        commit,
    })
}
