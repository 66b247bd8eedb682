//! Files, directories, and writing into them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;

use crate::POD;
use crate::run_in;
use crate::written;

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
    // An unchanged file is not written.
    assert_eq!(
        fs::metadata(at("other.yml")).unwrap().modified().unwrap(),
        old
    );
    run_in(root.path(), &["uninject", "-i", "-f", "sub/pod.yaml"], "");
    assert_eq!(fs::read_to_string(at("sub/pod.yaml")).unwrap(), POD);
}

#[test]
fn an_error_in_one_file_prevents_writing_any() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    fs::write(at("a.yaml"), POD).unwrap();
    fs::write(at("b.yaml"), POD.replace("https:", "ftp:")).unwrap();
    fs::write(at("c.yaml"), "a: 'b").unwrap();
    let ran = run_in(root.path(), &["inject", "-i", "-f", "."], "");
    assert_eq!(ran.code, 2);
    let places: Vec<&str> = ran
        .err
        .lines()
        .map(|line| &line["error: ".len()..][..8])
        .collect();
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
fn an_unreadable_file_is_reported() {
    let root = tempfile::tempdir().unwrap();
    symlink("nowhere", root.path().join("link.yaml")).unwrap();
    fs::write(root.path().join("latin.yaml"), b"a: \xe9").unwrap();
    let args = ["inject", "-f", "gone.yaml", "-f", ".", "-f", "-", "-f", "-"];
    let ran = run_in(root.path(), &args, "");
    assert_eq!(ran.code, 2);
    let lines: Vec<&str> = ran.err.lines().collect();
    assert!(
        lines[0].starts_with("error: gone.yaml: cannot be read: "),
        "{lines:?}"
    );
    assert_eq!(
        lines[1..],
        [
            "note: ./link.yaml: skipped: it is not a regular file",
            "error: ./latin.yaml: expected YAML or JSON in UTF-8",
            "error: -: expected once, since standard input can be read only once",
        ]
    );
    let ran = run_in(root.path(), &["inject", "-i", "-f", "-"], POD);
    assert_eq!(ran.code, 2);
    assert_eq!(
        ran.err,
        "error: --in-place: expected files, not standard input\n"
    );
    let ran = run_in(root.path(), &["inject"], "");
    assert_eq!(ran.code, 2);
}

/// A Kustomize patch is not a manifest: it is reported, and the rest of the directory is written.
#[test]
fn kustomize_patches_are_skipped_and_the_rest_is_written() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    fs::write(at("pod.yaml"), POD).unwrap();
    let kustomization = "resources: [pod.yaml]\npatches: [{path: ./patch.yaml}]\n";
    fs::write(at("kustomization.yaml"), kustomization).unwrap();
    let patch = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  template:\n    \
                 metadata: {annotations: {gitvolume.dev/repo: https://git.example/a}}\n";
    let whole = format!("{patch}    spec: {{containers: [{{name: web}}]}}\n");
    let directive = format!("{whole}    $patch: merge\n");
    for text in [patch, &whole, &directive] {
        // Once listed by the kustomization, once recognised by its shape alone.
        for name in ["patch.yaml", "other.yaml"] {
            fs::write(at(name), text).unwrap();
            let ran = run_in(
                root.path(),
                &["inject", "--check", "-f", name, "-f", "kustomization.yaml"],
                "",
            );
            assert_eq!(ran.code, 1, "{text}{}", ran.err);
            fs::write(at("pod.yaml"), POD).unwrap();
            let ran = run_in(root.path(), &["inject", "-i", "-f", "."], "");
            assert_eq!(ran.code, 0, "{}", ran.err);
            let place = format!("warning: ./{name}:document 1 (Deployment web): skipped");
            assert!(ran.err.starts_with(&place), "{}", ran.err);
            assert!(ran.err.contains("kustomize build"), "{}", ran.err);
            assert_eq!(fs::read_to_string(at(name)).unwrap(), text);
            let injected = fs::read_to_string(at("pod.yaml")).unwrap();
            assert_eq!(injected, written(&["inject"], POD));
            fs::remove_file(at(name)).unwrap();
        }
    }
}

/// Namespaces apply to the objects of all files.
#[test]
fn a_namespace_in_another_file_selects_the_objects() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    let namespace = |rest: &str| {
        let text = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: shop, {rest}}}\n");
        fs::write(at("namespace.yaml"), text).unwrap();
    };
    fs::write(
        at("volume.yaml"),
        "apiVersion: gitvolume.dev/v1alpha1\nkind: ClusterGitVolume\nmetadata: {name: site}\n\
         spec: {repo: 'https://git.example/a', podSelector: {}, namespaceSelector: {matchLabels: {team: a}}}\n",
    )
    .unwrap();
    fs::write(
        at("pod.yaml"),
        "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop}\nspec: {containers: [{name: a, image: a}]}\n",
    )
    .unwrap();
    let injected = || run_in(root.path(), &["inject", "-f", "."], "").out;
    namespace("labels: {gitvolume.dev/auto-inject: enabled, team: a}");
    assert!(injected().contains("gitvolume-content"), "{}", injected());
    assert!(injected().contains("runAsUser"), "{}", injected());
    namespace(
        "labels: {gitvolume.dev/auto-inject: enabled, team: a}, \
         annotations: {openshift.io/sa.scc.uid-range: 1000/100}",
    );
    assert!(!injected().contains("runAsUser"), "{}", injected());
    namespace("labels: {gitvolume.dev/auto-inject: enabled, team: b}");
    assert!(!injected().contains("gitvolume-content"), "{}", injected());
    namespace("labels: {team: a}");
    assert!(!injected().contains("gitvolume-content"), "{}", injected());
    // A label value without effect is reported.
    namespace("labels: {gitvolume.dev/auto-inject: 'true', team: a}");
    for command in ["inject", "explain"] {
        let ran = run_in(root.path(), &[command, "-f", "."], "");
        assert!(
            ran.err.contains(
                "(Namespace shop): gitvolume.dev/auto-inject: \"true\": expected enabled; the \
                 Namespace gets no auto-injection\n"
            ),
            "{}",
            ran.err
        );
    }
    assert_eq!(
        run_in(root.path(), &["inject", "--check", "-f", "."], "").code,
        1
    );
}

/// Kustomize recognises its file by name, without a kind; patches in it are strings.
#[test]
fn annotations_in_a_kustomization_without_a_kind_are_reported() {
    let root = tempfile::tempdir().unwrap();
    for (text, place) in [
        (
            "commonAnnotations: {gitvolume.dev/ref: v1}\n",
            "gitvolume.dev/ref in commonAnnotations",
        ),
        (
            "patchesStrategicMerge:\n- |-\n  metadata: {annotations: {gitvolume.dev/ref: v1}}\n",
            "an annotation in patchesStrategicMerge[0]",
        ),
        (
            "patches:\n- patch: '[{op: add, path: /metadata/annotations/gitvolume.dev~1ref}]'\n",
            "an annotation in patches[0].patch",
        ),
    ] {
        fs::write(root.path().join("kustomization.yaml"), text).unwrap();
        let ran = run_in(root.path(), &["inject", "--check", "-f", "."], "");
        assert_eq!(ran.code, 1, "{}", ran.err);
        let sentence = format!("skipped: {place}: inject the output of `kustomize build`\n");
        assert!(ran.err.ends_with(&sentence), "{}", ran.err);
    }
}
