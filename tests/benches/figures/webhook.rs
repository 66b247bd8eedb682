//! `gitvolume-webhook` under load, compared with vault-k8s.

use std::thread::sleep;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use inject::Namespace;
use inject::Review;
use inject::Settings;
use tempfile::TempDir;
use tests::installation::serving::Serving;
use tests::proc;
use tests::samples::Samples;

use crate::constant::Constant;
use crate::load::Client;
use crate::load::Target;
use crate::load::quantile;
use crate::peers::Peers;
use crate::review;
use crate::table::Table;
use crate::targets::Targets;
use crate::targets::Wanted;
use crate::vault::Vault;

const ROUNDS: usize = 5;
const CONNECTIONS: usize = 8;
/// Requests per second, far below the capacity of either: the webhook is idle before each, as in a
/// cluster.
const RATE: u32 = 400;
const TIME: Duration = Duration::from_secs(6);
/// The number of requests sent without pauses: the webhook is never idle, so the time to wake up is
/// not included.
const BURST: usize = 4000;
const WARM_UP: Duration = Duration::from_secs(1);
/// The pause after a start or a load, while memory is still being released.
const REST: Duration = Duration::from_secs(2);

/// One webhook, and its results so far.
struct Subject<'a> {
    name: &'static str,
    pid: u32,
    target: &'a Target,
    paced: Samples,
    busy: Samples,
    gap: Samples,
    rate: Samples,
    p50: Samples,
    p99: Samples,
    rss_idle: Samples,
    rss_after: Samples,
}

impl<'a> Subject<'a> {
    /// Reads a webhook's memory after a pause since its start.
    fn new(name: &'static str, pid: u32, target: &'a Target) -> Result<Self> {
        let mut rss_idle = Samples::default();
        rss_idle.push(proc::rss(pid)?);
        Ok(Self {
            name,
            pid,
            target,
            paced: Samples::default(),
            busy: Samples::default(),
            gap: Samples::default(),
            rate: Samples::default(),
            p50: Samples::default(),
            p99: Samples::default(),
            rss_idle,
            rss_after: Samples::default(),
        })
    }

    fn round(&mut self) -> Result<()> {
        let mut client = Client::connect(self.target, CONNECTIONS)?;
        client.at_rate(RATE, WARM_UP)?;
        let start = self.cpu()?;
        let latencies = client.at_rate(RATE, TIME)?;
        let cpu = self.cpu()? - start;
        self.paced.push(micros(cpu) / latencies.len() as f64);
        self.p50.push(micros(quantile(&latencies, 0.5)?) / 1e3);
        self.p99.push(micros(quantile(&latencies, 0.99)?) / 1e3);

        let (start, begun) = (self.cpu()?, Instant::now());
        let answers = client.at_once(BURST)? as f64;
        let (cpu, took) = (self.cpu()? - start, begun.elapsed());
        self.busy.push(micros(cpu) / answers);
        self.gap.push(micros(took) / answers);
        self.rate.push(answers / took.as_secs_f64());
        self.rss_after.push(proc::rss(self.pid)?);
        Ok(())
    }

    fn cpu(&self) -> Result<Duration> {
        Ok(proc::cpu(self.pid)?.own)
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Measures and prints.
pub(crate) fn print(peers: &Peers) -> Result<()> {
    let dir = TempDir::with_prefix("figures-webhook-")?;
    let serving = Serving::start(&dir.path().join("gitvolume"))?;
    let vault_dir = dir.path().join("vault-k8s");
    let vault = peers
        .vault_k8s
        .as_ref()
        .map(|program| Vault::start(program, &vault_dir))
        .transpose()?;
    sleep(REST);

    let ours = Target {
        address: serving.address().to_owned(),
        ca: serving.ca().to_owned(),
        path: "/mutate",
        body: review::about(review::INJECT)?.into(),
    };
    let mut subjects = vec![Subject::new("gitvolume", serving.pid(), &ours)?];
    let answer = inject::answer(
        &Review::parse(&ours.body)?,
        &Settings::new("registry.example/gitvolume-syncer:test"),
        &Namespace::default(),
    )?;
    let constant_dir = dir.path().join("constant");
    let answer = answer.to_json().body;
    let constant = Constant::start(&constant_dir, ours.body.clone(), &answer)?;
    subjects.push(Subject::new("constant", constant.pid(), constant.target())?);
    if let Some(vault) = &vault {
        subjects.push(Subject::new("vault-k8s", vault.pid(), vault.target())?);
    }
    for round in 0..ROUNDS {
        for turn in 0..subjects.len() {
            // The order alternates from round to round.
            let count = subjects.len();
            let subject = &mut subjects[(round + turn) % count];
            eprintln!("webhook, round {} of {ROUNDS}: {}", round + 1, subject.name);
            subject.round().with_context(|| subject.name.to_owned())?;
        }
    }

    let names: Vec<&str> = subjects.iter().map(|subject| subject.name).collect();
    let title = format!("webhook over TLS, {CONNECTIONS} connections");
    let mut table = Table::new(&title, &names, vault.is_some());
    let mut targets = Targets::new("webhook over TLS", "other");
    let (own, others) = subjects.split_at(1);
    let [constant, peers @ ..] = others else {
        bail!("no constant to compare with")
    };
    for own in own {
        let vault = peers.first();
        let paced = vault.map(|vault| vault.paced.clone());
        let label = format!("vault-k8s: CPU at {RATE}/s, µs per admission");
        targets.line(&label, Wanted::Ratio(3.0), &own.paced, paced);
        let busy = vault.map(|vault| vault.busy.clone());
        let label = "vault-k8s: CPU never idle, µs per admission";
        targets.line(label, Wanted::Ratio(3.0), &own.busy, busy);
        let label = "a constant: CPU never idle, µs (throughput of a core)";
        targets.line(
            label,
            Wanted::Ratio(0.6),
            &own.busy,
            Some(constant.busy.clone()),
        );
        let label = "a constant: time per answer never idle, µs (throughput of this machine)";
        targets.line(
            label,
            Wanted::Ratio(0.6),
            &own.gap,
            Some(constant.gap.clone()),
        );
        let label = "RSS after a load, MB";
        targets.line(label, Wanted::AtMost(20.0), &own.rss_after, None);
    }
    let mut row = |label: &str, figure: for<'a> fn(&'a Subject<'_>) -> &'a Samples| {
        let values: Vec<Samples> = subjects.iter().map(figure).cloned().collect();
        table.row(label, &values);
    };
    row(&format!("CPU at {RATE}/s, µs per admission"), |subject| {
        &subject.paced
    });
    row(&format!("latency at {RATE}/s, p50, ms"), |subject| {
        &subject.p50
    });
    row(&format!("latency at {RATE}/s, p99, ms"), |subject| {
        &subject.p99
    });
    row("CPU never idle, µs per admission", |subject| &subject.busy);
    row("answers per second never idle", |subject| &subject.rate);
    row("RSS idle, MB", |subject| &subject.rss_idle);
    row("RSS after a load, MB", |subject| &subject.rss_after);
    table.print();
    targets.print();
    Ok(())
}
