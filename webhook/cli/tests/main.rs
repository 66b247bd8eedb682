//! Tests of the command line from outside, as the program `gitvolume`, without a cluster.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod bytes;
mod cases;
mod conversions;
mod doctor;
mod edited;
mod files;
mod goldens;
mod limits;
mod manual;
mod messages;
mod pages;
mod status;
mod workloads;

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

/// The result of a run.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// Runs the program in a directory, with this on standard input.
fn run_in(directory: &Path, args: &[&str], input: &str) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_gitvolume"))
        .args(args)
        .current_dir(directory)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // The program may end before it has read everything.
    let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs the program with this standard input as the manifest.
fn run(args: &[&str], input: &str) -> Ran {
    run_in(Path::new("/"), &[args, &["-f", "-"]].concat(), input)
}

/// The output of a run without errors.
fn written(args: &[&str], input: &str) -> String {
    let Ran { code, out, err } = run(args, input);
    assert_eq!((code, err.as_str()), (0, ""), "{input}");
    out
}

/// A Pod with a repository, and with comments.
const POD: &str = "\
# Served to everybody.
apiVersion: v1
kind: Pod
metadata:
  name: \"web\"   # quoted
  annotations:
    gitvolume.dev/repo: https://git.example/site.git # the site
spec:
  containers:
    # The one and only.
    - name: nginx
      image: nginx:1.29
";
