//! Every manifest in the pages can be parsed, and the injector accepts every Pod in one, as
//! printed.

use std::collections::BTreeSet;
use std::process::Command;

use args::Action;
use args::keys_markdown;
use cli::manifests::documents;
use inject::Namespace;
use inject::Outcome;
use inject::PREFIX;
use inject::Review;
use inject::Settings;
use inject::pod_template;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use tests::settings;
use tests::tools::found_or_not_run;

use crate::docs::pages::Block;
use crate::docs::pages::pages;

/// Result of checking a manifest.
pub(crate) enum Verdict {
    Accepted,
    Refused(String),
}

#[test]
fn every_manifest_is_accepted_or_refused_as_its_page_says() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for page in pages() {
        for block in page.blocks() {
            if block.kind.split(' ').next() == Some("yaml") {
                seen += 1;
                wrong.extend(
                    problem(&block)
                        .err()
                        .map(|error| format!("{block}: {error}")),
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 15, "only {seen} manifests were found");
}

/// Reports the problem of a block of manifests.
fn problem(block: &Block<'_>) -> Result<(), String> {
    let is_refused = block.kind == "yaml refused";
    let documents = documents::read(&block.text).map_err(|error| error.to_string())?;
    for document in documents {
        if document.unread().is_some() {
            return Err("no YAML".to_owned());
        }
        if document.value().is_null() {
            continue;
        }
        match (judge(document.value(), &block.text)?, is_refused) {
            (Verdict::Accepted, false) => {}
            (Verdict::Accepted, true) => return Err("is accepted".to_owned()),
            (Verdict::Refused(sentence), false) => return Err(sentence),
            (Verdict::Refused(sentence), true) => {
                // The page may break the sentence into lines, and quote it.
                let words = block.page().text.split_whitespace();
                let unquoted: Vec<&str> = words.filter(|word| *word != ">").collect();
                if !unquoted.join(" ").contains(&sentence) {
                    return Err(format!("the page does not say: {sentence}"));
                }
            }
        }
    }
    Ok(())
}

fn judge(document: &Value, text: &str) -> Result<Verdict, String> {
    let keys: BTreeSet<&str> = match document {
        Value::Object(members) => members.keys().map(String::as_str).collect(),
        Value::Array(_) => BTreeSet::new(),
        _ => return Err("neither a mapping nor a list".to_owned()),
    };
    let all_of = |known: &[&str]| keys.iter().all(|key| known.contains(key));
    if keys.contains("kind") && keys.contains("apiVersion") {
        let pod = pod_template(document).and_then(|at| document.pointer(at));
        return pod.map_or(Ok(Verdict::Accepted), inject);
    }
    if document.is_array() {
        return part(&json!({"spec": {"containers": document}}));
    }
    if all_of(&["metadata", "spec"]) {
        return part(document);
    }
    if all_of(&["volumes", "containers", "initContainers"]) {
        return part(&json!({"spec": document}));
    }
    if all_of(&["args", "command", "env", "image", "name", "volumeMounts"]) {
        return container(document).map(|()| Verdict::Accepted);
    }
    if keys.contains("repos") {
        return repositories(document).map(|()| Verdict::Accepted);
    }
    let mut settings = document.clone();
    if let Some(members) = settings.as_object_mut() {
        let image = members
            .entry("image")
            .or_insert_with(|| json!("gitvolume-syncer:0"));
        let is_settings = image.is_string();
        if is_settings && serde_json::from_value::<Settings>(settings).is_ok() {
            return Ok(Verdict::Accepted);
        }
    }
    values(text).map(|()| Verdict::Accepted)
}

/// Checks a part of a Pod: adds what its annotations refer to.
pub(crate) fn part(document: &Value) -> Result<Verdict, String> {
    let mut pod = document.clone();
    let annotations = pod.pointer("/metadata/annotations").cloned();
    let annotations: Map<String, Value> = annotations
        .and_then(|found| found.as_object().cloned())
        .unwrap_or_default();
    let value = |key: &str| {
        let found = annotations.get(&format!("{PREFIX}{key}"));
        found.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let named = |key: &str| {
        let names: Vec<String> = value(key)
            .split(',')
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        names
    };
    let container = |name: &String| json!({"name": name, "image": "registry.example/app:1"});
    let spec = pod
        .as_object_mut()
        .map(|members| members.entry("spec").or_insert_with(|| json!({})))
        .and_then(Value::as_object_mut)
        .ok_or("spec is no mapping")?;
    let mut containers = named("containers");
    if containers.is_empty() {
        containers.push("app".to_owned());
    }
    spec.entry("containers")
        .or_insert_with(|| containers.iter().map(container).collect());
    let mut first = named("init-containers");
    let position = value("position");
    first.extend(position.split_once(':').map(|(_, name)| name.to_owned()));
    spec.entry("initContainers")
        .or_insert_with(|| first.iter().map(container).collect());
    // The named keys of a Pod that requests no repository belong to gitRepo volumes.
    let own = |key: &&String| key.starts_with(PREFIX) && !key.ends_with("inject");
    let asks = |key: &&String| key.ends_with("repo") || key.ends_with("use");
    if annotations.keys().any(|key| own(&key)) && !annotations.keys().any(|key| asks(&key)) {
        let names = annotations.keys().filter_map(|key| {
            let (name, _) = key.strip_prefix(PREFIX)?.split_once('.')?;
            (name != "resources").then_some(name)
        });
        let names: BTreeSet<&str> = names.chain(["source"]).collect();
        let volume =
            |name| json!({"name": name, "gitRepo": {"repository": "https://git.example/a.git"}});
        spec.entry("volumes")
            .or_insert_with(|| names.into_iter().map(volume).collect());
    }
    inject(&pod)
}

fn inject(pod: &Value) -> Result<Verdict, String> {
    let mut pod = pod.clone();
    if let Some(members) = pod.as_object_mut() {
        members.insert("apiVersion".to_owned(), json!("v1"));
        members.insert("kind".to_owned(), json!("Pod"));
    }
    let review = Review::of_pod(pod).in_namespace("shop");
    let mut settings = Settings::new("gitvolume.dev/gitvolume-syncer:0");
    settings.allowed_images = vec!["registry.example/*".to_owned()];
    let answer = inject::answer(&review, &settings, &Namespace::default());
    let answer = answer.map_err(|error| error.to_string())?;
    match answer.outcome {
        Outcome::Deny(refusal) => Ok(Verdict::Refused(refusal.to_string())),
        _ => match answer
            .warnings
            .iter()
            .find(|warning| warning.contains("unknown"))
        {
            Some(unknown) => Err(unknown.clone()),
            None => Ok(Verdict::Accepted),
        },
    }
}

/// A syncer's container: the syncer's own parser reads its arguments and variables.
fn container(document: &Value) -> Result<(), String> {
    let list = |key| document[key].as_array().into_iter().flatten();
    let mut argv: Vec<String> = list("args")
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    for (flag, value) in [
        ("--root", "/git"),
        ("--repo", "https://git.example/site.git"),
    ] {
        if !argv.iter().any(|given| given.starts_with(flag)) {
            argv.push(format!("{flag}={value}"));
        }
    }
    let env = list("env").map(|variable| {
        let value = variable["value"].as_str().unwrap_or("from elsewhere");
        (variable["name"].as_str().unwrap_or_default(), value)
    });
    syncer(argv, env.map(|(name, value)| (name.into(), value.into())))
}

/// Parses arguments and variables as the syncer does.
pub(crate) fn syncer(
    argv: Vec<String>,
    env: impl IntoIterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
) -> Result<(), String> {
    match args::read(argv.into_iter().map(Into::into), env) {
        Ok(Action::Print(_)) | Ok(_) => Ok(()),
        Err(refusal) => Err(refusal.message),
    }
}

/// A file of `--config`: each key of an entry must exist.
fn repositories(document: &Value) -> Result<(), String> {
    let known = keys_markdown();
    let entries = document["repos"].as_object().ok_or("repos is no mapping")?;
    for (name, entry) in entries {
        let keys = entry.as_object().ok_or("an entry is no mapping")?;
        for key in keys.keys() {
            if !known.contains(&format!("| `{key}` |")) {
                return Err(format!("repos.{name}.{key} is no key"));
            }
        }
    }
    Ok(())
}

/// Values of the chart, which must render with them.
fn values(text: &str) -> Result<(), String> {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let file = dir.path().join("values.yaml");
    std::fs::write(&file, text).map_err(|error| error.to_string())?;
    let file = file.to_string_lossy().into_owned();
    helm(&[
        "template",
        "gitvolume",
        "charts/gitvolume",
        "--values",
        &file,
    ])
}

/// Runs helm in the checkout; if helm is missing, the calling test is listed as not run.
pub(crate) fn helm(args: &[&str]) -> Result<(), String> {
    let Some(helm) = found_or_not_run("helm") else {
        return Ok(());
    };
    let home = tempfile::tempdir().map_err(|error| error.to_string())?;
    let output = Command::new(helm)
        .args(args)
        .current_dir(settings::root())
        .env("HOME", home.path())
        .output()
        .map_err(|error| format!("helm: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!("helm {}: {complaint}", args.join(" ")))
}
