//! Each example has a page that names its files, and the injector injects every Pod in it, without
//! a warning.

use std::collections::BTreeSet;

use cli::manifests::documents;
use cli::manifests::files::File;
use cli::manifests::volumes::Volumes;
use cli::manifests::volumes::judged;
use cli::manifests::workloads::objects;
use inject::Outcome;
use inject::PREFIX;
use inject::Review;
use inject::Settings;
use serde_json::Value;
use serde_json::json;
use tests::examples;
use tests::examples::ExampleFile;

use crate::docs::manifests::Verdict;
use crate::docs::manifests::part;

/// The problems of the manifests of one example, and the number of its Pods.
fn problems(manifests: &[&ExampleFile]) -> (Vec<String>, usize) {
    let settings = Settings::new("gitvolume.dev/gitvolume-syncer:0");
    let file = |manifest: &&ExampleFile| File {
        name: manifest.path.display().to_string(),
        path: None,
        text: manifest.text.clone(),
    };
    let files: Vec<File> = manifests.iter().map(file).collect();
    let volumes = Volumes::of_files(&files, None);
    let (mut problems, mut pods) = (Vec::new(), 0);
    for File { name, text, .. } in &files {
        for document in documents::read(text).unwrap() {
            if document.unread().is_some() {
                problems.push(format!("{name}:{}: no YAML", document.line()));
            }
            for object in objects(document.value()) {
                let complaints = judged(&object, None, &settings).into_iter();
                problems.extend(complaints.map(|complaint| format!("{name}: {complaint}")));
                for at in &object.pods {
                    pods += 1;
                    let template = object.value.pointer(at).unwrap();
                    let namespace = object.value["metadata"]["namespace"].as_str();
                    let namespace = namespace.unwrap_or("default");
                    let pod = json!({
                        "apiVersion": "v1", "kind": "Pod",
                        "metadata": template["metadata"], "spec": template["spec"],
                    });
                    let review = Review::of_pod(pod).in_namespace(namespace);
                    let facts = volumes.namespace(namespace);
                    let answer = inject::answer(&review, &settings, &facts).unwrap();
                    // The files of an old gitRepo volume belong to another user.
                    let is_expected = |warning: &&String| {
                        name.contains("/gitrepo/") && warning.contains("safe-directory")
                    };
                    let warnings = answer.warnings.iter().filter(|own| !is_expected(own));
                    problems.extend(warnings.map(|warning| format!("{name}: {warning}")));
                    match answer.outcome {
                        Outcome::Inject(_) => {}
                        Outcome::Deny(refusal) => problems.push(format!("{name}: {refusal}")),
                        Outcome::Skip(_) => problems.push(format!("{name}: not injected")),
                    }
                }
            }
        }
    }
    (problems, pods)
}

#[test]
fn every_pod_of_the_examples_is_injected_without_a_warning() {
    let manifests = examples::manifests().unwrap();
    let names: BTreeSet<&str> = manifests.iter().map(|own| own.example.as_str()).collect();
    let mut pods = 0;
    for name in names {
        let own = manifests.iter().filter(|own| own.example == name);
        let (found, count) = problems(&own.collect::<Vec<_>>());
        assert!(found.is_empty(), "{}", found.join("\n"));
        pods += count;
    }
    assert!(pods > 8, "only {pods} Pods were found");
}

#[test]
fn an_example_that_requests_nothing_is_detected() {
    let manifest = |annotations: &str| ExampleFile {
        example: "none".to_owned(),
        path: "examples/none/pod.yaml".into(),
        text: format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\n  annotations: {annotations}\n\
             spec:\n  containers: [{{name: web, image: nginx}}]\n"
        ),
    };
    let repo = "gitvolume.dev/repo: https://git.example/a.git";
    for (annotations, count) in [
        (format!("{{{repo}}}"), 0),
        (format!("{{{repo}, gitvolume.dev/mode: always}}"), 1),
        (format!("{{{repo}, gitvolume.dev/perod: 1m}}"), 1),
        ("{}".to_owned(), 1),
    ] {
        let (found, _) = problems(&[&manifest(&annotations)]);
        assert_eq!(found.len(), count, "{annotations}: {found:?}");
    }
}

/// The annotations that the values of another project's chart set on Pods.
fn annotations(values: &Value, found: &mut Vec<Value>) {
    for (key, value) in values.as_object().into_iter().flatten() {
        let is_ours = |map: &serde_json::Map<String, Value>| {
            key.ends_with("odAnnotations") && map.keys().any(|key| key.starts_with(PREFIX))
        };
        if value.as_object().is_some_and(is_ours) {
            found.push(value.clone());
        }
        annotations(value, found);
    }
}

#[test]
fn the_annotations_in_values_of_other_charts_are_accepted() {
    let mut seen = 0;
    for file in examples::values().unwrap() {
        let values: Value = serde_saphyr::from_str(&file.text).unwrap();
        let mut found = Vec::new();
        annotations(&values, &mut found);
        seen += found.len();
        for annotations in found {
            let pod = json!({"metadata": {"annotations": annotations}});
            match part(&pod).unwrap() {
                Verdict::Accepted => {}
                Verdict::Refused(sentence) => panic!("{}: {sentence}", file.path.display()),
            }
        }
    }
    assert!(seen > 2, "only {seen} values with annotations were found");
}

#[test]
fn each_example_has_a_page_that_names_its_files() {
    let pages = examples::pages().unwrap();
    let files = [examples::manifests().unwrap(), examples::values().unwrap()];
    for file in files.concat() {
        let page = pages.iter().find(|page| page.example == file.example);
        let page = page.unwrap_or_else(|| panic!("examples/{} has no README.md", file.example));
        let path = file.path.to_str().unwrap();
        assert!(
            page.text.contains(path),
            "{} does not name {path}",
            page.path.display()
        );
    }
    let index = tests::settings::root().join("examples/README.md");
    let index = std::fs::read_to_string(index).unwrap();
    for page in &pages {
        let link = format!("({}/README.md)", page.example);
        assert!(
            index.contains(&link),
            "examples/README.md has no link to {}",
            page.example
        );
    }
}
