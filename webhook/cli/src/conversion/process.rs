//! The program, arguments and environment of a container, as the kubelet would compute them.

use std::cell::RefCell;
use std::collections::BTreeMap;

use args::expand_as_kubelet;
use args::paths;
use inject::Role;
use k8s_openapi::api::core::v1::Container;

/// The names of git-sync's program.
const PROGRAMS: [&str; 2] = ["git-sync", "gitvolume-syncer"];

/// The variables of a user and a password in git-sync, lowest precedence first.
pub(super) const USERNAMES: [&str; 2] = ["GITSYNC_USERNAME", "GIT_SYNC_USERNAME"];
pub(super) const PASSWORDS: [&str; 2] = ["GITSYNC_PASSWORD", "GIT_SYNC_PASSWORD"];

/// git-sync's variables without its prefix.
const OTHER_NAMES: [&str; 6] = [
    "GIT_ASKPASS_URL",
    "GIT_COOKIE_FILE",
    "GIT_KNOWN_HOSTS",
    "GIT_SSH_KEY_FILE",
    "GIT_SSH_KNOWN_HOSTS",
    "GIT_SSH_KNOWN_HOSTS_FILE",
];

/// The process of a git-sync container.
#[derive(Debug, Default)]
pub(super) struct Process {
    /// The arguments, without the program.
    pub(super) argv: Vec<String>,
    /// git-sync's variables with known values.
    pub(super) env: Vec<(String, String)>,
    /// User and password from Secrets: the variable, the Secret, and its key.
    pub(super) secrets: Vec<(String, String, String)>,
    /// Variables that git-sync does not read.
    pub(super) others: Vec<String>,
}

impl Process {
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let mut env = self.env.iter().rev();
        let (_, value) = env.find(|(own, _)| own == name)?;
        Some(value)
    }
}

/// The relation of a container to git-sync.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// It is git-sync, by its image or its command.
    GitSync,
    /// It has git-sync's variables or flags, but its program is unknown.
    Alike,
    /// None.
    Other,
}

/// The relation of a container to git-sync.
pub(super) fn kind(container: &Container) -> Kind {
    let image = container.image.as_deref().unwrap_or_default();
    let named = ["git-sync", "gitsync", "gitvolume-syncer"];
    let path = image.split('@').next().unwrap_or(image);
    let last = path.rsplit('/').next().unwrap_or(path);
    // A mirror may have the name in the tag only.
    if is_ours(container) {
        return Kind::Other;
    }
    let is_image = named.iter().any(|name| last.contains(name));
    let program = program(container);
    if is_image || program.is_some_and(|program| is_program(program)) {
        return Kind::GitSync;
    }
    let mut env = container.env.iter().flatten();
    match env.any(|own| ["GITSYNC_REPO", "GIT_SYNC_REPO"].contains(&own.name.as_str())) {
        true => Kind::Alike,
        false => Kind::Other,
    }
}

/// Whether the webhook injected a container, as in a manifest that was exported from a running Pod.
pub(super) fn is_ours(container: &Container) -> bool {
    let ours = Role::ALL.map(Role::container);
    let is_program = program(container).is_some_and(|own| own == paths::PROGRAM);
    is_program && ours.contains(&container.name.as_str())
}

fn program(container: &Container) -> Option<&String> {
    container.command.as_ref()?.first()
}

fn is_program(text: &str) -> bool {
    let name = text.rsplit('/').next().unwrap_or(text);
    PROGRAMS.contains(&name)
}

/// The major version in an image's tag, such as 3 in `git-sync:v3.1.6`; `None` for `stable`,
/// `latest`, a date or a digest alone. gitvolume's own syncer counts as v4.
pub(super) fn major(container: &Container) -> Option<u32> {
    let image = container.image.as_deref()?.split('@').next()?;
    let last = image.rsplit('/').next()?;
    if last.starts_with("gitvolume-syncer") {
        return Some(4);
    }
    let (_, tag) = last.split_once(':')?;
    let digits = tag.trim_start_matches('v').split('.').next()?;
    digits.parse().ok().filter(|major| (1..=9).contains(major))
}

/// Whether ssh was enabled in the way git-sync before v4 required; only then it verified host keys.
pub(super) fn has_ssh(process: &Process) -> bool {
    let is_true = |text: &str| ["1", "t", "T", "true", "True", "TRUE"].contains(&text);
    let by_flag = process.argv.iter().any(|own| {
        let bare = own.trim_start_matches('-');
        own.starts_with('-') && (bare == "ssh" || bare.strip_prefix("ssh=").is_some_and(is_true))
    });
    let by_env = ["GIT_SYNC_SSH", "GITSYNC_SSH"].iter().any(|name| {
        let value = process.value(name);
        value.is_some_and(is_true)
    });
    by_flag || by_env
}

/// The process of a container; an error is a value that the manifest alone does not contain.
pub(super) fn read(container: &Container) -> Result<Process, String> {
    let mut command = container.command.iter().flatten();
    if let Some(program) = command.next()
        && !is_program(program)
    {
        return Err(format!(
            "its command is {program:?} and not git-sync; annotations cannot express what else it does"
        ));
    }
    let from = container.env_from.as_deref().unwrap_or_default();
    if !from.is_empty() {
        return Err(
            "it has variables from envFrom, whose values are not in the manifest; write the variables that it needs into env"
                .to_owned(),
        );
    }
    let mut process = Process::default();
    let mut known: BTreeMap<&str, String> = BTreeMap::new();
    for own in container.env.iter().flatten() {
        let name = own.name.as_str();
        if let Some(from) = &own.value_from {
            let secret = from.secret_key_ref.as_ref();
            match secret {
                Some(secret) if USERNAMES.contains(&name) || PASSWORDS.contains(&name) => {
                    let (secret, key) = (secret.name.clone(), secret.key.clone());
                    process.secrets.push((name.to_owned(), secret, key));
                }
                _ if is_own(name) || changes_git(name) => {
                    return Err(format!(
                        "env {name} comes from valueFrom, so its value is not in the manifest"
                    ));
                }
                _ => process.others.push(name.to_owned()),
            }
            continue;
        }
        let text = own.value.as_deref().unwrap_or_default();
        let value = expanded(text, &known);
        if is_own(name) {
            process.env.push((name.to_owned(), value.clone()?));
        } else if changes_git(name) {
            return Err(format!(
                "env {name} changes what git does, and the injected syncer has no such variable"
            ));
        } else {
            process.others.push(name.to_owned());
        }
        if let Ok(value) = value {
            known.insert(name, value);
        }
    }
    for text in command.chain(container.args.iter().flatten()) {
        process.argv.push(expanded(text, &known)?);
    }
    if let Some(home) = known.get("HOME") {
        process.env.push(("HOME".to_owned(), home.clone()));
    }
    Ok(process)
}

fn expanded(text: &str, known: &BTreeMap<&str, String>) -> Result<String, String> {
    let unknown = RefCell::new(None);
    let expanded = expand_as_kubelet(text, |name| {
        let value = known.get(name).map(String::as_str);
        if value.is_none() {
            unknown.borrow_mut().get_or_insert(name.to_owned());
        }
        value
    });
    match unknown.into_inner() {
        Some(name) => Err(format!(
            "what $({name}) stands for is not in the manifest; write it out"
        )),
        None => Ok(expanded),
    }
}

fn is_own(name: &str) -> bool {
    name.starts_with("GITSYNC_") || name.starts_with("GIT_SYNC_") || OTHER_NAMES.contains(&name)
}

/// Whether git, ssh or curl read a variable.
fn changes_git(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let starts = ["GIT_", "SSH_", "SSL_", "CURL_", "XDG_", "LD_"];
    name.ends_with("_PROXY") || starts.iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use serde_json::json;

    fn container(rest: Value) -> Container {
        let mut container = json!({"name": "c"});
        let members = container.as_object_mut().unwrap();
        members.extend(rest.as_object().unwrap().clone());
        serde_json::from_value(container).unwrap()
    }

    #[test]
    fn git_sync_is_recognised_by_its_image_or_its_command() {
        for (rest, expected) in [
            (
                json!({"image": "registry.k8s.io/git-sync/git-sync:v4.3.0"}),
                Kind::GitSync,
            ),
            (
                json!({"image": "k8s.gcr.io/git-sync-amd64@sha256:1"}),
                Kind::GitSync,
            ),
            (
                json!({"image": "apache/submarine:git-sync-3.1.6"}),
                Kind::GitSync,
            ),
            (
                json!({"image": "x:1", "command": ["/git-sync", "-repo=x"]}),
                Kind::GitSync,
            ),
            (
                json!({"image": "x:1", "env": [{"name": "GIT_SYNC_REPO", "value": "x"}]}),
                Kind::Alike,
            ),
            (json!({"image": "git-sync.example/nginx:1"}), Kind::Other),
            (json!({}), Kind::Other),
        ] {
            assert_eq!(kind(&container(rest.clone())), expected, "{rest}");
        }
    }

    #[test]
    fn the_version_comes_from_the_tag() {
        for (image, expected) in [
            ("k8s.gcr.io/git-sync:v3.1.6", Some(3)),
            ("localhost:5000/git-sync:v2.0.4@sha256:1", Some(2)),
            ("localhost:5000/git-sync", None),
            ("git-sync:latest", None),
        ] {
            assert_eq!(
                major(&container(json!({"image": image}))),
                expected,
                "{image}"
            );
        }
    }

    #[test]
    fn arguments_are_expanded_as_by_the_kubelet() {
        let process = read(&container(json!({
            "command": ["/git-sync", "--root=$(ROOT)/x"],
            "args": ["--repo=$(GITSYNC_REPO)", "--link=$$(X)"],
            "env": [
                {"name": "ROOT", "value": "/git"},
                {"name": "GITSYNC_REPO", "value": "https://git.example/$(ROOT).git"},
                {"name": "TZ", "value": "UTC"},
            ],
        })))
        .unwrap();
        assert_eq!(
            process.argv,
            [
                "--root=/git/x",
                "--repo=https://git.example//git.git",
                "--link=$(X)"
            ]
        );
        assert_eq!(
            process.value("GITSYNC_REPO"),
            Some("https://git.example//git.git")
        );
        assert_eq!(process.others, ["ROOT", "TZ"]);
    }

    #[test]
    fn a_value_that_the_manifest_does_not_contain_is_an_error() {
        let from = json!({"secretKeyRef": {"name": "s", "key": "k"}});
        for (rest, expected) in [
            (
                json!({"command": ["sh", "-c", "git-sync"]}),
                "its command is \"sh\"",
            ),
            (
                json!({"envFrom": [{"secretRef": {"name": "s"}}]}),
                "envFrom",
            ),
            (
                json!({"env": [{"name": "GITSYNC_REPO", "valueFrom": from}]}),
                "valueFrom",
            ),
            (
                json!({"env": [{"name": "https_proxy", "value": "x"}]}),
                "changes what git does",
            ),
            (json!({"args": ["--repo=$(X)"]}), "what $(X) stands for"),
            (
                json!({"args": ["$(A)"], "env": [{"name": "A", "valueFrom": from}]}),
                "what $(A) stands for",
            ),
        ] {
            let error = read(&container(rest.clone())).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
