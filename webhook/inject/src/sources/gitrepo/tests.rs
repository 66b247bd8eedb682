use super::*;
use crate::Namespace;
use crate::Outcome;
use crate::Review;
use crate::SkipReason;
use crate::answer;
use serde_json::json;

const ADDRESS: &str = "https://me:hunt$r2@git.example/x.git";

fn pod(volumes: Value) -> Value {
    let mounts: Vec<Value> = volumes
        .as_array()
        .unwrap()
        .iter()
        .map(|volume| json!({"name": volume["name"], "mountPath": format!("/{}", volume["name"].as_str().unwrap())}))
        .collect();
    json!({
        "metadata": {},
        "spec": {
            "containers": [{"name": "web", "image": "nginx", "volumeMounts": mounts}],
            "volumes": volumes,
        },
    })
}

fn ask(pod: &Value) -> crate::Answer {
    let settings = Settings::new("syncer:1");
    answer(
        &Review::of_pod(pod.clone()),
        &settings,
        &Namespace::default(),
    )
    .unwrap()
}

fn injected(mut pod: Value) -> Value {
    let patch = ask(&pod).patch.unwrap();
    json_patch::patch(&mut pod, &patch).unwrap();
    pod
}

fn git_repo(name: &str, repository: &str) -> Value {
    json!({"name": name, "gitRepo": {"repository": repository}})
}

#[test]
fn a_password_is_only_in_the_configuration_and_is_restored_from_it() {
    for follow in [false, true] {
        let mut plain = pod(json!([
            git_repo("a", ADDRESS),
            git_repo("b", "https://you:other@git.example/x.git"),
        ]));
        if follow {
            plain["metadata"]["annotations"] = json!({"gitvolume.dev/gitrepo": "follow"});
        }
        let answer = ask(&plain);
        let shown = format!("{:?} {:?}", answer.outcome, answer.warnings);
        assert!(!shown.contains("hunt"), "{shown}");
        let pod = injected(plain);
        assert_eq!(pod.to_string().matches("hunt").count(), 1, "{pod:#}");

        let metadata = pod["metadata"]["annotations"].as_object();
        let status = Status::read(metadata).unwrap();
        let spec: PodSpec = serde_json::from_value(pod["spec"].clone()).unwrap();
        let sources = sources(&status, &spec);
        assert_eq!(sources["a"].repository, ADDRESS);
        assert_eq!(
            sources["b"].repository,
            "https://you:other@git.example/x.git"
        );
        let again = ask(&pod);
        assert_eq!(again.outcome, Outcome::Skip(SkipReason::AlreadyInjected));
    }
}

#[test]
fn a_volume_added_after_the_first_call_is_converted_by_the_second() {
    let mut pod = pod(json!([]));
    pod["metadata"]["annotations"] = json!({"gitvolume.dev/repo": "https://git.example/site.git"});
    let mut pod = injected(pod);
    let volumes = pod["spec"]["volumes"].as_array_mut().unwrap();
    volumes.push(git_repo("late", "https://git.example/late.git"));
    let last = volumes.len() - 1;
    volumes.swap(0, last);

    let pod = injected(pod);
    assert_eq!(
        pod["spec"]["volumes"][0],
        json!({"name": "late", "emptyDir": {}})
    );
    let inits = pod["spec"]["initContainers"].as_array().unwrap();
    let names: Vec<&Value> = inits.iter().map(|own| &own["name"]).collect();
    assert_eq!(names, ["gitvolume-gitrepo", "gitvolume"]);
    let again = ask(&pod);
    assert_eq!(again.outcome, Outcome::Skip(SkipReason::AlreadyInjected));
}

#[test]
fn a_volume_added_after_the_injected_container_gets_a_second_container() {
    let mut pod = injected(pod(json!([git_repo("a", "https://git.example/a.git")])));
    let volumes = pod["spec"]["volumes"].as_array_mut().unwrap();
    volumes.push(git_repo("late", "https://git.example/late.git"));
    let before = pod["spec"]["initContainers"][0].clone();

    let pod = injected(pod);
    let inits = pod["spec"]["initContainers"].as_array().unwrap();
    assert_eq!(inits[0]["name"], "gitvolume-gitrepo-late");
    assert_eq!(inits[1], before);
    let metadata = pod["metadata"]["annotations"].as_object();
    let status = Status::read(metadata).unwrap();
    assert_eq!(status.git_repos.len(), 2);
    let again = ask(&pod);
    assert_eq!(again.outcome, Outcome::Skip(SkipReason::AlreadyInjected));
}

#[test]
fn a_status_written_by_the_author_converts_nothing() {
    let mut pod = pod(json!([{"name": "cache", "emptyDir": {}}]));
    let status = json!({"gitRepos": {"cache": {"repository": "https://git.example/x.git"}}});
    pod["metadata"]["annotations"] = json!({"gitvolume.dev/status": status.to_string()});
    assert_eq!(ask(&pod).outcome, Outcome::Skip(SkipReason::NotRequested));
}
