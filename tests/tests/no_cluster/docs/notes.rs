//! What helm shows after an installation, for any release: its commands can be typed, its annotations are
//! accepted, and its names are those of the release. That the commands show a file is for the node's tests.

use std::process::Command;

use serde_json::Value;
use serde_json::json;
use tests::settings;
use tests::tools::found_or_not_run;
use tests::tools::tool;

use crate::docs::commands::Kubectl;
use crate::docs::manifests::Verdict;
use crate::docs::manifests::part;
use crate::docs::shell::commands;

/// What `helm install` of a release says and makes, with further flags.
fn installed(release: &str, flags: &[&str]) -> (String, String) {
    let home = tempfile::tempdir().unwrap();
    let said = Command::new(tool("helm"))
        .args(["install", release, "charts/gitvolume", "--dry-run=client"])
        .args(["--namespace=ours", "--output=json"])
        .args(flags)
        .current_dir(settings::root())
        .env("HOME", home.path())
        .output()
        .expect("run helm: make tools builds it");
    let complaint = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{complaint}");
    let made: Value = serde_json::from_slice(&said.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&made["info"]["notes"]), text(&made["manifest"]))
}

#[test]
fn every_command_of_the_charts_notes_can_be_typed_and_names_what_is_there() {
    let tools = ["helm", "kubectl"].map(found_or_not_run);
    if tools.contains(&None) {
        return;
    }
    let mut kubectl = Kubectl::default();
    for (release, flags) in [
        ("gitvolume", &[][..]),
        ("other", &[]),
        ("other", &["--set=fullnameOverride=repos"]),
    ] {
        let (notes, made) = installed(release, flags);
        let lines = notes.lines().filter_map(|line| line.strip_prefix("  "));
        let typed: Vec<&str> = lines.filter(|line| line.starts_with("kubectl ")).collect();
        let typed = commands("sh", &typed.join("\n"));
        assert_eq!(typed.len(), 4, "{notes}");
        for words in &typed {
            assert_eq!(kubectl.check(&words[1..]), Ok(()), "{words:?}");
        }
        let deployment = typed[0]
            .last()
            .unwrap()
            .strip_prefix("deployment/")
            .unwrap();
        let named =
            format!("kind: Deployment\nmetadata:\n  name: {deployment}\n  namespace: ours\n");
        assert!(made.contains(&named), "{named}");
        assert!(typed[0].contains(&"ours".to_owned()), "{notes}");

        // What is typed is what the webhook takes, and where the file is then.
        let set = |name: &str| -> Vec<&str> {
            let all = typed[1].iter();
            all.filter_map(|word| word.strip_prefix(name)).collect()
        };
        let annotations = set("--annotations=");
        let annotations: Value = annotations
            .iter()
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), json!(value)))
            .collect::<serde_json::Map<_, _>>()
            .into();
        accepted(&json!({"metadata": {"annotations": annotations}}));
        let at = annotations["gitvolume.dev/mount-path"].as_str().unwrap();
        let file = typed[3].last().unwrap();
        assert!(file.starts_with(&format!("{at}/")), "{notes}");

        let manifest: Vec<&str> = notes
            .lines()
            .skip_while(|line| *line != "  metadata:")
            .take_while(|line| !line.is_empty())
            .collect();
        accepted(&serde_saphyr::from_str(&manifest.join("\n")).unwrap());
    }
}

fn accepted(document: &Value) {
    match part(document).unwrap() {
        Verdict::Accepted => {}
        Verdict::Refused(sentence) => panic!("{document}: {sentence}"),
    }
}

#[test]
fn the_charts_notes_warn_where_the_release_s_namespace_is_left_alone() {
    if found_or_not_run("helm").is_none() {
        return;
    }
    let warning = "WARNING: Pods of namespace ours are left alone";
    assert!(!installed("gitvolume", &[]).0.contains(warning));
    let excluded = ["--set=webhook.excludedNamespaces={other,ours}"];
    assert!(installed("gitvolume", &excluded).0.contains(warning));
}
