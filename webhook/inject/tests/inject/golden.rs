//! Every directory below `testdata` is a case: a Pod, and files with the expected result. `make
//! goldens` updates those; review its changes like code.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use args::Action;
use args::RepoArgs;
use inject::Answer;
use inject::Mode;
use inject::Namespace;
use inject::Outcome;
use inject::Role;
use inject::Settings;
use inject::SkipReason;
use serde_json::Value;
use serde_json::json;
use similar::TextDiff;

use crate::pods::ask;
use crate::pods::ask_in;
use crate::pods::is_update;
use crate::pods::patched;
use crate::pods::settings;

/// A directory with a Pod.
struct Case {
    dir: PathBuf,
    pod: Value,
    settings: Settings,
    /// The namespace with the objects of `objects.yaml`, where there is one.
    namespace: Namespace,
}

impl Case {
    /// All cases of a kind; fails if there are fewer than `least`, since a walk that finds nothing
    /// proves nothing. Cases with objects have a folder of their own.
    fn all(kind: &str, least: usize) -> Vec<Self> {
        let mut cases = Self::within(kind, least);
        cases.extend(Self::within(&format!("objects/{kind}"), 4));
        cases
    }

    fn within(kind: &str, least: usize) -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("testdata")
            .join(kind);
        let mut dirs: Vec<PathBuf> = fs::read_dir(&root)
            .unwrap_or_else(|error| panic!("{}: {error}", root.display()))
            .map(|entry| entry.unwrap().path())
            .collect();
        dirs.sort();
        assert!(
            dirs.len() >= least,
            "{} cases in {}",
            dirs.len(),
            root.display()
        );
        dirs.into_iter().map(Self::read).collect()
    }

    fn read(dir: PathBuf) -> Self {
        let pod = read_yaml(&dir.join("pod.yaml"));
        // A case has only the settings that differ from the tests' defaults.
        let mut own = serde_json::to_value(settings()).unwrap();
        let file = dir.join("settings.yaml");
        if file.exists() {
            let changes = read_yaml(&file);
            for (key, value) in changes.as_object().unwrap() {
                own[key] = value.clone();
            }
        }
        let name = pod["metadata"]["namespace"].as_str().unwrap_or("shop");
        let objects = fs::read_to_string(dir.join("objects.yaml")).unwrap_or_default();
        let objects = objects.split("\n---\n").filter(|text| !text.is_empty());
        let objects: Vec<Value> = objects.map(|text| yaml(text).unwrap()).collect();
        Self {
            settings: serde_json::from_value(own).unwrap(),
            namespace: Namespace::of_manifests(name, &objects),
            dir,
            pod,
        }
    }

    fn ask(&self) -> Answer {
        ask_in(&self.namespace, &self.pod, &self.settings)
    }

    fn again(&self, pod: &Value) -> Answer {
        ask_in(&self.namespace, pod, &self.settings)
    }

    /// Compares every file of the case but its input, or writes them. Every kind of case may have
    /// warnings.
    fn holds(&self, answer: &Answer, files: impl IntoIterator<Item = (&'static str, String)>) {
        let mut expected: BTreeMap<&str, String> = files.into_iter().collect();
        if !answer.warnings.is_empty() {
            expected.insert("warnings.txt", answer.warnings.join("\n") + "\n");
        }
        for entry in fs::read_dir(&self.dir).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let input = ["objects.yaml", "pod.yaml", "settings.yaml"].contains(&name.as_str());
            let file = self.dir.join(&name);
            if !input && !expected.contains_key(name.as_str()) {
                assert!(is_update(), "left over: {}", file.display());
                fs::remove_file(file).unwrap();
            }
        }
        for (name, text) in expected {
            let file = self.dir.join(name);
            if is_update() {
                fs::write(&file, text).unwrap();
                continue;
            }
            let golden = fs::read_to_string(&file).unwrap_or_default();
            // The order of members depends on the YAML writer; only the document is compared.
            let same = match file.extension().and_then(|extension| extension.to_str()) {
                Some("yaml") => yaml(&golden) == yaml(&text),
                Some("json") => serde_json::from_str::<Value>(&golden).ok() == Some(json(&text)),
                _ => golden == text,
            };
            let diff = TextDiff::from_lines(&golden, &text);
            assert!(
                same,
                "{} is not what comes out (UPDATE_GOLDENS=1 writes it):\n{}",
                file.display(),
                diff.unified_diff()
            );
        }
    }
}

fn read_yaml(file: &Path) -> Value {
    let text =
        fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    yaml(&text).unwrap_or_else(|| panic!("{} is no YAML", file.display()))
}

fn yaml(text: &str) -> Option<Value> {
    serde_saphyr::from_str(text).ok()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// An argument as the kubelet passes it on, without variables to expand.
fn through_the_kubelet(arg: &Value) -> String {
    arg.as_str().unwrap().replace("$$", "$")
}

#[test]
fn every_pod_equals_its_goldens_and_a_second_call_changes_nothing() {
    for case in Case::all("inject", 90) {
        let dir = case.dir.display();
        let answer = case.ask();
        assert!(
            matches!(answer.outcome, Outcome::Inject(_)),
            "{dir}: {:?}",
            answer.outcome
        );
        let after = patched(&case.pod, &answer);
        let yaml = serde_saphyr::to_string(&after).unwrap();
        assert_eq!(
            self::yaml(&yaml).as_ref(),
            Some(&after),
            "{dir}: YAML keeps the document"
        );
        let patch = serde_json::to_string_pretty(&answer.patch).unwrap() + "\n";
        case.holds(&answer, [("patched.yaml", yaml), ("patch.json", patch)]);

        // A second call changes nothing, even without the objects.
        for again in [case.again(&after), ask(&after, &case.settings)] {
            assert_eq!(
                again.outcome,
                Outcome::Skip(SkipReason::AlreadyInjected),
                "{dir}"
            );
            assert_eq!(again.patch, None, "{dir}");
        }
    }
}

#[test]
fn the_syncer_accepts_every_injected_argv() {
    for case in Case::all("inject", 90) {
        let answer = case.ask();
        let Outcome::Inject(plan) = &answer.outcome else {
            panic!("{}", case.dir.display());
        };
        let after = patched(&case.pod, &answer);
        let inits = after["spec"]["initContainers"].as_array().unwrap();
        for syncer in &plan.syncers {
            let container = inits
                .iter()
                .find(|own| own["name"] == syncer.name())
                .unwrap();
            let argv = ["command", "args"]
                .into_iter()
                .flat_map(|key| container[key].as_array().unwrap())
                .map(through_the_kubelet);
            let env = container["env"].as_array().unwrap();
            let variables = env.iter().map(|own| {
                let text = |key: &str| own[key].as_str().unwrap_or_default().into();
                (text("name"), text("value"))
            });
            let args = match args::read(argv.skip(1).map(Into::into), variables) {
                Ok(Action::Sync(typed)) => typed.sync.repo,
                other => panic!("{other:?}"),
            };
            assert_eq!(args.max_failures, -1);
            let config = env.iter();
            let mut config = config.filter(|own| own["name"] == "GITSYNC_CONFIG_INLINE");
            let repos: Vec<RepoArgs> = match config.next() {
                None => vec![args],
                Some(config) => {
                    let config = json(&through_the_kubelet(&config["value"]));
                    let repos = config["repos"].as_object().unwrap();
                    repos.values().map(read_entry).collect()
                }
            };
            let asked = plan
                .requests
                .iter()
                .filter(|request| (request.mode == Mode::Sync) == (syncer.role == Role::Sync))
                .filter(|_| syncer.role != Role::GitRepo);
            for request in asked {
                let configured = repos
                    .iter()
                    .find(|configured| configured.repo.as_ref() == Some(&request.repo));
                let configured = configured.unwrap_or_else(|| panic!("{repos:?}"));
                assert_eq!(configured.rev, request.rev.clone().into());
                assert_eq!(configured.link, request.link);
            }
        }
    }
}

#[test]
fn every_refusal_equals_its_golden_message() {
    for case in Case::all("deny", 70) {
        let answer = case.ask();
        let Outcome::Deny(refusal) = &answer.outcome else {
            panic!("{}: {:?}", case.dir.display(), answer.outcome);
        };
        assert_eq!(answer.patch, None);
        let response = json(std::str::from_utf8(&answer.to_json().body).unwrap());
        let status = &response["response"]["status"];
        assert_eq!(status["code"], 422);
        assert_eq!(status["message"], refusal.to_string());
        case.holds(&answer, [("message.txt", format!("{refusal}\n"))]);
    }
}

#[test]
fn every_refusal_is_a_warning_and_a_status_under_warn() {
    for case in Case::all("deny", 70) {
        let mut settings = case.settings.clone();
        settings.on_mistake = inject::OnMistake::Warn;
        let answer = ask_in(&case.namespace, &case.pod, &settings);
        assert!(answer.allowed && !answer.warnings.is_empty());
        assert_eq!(answer.decision(), "warn");
        let after = patched(&case.pod, &answer);
        let status = &after["metadata"]["annotations"]["gitvolume.dev/status"];
        let Outcome::Deny(refusal) = &answer.outcome else {
            panic!("{}", case.dir.display());
        };
        assert_eq!(
            json(status.as_str().unwrap())["refused"],
            refusal.to_string()
        );
        assert_eq!(after["spec"], case.pod["spec"]);
        assert_eq!(ask_in(&case.namespace, &after, &settings).patch, None);
    }
}

#[test]
fn every_skipped_pod_has_its_reason() {
    for case in Case::all("skip", 12) {
        let answer = case.ask();
        let Outcome::Skip(reason) = answer.outcome else {
            panic!("{}: {:?}", case.dir.display(), answer.outcome);
        };
        assert!(answer.allowed);
        let mut files = vec![("reason.txt", format!("{reason}\n"))];
        if answer.patch.is_some() {
            let after = patched(&case.pod, &answer);
            assert_eq!(after["spec"], case.pod["spec"]);
            files.push(("patched.yaml", serde_saphyr::to_string(&after).unwrap()));
            assert_eq!(case.again(&after).patch, None);
        }
        case.holds(&answer, files);
    }
}

/// The changes that the API server and other webhooks make between two calls.
#[test]
fn changes_by_other_mutators_do_not_change_the_injection() {
    for case in Case::all("inject", 90) {
        let mut pod = patched(&case.pod, &case.ask());
        let spec = pod["spec"].as_object_mut().unwrap();
        for key in ["containers", "initContainers"] {
            for container in spec[key].as_array_mut().unwrap() {
                let container = container.as_object_mut().unwrap();
                // Defaults and LimitRanger; a registry mirror; a tracer; a CA bundle.
                container.insert(
                    "terminationMessagePath".into(),
                    json!("/dev/termination-log"),
                );
                container.insert("imagePullPolicy".into(), json!("IfNotPresent"));
                container.insert("resources".into(), json!({"limits": {"cpu": "500m"}}));
                container.insert("image".into(), json!("mirror.example/x:1"));
                for (list, item) in [
                    ("env", json!({"name": "TRACE", "value": "1"})),
                    (
                        "volumeMounts",
                        json!({"name": "ca", "mountPath": "/etc/ca"}),
                    ),
                ] {
                    let list = container.entry(list).or_insert(json!([]));
                    list.as_array_mut().unwrap().push(item);
                }
            }
        }
        for (list, item) in [
            ("containers", json!({"name": "proxy", "image": "proxy:1"})),
            (
                "initContainers",
                json!({"name": "proxy-init", "image": "proxy:1"}),
            ),
            (
                "volumes",
                json!({"name": "ca", "configMap": {"name": "ca"}}),
            ),
        ] {
            spec[list].as_array_mut().unwrap().insert(0, item);
        }
        let again = case.again(&pod);
        assert_eq!(again.patch, None, "{}", case.dir.display());
        assert_eq!(again.outcome, Outcome::Skip(SkipReason::AlreadyInjected));
    }
}

/// A replica of the previous version answers the first call, this version the second one.
#[test]
fn an_injection_of_another_version_stays() {
    for case in Case::all("inject", 90) {
        let mut newer = case.settings.clone();
        newer.version = "9.9.9".to_owned();
        newer.stale_worktree_timeout = args::GitDuration::from_secs(99);
        let pod = patched(&case.pod, &case.ask());
        let again = ask_in(&case.namespace, &pod, &newer);
        assert_eq!(again.outcome, Outcome::Skip(SkipReason::AlreadyInjected));
        assert_eq!(again.patch, None, "{}", case.dir.display());
    }
}

/// Common workloads, as the API server sends them: defaults filled in, a token mounted, an owner.
#[test]
fn the_cases_cover_common_workloads() {
    let is_real = |case: &Case| {
        let name = case.dir.file_name().unwrap().to_str().unwrap();
        name.starts_with("real-")
    };
    let real: Vec<Case> = Case::all("inject", 90)
        .into_iter()
        .filter(is_real)
        .collect();
    assert!(real.len() >= 20, "{}", real.len());
    for case in real {
        let dir = case.dir.display();
        for key in ["schedulerName", "serviceAccountName", "restartPolicy"] {
            assert!(case.pod["spec"][key].is_string(), "{dir}: {key}");
        }
    }
}

#[test]
fn every_annotation_is_accepted_in_one_case_and_refused_in_another() {
    let own_keys = |case: &Case| -> Vec<String> {
        let annotations = case.pod["metadata"]["annotations"].as_object();
        let keys = annotations.into_iter().flatten().map(|(key, _)| key);
        keys.filter_map(|key| Some(key.strip_prefix(inject::PREFIX)?.to_owned()))
            .collect()
    };
    let taken: Vec<String> = Case::all("inject", 90).iter().flat_map(own_keys).collect();
    let refused: Vec<String> = Case::all("deny", 70)
        .iter()
        .map(|case| fs::read_to_string(case.dir.join("message.txt")).unwrap_or_default())
        .collect();
    for row in inject::ANNOTATIONS {
        let named = format!(".{}", row.key);
        let is_taken = taken
            .iter()
            .any(|key| *key == row.key.as_str() || key.ends_with(&named));
        assert!(is_taken, "{}", row.key);
        let refusal = format!("{}{}: ", inject::PREFIX, row.key);
        let is_refused = refused.iter().any(|message| message.contains(&refusal));
        // The webhook writes these and never refuses their values.
        let is_ours = row.scope == inject::Scope::Status;
        assert_eq!(is_refused, !is_ours, "{}", row.key);
    }
}

fn read_entry(entry: &Value) -> RepoArgs {
    let mut args = RepoArgs::default();
    for (key, value) in entry.as_object().unwrap() {
        assert!(RepoArgs::is_key(key), "{key}");
        args.set_key(key, value).unwrap();
    }
    args
}
