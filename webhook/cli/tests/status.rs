//! `gitvolume status` and `gitvolume wait` against a stub of the API server. The tests on a real node
//! (`tests/tests/cluster/status.rs`) cover commands in containers.

use std::collections::BTreeMap;
use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread;

use serde_json::Value;
use serde_json::json;

use crate::Ran;
use crate::run_in;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// An API server that answers GET requests for known paths; every other path is forbidden.
#[derive(Clone)]
struct ApiServerStub {
    port: u16,
    answers: Arc<Mutex<BTreeMap<String, String>>>,
}

impl ApiServerStub {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            answers: Arc::default(),
        };
        server.set("/version", &json!({"gitVersion": "v1.36.0"}));
        let answering = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = answering.clone();
                thread::spawn(move || server.answer(stream));
            }
        });
        server
    }

    fn set(&self, path: &str, answer: &Value) {
        self.set_text(path, &answer.to_string());
    }

    fn set_text(&self, path: &str, answer: &str) {
        let mut answers = self.answers.lock().unwrap();
        answers.insert(path.to_owned(), answer.to_owned());
    }

    fn answer(&self, mut stream: TcpStream) {
        let mut head = BufReader::new(stream.try_clone().unwrap()).lines();
        let first = head.next().unwrap().unwrap();
        while head.next().is_some_and(|line| !line.unwrap().is_empty()) {}
        let target = first.split(' ').nth(1).unwrap();
        let path = target.split('?').next().unwrap();
        let known = self.answers.lock().unwrap().get(path).cloned();
        let (status, body) = match known {
            Some(body) => ("200 OK", body),
            None => {
                let message = format!("{path} is forbidden");
                let status = json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                    "message": message, "reason": "Forbidden", "code": 403,
                });
                ("403 Forbidden", status.to_string())
            }
        };
        let length = body.len();
        let _ = write!(
            stream,
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
             connection: close\r\n\r\n{body}"
        );
    }

    fn run(&self, root: &Path, args: &[&str]) -> Ran {
        let config = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: a\n\
             contexts: [{{name: a, context: {{cluster: a, user: a, namespace: shop}}}}]\n\
             clusters: [{{name: a, cluster: {{server: 'http://127.0.0.1:{}'}}}}]\n\
             users: [{{name: a, user: {{}}}}]\n",
            self.port
        );
        fs::write(root.join("config"), config).unwrap();
        run_in(root, &[args, &["--kubeconfig=config"]].concat(), "")
    }
}

/// A running Pod whose syncer serves HTTP.
fn pod(name: &str, container: Value) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"initContainers": [container]},
        "status": {"phase": "Running", "initContainerStatuses": [
            {"name": "gitvolume", "state": {"running": {}}},
        ]},
    })
}

fn container() -> Value {
    json!({
        "name": "gitvolume",
        "args": ["--repo=https://git.example/site.git", "--ref=main"],
        "ports": [{"name": "gitvolume", "containerPort": 9300}],
    })
}

fn page(commit: Option<&str>, error: Option<&str>) -> Value {
    let published = commit
        .map(|commit| json!({"commit": commit, "tag": null, "since": "2026-01-01T00:00:00Z"}));
    json!({"repos": [{
        "name": null, "repo": "https://git.example/site.git", "ref": "main", "phase": "waiting",
        "published": published, "lastSuccess": null, "lastError": error, "failures": 0,
        "nextPass": null, "poller": "on",
    }]})
}

const PODS: &str = "/api/v1/namespaces/shop/pods";

fn proxied(pod: &str) -> String {
    format!("{PODS}/{pod}:9300/proxy/status")
}

#[test]
fn the_state_of_each_pod_is_printed_and_the_exit_code_reports_problems() {
    let root = tempfile::tempdir().unwrap();
    let server = ApiServerStub::start();
    let bare = json!({
        "metadata": {"name": "db", "namespace": "shop"}, "spec": {}, "status": {"phase": "Running"},
    });
    let pods = [pod("web-1", container()), pod("web-2", container()), bare];
    server.set(PODS, &json!({"items": pods}));
    server.set(&proxied("web-1"), &page(Some(COMMIT), None));
    server.set(&proxied("web-2"), &page(Some(COMMIT), None));
    let ran = server.run(root.path(), &["status"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    let lines: Vec<Vec<&str>> = ran
        .out
        .lines()
        .map(|own| own.split_whitespace().collect())
        .collect();
    assert_eq!(
        lines.len(),
        3,
        "the Pod without a repository is not listed: {}",
        ran.out
    );
    assert_eq!(
        lines[1][..4],
        [
            "web-1",
            "https://git.example/site.git",
            "main",
            "0123456789ab"
        ]
    );

    server.set(&proxied("web-2"), &page(Some(COMMIT), Some("no such host")));
    let ran = server.run(root.path(), &["status", "-o", "json"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    let printed: Value = serde_json::from_str(&ran.out).unwrap();
    let repository = "/pods/1/syncers/0/repositories/0";
    let repository = printed.pointer(repository).unwrap();
    assert_eq!(repository["lastError"], "no such host");
    assert_eq!(repository["published"]["commit"], COMMIT);
}

#[test]
fn a_missing_permission_is_named_and_the_exit_code_is_2() {
    let root = tempfile::tempdir().unwrap();
    let server = ApiServerStub::start();
    let without_port = json!({"name": "gitvolume", "args": ["--repo=https://git.example/x.git"]});
    server.set(
        PODS,
        &json!({"items": [pod("web-1", without_port.clone())]}),
    );
    let ran = server.run(root.path(), &["status"]);
    assert_eq!(ran.code, 2, "{}", ran.out);
    let expected = "the state cannot be read: /api/v1/namespaces/shop/pods/web-1/exec is forbidden";
    assert!(ran.out.contains(expected), "{}", ran.out);
    assert!(ran.out.contains("https://git.example/x.git"), "{}", ran.out);

    server.set(&format!("{PODS}/web-1"), &pod("web-1", without_port));
    let wait = ["wait", "pod/web-1", "--revision", COMMIT];
    let ran = server.run(root.path(), &wait);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
    assert!(ran.err.contains("is forbidden"), "{}", ran.err);
    let ran = server.run(root.path(), &["wait", "deploy/none", "--revision", COMMIT]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains("deploy/none in the namespace shop: "),
        "{}",
        ran.err
    );
}

#[test]
fn wait_ends_when_the_commit_is_published_or_the_time_is_over() {
    let root = tempfile::tempdir().unwrap();
    let server = ApiServerStub::start();
    let deployment = json!({
        "metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": {"app": "web"}}},
    });
    server.set("/apis/apps/v1/namespaces/shop/deployments/web", &deployment);
    server.set(PODS, &json!({"items": [pod("web-1", container())]}));
    server.set(&proxied("web-1"), &page(None, Some("no such host")));
    let wait = |timeout: &str| {
        let args = [
            "wait",
            "deploy/web",
            "--revision",
            &COMMIT[..8],
            "--timeout",
            timeout,
        ];
        server.run(root.path(), &args)
    };
    let ran = wait("1s");
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{}", ran.err);
    for part in [
        "note: Pod shop/web-1: it has published no commit; the last pass failed: no such host",
        "error: deploy/web: not all Pods published 01234567 within 1s",
    ] {
        assert!(ran.err.contains(part), "{}", ran.err);
    }
    let later = server.clone();
    let publishing = thread::spawn(move || {
        thread::sleep(std::time::Duration::from_millis(1500));
        later.set(&proxied("web-1"), &page(Some(COMMIT), None));
    });
    let ran = wait("1m");
    publishing.join().unwrap();
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(ran.out, "Pod shop/web-1 has published 01234567\n");
}

#[test]
fn the_log_of_an_ended_container_names_its_commit() {
    let root = tempfile::tempdir().unwrap();
    let server = ApiServerStub::start();
    let job = json!({
        "metadata": {"name": "build"}, "spec": {"selector": {"matchLabels": {"job": "build"}}},
    });
    server.set("/apis/batch/v1/namespaces/shop/jobs/build", &job);
    let mut own = pod(
        "build-1",
        json!({"name": "gitvolume-once", "args": ["--repo=git@x:y"]}),
    );
    own["status"] = json!({"phase": "Succeeded", "initContainerStatuses": [
        {"name": "gitvolume-once", "state": {"terminated": {"exitCode": 0}}},
    ]});
    server.set(PODS, &json!({"items": [own]}));
    let log = format!(
        "{}\n",
        json!({"msg": "updated successfully", "remote": COMMIT})
    );
    server.set_text(&format!("{PODS}/build-1/log"), &log);
    let ran = server.run(root.path(), &["wait", "job/build", "--revision", COMMIT]);
    assert_eq!(ran.code, 0, "{}", ran.err);
}

#[test]
fn invalid_arguments_are_refused_in_one_sentence() {
    let root = tempfile::tempdir().unwrap();
    let server = ApiServerStub::start();
    for (args, expected) in [
        (
            &["wait", "deploy/web", "--revision", "main"][..],
            "expected 7 to 64 hexadecimal digits",
        ),
        (&["wait", "deploy/web"], "--revision <SHA>"),
        (
            &["status", "service/web"],
            "expected KIND/NAME, such as pod/web",
        ),
        (&["status", "-A", "pod/web"], "cannot be used with"),
    ] {
        let ran = server.run(root.path(), args);
        assert_eq!(ran.code, 2, "{args:?}: {}", ran.out);
        assert!(ran.err.contains(expected), "{args:?}: {}", ran.err);
    }
}
