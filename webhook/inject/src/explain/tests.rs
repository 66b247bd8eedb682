//! Golden texts in `testdata/explain`, of Pods of the other cases: `KIND.CASE.txt` explains the Pod
//! in `testdata/KIND/CASE`. `make goldens` updates the existing ones.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;
use similar::TextDiff;

use super::*;
use crate::ANNOTATIONS;
use crate::GitVolume;
use crate::PREFIX;
use crate::answer;
use crate::keys::key;

#[expect(
    clippy::disallowed_methods,
    reason = "a test has no arguments; nobody but the person at the keyboard sets this"
)]
fn is_update() -> bool {
    std::env::var_os("UPDATE_GOLDENS").is_some()
}

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

fn settings(case: &Path) -> Settings {
    let mut settings = Settings::new("registry.example/gitvolume-syncer:test");
    settings.version = "0.0.0-test".to_owned();
    let mut own = serde_json::to_value(&settings).unwrap();
    if let Ok(text) = fs::read_to_string(case.join("settings.yaml")) {
        let changes: Value = serde_saphyr::from_str(&text).unwrap();
        for (key, value) in changes.as_object().unwrap() {
            own[key] = value.clone();
        }
    }
    serde_json::from_value(own).unwrap()
}

fn pod(case: &Path) -> Value {
    let file = case.join("pod.yaml");
    let text =
        fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_saphyr::from_str(&text).unwrap()
}

fn explained(pod: Value, settings: &Settings) -> Explanation {
    explain(&Review::of_pod(pod), settings, &Namespace::default()).unwrap()
}

fn cases(kind: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(testdata().join(kind)).unwrap();
    let cases: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    assert!(cases.len() > 5, "{kind}: {}", cases.len());
    cases
}

#[test]
fn explanations_equal_their_golden_texts() {
    let mut goldens: Vec<PathBuf> = fs::read_dir(testdata().join("explain"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    goldens.sort();
    assert!(goldens.len() >= 10, "{}", goldens.len());
    for golden in goldens {
        let name = golden.file_stem().unwrap().to_str().unwrap();
        let (kind, case) = name.split_once('.').unwrap();
        let case = testdata().join(kind).join(case);
        let settings = settings(&case);
        holds(&golden, &explained(pod(&case), &settings).to_string());
    }
}

/// The texts in `testdata/objects/explain` explain the objects of the other cases there.
#[test]
fn explanations_of_objects_equal_their_golden_texts() {
    let folder = testdata().join("objects");
    let goldens = fs::read_dir(folder.join("explain")).unwrap();
    let goldens: Vec<PathBuf> = goldens.map(|entry| entry.unwrap().path()).collect();
    assert!(goldens.len() >= 5, "{}", goldens.len());
    for golden in goldens {
        let name = golden.file_stem().unwrap().to_str().unwrap();
        let (kind, case) = name.split_once('.').unwrap();
        let case = folder.join(kind).join(case);
        let settings = settings(&case);
        let objects = fs::read_to_string(case.join("objects.yaml")).unwrap();
        let texts = objects.split("\n---\n").map(|text| {
            let object: Value = serde_saphyr::from_str(text).unwrap();
            explain_object(&GitVolume::read(&object), &settings).to_string()
        });
        holds(&golden, &texts.collect::<Vec<_>>().join("\n"));
    }
}

/// Compares a golden file, or writes it.
fn holds(golden: &Path, text: &str) {
    if is_update() {
        fs::write(golden, text).unwrap();
        return;
    }
    let written = fs::read_to_string(golden).unwrap();
    let diff = TextDiff::from_lines(&*written, text);
    assert!(
        written == text,
        "{} is not what comes out (UPDATE_GOLDENS=1 writes it):\n{}",
        golden.display(),
        diff.unified_diff()
    );
}

#[test]
fn an_explanation_lists_every_mount_and_annotation() {
    for case in cases("inject") {
        let settings = settings(&case);
        let review = Review::of_pod(pod(&case));
        let answer = answer(&review, &settings, &Namespace::default()).unwrap();
        let Outcome::Inject(plan) = &answer.outcome else {
            panic!("{}", case.display());
        };
        let explanation = explained(pod(&case), &settings);
        let dir = case.display();
        assert_eq!(explanation.decision, "inject", "{dir}");
        assert_eq!(explanation.warnings, answer.warnings, "{dir}");
        assert_eq!(
            explanation.repositories.len(),
            plan.requests.len() + plan.git_repos.len(),
            "{dir}"
        );
        assert_eq!(explanation.volumes.len(), plan.volumes.len(), "{dir}");
        // Each mount of the plan is listed, at the path where the files are.
        for consumer in &plan.consumers {
            for mount in &consumer.mounts {
                let is_it = |seen: &Seen| {
                    let rest = seen.path.strip_prefix(&mount.path);
                    seen.container == consumer.name
                        && seen.read_only == mount.read_only
                        && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                };
                let mut seen = explanation.repositories.iter().flat_map(|own| &own.seen);
                assert!(seen.any(is_it), "{dir}: {mount:?}");
            }
        }
        for (syncer_config, syncer) in explanation.containers.iter().zip(&plan.syncers) {
            assert_eq!(syncer_config.name, syncer.name(), "{dir}");
            let user = syncer.user.map(|user| format!("{}:{}", user.uid, user.gid));
            let user = user.unwrap_or_else(|| "not set".to_owned());
            assert_eq!(syncer_config.user.0, user, "{dir}");
        }
        // Every gitvolume annotation is listed, with its value.
        let annotations = review.object()["metadata"]["annotations"].as_object();
        let syncer_config: Vec<&str> = explanation
            .repositories
            .iter()
            .flat_map(|own| &own.settings)
            .chain(&explanation.pod)
            .map(|setting| setting.from.as_str())
            .collect();
        for key in annotations.into_iter().flatten().map(|(key, _)| key) {
            let is_warned = answer.warnings.iter().any(|warning| warning.contains(key));
            let is_requested = !key::WRITTEN.contains(&key.as_str());
            if key.starts_with(PREFIX) && is_requested && !is_warned {
                assert!(syncer_config.contains(&key.as_str()), "{dir}: {key}");
            }
        }
    }
}

#[test]
fn a_refusal_is_explained_with_its_message_and_without_secrets() {
    for case in cases("deny") {
        let explanation = explained(pod(&case), &settings(&case));
        assert!(explanation.is_refused(), "{}", case.display());
        assert!(!explanation.mistakes.is_empty());
        let all = format!(
            "{explanation}{}",
            serde_json::to_string(&explanation).unwrap()
        );
        for secret in ["hunter2", "secret@", "ghp_"] {
            assert!(!all.contains(secret), "{}: {all}", case.display());
        }
    }
}

#[test]
fn an_injected_pod_is_explained_with_its_version_and_differences() {
    let case = testdata().join("inject/link-layout");
    let before = settings(&case);
    let mut pod = pod(&case);
    let answer = answer(&Review::of_pod(pod.clone()), &before, &Namespace::default()).unwrap();
    json_patch::patch(&mut pod, &answer.patch.unwrap()).unwrap();
    let same = explained(pod.clone(), &before);
    assert_eq!(same.reason, "already-injected");
    let present = same.present.unwrap();
    assert!(present.is_same && present.is_there);
    assert_eq!(present.version, "0.0.0-test");
    assert_eq!(present.differences, [""; 0]);
    let mut after = before.clone();
    after.version = "9.9.9".to_owned();
    after.image = "registry.example/gitvolume-syncer:next".to_owned();
    let other = explained(pod, &after);
    assert!(!other.present.as_ref().unwrap().is_same);
    let text = other.to_string();
    assert!(text.contains("injected by version 0.0.0-test"), "{text}");
    assert!(
        text.contains("would differ: container gitvolume: image\n"),
        "{text}"
    );
}

#[test]
fn a_fresh_injection_has_no_differences() {
    for case in cases("inject") {
        let settings = settings(&case);
        let mut pod = pod(&case);
        let answer = answer(
            &Review::of_pod(pod.clone()),
            &settings,
            &Namespace::default(),
        );
        json_patch::patch(&mut pod, &answer.unwrap().patch.unwrap()).unwrap();
        let present = explained(pod, &settings).present.unwrap();
        assert!(present.is_same && present.is_there, "{}", case.display());
        assert_eq!(present.differences, [""; 0], "{}", case.display());
    }
}

#[test]
fn the_table_lists_every_key_with_all_its_columns() {
    let (text, json) = (annotations_text(), annotations_json());
    assert_eq!(json.as_array().unwrap().len(), ANNOTATIONS.len());
    for row in ANNOTATIONS {
        assert!(
            text.contains(&format!("  {PREFIX}{}\n", row.key)),
            "{}",
            row.key
        );
        assert!(text.contains(row.example), "{}", row.key);
    }
    assert!(
        text.lines().all(|line| line.chars().count() <= 110),
        "{text}"
    );
}

#[test]
fn a_pod_without_requests_is_explained_in_one_line() {
    let pod = serde_json::json!({"spec": {"containers": [{"name": "c"}]}});
    let explanation = explained(pod, &Settings::new("x"));
    assert_eq!(
        explanation.to_string(),
        "skip (not-requested): no annotation, GitVolume or gitRepo volume requests a repository\n"
    );
}

#[test]
fn values_of_an_object_are_explained_with_their_origin() {
    let object = serde_json::json!({
        "apiVersion": "gitvolume.dev/v1alpha1", "kind": "GitVolume",
        "metadata": {"name": "site", "namespace": "shop"},
        "spec": {
            "repo": "https://git.example/site.git", "ref": "v1", "period": "1m", "user": 7,
            "resources": {"limits": {"cpu": "1"}},
        },
    });
    let namespace = Namespace::of_manifests("shop", [&object]);
    let pod = serde_json::json!({
        "metadata": {"annotations": {"gitvolume.dev/site.ref": "v2"}},
        "spec": {"containers": [{"name": "web"}]},
    });
    let settings = Settings::new("syncer:1");
    let syncer_config = explain(&Review::of_pod(pod), &settings, &namespace).unwrap();
    let [site] = &syncer_config.repositories[..] else {
        panic!("{syncer_config}");
    };
    let from = |key: &str| {
        let setting = site.settings.iter().find(|own| own.key == key).unwrap();
        (setting.value.as_str(), setting.from.as_str())
    };
    let repo = (
        "https://git.example/site.git",
        "GitVolume shop/site: spec.repo",
    );
    assert_eq!(from("repo"), repo);
    assert_eq!(from("ref"), ("v2", "gitvolume.dev/site.ref"));
    assert_eq!(from("period"), ("1m", "GitVolume shop/site: spec.period"));
    assert_eq!(from("depth"), ("1", "default"));
    assert_eq!(site.seen.len(), 1);
    let user = syncer_config
        .pod
        .iter()
        .find(|own| own.key == "user")
        .unwrap();
    assert_eq!(user.from, "GitVolume shop/site: spec.user");
    let [container] = &syncer_config.containers[..] else {
        panic!("{syncer_config}");
    };
    assert_eq!(container.user.1, "GitVolume shop/site: spec.user");
    let why = "GitVolume shop/site: spec.resources.…, and for the rest the operator";
    assert_eq!(container.resources.1, why);
}

#[test]
fn no_secret_in_an_address_is_explained_or_written_into_the_status() {
    for repository in [
        "https://hunter2@git.example/old/work.git",
        "https://hunter2:x-oauth-basic@git.example/old/work.git",
        "https://me:hunter2@git.example/old/work.git",
        "me:hunter2@git.example:8080/work.git",
        "https://git.example/work.git?private_token=hunter2",
        "ftp://me:hunter2@git.example/work.git",
    ] {
        let by_volume = serde_json::json!({
            "metadata": {"name": "web"},
            "spec": {
                "containers": [{"name": "web", "image": "nginx"}],
                "volumes": [{"name": "src", "gitRepo": {"repository": repository}}],
            },
        });
        let by_annotation = serde_json::json!({
            "metadata": {"name": "web", "annotations": {"gitvolume.dev/repo": repository}},
            "spec": {"containers": [{"name": "web", "image": "nginx"}]},
        });
        for pod in [by_volume, by_annotation] {
            let settings = Settings::new("registry.example/gitvolume-syncer:test");
            let explained = explained(pod.clone(), &settings);
            let json = serde_json::to_string(&explained).unwrap();
            let text = explained.to_string();
            assert!(!json.contains("hunter2"), "{json}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
}
