//! The cost of objects for an admission: a namespace with this many GitVolumes, one of which
//! selects the Pod. The objects are in a real API server, which a real webhook watches.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use anyhow::anyhow;
use inject::GitVolume;
use inject::Kind;
use inject::Namespace;
use inject::Review;
use inject::Settings;
use inject::answer;
use inject::custom_resource_definition;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;
use tests::eventually::eventually;
use tests::installation::serving::Serving;
use tests::kubernetes::control_plane::ControlPlane;
use tests::kubernetes::control_plane::Options;
use tests::oci::images;
use tests::proc;
use tests::samples::Samples;

use crate::load::Client;
use crate::load::Target;
use crate::load::quantile;
use crate::peers::Peers;
use crate::review;
use crate::table::Table;
use crate::targets::Targets;
use crate::targets::Wanted;

/// The numbers of objects.
const COUNTS: [usize; 4] = [1, 50, 250, 500];
const CONNECTIONS: usize = 8;
/// Admissions per second, for 5,000 of them in total.
const RATE: u32 = 400;
const TIME: Duration = Duration::from_millis(12_500);
const WARM_UP: Duration = Duration::from_secs(1);
/// The number of admissions in one measurement in process.
const BATCH: usize = 500;
const BATCHES: usize = 10;
const TIMEOUT: Duration = Duration::from_secs(120);

/// The object of this number: only the first selects the Pod.
fn object(number: usize) -> Value {
    json!({
        "apiVersion": "gitvolume.dev/v1alpha1",
        "kind": "GitVolume",
        "metadata": {"name": format!("site-{number}"), "namespace": "shop"},
        "spec": {
            "repo": format!("https://git.example/site-{number}.git"),
            "mountPath": "/usr/share/nginx/html",
            "podSelector": {
                "matchLabels": {"tier": "front"},
                "matchExpressions": [{
                    "key": "app", "operator": "In", "values": [format!("web-{number}"), "none"],
                }],
            },
        },
    })
}

/// The request for a Pod without annotations, which the first object selects.
fn question() -> Result<Vec<u8>> {
    let body: Value = serde_json::from_slice(&review::about(review::SKIP)?)?;
    let mut body = body;
    body["request"]["object"]["metadata"]["labels"] = json!({"app": "web-0", "tier": "front"});
    Ok(body.to_string().into_bytes())
}

/// Measures and prints.
pub(crate) fn print(_: &Peers) -> Result<()> {
    let dir = TempDir::with_prefix("figures-objects-")?;
    let plane = ControlPlane::start(&dir.path().join("plane"), &Options::default())?;
    let kubectl = plane.kubectl();
    let apply = |text: &str| {
        let args = ["--server-side", "--force-conflicts"];
        kubectl
            .apply_with(&args, text)
            .map_err(|error| anyhow!(error))
    };
    for kind in [Kind::GitVolume, Kind::ClusterGitVolume] {
        apply(&custom_resource_definition(kind).to_string())?;
    }
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "shop", "labels": {"gitvolume.dev/auto-inject": "enabled"}},
    });
    apply(&namespace.to_string())?;
    let settings = json!({"image": images::SYNCER});
    let serving = Serving::start_watching_objects(
        &dir.path().join("gitvolume"),
        &settings,
        kubectl,
        tests::installation::product::RELEASE,
    )?;
    let target = Target {
        address: serving.address().to_owned(),
        ca: serving.ca().to_owned(),
        path: "/mutate/auto",
        body: question()?.into(),
    };

    let names = COUNTS.map(|count| format!("{count} objects"));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let title = format!("admissions at {RATE}/s, objects of the Pod's namespace");
    let mut table = Table::new(&title, &names, false);
    let mut figures: [Vec<Samples>; 5] = Default::default();
    for count in COUNTS {
        // The first objects are applied last, so that all the others are new or unchanged.
        let objects: Vec<String> = (0..count)
            .map(|number| object(number).to_string())
            .collect();
        eventually("the kinds are served", TIMEOUT, || {
            kubectl.apply_with(&["--server-side"], &objects.join("\n---\n"))
        })
        .map_err(|error| anyhow!(error))?;
        let known = "objects{kind=\"GitVolume\",accepted=\"true\"}";
        eventually("the objects are known", TIMEOUT, || {
            let known = serving.metric(known)?;
            ((known - count as f64).abs() < 0.5)
                .then_some(())
                .ok_or(known.to_string())
        })
        .map_err(|error| anyhow!(error))?;
        // The webhook writes each status once; that is not part of an admission's cost.
        eventually("the object statuses are written", TIMEOUT, || {
            let told = serving.metric("object_status_writes_total{outcome=\"written\"}")?;
            (told >= count as f64).then_some(()).ok_or(told.to_string())
        })
        .map_err(|error| anyhow!(error))?;
        eprintln!("objects: {count} of them");
        let mut client = Client::connect(&target, CONNECTIONS)?;
        client.at_rate(RATE, WARM_UP)?;
        let start = proc::cpu(serving.pid())?.own;
        let latencies = client.at_rate(RATE, TIME)?;
        let cpu = proc::cpu(serving.pid())?.own - start;
        let values = [
            micros(quantile(&latencies, 0.5)?) / 1e3,
            micros(quantile(&latencies, 0.99)?) / 1e3,
            micros(cpu) / latencies.len() as f64,
            in_process(count)?,
            proc::rss(serving.pid())?,
        ];
        for (figure, value) in figures.iter_mut().zip(values) {
            let mut samples = Samples::default();
            samples.push(value);
            figure.push(samples);
        }
    }
    let [p50, p99, cpu, alone, rss] = figures;
    table.row("latency, p50, ms", &p50);
    table.row("latency, p99, ms", &p99);
    table.row("CPU, µs per admission", &cpu);
    table.row("in process, µs per admission", &alone);
    let first = alone[0].median();
    let share: Vec<Samples> = alone
        .iter()
        .map(|samples| {
            let mut share = Samples::default();
            share.push((samples.median() - first).max(0.0));
            share
        })
        .collect();
    table.row("of it the selectors of the others, µs", &share);
    table.row("RSS, MB", &rss);
    table.print();
    let mut targets = Targets::new("objects", "other");
    if let Some(rss) = rss.last() {
        targets.line("RSS with 500 objects, MB", Wanted::AtMost(30.0), rss, None);
    }
    targets.print();
    Ok(())
}

/// The time of one admission without network, in µs.
fn in_process(count: usize) -> Result<f64> {
    let volumes = (0..count).map(|number| Arc::new(GitVolume::read(&object(number))));
    let namespace = Namespace {
        is_auto_injected: true,
        volumes: volumes.collect(),
        ..Namespace::default()
    };
    let settings = Settings::new("registry.example/gitvolume-syncer:test");
    let body = question()?;
    let mut samples = Samples::default();
    for _ in 0..BATCHES {
        let start = proc::thread_cpu()?;
        for _ in 0..BATCH {
            let review = Review::parse(black_box(&body))?;
            black_box(answer(&review, &settings, &namespace)?.to_json());
        }
        samples.push(micros(proc::thread_cpu()? - start) / BATCH as f64);
    }
    Ok(samples.range().0)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
