//! Checks of the node itself: the assumptions of the product's tests.

use tests::eventually::eventually;
use tests::http;
use tests::installation::world::TestResult;
use tests::installation::world::World;
use tests::oci::images::BUSYBOX;
use tests::oci::images::NGINX;

use crate::app::READY;

/// The fields that the restricted Pod Security level requires of each container.
const RESTRICTED: &str = "{allowPrivilegeEscalation: false, runAsNonRoot: true, \
    capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}";

fn nginx(name: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec:
  containers:
  - name: nginx
    image: {NGINX}
    securityContext: {{runAsUser: 12345, readOnlyRootFilesystem: true}}
    readinessProbe: {{httpGet: {{port: 8080}}, periodSeconds: 1}}
    volumeMounts: [{{name: tmp, mountPath: /tmp}}]
  volumes: [{{name: tmp, emptyDir: {{}}}}]
"
    )
}

/// A Pod to run commands in.
fn client() -> String {
    format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: client}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{{name: client, image: {BUSYBOX}, command: [sleep, \"3600\"]}}]
"
    )
}

pub(crate) fn nginx_serves_a_page_under_its_pods_address(world: &World) -> TestResult {
    let namespace = world.namespace(&[])?;
    namespace.apply(&nginx("web"))?;
    namespace.wait_ready("web", READY)?;

    let page = match world.cluster().node() {
        Some(_) => http::get(&namespace.pod_ip("web")?, 8080, "/")?,
        None => namespace.page("web", 8080, "/")?,
    };
    assert_eq!(page, "nginx without a repository\n");
    assert_eq!(
        namespace.page("web", 8080, "/")?,
        page,
        "through the API server's proxy"
    );
    Ok(())
}

pub(crate) fn a_native_sidecar_holds_the_app_back_until_its_probe_succeeds(
    world: &World,
) -> TestResult {
    let namespace = world.namespace(&[])?;
    namespace.apply(&format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{name: app}}
spec:
  terminationGracePeriodSeconds: 1
  initContainers:
  - name: sidecar
    image: {BUSYBOX}
    restartPolicy: Always
    command: [sh, -c, "echo starting; sleep 2; echo content >/shared/file; sleep 3600"]
    startupProbe: {{exec: {{command: [test, -f, /shared/file]}}, periodSeconds: 1, failureThreshold: 60}}
    volumeMounts: [{{name: shared, mountPath: /shared}}]
  containers:
  - name: app
    image: {BUSYBOX}
    # Ends, and so fails the test, if the sidecar's file were not there yet.
    command: [sh, -ec, "cat /shared/file; sleep 3600"]
    volumeMounts: [{{name: shared, mountPath: /shared, readOnly: true}}]
  restartPolicy: Never
  volumes: [{{name: shared, emptyDir: {{}}}}]
"#
    ))?;
    namespace.wait_ready("app", READY)?;

    namespace.wait_for_log("app", "sidecar", "starting\n")?;
    namespace.wait_for_log("app", "app", "content\n")?;
    assert_eq!(
        namespace.exec("app", Some("app"), &["cat", "/shared/file"])?,
        "content\n"
    );
    let refused = namespace.exec("app", Some("app"), &["touch", "/shared/other"]);
    let refused = refused.expect_err("the mount is read-only");
    assert!(refused.contains("Read-only file system"), "{refused}");
    Ok(())
}

pub(crate) fn a_restricted_namespace_admits_a_restricted_pod(world: &World) -> TestResult {
    let namespace = world.namespace(&[("pod-security.kubernetes.io/enforce", "restricted")])?;
    let pod = |security: &str| {
        format!(
            "
apiVersion: v1
kind: Pod
metadata: {{name: app}}
spec:
  containers:
  - name: app
    image: {BUSYBOX}
    command: [sleep, \"3600\"]
    securityContext: {security}
"
        )
    };
    let refused = namespace
        .apply(&pod("{}"))
        .expect_err("it says nothing of its privileges");
    assert!(
        refused.contains("violates PodSecurity \"restricted:latest\""),
        "{refused}"
    );

    namespace.apply(&pod(RESTRICTED))?;
    namespace.wait_ready("app", READY)?;
    Ok(())
}

pub(crate) fn a_service_is_reached_from_the_node_and_from_a_pod(world: &World) -> TestResult {
    let namespace = world.namespace(&[])?;
    namespace.apply(&nginx("web"))?;
    namespace.apply(
        "
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
",
    )?;
    namespace.apply(&client())?;
    namespace.wait_ready("web", READY)?;
    namespace.wait_ready("client", READY)?;
    let address = namespace.cluster_ip("web")?;

    if world.cluster().node().is_some() {
        eventually("the Service from the node", READY, || {
            http::get(&address, 80, "/")
        })?;
    }
    let url = format!("http://{address}/");
    let page = eventually("the Service from a Pod", READY, || {
        namespace.exec("client", None, &["wget", "-q", "-O", "-", &url])
    })?;
    assert_eq!(page, "nginx without a repository\n");
    Ok(())
}

pub(crate) fn a_pod_reaches_the_api_server_with_its_service_accounts_files(
    world: &World,
) -> TestResult {
    let namespace = world.namespace(&[])?;
    namespace.apply(&client())?;
    namespace.wait_ready("client", READY)?;
    // Plain text to a TLS port: the server's error message is sufficient here.
    let script = "cd /var/run/secrets/kubernetes.io/serviceaccount
        test $(grep -c BEGIN ca.crt) = 1
        test \"$(cut -c1-2 token)\" = ey
        printf 'GET / HTTP/1.0\\r\\n\\r\\n' |
            nc $KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT | head -c 4";
    let output = namespace.exec("client", None, &["sh", "-ec", script])?;
    assert_eq!(
        output, "HTTP",
        "the API server says in clear text that it wants TLS"
    );
    Ok(())
}

pub(crate) fn a_git_repo_volume_is_refused_by_the_kubelet(world: &World) -> TestResult {
    let namespace = world.namespace(&[])?;
    let output = namespace.apply(&format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: old, annotations: {{gitvolume.dev/inject: \"false\"}}}}
spec:
  containers:
  - name: app
    image: {BUSYBOX}
    command: [sleep, \"3600\"]
    volumeMounts: [{{name: repo, mountPath: /repo}}]
  volumes: [{{name: repo, gitRepo: {{repository: \"https://git.example/site.git\"}}}}]
"
    ))?;
    assert!(
        output.contains("deprecated"),
        "the API server only warns: {output}"
    );

    eventually("the kubelet's refusal", READY, || {
        let events = namespace.run(&["get", "events", "--field-selector=reason=FailedMount"])?;
        let refusal = "git-repo volume plugin has been disabled";
        if events.contains(refusal) {
            Ok(())
        } else {
            Err(events)
        }
    })?;
    let pods = namespace.run(&["get", "pods"])?;
    assert!(pods.contains("ContainerCreating"), "{pods}");
    Ok(())
}
