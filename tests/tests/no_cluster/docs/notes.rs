//! helm's output after an installation, for any release: its commands are valid, its annotations
//! are accepted, and its names are those of the release. The node's tests check that the commands
//! show a file.

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

/// The notes and the objects of `helm install` for a release, with further flags.
fn installed(release: &str, flags: &[&str]) -> (String, String) {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(tool("helm"))
        .args(["install", release, "charts/gitvolume", "--dry-run=client"])
        .args(["--namespace=ours", "--output=json"])
        .args(flags)
        .current_dir(settings::root())
        .env("HOME", home.path())
        .output()
        .expect("run helm: make tools builds it");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&made["info"]["notes"]), text(&made["manifest"]))
}

#[test]
fn every_command_of_the_charts_notes_is_valid_and_names_existing_objects() {
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

        // The webhook accepts the annotations, and the file is where the command reads it.
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
fn the_charts_notes_warn_if_the_releases_namespace_is_excluded() {
    if found_or_not_run("helm").is_none() {
        return;
    }
    let warning = "WARNING: the webhook skips the Pods in namespace ours";
    assert!(!installed("gitvolume", &[]).0.contains(warning));
    let excluded = ["--set=excludedNamespaces={other,ours}"];
    assert!(installed("gitvolume", &excluded).0.contains(warning));
}

#[test]
fn the_charts_notes_name_the_new_name_of_each_renamed_value() {
    if found_or_not_run("helm").is_none() {
        return;
    }
    assert!(!installed("gitvolume", &[]).0.contains("NOTE:"));
    for (flag, old, new) in [
        ("--set=replicas=3", "replicas", "replicaCount"),
        (
            "--set=webhook.excludedNamespaces={ours}",
            "webhook.excludedNamespaces",
            "excludedNamespaces",
        ),
        (
            "--set=guard.excludedNamespaces={ours}",
            "guard.excludedNamespaces",
            "excludedNamespaces",
        ),
    ] {
        let notes = installed("gitvolume", &[flag]).0;
        let note = notes.lines().find(|line| line.starts_with("NOTE:"));
        let note = note.expect(flag);
        assert!(note.contains(&format!("the value {old} is now")), "{note}");
        assert!(note.contains(new), "{note}");
    }
}

/// The values of a receiver beside a cache, with a Secret of its own for the cache's certificate.
const PUSH: [&str; 6] = [
    "--set=cache.enabled=true",
    "--set=cache.allowedHosts={git.example}",
    "--set=cache.tls.secretName=own",
    "--set=push.enabled=true",
    "--set=push.secretName=push",
    "--set=push.wake.acme={https://git.example/acme}",
];

#[test]
fn the_charts_notes_have_the_address_of_the_push_receiver_for_the_git_host() {
    if found_or_not_run("helm").is_none() {
        return;
    }
    let address = "/push/acme";
    assert!(!installed("gitvolume", &[]).0.contains(address));
    let inside = "http://gitvolume-push.ours.svc.cluster.local/push/acme (inside the cluster)";
    let hint = "A git host outside the cluster needs push.httpRoute or push.ingress.";
    let notes = installed("gitvolume", &PUSH).0;
    assert!(notes.contains(inside) && notes.contains(hint), "{notes}");
    let route = [
        "--set=push.httpRoute.enabled=true",
        "--set=push.httpRoute.parentRefs[0].name=public",
        "--set=push.httpRoute.hostnames={push.example}",
    ];
    let notes = installed("gitvolume", &[&PUSH[..], &route].concat()).0;
    let outside = "\n  https://push.example/push/acme\n";
    assert!(notes.contains(outside) && !notes.contains(hint), "{notes}");
}

#[test]
fn the_charts_notes_of_a_tenants_cache_have_its_entry_in_the_settings() {
    if found_or_not_run("helm").is_none() {
        return;
    }
    let flags = [&PUSH[..], &["--set=webhook.enabled=false"]].concat();
    let notes = installed("bank", &flags).0;
    let entry: Vec<&str> = notes
        .lines()
        .skip_while(|line| !line.starts_with("  - url: "))
        .take_while(|line| !line.is_empty())
        .collect();
    let entry: Value = serde_saphyr::from_str(&entry.join("\n")).unwrap();
    let mut settings = json!({"image": "syncer:0", "cache": entry});
    let url = "https://bank-gitvolume-cache.ours.svc.cluster.local:8443";
    assert_eq!(settings["cache"][0]["url"], url, "{notes}");
    assert!(!notes.contains("kubectl run"), "{notes}");
    // Everything but the CA, in whose place the reader sees `…`.
    if let Some(cache) = settings["cache"][0].as_object_mut() {
        cache.remove("caBundle").expect("a CA");
    }
    serde_json::from_value::<inject::Settings>(settings).unwrap();
}
