//! One admission without network: only the pure function.

use std::hint::black_box;

use anyhow::Result;
use inject::Namespace;
use inject::Review;
use inject::Settings;
use inject::propose;
use tests::proc::thread_cpu;
use tests::samples::Samples;

use crate::peers::Peers;
use crate::review;
use crate::table::Table;
use crate::targets::Targets;
use crate::targets::Wanted;

const BATCHES: usize = 30;
/// The approximate total size of a batch in bytes, so that a batch of large Pods takes no longer.
const BATCH_BYTES: usize = 600_000;

/// The maximum cost per item in a step of a series, relative to the first step: growth must be
/// linear.
const GROWTH: f64 = 1.25;

/// The cost of one admission in µs.
struct Cost {
    parsing: Samples,
    unchecked: Samples,
    whole: Samples,
}

/// Measures and prints.
pub(crate) fn print(_: &Peers) -> Result<()> {
    let settings = Settings::new("registry.example/gitvolume-syncer:test");
    let cases = [
        ("inject", review::INJECT),
        ("several", review::SEVERAL),
        ("gitRepo", review::GIT_REPO),
        ("refuse", review::REFUSE),
        ("skip", review::SKIP),
    ];
    let names = cases.map(|(name, _)| name);
    let mut table = Table::new("webhook's handler, in-process", &names, false);
    let mut sizes = Vec::new();
    let mut costs = Vec::new();
    for (_, yaml) in cases {
        let body = review::about(yaml)?;
        let mut size = Samples::default();
        size.push(body.len() as f64);
        sizes.push(size);
        costs.push(cost(&body, &settings)?);
    }
    let mut row = |label: &str, figure: for<'a> fn(&'a Cost) -> &'a Samples| {
        let values: Vec<Samples> = costs.iter().map(figure).cloned().collect();
        table.row(label, &values);
    };
    row("CPU, µs per admission", |cost| &cost.whole);
    row("without the self-check, µs", |cost| &cost.unchecked);
    row("of which parsing, µs", |cost| &cost.parsing);
    table.row("review, bytes", &sizes);
    table.print();

    let mut targets = Targets::new("webhook's handler, in-process", "first");
    let typical = &costs[0].unchecked;
    let at_most = Wanted::AtMost(60.0);
    targets.line("without the self-check, µs", at_most, typical, None);
    let variables = [250, 500, 1000, 2000].map(|count| (count, review::with_variables(count)));
    let containers = [10, 25, 50, 100].map(|count| (count, review::with_containers(count)));
    for (what, series) in [("variable", variables), ("container", containers)] {
        let mut first: Option<Samples> = None;
        for (count, body) in series {
            let whole = cost(&body?, &settings)?.whole;
            let mut each = Samples::default();
            each.push(whole.median() / count as f64);
            let label = format!("{count} {what}s, µs per {what}");
            let first = first.get_or_insert_with(|| each.clone());
            let wanted = Wanted::Ratio(1.0 / GROWTH);
            targets.line(&label, wanted, &each, Some(first.clone()));
        }
    }
    targets.print();
    Ok(())
}

fn cost(body: &[u8], settings: &Settings) -> Result<Cost> {
    let namespace = Namespace::default();
    let batch = u32::try_from((BATCH_BYTES / body.len()).clamp(10, 200))?;
    let parse = || Review::parse(black_box(body)).expect("a review");
    // The cost of a check is the difference between two otherwise equal requests.
    let checked = |review: Review| {
        let proposal = propose(review, settings, &namespace).expect("a proposal");
        proposal.checked().expect("an answer")
    };
    let whole = measure(batch, || {
        black_box(checked(parse()).to_json().body);
    })?;
    let answered = checked(parse());
    let writing = measure(batch, || {
        black_box(answered.to_json().body);
    })?;
    let proposing = measure(batch, || {
        black_box(propose(parse(), settings, &namespace)).expect("a proposal");
    })?;
    Ok(Cost {
        parsing: measure(batch, || {
            black_box(parse());
        })?,
        unchecked: proposing.plus(&writing),
        whole,
    })
}

/// The CPU time of one call, in µs.
fn measure(batch: u32, work: impl Fn()) -> Result<Samples> {
    let mut samples = Samples::default();
    // The first batch warms up.
    for turn in 0..=BATCHES {
        let start = thread_cpu()?;
        (0..batch).for_each(|_| work());
        let took = (thread_cpu()? - start) / batch;
        if turn > 0 {
            samples.push(took.as_secs_f64() * 1e6);
        }
    }
    Ok(samples)
}
