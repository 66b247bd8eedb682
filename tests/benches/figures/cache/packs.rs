//! Followers that fetch the same pack at once.

use std::time::Duration;
use std::time::Instant;

use anyhow::Result;
use anyhow::ensure;
use tests::samples::Samples;
use tokio::runtime;
use tokio::task::JoinSet;
use tokio::time::interval;
use tokio::time::sleep;

use crate::cache::follower::Follower;
use crate::cache::world::CacheWorld;
use crate::targets::Targets;
use crate::targets::Wanted;

const FOLLOWERS: usize = 1_000;

/// The size of the pack.
const BYTES: usize = 20_000_000;

/// The wait of a follower that the cache sends away.
const AGAIN: Duration = Duration::from_secs(1);

/// Measures, and compares with the targets.
pub(crate) fn measure(targets: &mut Targets) -> Result<()> {
    eprintln!(
        "cache: {FOLLOWERS} followers fetch {} MB at once",
        BYTES / 1_000_000
    );
    let world = CacheWorld::start(BYTES)?;
    let commit = world.repo.run(&["rev-parse", "main"]).trim().to_owned();
    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut followers = runtime.block_on(async {
        let mut followers = Vec::new();
        for _ in 0..FOLLOWERS {
            followers.push(Follower::connect(&world).await?);
        }
        anyhow::Ok(followers)
    })?;
    // The cache shares a pack with a credential that has seen the commit.
    runtime.block_on(followers[0].next_change())?;
    let before = world.memory()?;
    let started = Instant::now();
    let (bytes, peak) = runtime.block_on(async {
        let mut fetching = JoinSet::new();
        for mut follower in followers {
            let commit = commit.clone();
            fetching.spawn(async move {
                loop {
                    if let Some(bytes) = follower.first_clone(&commit).await? {
                        return anyhow::Ok(bytes);
                    }
                    sleep(AGAIN).await;
                }
            });
        }
        let (mut bytes, mut peak) = (0, before);
        let mut sample = interval(Duration::from_millis(20));
        loop {
            tokio::select! {
                _ = sample.tick() => peak = f64::max(peak, world.memory()?),
                done = fetching.join_next() => match done {
                    None => break,
                    Some(done) => {
                        let fetched = done??;
                        ensure!(fetched > BYTES as u64, "{fetched} bytes");
                        bytes += fetched;
                    }
                },
            }
        }
        Ok((bytes, peak))
    })?;
    let seconds = started.elapsed().as_secs_f64();
    let received = world.metric("gitvolume_cache_received_bytes_total")?;
    let title = format!("{FOLLOWERS} fetch {} MB at once", BYTES / 1_000_000);
    let mut line = |what: &str, most: f64, ours: f64, without: Option<f64>| {
        let what = format!("{title}: {what}");
        targets.line(
            &what,
            Wanted::AtMost(most),
            &Samples::of(ours),
            without.map(Samples::of),
        );
    };
    line(
        "fetches of the git host",
        1.0,
        world.sent("fetch")?,
        Some(FOLLOWERS as f64),
    );
    line(
        "MB from the git host",
        21.0,
        received / 1e6,
        Some(bytes as f64 / 1e6),
    );
    line("memory beside the followers, MB", 64.0, peak - before, None);
    println!(
        "{title}: {seconds:.1} s, {:.2} GB/s",
        bytes as f64 / seconds / 1e9
    );
    Ok(())
}
