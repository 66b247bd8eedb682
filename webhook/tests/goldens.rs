//! Every golden case of the crate `inject`, through the server over TLS and through the command
//! line: one engine, and nothing that either door does to a Pod on the way.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
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
use webhook::judge::Injector;
use webhook::known::Known;
use webhook::server::Limits;

use crate::common::Client;
use crate::common::post;
use crate::common::world_with;

/// A Pod, the settings it meets, and what is to come of it.
struct Case {
    name: String,
    dir: PathBuf,
    pod: Value,
    /// The whole settings, as a file of them.
    settings: String,
}

impl Case {
    /// The cases of a kind; a walk that finds few of them proves nothing.
    fn all(kind: &str, least: usize) -> anyhow::Result<Vec<Self>> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("inject/testdata");
        let mut cases = Vec::new();
        for entry in fs::read_dir(root.join(kind))? {
            let dir = entry?.path();
            let name = dir.file_name().unwrap_or_default().to_string_lossy();
            let mut settings = json!({
                "image": "registry.example/gitvolume-syncer:test", "version": "0.0.0-test",
            });
            if let Some(own) = read(&dir, "settings.yaml")? {
                for (key, value) in yaml(&own)?.as_object().context("no mapping")? {
                    settings[key] = value.clone();
                }
            }
            cases.push(Self {
                name: format!("{kind}/{name}"),
                pod: yaml(&read(&dir, "pod.yaml")?.context("no pod.yaml")?)?,
                settings: settings.to_string(),
                dir,
            });
        }
        ensure!(cases.len() >= least, "{} cases of {kind}", cases.len());
        Ok(cases)
    }

    /// One of its files; `None` where the case has none such.
    fn golden(&self, file: &str) -> anyhow::Result<Option<String>> {
        read(&self.dir, file)
    }

    fn warnings(&self) -> anyhow::Result<Vec<String>> {
        let text = self.golden("warnings.txt")?.unwrap_or_default();
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// The Pod as it is to become; as it was where nothing is to.
    fn patched(&self) -> anyhow::Result<Value> {
        match self.golden("patched.yaml")? {
            Some(text) => yaml(&text),
            None => Ok(self.pod.clone()),
        }
    }
}

fn read(dir: &Path, file: &str) -> anyhow::Result<Option<String>> {
    let file = dir.join(file);
    match file.exists() {
        true => Ok(Some(fs::read_to_string(file)?)),
        false => Ok(None),
    }
}

fn yaml(text: &str) -> anyhow::Result<Value> {
    Ok(serde_saphyr::from_str(text)?)
}

/// All of them, in groups of equal settings: each group has a server of its own.
fn groups() -> anyhow::Result<BTreeMap<String, Vec<Case>>> {
    let mut groups: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    for (kind, least) in [("inject", 90), ("deny", 70), ("skip", 12)] {
        for case in Case::all(kind, least)? {
            groups.entry(case.settings.clone()).or_default().push(case);
        }
    }
    Ok(groups)
}

/// Asks as the API server does, and gives the response with the Pod after it.
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
        let told = &response["auditAnnotations"]["reason"];
        ensure!(*told == reason.trim_end(), "{told}");
    }
    ensure!(after == case.patched()?, "{after:#}");
    let (again, _) = admitted(client, &after).await?;
    ensure!(again["allowed"] == true && patch(&again)?.is_none());
    Ok(())
}

#[tokio::test]
async fn every_case_is_answered_over_tls_as_its_goldens_say() -> anyhow::Result<()> {
    for (settings, cases) in groups()? {
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

/// Runs `gitvolume inject` on a file or a directory.
fn inject(path: &Path, settings: &Path, flags: &[&str]) -> anyhow::Result<Output> {
    let output = Command::new(env!("CARGO_BIN_EXE_gitvolume"))
        .env_clear()
        .arg("inject")
        .arg("-f")
        .arg(path)
        .arg("--config")
        .arg(settings)
        .args(flags)
        .stdin(Stdio::null())
        .output()?;
    Ok(output)
}

/// Gives what is written for the case, where anything is.
fn written(case: &Case, settings: &Path) -> anyhow::Result<Option<String>> {
    let output = inject(&case.dir.join("pod.yaml"), settings, &[])?;
    let told = String::from_utf8(output.stderr)?;
    for warning in case.warnings()? {
        ensure!(told.contains(&warning), "{warning:?} is not in {told}");
    }
    let out = String::from_utf8(output.stdout)?;
    if let Some(message) = case.golden("message.txt")? {
        ensure!(output.status.code() == Some(2) && out.is_empty());
        // Each mistake has a line of its own there.
        let mut told: Vec<&str> = told.lines().collect();
        told.retain(|line| {
            let sentence = line.split_once("): ").map_or("", |(_, sentence)| sentence);
            !sentence.is_empty() && message.contains(sentence)
        });
        ensure!(!told.is_empty(), "nothing of {message:?} is told");
        return Ok(None);
    }
    ensure!(output.status.code() == Some(0), "{told}");
    let (after, found) = (case.patched()?, yaml(&out)?);
    ensure!(found == after, "{found:#}");
    if after == case.pod {
        ensure!(Some(&out) == case.golden("pod.yaml")?.as_ref(), "touched");
    }
    Ok(Some(out))
}

#[test]
fn every_case_is_written_by_the_command_line_as_its_goldens_say() -> anyhow::Result<()> {
    for (settings, cases) in groups()? {
        let dir = tempfile::tempdir()?;
        let all = dir.path().join("all");
        fs::create_dir(&all)?;
        let file = dir.path().join("settings.yaml");
        fs::write(&file, settings)?;
        let mut files = Vec::new();
        for case in cases {
            let text = written(&case, &file).with_context(|| case.name.clone())?;
            if let Some(text) = text {
                let file = all.join(case.name.replace('/', "-") + ".yaml");
                fs::write(&file, &text)?;
                files.push((case.name, file, text));
            }
        }
        if files.is_empty() {
            continue;
        }
        // Again, all at once: nothing is left to do, and not a byte changes.
        let checked = inject(&all, &file, &["--check"])?;
        let told = String::from_utf8(checked.stderr)?;
        ensure!(checked.status.code() == Some(0), "{told}");
        inject(&all, &file, &["--in-place"])?;
        for (name, file, text) in files {
            ensure!(fs::read_to_string(file)? == text, "{name} changed");
        }
    }
    Ok(())
}
