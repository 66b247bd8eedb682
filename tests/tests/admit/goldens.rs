//! The golden Pods of the inject crate, each through the real API server and the real webhook: a
//! cluster must produce what the golden contains.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use serde_json::Value;
use serde_json::json;
use tests::installation::serving::Serving;
use tests::installation::serving::WEBHOOK;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::kubernetes::control_plane::Version;
use tests::kubernetes::namespace::Namespace;
use tests::settings;

use crate::shared::SETTINGS;
use crate::shared::UNASKED;
use crate::shared::version;

const TOKEN: &str = "kube-api-access-";
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Part of the message with which API servers reject a Pod, or never send it to a webhook; `None`
/// for a valid Pod.
fn why_impossible(version: Version, pod: &Value) -> Option<&'static str> {
    let annotations = pod["metadata"]["annotations"].as_object();
    let mut annotations = annotations.into_iter().flatten();
    let newer = |own: &Value| !own["restartPolicyRules"].is_null();
    if version == Version::Oldest && containers(pod).any(newer) {
        return Some("may not be set for non-init containers");
    }
    if !pod["spec"]["overhead"].is_null() && pod["spec"]["runtimeClassName"].is_null() {
        return Some("Pod Overhead set without corresponding RuntimeClass");
    }
    annotations.find_map(|(key, value)| match key.as_str() {
        "kubernetes.io/config.mirror" => Some("must set spec.nodeName"),
        // Tests the escaping in the patch's paths.
        key if key.contains('~') => Some("name part must consist of"),
        _ if !value.is_string() => Some("ObjectMeta.metadata.annotations of type string"),
        _ => None,
    })
}

/// Placeholder in settings for a namespace whose name is known later.
const NAMESPACE_PLACEHOLDER: &str = "the-namespace";

/// A dry run without field validation: goldens also contain fields that no API server knows.
const DRY: [&str; 2] = ["--dry-run=server", "--validate=ignore"];

struct Case {
    name: String,
    dir: PathBuf,
    pod: Value,
}

/// A webhook with the goldens' settings, and the cases with these settings.
struct Group {
    cases: Vec<Case>,
    with_webhook: Arc<Namespace>,
    _serving: Serving,
    _dir: tempfile::TempDir,
}

fn read(file: &Path) -> Result<Value, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    serde_saphyr::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))
}

/// The Pod of a case, for a namespace of this test.
fn pod(file: &Path) -> Result<Value, String> {
    let mut pod = read(file)?;
    let metadata = pod["metadata"].as_object_mut().ok_or("no metadata")?;
    metadata.remove("namespace");
    Ok(pod)
}

/// Merges the settings of a case into these.
pub(crate) fn add_settings(case: &Path, settings: &mut Value) -> Result<(), String> {
    let file = case.join("settings.yaml");
    if file.exists() {
        let own = read(&file)?;
        for (key, value) in own.as_object().ok_or("settings are a mapping")? {
            settings[key] = value.clone();
        }
    }
    Ok(())
}

fn dirs(kind: &str) -> Result<Vec<PathBuf>, String> {
    let root = settings::root().join("webhook/inject/testdata").join(kind);
    let all = fs::read_dir(&root).map_err(|error| format!("{}: {error}", root.display()))?;
    let mut dirs: Vec<PathBuf> = all.flatten().map(|entry| entry.path()).collect();
    dirs.sort();
    Ok(dirs)
}

/// The cases of a kind that are possible on an API server, by their settings.
fn cases(
    version: Version,
    kind: &str,
    least: usize,
) -> Result<BTreeMap<String, Vec<Case>>, String> {
    let dirs = dirs(kind)?;
    assert!(dirs.len() >= least, "{} cases of {kind}", dirs.len());
    let mut groups: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    for dir in dirs {
        let name = dir
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let file = dir.join("pod.yaml");
        let namespace = read(&file)?["metadata"]["namespace"].to_string();
        let pod = pod(&file)?;
        if why_impossible(version, &pod).is_some() {
            continue;
        }
        // As in the inject crate's golden test.
        let mut settings = json!({
            "image": "registry.example/gitvolume-syncer:test", "version": "0.0.0-test",
        });
        add_settings(&dir, &mut settings)?;
        let excluded = settings.get_mut("excludedNamespaces");
        if let Some(excluded) = excluded.and_then(Value::as_array_mut) {
            excluded.push(json!(NAMESPACE_PLACEHOLDER));
        }
        let case = Case { pod, name, dir };
        // Settings for the golden's namespace apply to the placeholder's.
        let settings = settings.to_string();
        let settings = settings.replace(
            &format!("{namespace}:"),
            &format!("\"{NAMESPACE_PLACEHOLDER}\":"),
        );
        groups.entry(settings).or_default().push(case);
    }
    Ok(groups)
}

/// Tests run in parallel, and the name of a registration is unique in the cluster.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Starts a webhook for each of the settings, each for its own namespace.
fn groups(world: &World, kind: &str, least: usize) -> Result<Vec<Group>, String> {
    let to_text = |error: anyhow::Error| format!("{error:#}");
    let mut groups = Vec::new();
    for (settings, cases) in cases(version(world)?, kind, least)? {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        let name = format!("goldens-{kind}-{count}");
        let labels = [(UNASKED, "true"), (SETTINGS, name.as_str())];
        let with_webhook = world.namespace(&labels)?;
        create_referenced_objects(world, &with_webhook, &cases)?;
        let settings = settings.replace(NAMESPACE_PLACEHOLDER, with_webhook.name());
        let settings = serde_json::from_str(&settings).map_err(|error| error.to_string())?;
        let serving = Serving::start_with(dir.path(), &settings).map_err(to_text)?;
        let namespaces = json!([{"key": SETTINGS, "operator": "In", "values": [name]}]);
        serving
            .register(world.cluster(), &name, &[(WEBHOOK, namespaces)], &labels)
            .map_err(to_text)?;
        groups.push(Group {
            with_webhook,
            cases,
            _serving: serving,
            _dir: dir,
        });
    }
    Ok(groups)
}

/// Creates the objects that the API server looks up before it accepts a Pod.
fn create_referenced_objects(
    world: &World,
    namespace: &Namespace,
    cases: &[Case],
) -> Result<(), String> {
    let named = |field: &str| -> BTreeSet<String> {
        let all = cases
            .iter()
            .filter_map(|case| case.pod["spec"][field].as_str());
        all.filter(|name| !name.starts_with("system-") && *name != "default")
            .map(str::to_owned)
            .collect()
    };
    for name in named("serviceAccountName") {
        let account = json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name},
        });
        namespace.apply(&account.to_string())?;
    }
    for name in named("runtimeClassName") {
        let class = json!({
            "apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass",
            "metadata": {"name": name}, "handler": name,
        });
        world.kubectl().apply(&class.to_string())?;
    }
    for name in named("priorityClassName") {
        let class = json!({
            "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
            "metadata": {"name": name}, "value": 1000,
        });
        world.kubectl().apply(&class.to_string())?;
    }
    Ok(())
}

/// Dry-runs all Pods in one call; an error names the cases.
fn dry(namespace: &Namespace, cases: &[Case], pods: &[Value]) -> Result<Vec<Value>, String> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": pods});
    let Ok((mut created, _)) = namespace.created(&DRY, &list.to_string()) else {
        let each = cases.iter().zip(pods);
        let refused = each.filter_map(|(case, pod)| {
            let refusal = namespace.created(&DRY, &pod.to_string()).err()?;
            Some(format!("{}: {refusal}", case.name))
        });
        return Err(refused.collect());
    };
    assert_eq!(created.len(), pods.len(), "each Pod, in its order");
    created.iter_mut().try_for_each(without_random_fields)?;
    Ok(created)
}

/// Removes the API token, which is before or after our mounts depending on the order of admission.
fn without_the_token(mut pod: Value) -> Value {
    for list in ["containers", "initContainers"] {
        for container in pod["spec"][list].as_array_mut().into_iter().flatten() {
            if let Some(mounts) = container["volumeMounts"].as_array_mut() {
                mounts.retain(|mount| mount["name"] != TOKEN);
            }
        }
    }
    if let Some(volumes) = pod["spec"]["volumes"].as_array_mut() {
        volumes.retain(|volume| volume["name"] != TOKEN);
    }
    pod
}

/// Removes what differs between any two creations of the same Pod.
fn without_random_fields(pod: &mut Value) -> Result<(), String> {
    let metadata = pod["metadata"].as_object_mut().ok_or("no metadata")?;
    for key in ["creationTimestamp", "namespace", "uid"] {
        metadata.remove(key);
    }
    if metadata.contains_key("generateName") {
        metadata.remove("name");
    }
    // kubectl rewrites it if it exists.
    if let Some(annotations) = metadata
        .get_mut("annotations")
        .and_then(Value::as_object_mut)
    {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
    // The hash of the settings, which contain the namespaces of this test.
    if let Some(mut status) = status(pod) {
        status["config"] = Value::Null;
        // The API server omits empty lists before it calls the webhook; only manifests contain
        // them.
        if let Some(members) = status.as_object_mut() {
            members.remove("empty");
        }
        pod["metadata"]["annotations"]["gitvolume.dev/status"] = status.to_string().into();
    }
    let text = pod.to_string();
    if let Some(at) = text.find(TOKEN) {
        let name = &text[at..at + TOKEN.len() + 5];
        *pod = serde_json::from_str(&text.replace(name, TOKEN)).map_err(|e| e.to_string())?;
    }
    Ok(())
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    ["containers", "initContainers"]
        .into_iter()
        .filter_map(|list| pod["spec"][list].as_array())
        .flatten()
}

fn status(pod: &Value) -> Option<Value> {
    let text = pod["metadata"]["annotations"]["gitvolume.dev/status"].as_str();
    serde_json::from_str(text?).ok()
}

/// The names of our containers, from the status annotation.
fn ours(pod: &Value) -> Result<Vec<Value>, String> {
    let status = status(pod).ok_or("no status")?;
    let names = status["containers"].as_array().cloned();
    names
        .filter(|names| !names.is_empty())
        .ok_or("no container of ours".to_owned())
}

/// Checks that the API token is in all containers of the app and in none of ours.
fn check_token_mounts(pod: &Value) -> Result<(), String> {
    let status = pod["metadata"]["annotations"]["gitvolume.dev/status"].as_str();
    let status: Value =
        serde_json::from_str(status.ok_or("no status")?).map_err(|e| e.to_string())?;
    let ours = status["containers"]
        .as_array()
        .ok_or("no container of ours")?;
    let turned_off = pod["spec"]["automountServiceAccountToken"] == false;
    for container in containers(pod) {
        let mounts = container["volumeMounts"].as_array();
        let mut mounts = mounts.into_iter().flatten();
        let at = mounts.find(|mount| mount["mountPath"] == TOKEN_PATH);
        let has = at.is_some_and(|mount| mount["name"] == TOKEN);
        let own = at.is_some() && !has;
        let wanted = !ours.contains(&container["name"]) && !turned_off && !own;
        if has != wanted {
            return Err(format!(
                "the token's mount is {has}, not {wanted}: {container:#}"
            ));
        }
    }
    Ok(())
}

/// Checks that each field of our containers is stored: a server that dropped `restartPolicy` would
/// turn a sidecar into a container that the app waits for forever.
fn check_our_containers(stored: &Value, file: &Value) -> Result<(), String> {
    for name in ours(file)? {
        let of = |pod| -> Result<Value, String> {
            let mut all = containers(pod);
            let own = all.find(|own| own["name"] == name);
            Ok(own.ok_or_else(|| format!("no {name}"))?.clone())
        };
        let (stored, file) = (of(stored)?, of(file)?);
        if let Some(path) = first_difference(&stored, &file, &name.to_string()) {
            return Err(format!("{path} of {file:#} is not in {stored:#}"));
        }
    }
    Ok(())
}

/// The first difference between the stored object and a file; fields that only the stored object
/// has, such as defaults of the API server, are ignored.
fn first_difference(stored: &Value, file: &Value, path: &str) -> Option<String> {
    match (stored, file) {
        (_, Value::Object(fields)) => fields
            .iter()
            .find_map(|(key, file)| first_difference(&stored[key], file, &format!("{path}.{key}"))),
        (Value::Array(stored), Value::Array(items)) if stored.len() == items.len() => stored
            .iter()
            .zip(items)
            .find_map(|(stored, file)| first_difference(stored, file, &format!("{path}[]"))),
        _ => (stored != file).then(|| path.to_owned()),
    }
}

/// A bad patch refuses a Pod under any failurePolicy, so no golden Pod may be refused.
pub(crate) fn every_injected_pod_is_stored_as_its_golden_says(world: &World) -> TestResult {
    let without_webhook = world.namespace(&[(UNASKED, "true")])?;
    for group in groups(world, "inject", 80)? {
        create_referenced_objects(world, &without_webhook, &group.cases)?;
        let plain: Vec<Value> = group.cases.iter().map(|case| case.pod.clone()).collect();
        let patched: Result<Vec<Value>, _> = group
            .cases
            .iter()
            .map(|case| pod(&case.dir.join("patched.yaml")))
            .collect();
        let patched = patched?;
        let stored = dry(&group.with_webhook, &group.cases, &plain)?;
        // Without the webhook: the golden, and what the API server adds to any Pod.
        let golden = dry(&without_webhook, &group.cases, &patched)?;
        let again = dry(&group.with_webhook, &group.cases, &patched)?;
        let all = stored.into_iter().zip(golden).zip(again).zip(&patched);
        for (case, (((stored, golden), again), file)) in group.cases.iter().zip(all) {
            let to_text = |error| format!("{}: {error}", case.name);
            check_our_containers(&stored, file).map_err(to_text)?;
            check_token_mounts(&stored).map_err(to_text)?;
            let [stored, golden, again] = [stored, golden, again].map(without_the_token);
            assert_eq!(stored, golden, "{}", case.name);
            assert_eq!(again, golden, "{}, again", case.name);
        }
    }
    Ok(())
}

pub(crate) fn every_skipped_pod_is_stored_as_its_golden_says(world: &World) -> TestResult {
    let without_webhook = world.namespace(&[(UNASKED, "true")])?;
    for group in groups(world, "skip", 6)? {
        create_referenced_objects(world, &without_webhook, &group.cases)?;
        let plain: Vec<Value> = group.cases.iter().map(|case| case.pod.clone()).collect();
        let goldens: Result<Vec<Value>, _> = group
            .cases
            .iter()
            .map(|case| match case.dir.join("patched.yaml") {
                file if file.exists() => pod(&file),
                _ => Ok(case.pod.clone()),
            })
            .collect();
        let stored = dry(&group.with_webhook, &group.cases, &plain)?;
        let golden = dry(&without_webhook, &group.cases, &goldens?)?;
        for (index, case) in group.cases.iter().enumerate() {
            assert_eq!(stored[index], golden[index], "{}", case.name);
        }
    }
    Ok(())
}

pub(crate) fn every_refusal_reaches_the_author_as_its_golden_says(world: &World) -> TestResult {
    for group in groups(world, "deny", 60)? {
        for case in &group.cases {
            let refusal = match group.with_webhook.created(&DRY, &case.pod.to_string()) {
                Err(refusal) => refusal,
                Ok(_) => return Err(format!("{} was admitted", case.name).into()),
            };
            let sentence = fs::read_to_string(case.dir.join("message.txt"))?;
            let lines = without_others(&refusal);
            let expected = format!(
                "The request is invalid: error when creating \"STDIN\": admission webhook \"{WEBHOOK}\" denied the request: {sentence}"
            );
            let warnings = warnings_of(case);
            let all: Vec<String> = warnings
                .chain(expected.lines().map(str::to_owned))
                .collect();
            assert_eq!(lines, all, "{}", case.name);
        }
    }
    Ok(())
}

/// Each warning fits the 256 characters that the API server forwards, and none is lost.
pub(crate) fn every_warning_reaches_the_author_as_its_golden_says(world: &World) -> TestResult {
    let mut seen = 0;
    for kind in ["inject", "skip"] {
        for group in groups(world, kind, 6)? {
            for case in &group.cases {
                let warnings: Vec<String> = warnings_of(case).collect();
                if warnings.is_empty() {
                    continue;
                }
                let (_, output) = group
                    .with_webhook
                    .created(&DRY, &case.pod.to_string())
                    .map_err(|error| format!("{}: {error}", case.name))?;
                assert_eq!(without_others(&output), warnings, "{}", case.name);
                for warning in warnings {
                    let text = warning.strip_prefix("Warning: ").unwrap_or_default();
                    assert!(text.chars().count() <= 256, "{}: {text}", case.name);
                    seen += 1;
                }
            }
        }
    }
    assert!(seen >= 5, "{seen} warnings prove little");
    Ok(())
}

pub(crate) fn the_omitted_golden_pods_are_refused_without_the_webhook(world: &World) -> TestResult {
    let without_webhook = world.namespace(&[(UNASKED, "true")])?;
    let mut seen = 0;
    for kind in ["inject", "deny", "skip"] {
        for dir in dirs(kind)? {
            let pod = pod(&dir.join("pod.yaml"))?;
            let Some(why) = why_impossible(version(world)?, &pod) else {
                continue;
            };
            let refusal = match without_webhook.created(&DRY, &pod.to_string()) {
                Err(refusal) => refusal,
                Ok(_) => return Err(format!("{} was admitted", dir.display()).into()),
            };
            assert!(refusal.contains(why), "{}: {refusal}", dir.display());
            seen += 1;
        }
    }
    assert!(seen >= 2, "{seen}");
    Ok(())
}

/// The lines that kubectl prints for a case's warnings.
fn warnings_of(case: &Case) -> impl Iterator<Item = String> {
    let text = fs::read_to_string(case.dir.join("warnings.txt")).unwrap_or_default();
    let lines: Vec<String> = text
        .lines()
        .map(|line| format!("Warning: {line}"))
        .collect();
    lines.into_iter()
}

/// The messages about our annotations and volumes, without the API server's own warnings.
fn without_others(output: &str) -> Vec<String> {
    let others = ["Warning: metadata.", "Warning: spec."];
    let lines = output
        .lines()
        .filter(|line| !others.iter().any(|other| line.starts_with(other)));
    lines.map(str::to_owned).collect()
}
