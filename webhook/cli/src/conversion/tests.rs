//! Golden tests: each directory below `testdata/convert` is a case with manifests, the converted
//! manifests, the messages, and, written by hand, the paths at which containers see the files:
//! `Kind name: container path`. `make goldens` writes all of them but the paths.

use crate::commands::convert;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use inject::Outcome;
use inject::Review;
use inject::Settings;
use serde_json::Value;
use serde_json::json;
use similar::TextDiff;

use super::*;
use crate::conversion::convert_pod::Conversion;
use crate::conversion::convert_pod::convert;
use crate::conversion::source::answered;
use crate::manifests::documents;
use crate::manifests::edit;
use crate::manifests::files::File;
use crate::manifests::unhandled::Purpose;
use crate::manifests::workloads::objects;
use crate::report::Report;

#[expect(
    clippy::disallowed_methods,
    reason = "a test has no arguments; nobody but the person at the keyboard sets this"
)]
fn is_update() -> bool {
    std::env::var_os("UPDATE_GOLDENS").is_some()
}

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/convert");
    let mut dirs: Vec<PathBuf> = fs::read_dir(&root)
        .unwrap_or_else(|error| panic!("{}: {error}", root.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    dirs.sort();
    assert!(dirs.len() >= 25, "{} cases", dirs.len());
    dirs
}

fn holds(file: &Path, text: &str) {
    if is_update() {
        if text.is_empty() {
            let _ = fs::remove_file(file);
        } else {
            fs::write(file, text).unwrap();
        }
        return;
    }
    let golden = fs::read_to_string(file).unwrap_or_default();
    let diff = TextDiff::from_lines(golden.as_str(), text);
    assert!(
        golden == text,
        "{} is not what comes out (UPDATE_GOLDENS=1 writes it):\n{}",
        file.display(),
        diff.unified_diff()
    );
}

fn values(text: &str) -> Vec<Value> {
    let documents = documents::read(text).unwrap();
    documents.iter().map(|own| own.value().clone()).collect()
}

/// A converted text, its messages, and whether anything was converted.
struct Converted {
    text: String,
    notes: Vec<String>,
    is_changed: bool,
}

fn convert_text(text: &str) -> Converted {
    let mut notes = Vec::new();
    let file = File {
        name: "-".to_owned(),
        path: None,
        text: text.to_owned(),
    };
    let beside = convert::Beside {
        config_maps: convert::config_maps(std::slice::from_ref(&file)),
        objects: Vec::new(),
    };
    let edited = edit::edit(
        vec![file],
        Purpose::Convert,
        &mut Report::default(),
        |object| {
            let mut judged = convert::judge(object, &beside);
            let mut messages = std::mem::take(&mut judged.left);
            messages.append(&mut judged.notes);
            messages.append(&mut judged.warnings);
            notes.extend(
                messages
                    .iter()
                    .map(|note| format!("{}: {note}", object.name())),
            );
            judged
        },
    );
    Converted {
        text: edited[0].text(),
        notes,
        is_changed: edited[0].is_changed(),
    }
}

fn input(dir: &Path) -> String {
    let file = dir.join("input.yaml");
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The paths at which the containers of a text's Pods see files of repositories after the
/// injection.
fn seen(text: &str) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    for document in documents::read(text).unwrap() {
        for object in objects(document.value()) {
            let Some((_, template)) = object.templates().next() else {
                continue;
            };
            let Ok(Outcome::Inject(plan)) = answered(template) else {
                continue;
            };
            for consumer in &plan.consumers {
                for mount in &consumer.mounts {
                    let request = plan
                        .requests
                        .iter()
                        .find(|request| request.mount_path.as_str() == mount.path)
                        .unwrap();
                    let link = request.link.as_ref().map(ToString::to_string);
                    let path = view::joined(&mount.path, &link.unwrap_or_default());
                    seen.insert(format!("{}: {} {path}", object.name(), consumer.name));
                }
            }
        }
    }
    seen
}

#[test]
fn every_conversion_and_its_messages_match_the_goldens() {
    for dir in cases() {
        let text = input(&dir);
        let converted = convert_text(&text);
        // Only the content of an edited document is compared, not its layout.
        let file = dir.join("output.yaml");
        let golden = fs::read_to_string(&file).unwrap_or_default();
        if is_update() || values(&golden) != values(&converted.text) {
            holds(&file, &converted.text);
        }
        let report: String = converted
            .notes
            .iter()
            .map(|note| format!("{note}\n"))
            .collect();
        holds(&dir.join("report.txt"), &report);
        assert_eq!(converted.is_changed, converted.text != text);
        assert!(!report.contains("hunter2"), "{report}");
    }
}

#[test]
fn every_converted_pod_is_accepted_and_its_containers_see_the_same_paths() {
    for dir in cases() {
        let text = input(&dir);
        let converted = convert_text(&text);
        let file = dir.join("paths.txt");
        let paths = fs::read_to_string(&file).unwrap_or_default();
        let paths: BTreeSet<String> = paths.lines().map(str::to_owned).collect();
        assert_eq!(
            paths.is_empty(),
            !converted.is_changed,
            "{}",
            file.display()
        );
        if converted.is_changed {
            assert_eq!(seen(&converted.text), paths, "{}", dir.display());
        }
    }
}

#[test]
fn converting_twice_is_converting_once() {
    for dir in cases() {
        let once = convert_text(&input(&dir));
        let twice = convert_text(&once.text);
        assert!(!twice.is_changed, "{}", dir.display());
        assert_eq!(twice.text, once.text);
    }
}

/// Every part that is left unchanged or lost has a message, and no patch changes a part that is
/// left.
#[test]
fn unconverted_parts_stay_complete() {
    for dir in cases() {
        for document in documents::read(&input(&dir)).unwrap() {
            for object in objects(document.value()) {
                let Some((_, template)) = object.templates().next() else {
                    continue;
                };
                let conversion = convert(template, &|_, _| None);
                let mut after = template.clone();
                json_patch::patch(&mut after, &conversion.patch).unwrap();
                for note in conversion.notes.iter().filter(|note| note.is_left) {
                    let Some(name) = note.about.split(' ').next_back() else {
                        continue;
                    };
                    let find = |template: &Value| {
                        let lists = ["initContainers", "containers", "volumes"];
                        let items = lists
                            .iter()
                            .flat_map(|list| template["spec"][list].as_array())
                            .flatten();
                        let found = items.into_iter().filter(|item| item["name"] == name);
                        found.cloned().collect::<Vec<Value>>()
                    };
                    assert!(!find(template).is_empty(), "{note}");
                    assert_eq!(find(&after), find(template), "{note}");
                }
            }
        }
    }
}

#[test]
fn an_invalid_template_is_reported_if_it_may_use_git() {
    let spec = json!({"volumes": [{"name": "x", "gitRepo": "hunter2"}]});
    let conversion = convert(&json!({"spec": spec}), &|_, _| None);
    assert_eq!(conversion.notes.len(), 1);
    let note = &conversion.notes[0];
    assert!(note.is_left, "{note}");
    assert!(!note.to_string().contains("hunter2"), "{note}");
    for template in [
        json!({}),
        json!({"spec": 7}),
        json!({"spec": {"containers": 7}}),
    ] {
        assert_eq!(convert(&template, &|_, _| None), Conversion::default());
    }
}

/// Runs on the test Pods of the injector, before and after their injection.
#[test]
fn converted_volumes_keep_their_paths_and_nothing_panics() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../inject/testdata/inject");
    let settings = Settings::new("gitvolume-syncer");
    let seen = |pod: &Value| {
        let review = Review::of_pod(pod.clone());
        let explanation =
            inject::explain(&review, &settings, &inject::Namespace::default()).unwrap();
        let seen = explanation
            .repositories
            .into_iter()
            .flat_map(|own| own.seen);
        seen.map(|seen| (seen.container, seen.path))
            .collect::<BTreeSet<_>>()
    };
    let mut converted = 0;
    for entry in fs::read_dir(&root).unwrap() {
        let dir = entry.unwrap().path();
        let read = |name: &str| {
            let text = fs::read_to_string(dir.join(name)).unwrap();
            documents::read(&text).unwrap()[0].value().clone()
        };
        let pod = read("pod.yaml");
        let conversion = convert(&pod, &|_, _| None);
        let mut after = pod.clone();
        json_patch::patch(&mut after, &conversion.patch).unwrap();
        if after != pod {
            converted += 1;
            let (before, after) = (seen(&pod), seen(&after));
            assert!(!before.is_empty());
            assert_eq!(before, after, "{}", dir.display());
        }
        let injected = convert(&read("patched.yaml"), &|_, _| None);
        assert_eq!(injected.patch.0, [], "{}", dir.display());
    }
    assert!(converted >= 10, "{converted}");
}
