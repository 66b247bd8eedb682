//! Files, directories, and writing into them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;

use crate::cli::POD;
use crate::cli::run_in;
use crate::cli::written;

#[test]
fn files_are_written_in_place_and_keep_their_mode() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    fs::create_dir(at("sub")).unwrap();
    fs::write(at("sub/pod.yaml"), POD).unwrap();
    fs::write(at("other.yml"), "a: 1").unwrap();
    fs::write(at("notes.md"), "{not yaml").unwrap();
    fs::set_permissions(at("sub/pod.yaml"), fs::Permissions::from_mode(0o600)).unwrap();
    let old = fs::metadata(at("other.yml")).unwrap().modified().unwrap();
    let ran = run_in(root.path(), &["inject", "-i", "-f", "."], "");
    assert_eq!((ran.code, ran.out + &ran.err), (0, String::new()));
    let injected = fs::read_to_string(at("sub/pod.yaml")).unwrap();
    assert_eq!(injected, written(&["inject"], POD));
    let mode = fs::metadata(at("sub/pod.yaml")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    // What does not change is not written.
    assert_eq!(
        fs::metadata(at("other.yml")).unwrap().modified().unwrap(),
        old
    );
    run_in(root.path(), &["uninject", "-i", "-f", "sub/pod.yaml"], "");
    assert_eq!(fs::read_to_string(at("sub/pod.yaml")).unwrap(), POD);
}

#[test]
fn where_one_file_is_wrong_no_file_is_written() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    fs::write(at("a.yaml"), POD).unwrap();
    fs::write(at("b.yaml"), POD.replace("https:", "ftp:")).unwrap();
    fs::write(at("c.yaml"), "a: 'b").unwrap();
    let ran = run_in(root.path(), &["inject", "-i", "-f", "."], "");
    assert_eq!(ran.code, 2);
    let places: Vec<&str> = ran.err.lines().map(|line| &line[..8]).collect();
    assert_eq!(places, ["./b.yaml", "./c.yaml"], "{}", ran.err);
    assert_eq!(fs::read_to_string(at("a.yaml")).unwrap(), POD);
}

#[test]
fn several_files_become_one_stream() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("a.yaml"), "a: 1").unwrap();
    fs::write(root.path().join("b.yaml"), "b: 2\n").unwrap();
    let args = ["inject", "-f", "b.yaml", "-f", "a.yaml", "-f", "-"];
    let ran = run_in(root.path(), &args, "---\nc: 3\n");
    assert_eq!(ran.out, "b: 2\n---\na: 1\n---\nc: 3\n");
}

#[test]
fn what_cannot_be_read_is_named() {
    let root = tempfile::tempdir().unwrap();
    symlink("nowhere", root.path().join("link.yaml")).unwrap();
    fs::write(root.path().join("latin.yaml"), b"a: \xe9").unwrap();
    let args = ["inject", "-f", "gone.yaml", "-f", ".", "-f", "-", "-f", "-"];
    let ran = run_in(root.path(), &args, "");
    assert_eq!(ran.code, 2);
    let lines: Vec<&str> = ran.err.lines().collect();
    assert!(
        lines[0].starts_with("gone.yaml: cannot be read: "),
        "{lines:?}"
    );
    assert_eq!(
        lines[1..],
        [
            "./link.yaml: passed over: it is no regular file",
            "./latin.yaml: expected YAML or JSON in UTF-8",
            "-: expected once, since standard input can be read only once",
        ]
    );
    let ran = run_in(root.path(), &["inject", "-i", "-f", "-"], POD);
    assert_eq!(ran.code, 2);
    assert_eq!(ran.err, "--in-place: expected files, not standard input\n");
    let ran = run_in(root.path(), &["inject"], "");
    assert_eq!(ran.code, 2);
}
