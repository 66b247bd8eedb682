//! Followers that wait for a change: memory and CPU of each, and the time until all have the new refs.

use std::thread::sleep;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::Result;
use tests::samples::Samples;
use tokio::runtime;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::cache::follower::Follower;
use crate::cache::follower::wake;
use crate::cache::world::CacheWorld;
use crate::targets::Targets;
use crate::targets::Wanted;

const FOLLOWERS: usize = 10_000;

/// New connections at the same time while the followers start.
const STARTING: usize = 64;

const COMMITS: usize = 5;

/// How long the CPU time and the requests of waiting followers are recorded.
const IDLE: Duration = Duration::from_secs(60);

/// The period of the cache and of a syncer without it.
const PERIOD: Duration = Duration::from_secs(10);

/// Measures, and compares with the targets.
pub(crate) fn measure(targets: &mut Targets) -> Result<()> {
    eprintln!("cache: {FOLLOWERS} followers wait");
    let world = CacheWorld::start(1_000)?;
    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    let (changed, mut changes) = mpsc::unbounded_channel();
    let mut waiting = JoinSet::new();
    // The first follower's answer is in memory when the others begin.
    let first = runtime.block_on(async {
        let mut first = Follower::connect(&world).await?;
        first.next_change().await.map(|_| first)
    })?;
    let before = world.memory()?;
    runtime.block_on(async {
        let mut starting = JoinSet::new();
        let mut left = FOLLOWERS - 1;
        let mut follow = |mut follower: Follower| {
            let changed = changed.clone();
            waiting.spawn(async move {
                loop {
                    let Some(at) = follower.next_change().await? else {
                        continue;
                    };
                    if changed.send(at).is_err() {
                        return anyhow::Ok(());
                    }
                }
            });
        };
        follow(first);
        while left > 0 || !starting.is_empty() {
            if left > 0 && starting.len() < STARTING {
                left -= 1;
                let connecting = Follower::connect(&world);
                starting.spawn(async move {
                    let mut follower = connecting.await?;
                    follower.next_change().await.map(|_| follower)
                });
            } else if let Some(done) = starting.join_next().await {
                follow(done??);
            }
        }
        anyhow::Ok(())
    })?;
    world.eventually_waiting(FOLLOWERS)?;
    let after = world.memory()?;

    eprintln!("cache: {} s without a change", IDLE.as_secs());
    let (cpu, polls) = (world.cpu()?, world.origin.requests());
    sleep(IDLE);
    let cpu = world.cpu()? - cpu;
    let polls = world.origin.requests() - polls;

    let (mut half, mut most, mut last) = Default::default();
    let mut requests = Samples::default();
    for nth in 0..COMMITS {
        eprintln!("cache: commit {} of {COMMITS}", nth + 1);
        world.eventually_waiting(FOLLOWERS)?;
        let seen = world.origin.requests();
        world.repo.commit().write("other", nth.to_string()).push();
        let pushed = Instant::now();
        let mut times: Vec<Duration> = runtime.block_on(async {
            wake(&world).await?;
            let mut times = Vec::new();
            while times.len() < FOLLOWERS {
                let at = changes.recv().await.context("a follower has ended")?;
                times.push(at - pushed);
            }
            anyhow::Ok(times)
        })?;
        times.sort();
        let record = |samples: &mut Samples, time: Duration| samples.push(time.as_secs_f64() * 1e3);
        record(&mut half, times[FOLLOWERS / 2]);
        record(&mut most, times[FOLLOWERS * 99 / 100]);
        record(&mut last, times[FOLLOWERS - 1]);
        requests.push((world.origin.requests() - seen) as f64);
    }
    waiting.abort_all();

    let each = (after - before) * 1e3 / FOLLOWERS as f64;
    let each_period = polls as f64 / IDLE.div_duration_f64(PERIOD);
    let without = Some(FOLLOWERS as f64);
    let wait = format!("{FOLLOWERS} wait: CPU per minute, s");
    for (what, most, ours, without) in [
        (
            "memory per waiting follower, kB",
            30.0,
            Samples::of(each),
            None,
        ),
        (&*wait, 60.0, Samples::of(cpu.as_secs_f64()), None),
        (
            "requests of the git host per period",
            1.5,
            Samples::of(each_period),
            without,
        ),
        ("a push: requests of the git host", 4.0, requests, without),
        (
            "from the wake-up to half of the followers, ms",
            250.0,
            half,
            None,
        ),
        (
            "from the wake-up to 99 % of the followers, ms",
            250.0,
            most,
            None,
        ),
        (
            "from the wake-up to the last follower, ms",
            500.0,
            last,
            None,
        ),
    ] {
        targets.line(what, Wanted::AtMost(most), &ours, without.map(Samples::of));
    }
    Ok(())
}
