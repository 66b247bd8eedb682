//! Answers of the server to requests over TLS.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use hyper::header::RETRY_AFTER;
use serde_json::Value;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use webhook::server::Limits;
use webhook::server::judge::Failure;
use webhook::server::judge::Verdict;

use crate::common::World;
use crate::common::good_review;
use crate::common::post;
use crate::common::review;
use crate::common::world;
use crate::common::world_with;

#[tokio::test]
async fn an_annotated_pod_is_patched() -> anyhow::Result<()> {
    let world = world().await?;
    let mut client = world.client().await?;
    let answered = post(&mut client, good_review()).await?;
    assert_eq!(answered.status, StatusCode::OK);
    assert_eq!(answered.header(CONTENT_TYPE), Some("application/json"));
    let answer = answered.json()?;
    let response = &answer["response"];
    assert_eq!(response["uid"], "0b4b6b4e-5f3e-4c1e-9d3b-7f3f0a3a0001");
    assert_eq!(response["allowed"], true);
    let patch = BASE64_STANDARD.decode(response["patch"].as_str().unwrap_or_default())?;
    let patch: json_patch::Patch = serde_json::from_slice(&patch)?;
    let sent: Value = serde_json::from_slice(&good_review())?;
    let mut pod = sent["request"]["object"].clone();
    json_patch::patch(&mut pod, &patch)?;
    let syncer = &pod["spec"]["initContainers"][0];
    assert_eq!(syncer["restartPolicy"], "Always");
    assert_eq!(syncer["image"], "registry.example/syncer:1");
    let nginx = &pod["spec"]["containers"][0];
    assert_eq!(nginx["aFieldOfTomorrow"], json!({"kept": true}));
    assert_eq!(
        nginx["volumeMounts"][1]["mountPath"],
        "/usr/share/nginx/html"
    );
    Ok(())
}

#[tokio::test]
async fn a_mistake_is_denied_with_422_and_one_sentence() -> anyhow::Result<()> {
    let world = world().await?;
    let mut client = world.client().await?;
    let bad = review(&json!({
        "gitvolume.dev/repo": "https://git.example/site.git",
        "gitvolume.dev/period": "5 min",
    }));
    let answered = post(&mut client, bad).await?;
    assert_eq!(answered.status, StatusCode::OK, "a denial is an answer");
    let status = &answered.json()?["response"]["status"];
    assert_eq!(status["code"], 422);
    let message = status["message"].as_str().unwrap_or_default();
    assert!(message.contains("gitvolume.dev/period"), "{message}");
    assert!(message.contains("5 min"), "{message}");
    Ok(())
}

#[tokio::test]
async fn a_body_that_is_no_review_is_a_bad_request() -> anyhow::Result<()> {
    let world = world().await?;
    let mut client = world.client().await?;
    for body in ["", "{", "{}", r#"{"apiVersion":"admission.k8s.io/v1"}"#] {
        let answered = post(&mut client, body).await?;
        assert_eq!(answered.status, StatusCode::BAD_REQUEST, "{body}");
    }
    let answered = post(&mut client, good_review()).await?;
    assert_eq!(answered.status, StatusCode::OK, "on the same connection");
    Ok(())
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_is_read() -> anyhow::Result<()> {
    let world = world().await?;
    let mut stream = world.connect().await?;
    let head = "POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Length: 8388609\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let mut answer = vec![0; 64];
    let read = stream.read(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_body_over_the_limit_without_a_length_is_refused() -> anyhow::Result<()> {
    let world = world().await?;
    let mut stream = world.connect().await?;
    let head = "POST /mutate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let mut chunk = b"100000\r\n".to_vec();
    chunk.resize(chunk.len() + 0x10_0000, b' ');
    chunk.extend_from_slice(b"\r\n");
    for _ in 0..9 {
        // The server may close the connection before it has received everything.
        if stream.write_all(&chunk).await.is_err() {
            break;
        }
    }
    let mut answer = vec![0; 64];
    let read = stream.read(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_panic_is_500_and_the_server_lives_on() -> anyhow::Result<()> {
    let judge = |body: &[u8]| -> Result<Verdict, Failure> {
        assert!(body != b"panic", "a panic on purpose");
        Err(Failure::Internal {
            namespace: "shop".to_owned(),
            pod: "web".to_owned(),
            cause: "our patch does not apply".to_owned(),
        })
    };
    let world = world_with(Limits::default(), Arc::new(judge)).await?;
    let mut client = world.client().await?;
    let answered = post(&mut client, "panic").await?;
    assert_eq!(answered.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!String::from_utf8_lossy(&answered.body).contains("on purpose"));
    let answered = post(&mut client, "again").await?;
    assert_eq!(answered.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answered.body, "gitvolume: our patch does not apply\n");
    let text = world.admin("/metrics").await?.body;
    let text = String::from_utf8_lossy(&text);
    for line in [
        r#"requests_total{decision="error",reason="panic"} 1"#,
        r#"requests_total{decision="error",reason="internal"} 1"#,
        "panics_total 1",
        "inflight 0",
    ] {
        let line = format!("gitvolume_webhook_{line}");
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    Ok(())
}

/// A judge that rejects every body: these tests are about the code before it.
fn reads_nothing(_: &[u8]) -> Result<Verdict, Failure> {
    Err(Failure::Unreadable {
        cause: String::new(),
    })
}

#[tokio::test]
async fn a_call_over_the_limit_is_shed_with_503() -> anyhow::Result<()> {
    let limits = Limits {
        inflight: 1,
        ..Limits::default()
    };
    let world = world_with(limits, Arc::new(reads_nothing)).await?;
    let mut slow = world.connect().await?;
    slow.write_all(b"POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{")
        .await?;
    // The slow call holds its permit once the gauge shows it.
    shows(&world, "gitvolume_webhook_inflight 1").await?;
    let mut client = world.client().await?;
    let answered = post(&mut client, "{}").await?;
    assert_eq!(answered.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answered.header(RETRY_AFTER), Some("1"));
    shows(&world, r#"gitvolume_webhook_shed_total{limit="calls"} 1"#).await?;
    // The server reads a body that is still arriving, because closing the connection early would
    // lose the answer.
    let mut late = world.connect().await?;
    late.write_all(b"POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
        .await?;
    late.write_all(b"{}").await?;
    late.write_all(b"POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        .await?;
    let mut both = String::new();
    while both.matches("503 Service Unavailable").count() < 2 {
        let mut some = [0; 1024];
        let count = late.read(&mut some).await?;
        assert!(count > 0, "closed after {both:?}");
        both.push_str(&String::from_utf8_lossy(&some[..count]));
    }
    slow.write_all(b"}").await?;
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).await?;
    assert_eq!(&answer, b"HTTP/1.1 400");
    let answered = post(&mut client, "{}").await?;
    assert_eq!(answered.status, StatusCode::BAD_REQUEST);
    Ok(())
}

#[tokio::test]
async fn bytes_over_the_limit_are_shed_with_503_and_delay_no_small_call() -> anyhow::Result<()> {
    let limits = Limits {
        inflight_bytes: 1_000_000,
        ..Limits::default()
    };
    let world = world_with(limits, Arc::new(reads_nothing)).await?;
    // Announced bytes need no permits, only received ones.
    let mut slow = world.connect().await?;
    slow.write_all(b"POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Length: 900001\r\n\r\n")
        .await?;
    shows(&world, "gitvolume_webhook_inflight 1").await?;
    let mut client = world.client().await?;
    let large = vec![b'x'; 900_000];
    let answered = post(&mut client, large.clone()).await?;
    assert_eq!(answered.status, StatusCode::BAD_REQUEST, "it fits alone");

    slow.write_all(&large).await?;
    shows(&world, "gitvolume_webhook_inflight_bytes 900000").await?;
    let answered = post(&mut client, large.clone()).await?;
    assert_eq!(answered.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answered.header(RETRY_AFTER), Some("1"));
    assert!(!answered.closes(), "the connection is good for the retry");
    let answered = post(&mut client, "{}").await?;
    assert_eq!(answered.status, StatusCode::BAD_REQUEST, "a small one fits");
    shows(&world, r#"gitvolume_webhook_shed_total{limit="bytes"} 1"#).await?;

    slow.write_all(b"x").await?;
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).await?;
    assert_eq!(&answer, b"HTTP/1.1 400");
    let answered = post(&mut client, large).await?;
    assert_eq!(
        answered.status,
        StatusCode::BAD_REQUEST,
        "there is room again"
    );
    Ok(())
}

/// Waits until the metrics contain a line.
async fn shows(world: &World, line: &str) -> anyhow::Result<()> {
    let shown = async {
        loop {
            let text = world.admin("/metrics").await?.body;
            if String::from_utf8_lossy(&text)
                .lines()
                .any(|found| found == line)
            {
                return anyhow::Ok(());
            }
        }
    };
    let waited = tokio::time::timeout(std::time::Duration::from_secs(20), shown).await;
    waited.map_err(|_| anyhow::anyhow!("no line {line}"))?
}

#[tokio::test]
async fn every_metric_is_exposed() -> anyhow::Result<()> {
    let world = world().await?;
    let mut client = world.client().await?;
    post(&mut client, good_review()).await?;
    post(&mut client, review(&json!({"another": "one"}))).await?;
    // A client that does not speak TLS.
    let mut plain = tokio::net::TcpStream::connect(world.running.address()).await?;
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await?;
    plain.read_to_end(&mut Vec::new()).await.ok();

    let answered = world.admin("/metrics").await?;
    let text = String::from_utf8_lossy(&answered.body);
    for beginning in [
        r#"requests_total{decision="inject",reason="requested"} 1"#,
        r#"requests_total{decision="skip",reason="not-requested"} 1"#,
        r#"request_duration_seconds_bucket{le="0.0001"} "#,
        "request_duration_seconds_count 2",
        "patch_bytes_count 1",
        "inflight 0",
        "inflight_bytes 0",
        "panics_total 0",
        r#"shed_total{limit="calls"} 0"#,
        r#"shed_total{limit="bytes"} 0"#,
        "connections_accepted_total 2",
        "stage 0",
        "tls_handshake_failures_total 1",
        "cert_not_after_seconds 1",
        "cabundle_in_sync 1",
        r#"build_info{version=""#,
    ] {
        let line = format!("gitvolume_webhook_{beginning}");
        assert!(
            text.lines().any(|found| found.starts_with(&line)),
            "{line}: {text}"
        );
    }
    for name in [
        "process_cpu_seconds_total",
        "process_start_time_seconds",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_threads",
        "process_open_fds",
        "process_max_fds",
    ] {
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value: f64 = value.unwrap_or_default().parse().unwrap_or_default();
        assert!(value > 0.0, "{name}: {text}");
    }
    assert!(text.ends_with("# EOF\n"), "{text}");
    shows(&world, "gitvolume_webhook_connections 1").await?;
    assert_eq!(world.admin("/livez").await?.status, StatusCode::OK);
    assert_eq!(world.admin("/readyz").await?.status, StatusCode::OK);
    world.running.leave();
    shows(&world, "gitvolume_webhook_stage 1").await?;
    Ok(())
}
