//! The steps of a release, as far as they need no build, no registry and no identity of a workflow;
//! and the workflows that run them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::process::Output;

use serde_json::Value;
use tests::settings;
use tests::tools::found_or_not_run;

/// Runs a script of `tests/tools` with these variables.
fn script(name: &str, args: &[&str], env: &[(&str, &Path)]) -> Output {
    let script = settings::root().join("tests/tools").join(name);
    let mut command = Command::new(script);
    command
        .args(args)
        .env_remove("TAG")
        .envs(env.iter().copied());
    command.output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The names in an archive.
fn names(archive: &Path) -> Vec<String> {
    let output = Command::new("tar")
        .arg("-tzf")
        .arg(archive)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// A directory with what `make dist licenses images` builds, as far as the scripts look into it.
fn built(dir: &Path) {
    for program in ["gitvolume", "gitvolume-syncer", "gitvolume-webhook"] {
        fs::write(dir.join(program), program).unwrap();
        fs::write(dir.join(format!("{program}.cdx.json")), "{}").unwrap();
        fs::write(dir.join(format!("{program}.licenses.txt")), "MIT").unwrap();
    }
    for (image, digit) in [("gitvolume", "1"), ("gitvolume-syncer", "2")] {
        let digest = format!("sha256:{}", digit.repeat(64));
        let index = format!("{{\"manifests\": [{{\"digest\": \"{digest}\"}}]}}");
        fs::write(dir.join("index.json"), index).unwrap();
        let mut tar = Command::new("tar");
        tar.arg("-C")
            .arg(dir)
            .arg("-cf")
            .arg(dir.join(format!("{image}.tar")));
        assert!(tar.arg("index.json").status().unwrap().success());
    }
}

#[test]
fn a_release_has_every_part_with_its_checksum_and_the_same_bytes_twice() {
    if found_or_not_run("helm").is_none() || found_or_not_run("mdbook").is_none() {
        return;
    }
    let dist = tempfile::tempdir().unwrap();
    built(dist.path());
    let release = || {
        let dir = tempfile::tempdir().unwrap();
        let home = tempfile::tempdir().unwrap();
        let env = [
            ("RELEASE_DIR", dir.path()),
            ("DIST", dist.path()),
            ("IMAGES", dist.path()),
            ("HOME", home.path()),
        ];
        let output = script("release.sh", &[], &env);
        assert!(output.status.success(), "{}", stderr(&output));
        let mut check = Command::new("sha256sum");
        let check = check.args(["--check", "--strict", "SHA256SUMS"]);
        let check = check.current_dir(dir.path()).output().unwrap();
        assert!(check.status.success(), "{}", stderr(&check));
        dir
    };
    let (one, other) = (release(), release());
    let sums = fs::read_to_string(one.path().join("SHA256SUMS")).unwrap();
    let arch = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    };
    let version = env!("CARGO_PKG_VERSION");
    let cli = format!("gitvolume-{version}-linux-{arch}.tar.gz");
    for part in [
        &*cli,
        &format!("gitvolume-syncer-{version}-linux-{arch}.tar.gz"),
        &format!("gitvolume-webhook-{version}-linux-{arch}.tar.gz"),
        "gitvolume-webhook.cdx.json",
        "gitvolume.krew.yaml",
        "gitvolume.tar",
        "gitvolume-syncer.tar",
        &format!("gitvolume-{version}.tgz"),
        &format!("gitvolume-kustomize-{version}.tar.gz"),
        &format!("gitvolume-site-{version}.tar.gz"),
    ] {
        assert!(
            sums.contains(&format!("  {part}\n")),
            "{part} is not in\n{sums}"
        );
    }
    let expected = [
        "LICENSE",
        "THIRD-PARTY",
        "gitvolume",
        "kubectl_complete-gitvolume",
    ];
    assert_eq!(names(&one.path().join(cli)), expected);
    let chart = names(&one.path().join(format!("gitvolume-{version}.tgz")));
    assert!(
        chart.contains(&"gitvolume/values.yaml".to_owned()),
        "{chart:?}"
    );
    assert!(!chart.iter().any(|name| name.contains("/ci/")), "{chart:?}");
    // Helm writes the time into the chart's archive.
    let packed = |sums: String| -> Vec<String> {
        let lines = sums.lines().filter(|line| line.ends_with(".gz"));
        lines.map(str::to_owned).collect()
    };
    let again = fs::read_to_string(other.path().join("SHA256SUMS")).unwrap();
    assert_eq!(packed(sums), packed(again));
}

#[test]
fn a_tag_that_is_not_the_version_and_an_unknown_step_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let version = env!("CARGO_PKG_VERSION");
    for (step, tag, complaint) in [
        (
            "version",
            "v9.9.9",
            format!("TAG: \"v9.9.9\": expected v{version}"),
        ),
        (
            "frobnicate",
            "",
            "\"frobnicate\": expected one of version".to_owned(),
        ),
    ] {
        let env = [("RELEASE_DIR", dir.path()), ("TAG", Path::new(tag))];
        let output = script("release.sh", &[step], &env);
        assert!(!output.status.success(), "{step}");
        assert!(stderr(&output).contains(&complaint), "{}", stderr(&output));
    }
    let output = script("release.sh", &["version"], &[("RELEASE_DIR", dir.path())]);
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn a_publication_signs_and_attests_what_it_has_pushed_by_digest() {
    let dir = tempfile::tempdir().unwrap();
    built(dir.path());
    let env = [("RELEASE_DIR", dir.path()), ("DRY_RUN", Path::new("1"))];
    let output = script("publish.sh", &["registry.example/own"], &env);
    let printed = stderr(&output);
    assert!(output.status.success(), "{printed}");
    let (webhook, syncer) = ("1".repeat(64), "2".repeat(64));
    let version = env!("CARGO_PKG_VERSION");
    let at = dir.path().display();
    let expected = format!(
        "+ skopeo copy --all --preserve-digests oci-archive:{at}/gitvolume.tar \
         docker://registry.example/own/gitvolume:{version}\n\
         + cosign sign --yes registry.example/own/gitvolume@sha256:{webhook}\n\
         + cosign attest --yes --type cyclonedx --predicate {at}/gitvolume-webhook.cdx.json \
         registry.example/own/gitvolume@sha256:{webhook}\n\
         + skopeo copy --all --preserve-digests oci-archive:{at}/gitvolume-syncer.tar \
         docker://registry.example/own/gitvolume-syncer:{version}\n\
         + cosign sign --yes registry.example/own/gitvolume-syncer@sha256:{syncer}\n\
         + cosign attest --yes --type cyclonedx --predicate {at}/gitvolume-syncer.cdx.json \
         registry.example/own/gitvolume-syncer@sha256:{syncer}\n\
         + helm push {at}/gitvolume-{version}.tgz oci://registry.example/own/charts\n\
         + cosign sign --yes registry.example/own/charts/gitvolume@DIGEST\n"
    );
    assert_eq!(printed, expected);
    let digests = fs::read_to_string(dir.path().join("digests")).unwrap();
    let expected =
        format!("gitvolume=sha256:{webhook}\ngitvolume-syncer=sha256:{syncer}\nchart=DIGEST\n");
    assert_eq!(digests, expected);
    let output = script("publish.sh", &["--registry"], &env);
    assert!(!output.status.success());
}

/// The workflows, by file name.
fn workflows() -> BTreeMap<String, Value> {
    let folder = settings::root().join(".github/workflows");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, serde_saphyr::from_str(&text).unwrap())
        })
        .collect()
}

/// What is wrong with a step: an action that a moved tag could replace, or an unknown make target.
fn problem(step: &Value, targets: &str) -> Option<String> {
    if let Some(action) = step["uses"].as_str() {
        let commit = action.split_once('@').map_or("", |(_, commit)| commit);
        let is_commit = commit.len() == 40 && commit.chars().all(|char| char.is_ascii_hexdigit());
        return (!is_commit).then(|| format!("{action} is not pinned to a commit"));
    }
    let run = step["run"].as_str().unwrap_or_default();
    if run.contains("${{ github.event") || run.contains("${{ github.ref") {
        return Some(format!("{run}: the shell would run what a name contains"));
    }
    let mut words = run.split_whitespace().skip_while(|word| *word != "make");
    let target = words.nth(1)?;
    let is_target = targets.contains(&format!("\n{target}:")) || run.starts_with("apt-get");
    (!is_target).then(|| format!("there is no make target {target}"))
}

#[test]
fn the_workflows_pin_their_actions_and_run_existing_targets_with_few_permissions() {
    let targets = fs::read_to_string(settings::root().join("Makefile")).unwrap();
    let workflows = workflows();
    assert!(workflows.contains_key("release.yml"), "{workflows:?}");
    for (name, workflow) in &workflows {
        let read = serde_json::json!({"contents": "read"});
        assert_eq!(workflow["permissions"], read, "{name}");
        for (job, own) in workflow["jobs"].as_object().unwrap() {
            let is_publishing = name == "release.yml" && job == "publish";
            assert!(
                own["permissions"].is_null() || is_publishing,
                "{name}: {job}"
            );
            assert!(own["timeout-minutes"].is_number(), "{name}: {job}");
            for step in own["steps"].as_array().unwrap() {
                assert_eq!(problem(step, &targets), None, "{name}: {job}");
            }
        }
    }
    let publish = &workflows["release.yml"]["jobs"]["publish"];
    let needed = publish["needs"].as_array().unwrap();
    assert!(
        needed.contains(&"build".into()),
        "what is published has passed the tests"
    );
    for step in [
        serde_json::json!({"uses": "actions/checkout@v4"}),
        serde_json::json!({"run": "make frobnicate"}),
        serde_json::json!({"run": "echo ${{ github.ref_name }}"}),
    ] {
        assert!(problem(&step, &targets).is_some(), "{step}");
    }
}
