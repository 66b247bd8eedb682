//! One admission without network: the pure function alone.

use std::hint::black_box;

use anyhow::Result;
use inject::Namespace;
use inject::Review;
use inject::Settings;
use inject::answer;
use tests::proc::thread_cpu;
use tests::samples::Samples;

use crate::peers::Peers;
use crate::review;
use crate::table::Table;

const BATCHES: usize = 30;
const BATCH: u32 = 200;

/// Measures and prints.
pub(crate) fn print(_: &Peers) -> Result<()> {
    let settings = Settings::new("registry.example/gitvolume-syncer:test");
    let cases = [
        ("inject", review::INJECT),
        ("refuse", review::REFUSE),
        ("skip", review::SKIP),
    ];
    let mut table = Table::new(
        "webhook's handler, in-process",
        &cases.map(|(name, _)| name),
        false,
    );
    let (mut sizes, mut parsing, mut wholes) = (Vec::new(), Vec::new(), Vec::new());
    for (_, yaml) in cases {
        let body = review::about(yaml)?;
        let mut size = Samples::default();
        size.push(body.len() as f64);
        sizes.push(size);
        parsing.push(measure(|| {
            black_box(Review::parse(black_box(&body))).ok();
        })?);
        wholes.push(measure(|| {
            let review = Review::parse(black_box(&body)).expect("a review");
            let answer = answer(&review, &settings, &Namespace::default()).expect("an answer");
            black_box(answer.to_json().body);
        })?);
    }
    table.row("review, bytes", &sizes);
    table.row("CPU, µs per admission", &wholes);
    table.row("of which parsing, µs", &parsing);
    table.print();
    Ok(())
}

/// The CPU time of one call, in µs.
fn measure(work: impl Fn()) -> Result<Samples> {
    let mut samples = Samples::default();
    // The first batch warms up.
    for batch in 0..=BATCHES {
        let start = thread_cpu()?;
        (0..BATCH).for_each(|_| work());
        let took = (thread_cpu()? - start) / BATCH;
        if batch > 0 {
            samples.push(took.as_secs_f64() * 1e6);
        }
    }
    Ok(samples)
}
