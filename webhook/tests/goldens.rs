//! Every golden case of the crate `inject` through the server, over TLS: the server adds nothing to
//! a Pod's patch and drops nothing of it.

mod case;

use std::sync::Arc;

use anyhow::Context;
use anyhow::ensure;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::StatusCode;
use inject::Settings;
use json_patch::Patch;
use serde_json::Value;
use serde_json::json;
use webhook::cluster::known::Known;
use webhook::server::Limits;
use webhook::server::judge::Injector;

use self::case::Case;
use self::case::groups;
use crate::common::Client;
use crate::common::post;
use crate::common::world_with;

/// The directory of the cases, relative to this crate.
const TESTDATA: &str = "inject/testdata";

/// Sends a review as the API server does; returns the response and the patched Pod.
async fn admitted(client: &mut Client, pod: &Value) -> anyhow::Result<(Value, Value)> {
    let uid = "0b4b6b4e-5f3e-4c1e-9d3b-7f3f0a3a0002";
    let review = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": uid,
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": pod["metadata"]["namespace"].as_str().unwrap_or_default(),
            "operation": "CREATE",
            "object": pod,
            "oldObject": null,
            "dryRun": false,
        },
    });
    let answered = post(client, review.to_string()).await?;
    ensure!(answered.status == StatusCode::OK, "{:?}", answered.body);
    let response = answered.json()?["response"].take();
    ensure!(response["uid"] == uid, "another call's answer: {response}");
    let mut after = pod.clone();
    if let Some(patch) = patch(&response)? {
        let patch: Patch = serde_json::from_slice(&patch)?;
        json_patch::patch(&mut after, &patch)?;
    }
    Ok((response, after))
}

/// The bytes of a response's patch.
fn patch(response: &Value) -> anyhow::Result<Option<Vec<u8>>> {
    let text = response["patch"].as_str();
    ensure!(response["patchType"].as_str() == text.map(|_| "JSONPatch"));
    Ok(text.map(|text| BASE64_STANDARD.decode(text)).transpose()?)
}

async fn is_answered_as_its_goldens_say(client: &mut Client, case: &Case) -> anyhow::Result<()> {
    let (response, after) = admitted(client, &case.pod).await?;
    let warnings: Vec<&str> = response["warnings"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    ensure!(warnings == case.warnings()?, "{warnings:?}");
    if let Some(message) = case.golden("message.txt")? {
        let status = &response["status"];
        ensure!(response["allowed"] == false && status["code"] == 422);
        ensure!(status["message"] == message.trim_end(), "{status}");
        return Ok(());
    }
    ensure!(response["allowed"] == true, "{response}");
    if let Some(golden) = case.golden("patch.json")? {
        let golden: Patch = serde_json::from_str(&golden)?;
        let sent = patch(&response)?.unwrap_or_default();
        ensure!(sent == serde_json::to_vec(&golden)?, "another patch");
    }
    if let Some(reason) = case.golden("reason.txt")? {
        let actual = &response["auditAnnotations"]["reason"];
        ensure!(*actual == reason.trim_end(), "{actual}");
    }
    ensure!(after == case.patched()?, "{after:#}");
    let (again, _) = admitted(client, &after).await?;
    ensure!(again["allowed"] == true && patch(&again)?.is_none());
    Ok(())
}

#[tokio::test]
async fn every_case_is_answered_over_tls_as_its_goldens_say() -> anyhow::Result<()> {
    for (settings, cases) in groups(TESTDATA)? {
        let settings: Settings = serde_json::from_str(&settings)?;
        let injector = Injector::new(Known::only(settings));
        let world = world_with(Limits::default(), Arc::new(injector)).await?;
        let mut client = world.client().await?;
        for case in cases {
            is_answered_as_its_goldens_say(&mut client, &case)
                .await
                .with_context(|| case.name.clone())?;
        }
    }
    Ok(())
}
