//! Many repositories in one syncer process on one core: its memory, and whether every repository is
//! polled in time.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;
use std::time::Instant;

use anyhow::Result;
use anyhow::bail;
use remotes::HttpServer;
use remotes::Repo;
use serde_json::Map;
use serde_json::json;
use tempfile::TempDir;
use tests::contained::Contained;
use tests::samples::Samples;
use tests::settings;

use crate::targets::Targets;
use crate::targets::Wanted;

const REPOS: usize = 200;
const PERIOD: Duration = Duration::from_secs(10);
/// How long polls are recorded after all first syncs.
const WATCH: Duration = Duration::from_secs(40);
/// The gap from which a poll counts as missed: the period with its maximum jitter, and a second for
/// the request itself.
const LATE: Duration = Duration::from_secs(12);
const TIMEOUT: Duration = Duration::from_secs(120);

/// Measures, and compares with the targets.
pub(crate) fn measure(targets: &mut Targets) -> Result<()> {
    eprintln!("fleet: {REPOS} repositories in one process");
    let dir = TempDir::with_prefix("figures-fleet-")?;
    let repos: Vec<Repo> = (0..REPOS)
        .map(|nth| {
            let repo = Repo::in_dir(dir.path(), &name(nth));
            repo.commit().write("file", nth.to_string()).push();
            repo
        })
        .collect();
    let server = HttpServer::start_tls(dir.path());
    let authority = dir.path().join("ca.pem");
    fs::write(&authority, server.ca_pem())?;
    let entries: Map<_, _> = (0..REPOS)
        .map(|nth| {
            let root = dir.path().join(format!("root/{nth}"));
            let entry = json!({"repo": server.url(&name(nth)), "root": root, "link": "now"});
            (format!("r{nth}"), entry)
        })
        .collect();
    let config = dir.path().join("config.json");
    fs::write(&config, json!({"repos": entries}).to_string())?;
    let program = Contained::start(
        "fleet",
        dir.path(),
        &[
            "taskset".to_owned(),
            "--cpu-list".to_owned(),
            "0".to_owned(),
            settings::syncer_binary().display().to_string(),
            format!("--config={}", config.display()),
            format!("--period={}s", PERIOD.as_secs()),
            format!("--git-config=http.sslCAInfo:{}", authority.display()),
            "--max-failures=-1".to_owned(),
        ],
    )?;

    let started = Instant::now();
    while !(0..repos.len()).all(|nth| is_published(dir.path(), nth)) {
        program.check()?;
        if started.elapsed() > TIMEOUT {
            bail!("not all are published\n{}", program.log());
        }
        sleep(Duration::from_millis(50));
    }
    let synced = Instant::now();
    let before = program.tree.cpu()?;
    sleep(WATCH);
    let after = program.tree.cpu()?;
    let looks = looks(&server, synced);
    // Reading the memory costs the program time.
    let memory = program.memory_while(|| {
        sleep(Duration::from_secs(2));
        Ok(())
    })?;
    let polls: usize = looks.values().map(Vec::len).sum();
    let gaps = longest_gaps(&looks, synced);

    let mut line = |what: &str, wanted: Wanted, value: f64| {
        let mut samples = Samples::default();
        samples.push(value);
        targets.line(
            &format!("{REPOS} repositories: {what}"),
            wanted,
            &samples,
            None,
        );
    };
    line("memory at rest, MB", Wanted::AtMost(25.0), memory.rest);
    line(
        "repositories with a missed period",
        Wanted::AtMost(0.0),
        gaps.iter().filter(|&&gap| gap > LATE).count() as f64,
    );
    let longest = gaps.iter().max().copied().unwrap_or_default();
    line(
        "longest time between two looks, s",
        Wanted::AtMost(LATE.as_secs_f64()),
        longest.as_secs_f64(),
    );
    let cpu = (after.total() - before.total()).as_secs_f64() * 1e3 / polls as f64;
    line("idle poll, CPU ms", Wanted::AtMost(0.5), cpu);
    println!(
        "\n{REPOS} repositories: {:.1} s for all first syncs on one core, then {polls} requests in {} s",
        (synced - started).as_secs_f64(),
        WATCH.as_secs(),
    );
    Ok(())
}

fn name(nth: usize) -> String {
    format!("r{nth}.git")
}

fn is_published(dir: &Path, nth: usize) -> bool {
    dir.join(format!("root/{nth}/now/file")).exists()
}

/// The times of each repository's polls since then.
fn looks(server: &HttpServer, since: Instant) -> BTreeMap<String, Vec<Instant>> {
    let mut looks: BTreeMap<String, Vec<Instant>> =
        (0..REPOS).map(|nth| (name(nth), Vec::new())).collect();
    for seen in server.seen() {
        let repo = seen.line.split('/').nth(1).unwrap_or_default();
        if seen.at > since
            && let Some(times) = looks.get_mut(repo)
        {
            times.push(seen.at);
        }
    }
    looks
}

/// The longest time without a poll, for each repository.
fn longest_gaps(looks: &BTreeMap<String, Vec<Instant>>, since: Instant) -> Vec<Duration> {
    let longest = |times: &Vec<Instant>| {
        let begins = [since].into_iter().chain(times.iter().copied());
        let ends = times.iter().copied().chain([since + WATCH]);
        let gaps = begins.zip(ends).map(|(begin, end)| end - begin);
        gaps.max().unwrap_or(WATCH)
    };
    looks.values().map(longest).collect()
}
