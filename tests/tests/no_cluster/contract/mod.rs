//! The syncer reads what the webhook writes: each golden Pod's injected container, expanded as the
//! kubelet does, is parsed by the syncer's own command line and compared with the annotations.

mod directories;

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use args::Action;
use args::Layout;
use args::expand_as_kubelet;
use args::paths;
use serde_json::Value;
use tests::settings;

struct Golden {
    case: String,
    pod: Value,
    dir: PathBuf,
}

fn goldens() -> Vec<Golden> {
    let folder = settings::root().join("webhook/inject/testdata/inject");
    let mut cases: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    cases
        .iter()
        .map(|case| Golden {
            case: case.file_name().unwrap().to_string_lossy().into_owned(),
            pod: serde_saphyr::from_str(&fs::read_to_string(case.join("patched.yaml")).unwrap())
                .unwrap(),
            dir: case.clone(),
        })
        .collect()
}

impl Golden {
    /// The operator's settings in this case.
    fn settings(&self) -> Value {
        let text = fs::read_to_string(self.dir.join("settings.yaml")).unwrap_or_default();
        serde_saphyr::from_str(&text).unwrap_or_default()
    }

    fn annotation(&self, key: &str) -> Option<&str> {
        self.pod["metadata"]["annotations"][format!("gitvolume.dev/{key}")].as_str()
    }

    /// Whether exactly one repository is requested, by annotations without a name.
    fn asks_for_one(&self) -> bool {
        let annotations = self.pod["metadata"]["annotations"].as_object();
        let is_named = |key: &&String| key.starts_with("gitvolume.dev/") && key.ends_with(".repo");
        let has_git_repos = self
            .annotation("status")
            .is_some_and(|own| own.contains("gitRepos"));
        let has_named = annotations.is_some_and(|all| all.keys().any(|key| is_named(&key)));
        self.annotation("repo").is_some() && !has_named && !has_git_repos
    }

    /// The container that runs the syncer.
    fn syncer(&self) -> Option<&Value> {
        let containers = self.pod["spec"]["initContainers"].as_array()?;
        containers
            .iter()
            .find(|container| container["command"][0] == paths::PROGRAM)
    }
}

fn mount_paths(container: &Value) -> Vec<&str> {
    let mounts = container["volumeMounts"].as_array().into_iter().flatten();
    mounts
        .filter_map(|mount| mount["mountPath"].as_str())
        .collect()
}

#[test]
fn the_syncer_parses_each_golden_pod_to_the_values_of_its_annotations() {
    let mut read = 0;
    for golden in goldens() {
        let Some(container) = golden.syncer().filter(|_| golden.asks_for_one()) else {
            continue;
        };
        let case = &golden.case;
        let env: HashMap<&str, &str> = container["env"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|variable| Some((variable["name"].as_str()?, variable["value"].as_str()?)))
            .collect();
        let argv = container["args"]
            .as_array()
            .unwrap()
            .iter()
            .map(|argument| {
                expand_as_kubelet(argument.as_str().unwrap(), |name| env.get(name).copied())
            });
        let sync = match args::read(argv.map(Into::into), []) {
            Ok(Action::Sync(typed)) => typed.sync.repo,
            other => panic!("{case}: {other:?}"),
        };

        let repo = golden.annotation("repo").map(str::to_owned);
        assert_eq!(
            sync.repo.map(|repo| repo.reveal().to_owned()),
            repo,
            "{case}"
        );
        assert_eq!(
            sync.rev.as_str(),
            golden.annotation("ref").unwrap_or("HEAD"),
            "{case}"
        );
        let link = golden.annotation("link");
        assert_eq!(
            sync.link.map(|link| link.to_string()).as_deref(),
            link,
            "{case}"
        );
        assert_eq!(sync.layout == Layout::Link, link.is_some(), "{case}");
        assert_eq!(
            sync.one_time,
            golden.annotation("mode") == Some("once"),
            "{case}"
        );
        let period = golden.annotation("period").unwrap_or("10s");
        assert_eq!(sync.period, period.parse().unwrap(), "{case}");
        let depth = golden.annotation("depth").unwrap_or("1");
        assert_eq!(sync.depth.to_string(), depth, "{case}");
        assert!(
            sync.max_failures < 0,
            "{case}: an injected syncer retries for ever"
        );

        // The paths in the arguments are mounted, and the probe reads where the sync writes.
        let mounted = mount_paths(container);
        let named = [sync.root, sync.state.clone(), sync.secret_dir.clone()];
        for path in named.into_iter().flatten() {
            assert!(
                mounted.contains(&path.to_str().unwrap()),
                "{case}: {path:?} is no mount"
            );
        }
        assert_eq!(
            sync.secret_dir.is_some(),
            golden.annotation("secret").is_some() || !golden.settings()["defaultSecrets"].is_null(),
            "{case}"
        );
        assert_eq!(
            sync.state.unwrap().to_str(),
            env.get("GITSYNC_STATE").copied(),
            "{case}"
        );
        read += 1;
    }
    assert!(read >= 30, "only {read} golden Pods with a syncer");
}

/// The variables of a container, as the kubelet passes them.
fn variables(container: &Value) -> Vec<(&str, String)> {
    let all = container["env"].as_array().into_iter().flatten();
    all.filter_map(|own| Some((own["name"].as_str()?, own["value"].as_str()?)))
        .map(|(name, value)| (name, expand_as_kubelet(value, |_| None)))
        .collect()
}

#[test]
fn the_syncer_knows_every_gitsync_variable_that_the_webhook_sets() {
    let (mut authorities, mut host_keys) = (0, 0);
    for golden in goldens() {
        let settings = golden.settings();
        let containers = golden.pod["spec"]["initContainers"].as_array();
        let ours = containers.into_iter().flatten();
        for container in ours.filter(|own| own["command"][0] == paths::PROGRAM) {
            let case = &golden.case;
            let env = variables(container);
            let args = container["args"].as_array().unwrap().iter();
            let argv = args.map(|arg| expand_as_kubelet(arg.as_str().unwrap(), |_| None).into());
            let env = env
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()));
            let args::Action::Sync(typed) = args::read(argv, env).unwrap() else {
                panic!("{case}: it does not sync");
            };
            assert_eq!(typed.notices, [""; 0], "{case}");
            let check_setting = |given: Option<String>, key: &str| {
                given.inspect(|given| {
                    let setting: String = serde_json::from_value(settings[key].clone()).unwrap();
                    let is_comment = |line: &&str| line.starts_with('#');
                    let setting: Vec<&str> =
                        setting.lines().filter(|line| !is_comment(line)).collect();
                    assert_eq!(given.lines().collect::<Vec<_>>(), setting, "{case}");
                })
            };
            let repo = typed.sync.repo;
            let bundle = repo.ca_bundle.map(|bundle| bundle.to_string());
            authorities += usize::from(check_setting(bundle, "caBundle").is_some());
            let hosts = repo.default_known_hosts.map(|hosts| hosts.to_string());
            host_keys += usize::from(check_setting(hosts, "knownHosts").is_some());
        }
    }
    assert!(
        authorities >= 2 && host_keys >= 2,
        "{authorities}, {host_keys}"
    );
}

#[test]
fn the_probe_command_is_a_subcommand_of_the_syncer() {
    for golden in goldens() {
        let Some(container) = golden.syncer() else {
            continue;
        };
        let Some(probe) = container["startupProbe"]["exec"]["command"].as_array() else {
            continue;
        };
        let argv = probe.iter().skip(1).filter_map(Value::as_str);
        let action = args::read(argv.map(Into::into), []);
        assert!(
            matches!(action, Ok(Action::Probe(_))),
            "{}: {action:?}",
            golden.case
        );
    }
}
