//! The archives of the command line, and the krew manifest that lists them.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tests::settings;
use tests::tools;

/// A directory for the archives of a program, which is a file with this text.
struct ReleaseDir(tempfile::TempDir);

impl ReleaseDir {
    fn new(program: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("program"), program).unwrap();
        fs::write(dir.path().join("licenses"), "MIT\n").unwrap();
        Self(dir)
    }

    fn out(&self) -> std::path::PathBuf {
        self.0.path().join("out")
    }

    /// Runs a script; returns its exit code and its output.
    fn run(&self, script: &str, args: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(settings::root().join("tests/tools").join(script))
            .args(args)
            .env("RELEASE_DIR", self.out())
            .env("LICENSES", self.0.path().join("licenses"))
            .env("BASE_URL", "https://downloads.example")
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    }

    fn pack(&self, os: &str, arch: &str) {
        let program = self.0.path().join("program");
        let (code, text) = self.run("archive.sh", &[os, arch, program.to_str().unwrap()]);
        assert_eq!(code, Some(0), "{text}");
    }
}

/// The output of a program that must succeed.
fn output_of(program: &str, args: &[&str], dir: &Path) -> String {
    let output = Command::new(program)
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[test]
fn an_archive_has_program_completions_and_licences_and_the_same_bytes_each_time() {
    let name = format!("gitvolume-{VERSION}-linux-amd64.tar.gz");
    let [one, other] = [ReleaseDir::new("program"), ReleaseDir::new("program")];
    for dir in [&one, &other] {
        dir.pack("linux", "amd64");
    }
    let bytes = |dir: &ReleaseDir| fs::read(dir.out().join(&name)).unwrap();
    assert_eq!(bytes(&one), bytes(&other));
    let listed = output_of("tar", &["--list", "--verbose", "--file", &name], &one.out());
    let columns = listed.lines().map(|line| {
        let all: Vec<&str> = line.split_whitespace().collect();
        (all[0], all[1], all[all.len() - 1])
    });
    let columns: Vec<(&str, &str, &str)> = columns.collect();
    assert_eq!(
        columns,
        [
            ("-rw-r--r--", "0/0", "LICENSE"),
            ("-rw-r--r--", "0/0", "THIRD-PARTY"),
            ("-rwxr-xr-x", "0/0", "gitvolume"),
            ("-rwxr-xr-x", "0/0", "kubectl_complete-gitvolume"),
        ]
    );
}

#[test]
fn the_krew_manifest_lists_each_archive_with_its_checksum() {
    if tools::found_or_not_run("python3").is_none() {
        return;
    }
    let dir = ReleaseDir::new("program");
    let platforms = [
        ("darwin", "arm64", "tar.gz", "gitvolume"),
        ("linux", "amd64", "tar.gz", "gitvolume"),
        ("windows", "amd64", "zip", "gitvolume.exe"),
    ];
    for (os, arch, ..) in platforms {
        dir.pack(os, arch);
    }
    let (code, text) = dir.run("krew.sh", &[]);
    assert_eq!(code, Some(0), "{text}");
    output_of(
        "sha256sum",
        &["--check", "--strict", "SHA256SUMS"],
        &dir.out(),
    );
    let manifest = fs::read_to_string(dir.out().join("gitvolume.krew.yaml")).unwrap();
    let manifest: Value = serde_saphyr::from_str(&manifest).unwrap();
    assert_eq!(manifest["metadata"]["name"], "gitvolume");
    assert_eq!(manifest["spec"]["version"], format!("v{VERSION}"));
    let listed = manifest["spec"]["platforms"].as_array().unwrap();
    assert_eq!(listed.len(), platforms.len());
    let sums = fs::read_to_string(dir.out().join("SHA256SUMS")).unwrap();
    for (own, (os, arch, suffix, program)) in listed.iter().zip(platforms) {
        let archive = format!("gitvolume-{VERSION}-{os}-{arch}.{suffix}");
        let labels = &own["selector"]["matchLabels"];
        assert_eq!((&labels["os"], &labels["arch"]), (&os.into(), &arch.into()));
        assert_eq!(own["uri"], format!("https://downloads.example/{archive}"));
        assert_eq!(own["bin"], program);
        let sum = own["sha256"].as_str().unwrap();
        assert!(sums.contains(&format!("{sum}  {archive}\n")), "{archive}");
    }
    let zip = format!("gitvolume-{VERSION}-windows-amd64.zip");
    let listed = output_of("python3", &["-m", "zipfile", "--list", &zip], &dir.out());
    assert!(
        listed.contains("gitvolume.exe") && listed.contains("LICENSE"),
        "{listed}"
    );
}

#[test]
fn a_wrong_platform_or_a_missing_program_is_refused_in_one_sentence() {
    let dir = ReleaseDir::new("program");
    for (args, expected) in [
        (["plan9", "amd64", "x"], "usage: "),
        (
            ["linux", "amd64", "/no/such"],
            "/no/such: expected the program for linux/amd64",
        ),
    ] {
        let (code, text) = dir.run("archive.sh", &args);
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains(expected), "{text}");
    }
    let (code, text) = dir.run("krew.sh", &[]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("no archive"), "{text}");
}
