//! Connections: how long they are kept, when they are closed, and what they survive.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use certs::Bundle;
use certs::Leaf;
use certs::Names;
use certs::Published;
use certs::Serving;
use hyper::StatusCode;
use inject::Settings;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use webhook::cluster::known::Known;
use webhook::server::Limits;
use webhook::server::judge::Injector;
use webhook::server::readiness::Readiness;

use crate::common::connect;
use crate::common::good_review;
use crate::common::handshake;
use crate::common::post;
use crate::common::world;
use crate::common::world_with;

fn injector() -> Arc<Injector> {
    let settings = Settings::new("registry.example/syncer:1");
    Arc::new(Injector::new(Known::only(settings)))
}

#[tokio::test]
async fn a_certificate_is_swapped_under_a_live_connection() -> anyhow::Result<()> {
    let world = world().await?;
    let mut old = world.client().await?;
    post(&mut old, good_review()).await?;

    let next = Bundle::generate(SystemTime::now())?;
    let leaf = Leaf::issue(&next, &Names::local(), SystemTime::now())?;
    world.serving.set_leaf(leaf);

    let address = world.running.address();
    let answered = post(&mut old, good_review()).await?;
    assert_eq!(
        answered.status,
        StatusCode::OK,
        "the old connection goes on"
    );
    let mut new = handshake(connect(address, &next).await?).await?;
    let answered = post(&mut new, good_review()).await?;
    assert_eq!(answered.status, StatusCode::OK, "a new one has the new CA");
    assert!(world.connect().await.is_err(), "the old CA is not served");
    Ok(())
}

#[tokio::test]
async fn an_idle_connection_is_kept_while_a_head_that_trickles_is_cut() -> anyhow::Result<()> {
    let limits = Limits {
        head: Duration::from_millis(300),
        ..Limits::default()
    };
    let world = world_with(limits, injector()).await?;
    let mut idle = world.client().await?;
    post(&mut idle, good_review()).await?;

    let mut slow = world.connect().await?;
    slow.write_all(b"POST /mu").await?;
    let begun = Instant::now();
    slow.read_to_end(&mut Vec::new()).await.ok();
    let cut = begun.elapsed();
    assert!(cut >= Duration::from_millis(250), "{cut:?}");
    assert!(cut < Duration::from_secs(5), "{cut:?}");

    tokio::time::sleep(Duration::from_millis(900)).await;
    for _ in 0..3 {
        let answered = post(&mut idle, good_review()).await?;
        assert_eq!(answered.status, StatusCode::OK);
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_connection_that_never_sends_a_request_is_closed_in_seconds() -> anyhow::Result<()> {
    let limits = Limits {
        silence: Duration::from_millis(300),
        ..Limits::default()
    };
    assert!(Limits::default().silence <= Duration::from_secs(10));
    assert!(Limits::default().idle > Duration::from_secs(90));
    let world = world_with(limits, injector()).await?;
    let mut silent = world.connect().await?;
    let begun = Instant::now();
    silent.read_to_end(&mut Vec::new()).await.ok();
    let cut = begun.elapsed();
    assert!(cut >= Duration::from_millis(250), "{cut:?}");
    assert!(cut < Duration::from_secs(5), "{cut:?}");
    Ok(())
}

#[tokio::test]
async fn a_body_may_take_longer_than_a_head() -> anyhow::Result<()> {
    let limits = Limits {
        head: Duration::from_millis(200),
        ..Limits::default()
    };
    let world = world_with(limits, injector()).await?;
    let mut stream = world.connect().await?;
    let body = good_review();
    let head = format!(
        "POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    let (first, rest) = body.split_at(body.len() / 2);
    stream.write_all(first).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    stream.write_all(rest).await?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await?;
    assert_eq!(&answer, b"HTTP/1.1 200");
    Ok(())
}

#[tokio::test]
async fn a_silent_peer_does_not_keep_a_handshake_open() -> anyhow::Result<()> {
    let limits = Limits {
        handshake: Duration::from_millis(200),
        ..Limits::default()
    };
    let world = world_with(limits, injector()).await?;
    let mut silent = TcpStream::connect(world.running.address()).await?;
    let begun = Instant::now();
    silent.read_to_end(&mut Vec::new()).await.ok();
    assert!(begun.elapsed() < Duration::from_secs(3));
    Ok(())
}

#[tokio::test]
async fn an_old_connection_is_closed_by_an_answer() -> anyhow::Result<()> {
    let limits = Limits {
        age: Duration::from_secs(1),
        ..Limits::default()
    };
    let world = world_with(limits, injector()).await?;
    let mut client = world.client().await?;
    assert!(!post(&mut client, good_review()).await?.closes());
    let until_closed = async {
        loop {
            let answered = post(&mut client, good_review()).await?;
            assert_eq!(answered.status, StatusCode::OK);
            if answered.closes() {
                return anyhow::Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), until_closed).await?
}

#[tokio::test]
async fn a_drain_loses_no_call() -> anyhow::Result<()> {
    let world = world().await?;
    let mut kept = world.client().await?;
    assert!(!post(&mut kept, good_review()).await?.closes());
    // A call whose body is still arriving when the shutdown begins.
    let mut slow = world.connect().await?;
    let body = good_review();
    let head = format!(
        "POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    slow.write_all(head.as_bytes()).await?;
    while !String::from_utf8_lossy(&world.admin("/metrics").await?.body)
        .contains("gitvolume_webhook_inflight 1")
    {}

    world.running.leave();
    let ready = world.admin("/readyz").await?;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(ready.body.starts_with(b"not ready: shutting down\n"));
    assert_eq!(world.admin("/livez").await?.status, StatusCode::OK);
    let answered = post(&mut kept, good_review()).await?;
    assert_eq!(answered.status, StatusCode::OK);
    assert!(answered.closes(), "a kept connection is told to go");
    let mut new = world.client().await?;
    assert!(post(&mut new, good_review()).await?.closes());

    let address = world.running.address();
    let stopped = tokio::spawn(world.running.stop());
    while TcpStream::connect(address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!stopped.is_finished(), "a call is in flight");
    slow.write_all(&body).await?;
    let mut answer = Vec::new();
    slow.read_to_end(&mut answer).await.ok();
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    tokio::time::timeout(Duration::from_secs(5), stopped).await??;
    Ok(())
}

#[tokio::test]
async fn readyz_names_the_missing_part_and_stays_ready_when_trust_is_lost_again()
-> anyhow::Result<()> {
    let now = SystemTime::now();
    let fresh = Serving::new();
    assert_eq!(fresh.missing(now), ["no serving certificate yet"]);
    let leaf = Leaf::issue(&Bundle::generate(now)?, &Names::local(), now)?;
    fresh.set_leaf(leaf);
    assert_eq!(
        fresh.missing(now),
        ["the webhook configuration's caBundle does not contain the webhook's CA"]
    );

    let world = world().await?;
    world.serving.set_published(Published::Unknown);
    let ready = world.admin("/readyz").await?;
    assert_eq!(ready.status, StatusCode::OK);
    let metrics = world.admin("/metrics").await?.body;
    let metrics = String::from_utf8_lossy(&metrics);
    assert!(metrics.contains("gitvolume_webhook_cabundle_in_sync 0\n"));
    Ok(())
}

#[tokio::test]
async fn the_state_of_a_replica_is_the_same_as_text_and_as_json() -> anyhow::Result<()> {
    let world = world().await?;
    let answered = world.admin("/readyz?format=json").await?;
    assert_eq!(answered.status, StatusCode::OK);
    let readiness: Readiness = serde_json::from_slice(&answered.body)?;
    assert!(readiness.ready);
    assert_eq!(readiness.warnings, Vec::<String>::new());
    assert!(readiness.ca_bundle_in_sync);
    assert_eq!(readiness.version, env!("CARGO_PKG_VERSION"));
    let settings: Settings = serde_json::from_value(readiness.settings.clone())?;
    assert_eq!(settings.hash(), readiness.settings_hash);
    let text = world.admin("/readyz").await?.body;
    assert_eq!(text, readiness.to_text());
    assert!(text.starts_with(b"ok\nserving certificate until "));

    world.running.leave();
    let answered = world.admin("/readyz?format=json").await?;
    assert_eq!(answered.status, StatusCode::SERVICE_UNAVAILABLE);
    let readiness: Readiness = serde_json::from_slice(&answered.body)?;
    assert_eq!(readiness.missing, ["shutting down"]);
    let text = world.admin("/readyz").await?.body;
    assert!(text.starts_with(b"not ready: shutting down\n"));
    Ok(())
}
