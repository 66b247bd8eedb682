//! Checks that the images of the Containerfiles equal those that the tests run: each instruction is
//! parsed and compared with the result of `images`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;
use serde_json::json;

use super::Image;
use super::What;
use super::relative;
use crate::oci::product;
use crate::oci::root::Root;
use crate::settings;

/// A file that proves that a package is installed.
const PROOFS: [(&str, &str); 6] = [
    ("ca-certificates", "/etc/ssl/certs/ca-certificates.crt"),
    ("curl", "/usr/bin/curl"),
    ("git", "/usr/bin/git"),
    ("libnss-wrapper", "libnss_wrapper.so"),
    ("openssh-client", "/usr/bin/ssh"),
    ("socat", "/usr/bin/socat"),
];

/// Programs of Debian's slim image that hooks use.
const OF_THE_BASE: [&str; 8] = [
    "/bin/bash",
    "/bin/cat",
    "/bin/grep",
    "/bin/gzip",
    "/bin/sed",
    "/bin/sh",
    "/bin/tar",
    "/usr/bin/sha256sum",
];

/// Commands of the Containerfile that add nothing to the image.
const WITHOUT_TRACE: [&str; 3] = [
    "apt-get update",
    "rm -rf /var/lib/apt/lists/*",
    "find / -xdev -type f -perm /6000 -exec chmod a-s {} +",
];

#[test]
fn the_syncers_containerfile_equals_the_image_of_the_tests() {
    // `make dist` builds the real program; this is a placeholder.
    let image = product::syncer(Root::of_this_machine(), Path::new("/bin/true")).expect("an image");
    hold_equal("syncer/Containerfile", &image);
    for path in OF_THE_BASE {
        assert!(find(&image, path), "{path} is missing");
    }
}

#[test]
fn each_package_of_the_list_is_in_the_image_with_its_record() {
    let list = fs::read_to_string(settings::root().join("syncer/packages")).expect("the list");
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    let listed: Vec<&str> = lines
        .map(|line| line.split_once(' ').expect("a package and its reason").0)
        .collect();
    for (package, _) in PROOFS {
        assert!(listed.contains(&package), "{package} has no reason");
    }
    let image = product::syncer(Root::of_this_machine(), Path::new("/bin/true")).expect("an image");
    for package in listed {
        let record = format!("/var/lib/dpkg/status.d/{package}");
        assert!(find(&image, &record), "no file of {package}");
    }
    // They come with others that are listed: libraries, not programs.
    assert!(find(&image, "/var/lib/dpkg/status.d/libc6"));
    assert!(!find(&image, "/var/lib/dpkg/status.d/perl-base"));
}

#[test]
fn the_webhooks_containerfile_equals_the_image_of_the_tests() {
    // Statically linked like ours: a script brings no libraries either.
    let program = tempfile::NamedTempFile::new().expect("a file");
    fs::write(program.path(), "#!/bin/sh\n").expect("a script");
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(program.path(), executable).expect("a mode");
    let image =
        product::webhook(Root::of_this_machine(), "some", program.path()).expect("an image");
    hold_equal("webhook/Containerfile", &image);
    let all: Vec<&Path> = image.entries.keys().map(PathBuf::as_path).collect();
    let expected = [
        "gitvolume-webhook",
        "licenses",
        "licenses/LICENSE",
        "licenses/THIRD-PARTY",
    ];
    assert_eq!(all, expected.map(Path::new));
}

fn hold_equal(file: &str, image: &Image) {
    let text = fs::read_to_string(settings::root().join(file)).expect("the Containerfile");
    let mut config = BTreeMap::new();
    let mut labels = serde_json::Map::new();
    let mut env = Vec::new();
    for (instruction, rest) in instructions(&text) {
        match instruction.as_str() {
            "ARG" | "FROM" => assert!(rest.contains("BASE") || rest == "scratch", "{rest}"),
            "RUN" => rest.split(" && ").for_each(|command| check(image, command)),
            "COPY" => {
                let words: Vec<&str> = rest.split(' ').collect();
                let [mode, from, at] = words[..] else {
                    panic!("COPY {rest}: teach this test what it means");
                };
                let made = [
                    "target/dist/gitvolume-webhook",
                    "target/dist/gitvolume-syncer",
                ];
                let is_made = made
                    .iter()
                    .any(|made| from == *made || from == format!("{made}.licenses.txt"));
                assert!(is_made || from == "LICENSE", "COPY {rest}");
                let mode = mode.strip_prefix("--chmod=").expect("a mode");
                assert_mode(image, at, mode);
            }
            "ENV" => env.push(rest),
            "LABEL" => {
                for (name, value) in assignments(&rest) {
                    labels.insert(name, json!(value));
                }
            }
            "ENTRYPOINT" => {
                let words: Value = serde_json::from_str(&rest).expect("a list");
                config.insert("Entrypoint".to_owned(), words);
            }
            "USER" => drop(config.insert("User".to_owned(), json!(rest))),
            "WORKDIR" => drop(config.insert("WorkingDir".to_owned(), json!(rest))),
            other => panic!("{other} {rest}: teach this test what it means"),
        }
    }
    config.insert("Labels".to_owned(), Value::Object(labels));
    assert_eq!(config, image.config.clone().into_iter().collect());
    // A number, because runAsNonRoot rejects names; and not root.
    let user = image.config["User"].as_str().unwrap_or_default();
    let numbers: Vec<Option<u32>> = user.split(':').map(|part| part.parse().ok()).collect();
    assert!(
        numbers.iter().all(|id| id.is_some_and(|id| id > 0)),
        "{user}"
    );
    // PATH comes from the base image.
    assert_eq!(env, image.env[1..]);
}

/// `a="b c" d="e"` as pairs.
fn assignments(text: &str) -> Vec<(String, String)> {
    let parts: Vec<&str> = text.split('"').collect();
    let pair = |pair: &[&str]| {
        let name = pair[0].trim().strip_suffix('=').expect("a name and =");
        (name.to_owned(), pair[1].to_owned())
    };
    parts.chunks_exact(2).map(pair).collect()
}

/// Checks the effects of one command of a RUN.
fn check(image: &Image, command: &str) {
    if WITHOUT_TRACE.contains(&command) {
        return;
    }
    let words = words(command);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [
            "apt-get",
            "install",
            "-y",
            "--no-install-recommends",
            ref packages @ ..,
        ] => {
            assert_eq!(packages, PROOFS.map(|(package, _)| package));
            for (package, proof) in PROOFS {
                assert!(find(image, proof), "{proof} of {package} is missing");
            }
        }
        ["ln", "-s" | "-sf", target, at] => match &entry(image, at).what {
            What::Link(to) => assert_eq!(to, Path::new(target), "{at}"),
            other => panic!("{at} is no link but {other:?}"),
        },
        ["install", "-d", "-m", mode, "-o", uid, "-g", gid, at] => {
            assert_mode(image, at, mode);
            let owner = entry(image, at).owner;
            assert_eq!(format!("{}:{}", owner.0, owner.1), format!("{uid}:{gid}"));
        }
        ["chmod", mode, at] => assert_mode(image, at, mode),
        ["echo", line, to] if to.starts_with(">>") => {
            let at = &to[2..];
            let What::File(content) = &entry(image, at).what else {
                panic!("{at} is no file");
            };
            let content = String::from_utf8_lossy(content);
            assert!(
                content.lines().any(|found| found == line),
                "{at}: {content}"
            );
        }
        _ => panic!("{command}: teach this test what it means"),
    }
}

fn entry<'a>(image: &'a Image, at: &str) -> &'a super::Entry {
    let found = image.entries.get(&relative(Path::new(at)));
    found.unwrap_or_else(|| panic!("{at} is not in the tests' image"))
}

fn assert_mode(image: &Image, at: &str, mode: &str) {
    let mode = u32::from_str_radix(mode, 8).expect("an octal mode");
    assert_eq!(entry(image, at).mode, mode, "{at}");
}

/// Whether there is an entry with this path, or with this name if it is not a path.
fn find(image: &Image, path: &str) -> bool {
    let path = relative(Path::new(path));
    image.entries.keys().any(|entry| entry.ends_with(&path))
}

/// The instructions of a Containerfile, each in one line.
fn instructions(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let instruction = |line: &str| {
        let (name, rest) = line.split_once(' ').expect("an instruction and its words");
        let rest: Vec<&str> = rest.split_whitespace().collect();
        (name.to_owned(), rest.join(" "))
    };
    let filled = joined.lines().filter(|line| !line.trim().is_empty());
    filled.map(instruction).collect()
}

/// The words of a shell command; single quotes are supported.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (nth, part) in command.split('\'').enumerate() {
        if nth % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}
