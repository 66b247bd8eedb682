//! What one admission costs without network: `cargo bench -p inject`. The least of many runs is
//! what the code needs; the rest is the machine.

use std::hint::black_box;
use std::time::Duration;
use std::time::Instant;

use inject::Review;
use inject::Settings;
use inject::answer;
use serde_json::Value;
use serde_json::json;

fn main() {
    let settings = Settings::new("registry.example/gitvolume-syncer:test");
    for (name, yaml) in [
        (
            "inject",
            include_str!("../testdata/inject/nginx-as-the-api-server-sends-it/pod.yaml"),
        ),
        (
            "refuse",
            include_str!("../testdata/deny/everything-at-once/pod.yaml"),
        ),
        (
            "skip",
            include_str!("../testdata/skip/no-annotations/pod.yaml"),
        ),
    ] {
        let body = review(&serde_saphyr::from_str(yaml).expect("the case is YAML"));
        let least = |work: &dyn Fn()| {
            (0..5000)
                .map(|_| time(work))
                .min()
                .unwrap_or_default()
                .as_nanos() as f64
                / 1e3
        };
        let parse = least(&|| {
            black_box(Review::parse(black_box(&body))).ok();
        });
        let whole = least(&|| {
            let review = Review::parse(black_box(&body)).expect("a review");
            let answer = answer(&review, &settings).expect("an answer");
            black_box(answer.to_json());
        });
        println!(
            "{name}: {} bytes, {whole:.1} µs, of which parsing {parse:.1} µs",
            body.len()
        );
    }
}

fn time(work: &dyn Fn()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// The body as the API server sends it.
fn review(pod: &Value) -> Vec<u8> {
    json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": "shop",
            "operation": "CREATE",
            "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller"},
            "object": pod,
            "oldObject": null,
            "dryRun": false,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
        },
    })
    .to_string()
    .into_bytes()
}
