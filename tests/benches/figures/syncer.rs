//! `gitvolume-syncer` compared with git-sync: the first sync, an idle poll, a new commit, and
//! memory; over https with little and with much history, and over ssh.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;
use tempfile::TempDir;
use tests::contained::Memory;
use tests::samples::Samples;

use crate::fleet;
use crate::peers::Peers;
use crate::remote::FILES;
use crate::remote::HISTORY;
use crate::remote::Remote;
use crate::remote::Road;
use crate::syncers::Kind;
use crate::syncers::PERIOD;
use crate::syncers::Reading;
use crate::syncers::Syncer;
use crate::syncers::millis;
use crate::table::Table;
use crate::targets::Targets;
use crate::targets::Wanted;

const ROUNDS: usize = 3;
/// How long idle polls are measured in one round.
const IDLE: Duration = Duration::from_secs(5);
/// How long memory is measured in one round.
const WATCH: Duration = Duration::from_secs(2);
/// The number of commits in one round.
const COMMITS: usize = 4;

/// One scenario of following the repository.
struct Scene {
    title: &'static str,
    road: Road,
    depth: u32,
    layouts: &'static [Kind],
    /// The minimum ratio of the peer's cost of an idle poll to this syncer's.
    idle_ratio: f64,
}

const SCENES: [Scene; 3] = [
    Scene {
        title: "https, depth 1",
        road: Road::Https,
        depth: 1,
        layouts: &[Kind::Link, Kind::Projected],
        idle_ratio: 100.0,
    },
    Scene {
        title: "https, full history",
        road: Road::Https,
        depth: 0,
        layouts: &[Kind::Link],
        idle_ratio: 300.0,
    },
    Scene {
        title: "ssh, depth 1",
        road: Road::Ssh,
        depth: 1,
        layouts: &[Kind::Link],
        idle_ratio: 50.0,
    },
];

/// The cost per pass.
#[derive(Clone, Copy)]
struct Cost {
    /// CPU time of the program and all its child processes, in ms.
    cpu: f64,
    /// CPU time of the long-lived processes.
    own: f64,
    requests: f64,
    connections: f64,
    sent: f64,
    received: f64,
}

impl Cost {
    fn between(before: &Reading, after: &Reading) -> Self {
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

    /// This cost minus `times` the other cost, divided by the number of passes.
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
    idle: Cost,
    commit: Cost,
    first: Cost,
    /// From the program's start to the first published tree, in ms.
    first_took: f64,
    /// From the first traffic to the remote to the published commit, in ms.
    commit_took: f64,
    polling: Memory,
    committing: Memory,
}

/// The rounds of one program.
type Rounds = Vec<Round>;

/// Measures and prints.
pub(crate) fn print(peers: &Peers) -> Result<()> {
    eprintln!("syncer: making a repository of {HISTORY} commits");
    let remote = Remote::start()?;
    let peer = peers.git_sync.clone().map(Kind::GitSync);
    let mut targets = Targets::new("syncer", "git-sync");
    for scene in &SCENES {
        let mut kinds = scene.layouts.to_vec();
        kinds.extend(peer.clone());
        let rounds = scene.rounds(&kinds, &remote)?;
        scene.print(&kinds, &rounds, peer.is_some());
        scene.judge(&mut targets, &rounds, peer.is_some());
    }
    fleet::measure(&mut targets)?;
    targets.print();
    Ok(())
}

impl Scene {
    fn rounds(&self, kinds: &[Kind], remote: &Remote) -> Result<Vec<Rounds>> {
        let mut rounds: Vec<Rounds> = kinds.iter().map(|_| Vec::new()).collect();
        for round in 0..ROUNDS {
            for turn in 0..kinds.len() {
                // The order alternates from round to round.
                let index = (round + turn) % kinds.len();
                let kind = &kinds[index];
                eprintln!(
                    "{}, round {} of {ROUNDS}: {}",
                    self.title,
                    round + 1,
                    kind.name()
                );
                let measured = self.measure(kind, remote).with_context(|| kind.name())?;
                rounds[index].push(measured);
            }
        }
        Ok(rounds)
    }

    /// A fresh program with an empty disk: its first sync, idle polls, and some commits.
    fn measure(&self, kind: &Kind, remote: &Remote) -> Result<Round> {
        let dir = TempDir::with_prefix("figures-syncer-")?;
        let syncer = Syncer::start(kind, self.road, self.depth, dir.path(), remote)?;
        let first_took = syncer.await_first()?;
        // Waits until the work after the first sync is done.
        sleep(2 * PERIOD);

        let start = syncer.read()?;
        sleep(IDLE);
        let rested = syncer.read()?;
        let polls = (rested.idle - start.idle) as f64;
        ensure!(
            polls > 0.0 && rested.published == start.published,
            "{polls} idle polls"
        );
        let idle = Cost::between(&start, &rested).less(0.0, None, polls);

        // The readings before and after include idle polls, whose cost is now known.
        let without_polls = |before: &Reading, after: &Reading, expected: usize| {
            let published = after.published - before.published;
            ensure!(published == expected as u64, "{published} were published");
            let polls = (after.idle - before.idle) as f64;
            Ok(Cost::between(before, after).less(polls, Some(idle), published as f64))
        };
        let first = without_polls(&Reading::default(), &start, 1)?;

        let before = syncer.read()?;
        let mut took = Samples::default();
        for _ in 0..COMMITS {
            took.push(syncer.follow_commit()?);
        }
        // A pass continues after the publication: it removes old trees.
        sleep(2 * PERIOD);
        let after = syncer.read()?;
        let commit = without_polls(&before, &after, COMMITS)?;

        // At the end, because reading the memory costs the program time.
        let polling = syncer.program.memory_while(|| {
            sleep(WATCH);
            Ok(())
        })?;
        let committing = syncer.program.memory_while(|| {
            syncer.follow_commit()?;
            sleep(PERIOD);
            Ok(())
        })?;
        Ok(Round {
            polls,
            idle,
            commit,
            first,
            first_took,
            commit_took: took.median(),
            polling,
            committing,
        })
    }

    fn print(&self, kinds: &[Kind], rounds: &[Rounds], has_peer: bool) {
        let names: Vec<&str> = kinds.iter().map(Kind::name).collect();
        let title = format!("syncer over {}, {FILES} files", self.title);
        let mut table = Table::new(&title, &names, has_peer);
        let mut row = |label: &str, figure: &dyn Fn(&Round) -> f64| {
            let values: Vec<Samples> = rounds
                .iter()
                .map(|rounds| samples(rounds, figure))
                .collect();
            table.row(label, &values);
        };
        row("memory at rest, MB", &|round| round.polling.rest);
        row("memory at its peak while polling, MB", &|round| {
            round.polling.peak
        });
        row("memory at its peak in a commit, MB", &|round| {
            round.committing.peak
        });
        row("polls watched per round", &|round| round.polls);
        row("new commit: time, ms", &|round| round.commit_took);
        row("first sync: time, ms", &|round| round.first_took);
        let mut rows = |what: &str, cost: fn(&Round) -> &Cost| {
            let mut row = |label: &str, figure: fn(&Cost) -> f64| {
                row(&format!("{what}: {label}"), &|round| figure(cost(round)));
            };
            row("CPU, ms", |cost| cost.cpu);
            row("CPU without git's, ms", |cost| cost.own);
            if self.road == Road::Https {
                row("requests", |cost| cost.requests);
            }
            row("connections", |cost| cost.connections);
            row("bytes sent", |cost| cost.sent);
            row("bytes received", |cost| cost.received);
        };
        rows("idle poll", |round| &round.idle);
        rows("new commit", |round| &round.commit);
        rows("first sync", |round| &round.first);
        table.print();
    }

    /// The targets of the link layout, which is also the peer's, in this scenario.
    fn judge(&self, targets: &mut Targets, rounds: &[Rounds], has_peer: bool) {
        let mut line = |what: &str, wanted: Wanted, figure: fn(&Round) -> f64| {
            let ours = samples(&rounds[0], &figure);
            let peer = rounds.last().filter(|_| has_peer);
            let peer = peer.map(|rounds| samples(rounds, &figure));
            targets.line(&format!("{}: {what}", self.title), wanted, &ours, peer);
        };
        line(
            "idle poll, CPU ms",
            Wanted::Ratio(self.idle_ratio),
            |round| round.idle.cpu,
        );
        if self.road == Road::Https {
            line("idle poll, CPU ms", Wanted::AtMost(0.5), |round| {
                round.idle.cpu
            });
            line("idle poll, requests", Wanted::AtMost(1.0), |round| {
                round.idle.requests
            });
        }
        line("memory at rest, MB", Wanted::AtMost(8.0), |round| {
            round.polling.rest
        });
        line("first sync, CPU ms", Wanted::Ratio(1.0), |round| {
            round.first.cpu
        });
        line("first sync, time ms", Wanted::Ratio(1.0), |round| {
            round.first_took
        });
        line("new commit, CPU ms", Wanted::Ratio(1.0), |round| {
            round.commit.cpu
        });
        line("new commit, time ms", Wanted::Ratio(1.0), |round| {
            round.commit_took
        });
    }
}

fn samples(rounds: &Rounds, figure: &dyn Fn(&Round) -> f64) -> Samples {
    let mut samples = Samples::default();
    rounds.iter().for_each(|round| samples.push(figure(round)));
    samples
}
