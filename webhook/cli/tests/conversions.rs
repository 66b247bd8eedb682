//! Conversions of git-sync: the effects of its version, and references to its container.

use crate::run;

/// A git-sync sidecar with this image, these arguments and these variables.
fn sidecar(image: &str, args: &str, env: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: site}}\nspec:\n  template:\n    \
         metadata:\n      labels: {{app: site}}\n      annotations: \
         {{kubectl.kubernetes.io/default-container: sync}}\n    spec:\n      containers:\n        - \
         name: sync\n          image: {image}\n          args: [{args}]\n          env: [{env}]\n          \
         ports: [{{name: metrics, containerPort: 2345}}]\n          volumeMounts: [{{name: html, \
         mountPath: /git}}, {{name: key, mountPath: /etc/git-secret}}]\n        - name: web\n          \
         image: nginx\n          volumeMounts: [{{name: html, mountPath: /www}}]\n      volumes: \
         [{{name: html, emptyDir: {{}}}}, {{name: key, secret: {{secretName: k}}}}]\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {{name: m}}\nspec: {{selector: {{app: site}}, \
         ports: [{{port: 1, targetPort: metrics}}]}}\n"
    )
}

#[test]
fn a_conversion_reports_the_effects_of_the_version_and_of_references() {
    let sync = "registry.k8s.io/git-sync/git-sync";
    let http = "--repo=https://git.example/a.git, --root=/git, --dest=a";
    let ssh = "--repo=git@git.example:a.git, --root=/git, --dest=a";
    let convert = |image: &str, args: &str, env: &str| {
        let ran = run(&["convert"], &sidecar(image, args, env));
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(
            ran.out.contains("gitvolume.dev/repo"),
            "{}{}",
            ran.err,
            ran.out
        );
        ran
    };
    // If the image has a version, the names of flags are not used to guess it.
    let ran = convert(
        &format!("{sync}:v4.4.0"),
        &format!("{http}, --wait=30, --v=2"),
        "",
    );
    assert!(!ran.out.contains("gitvolume.dev/depth"), "{}", ran.out);
    assert!(!ran.err.contains("depth"), "{}", ran.err);
    let ran = convert(&format!("{sync}:v3.6.9"), http, "");
    assert!(
        ran.out.contains("gitvolume.dev/depth: \"0\""),
        "{}",
        ran.out
    );
    for image in [
        sync.to_owned(),
        format!("{sync}:stable"),
        format!("{sync}:20240131"),
        format!("{sync}@sha256:{}", "0".repeat(64)),
    ] {
        let ran = convert(&image, http, "");
        assert!(
            ran.err.contains("its version is unknown"),
            "{image}: {}",
            ran.err
        );
    }
    let ran = convert(
        &format!("{sync}:v2.0.6"),
        ssh,
        "{name: GIT_SYNC_SSH, value: \"yes\"}",
    );
    assert!(
        ran.err
            .contains("the Secret \"k\" needs known_hosts in addition to the key"),
        "{}",
        ran.err
    );
    for place in [
        "the annotation kubectl.kubernetes.io/default-container still names sync",
        "Service m: spec.ports[0].targetPort still names sync, or a port of it",
    ] {
        assert!(ran.err.contains(place), "{}", ran.err);
    }
}

/// Every reference to the removed container, or to a name that it had, is reported.
#[test]
fn references_to_a_converted_container_are_reported() {
    let manifest = sidecar(
        "registry.k8s.io/git-sync/git-sync:v4.4.0",
        "--repo=https://git.example/a.git, --root=/git, --link=a",
        "",
    );
    let resource = "          env: [{name: LIMIT, valueFrom: {resourceFieldRef: {containerName: sync, \
                    resource: limits.memory}}}]\n      volumes: ";
    for (old, new, place) in [
        (
            "",
            "",
            "the annotation kubectl.kubernetes.io/default-container still names sync",
        ),
        (
            "default-container: sync",
            "default-logs-container: sync",
            "the annotation kubectl.kubernetes.io/default-logs-container still names sync",
        ),
        (
            "kubectl.kubernetes.io/default-container: sync",
            "container.apparmor.security.beta.kubernetes.io/sync: runtime/default",
            "the annotation container.apparmor.security.beta.kubernetes.io/sync still names sync",
        ),
        (
            "    spec:\n      containers",
            "    spec:\n      shareProcessNamespace: true\n      containers",
            "spec.shareProcessNamespace is kept; remove it if it was for signals to or from sync",
        ),
        (
            "      volumes: ",
            resource,
            "spec.containers[0].env[0].valueFrom.resourceFieldRef.containerName still names sync",
        ),
    ] {
        let text = manifest.replacen(old, new, 1);
        let ran = run(&["convert"], &text);
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(ran.out.contains("gitvolume.dev/repo"), "{}", ran.out);
        let sentence = format!("warning: -:document 1 (Deployment site): {place}\n");
        assert!(ran.err.contains(&sentence), "{sentence}{}", ran.err);
    }
}
